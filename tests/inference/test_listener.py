"""A classifier hears of a generator what it would hear of the files that are written."""

import dataclasses
import types

import numpy as np
import pytest

from kvoice import audio
from kvoice.inference import render
from kvoice.inference.listener import Listener

SPEC = dataclasses.replace(
    audio.SPECS["waveglow"], preemphasis=0.97, highpass_hz=50.0, trim_db=20.0
)


def ears(domain):
    """A classifier that keeps what it was asked about."""
    heard = []
    return types.SimpleNamespace(
        domain=domain, heard=heard, probabilities=lambda items: heard.append(items) or items
    )


def items(domain):
    rng = np.random.default_rng(0)
    waves = 0.1 * rng.standard_normal((2, 20 * SPEC.hop)).astype("float32")
    return waves if domain == "wave" else audio.as_mels(waves, "wave", SPEC)


@pytest.mark.parametrize("domain", ["mel", "wave"])
def test_items_of_its_own_domain_are_heard_as_they_are(domain):
    given, classifier = items(domain), ears(domain)
    Listener(classifier, domain, SPEC)(given)
    assert classifier.heard[0] is given


def test_a_classifier_of_mels_hears_waves_as_the_mels_that_pair_with_them():
    classifier = ears("mel")
    Listener(classifier, "wave", SPEC)(items("wave"))
    np.testing.assert_allclose(classifier.heard[0], items("mel"), atol=1e-4)


def vocoder(mels):
    """As long as the mels, as loud as their first band."""
    return np.repeat(np.exp(mels[..., 0]), SPEC.hop, axis=1).astype("float32")


@pytest.mark.parametrize("vocoder", [None, vocoder])
def test_a_classifier_of_waves_hears_mels_conditioned_as_what_it_learned_from(vocoder):
    classifier = ears("wave")
    Listener(classifier, "mel", SPEC, vocoder)(items("mel"))
    sounds = render.waves(items("mel"), SPEC, vocoder=vocoder)
    assert classifier.heard[0].shape == sounds.shape  # nothing is trimmed
    for heard, sound in zip(classifier.heard[0], sounds):
        np.testing.assert_array_equal(heard, audio.condition(sound, SPEC, trim=False))
