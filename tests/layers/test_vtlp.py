"""Vocal tract length perturbation shifts mels along their bands."""

import numpy as np
import pytest
from keras import ops

from kvoice.layers.vtlp import shifted

MELS = np.random.default_rng(0).normal(size=(3, 5, 10)).astype("float32")


def test_a_mel_is_shifted_by_a_share_of_its_bands():
    shares = np.array([[0], [0.2], [-0.3]], "float32")
    made = ops.convert_to_numpy(shifted(ops.convert_to_tensor(MELS), shares))
    np.testing.assert_allclose(made[0], MELS[0], atol=1e-6)
    np.testing.assert_allclose(made[1, :, :8], MELS[1, :, 2:], atol=1e-6)
    np.testing.assert_allclose(made[1, :, 8:], MELS[1, :, 9:].repeat(2, axis=1), atol=1e-6)
    np.testing.assert_allclose(made[2, :, 3:], MELS[2, :, :7], atol=1e-6)


def test_between_bands_it_interpolates():
    made = ops.convert_to_numpy(shifted(ops.convert_to_tensor(MELS[:1]), np.full((1, 1), 0.05)))
    assert made[0, :, 0] == pytest.approx((MELS[0, :, 0] + MELS[0, :, 1]) / 2, abs=1e-5)
