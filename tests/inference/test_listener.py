"""A classifier is given the items of a generator as it would be given the written files."""

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


def recorder(domain):
    """A classifier that keeps the items that it is given."""
    given_items = []
    return types.SimpleNamespace(
        domain=domain,
        given_items=given_items,
        probabilities=lambda items: given_items.append(items) or items,
    )


def items(domain):
    rng = np.random.default_rng(0)
    waves = 0.1 * rng.standard_normal((2, 20 * SPEC.hop)).astype("float32")
    return waves if domain == "wave" else audio.as_mels(waves, "wave", SPEC)


@pytest.mark.parametrize("domain", ["mel", "wave"])
def test_items_of_its_own_domain_are_classified_as_they_are(domain):
    given, classifier = items(domain), recorder(domain)
    Listener(classifier, domain, SPEC)(given)
    assert classifier.given_items[0] is given


def test_a_classifier_of_mels_is_given_the_mels_that_pair_with_waves():
    classifier = recorder("mel")
    Listener(classifier, "wave", SPEC)(items("wave"))
    np.testing.assert_allclose(classifier.given_items[0], items("mel"), atol=1e-4)


def vocoder(mels):
    """As long as the mels, as loud as their first band."""
    return np.repeat(np.exp(mels[..., 0]), SPEC.hop, axis=1).astype("float32")


@pytest.mark.parametrize("vocoder", [None, vocoder])
def test_a_classifier_of_waves_is_given_mels_conditioned_as_its_training_data(vocoder):
    classifier = recorder("wave")
    Listener(classifier, "mel", SPEC, vocoder)(items("mel"))
    sounds = render.waves(items("mel"), SPEC, vocoder=vocoder)
    assert classifier.given_items[0].shape == sounds.shape  # nothing is trimmed
    for each, sound in zip(classifier.given_items[0], sounds):
        np.testing.assert_array_equal(each, audio.condition(sound, SPEC, trim=False))
