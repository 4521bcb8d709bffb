"""What a network loses of spectra is found frame by frame, and put back where spectra are alike."""

import numpy as np
import pytest

from kvoice import audio
from kvoice.inference import spectra

SPEC = audio.SPECS["waveglow"]
MELS = SPEC.mels
TILT = np.linspace(1, -1, MELS)
# Two sounds that a network makes, and what it loses of each: of mean 0 in each frame.
SOUNDS = np.stack([TILT, -TILT])
LOST = 0.3 * np.stack([np.sin(np.linspace(0, 6 * np.pi, MELS)) - 0.0, -np.ones(MELS)])
LOST -= LOST.mean(axis=1, keepdims=True)
LOST[1] = -LOST[0]  # as many frames of each: of mean 0 in each band too


def utterance(kinds, louder=0.0):
    """What a network makes of frames of two kinds, and the recording: [time, mels] each."""
    kinds = np.asarray(kinds)
    made = SOUNDS[kinds] + louder
    return (made + LOST[kinds]).astype("float32"), made.astype("float32")


def pause(mel, frames=10):
    return np.concatenate([mel, np.full((frames, MELS), -9, "float32")])


def test_what_is_lost_of_a_frame_is_the_difference_of_the_shapes_where_it_sounds():
    mel, made = utterance([0, 1] * 20, louder=0.7)
    found = spectra.lost(pause(mel - 0.7), pause(made), SPEC)  # whatever the loudness of either
    np.testing.assert_allclose(found[:40], LOST[[0, 1] * 20], atol=1e-4)
    np.testing.assert_array_equal(found[40:], 0)
    np.testing.assert_allclose(found[:40].mean(axis=0), 0, atol=1e-5)
    bright = spectra.lost(pause(mel + 0.5 * TILT), pause(made), SPEC)  # a long-term difference
    np.testing.assert_allclose(bright[:40], LOST[[0, 1] * 20], atol=1e-4)


def test_a_frame_is_given_what_is_lost_of_frames_like_it():
    details = spectra.Details.of(*utterance([0, 1] * 20), SPEC)
    kinds = np.repeat([0, 1, 0, 1], 30)
    _, made = utterance(kinds, louder=-1.0)
    noise = 0.05 * np.random.default_rng(0).normal(size=made.shape)
    found = details.of_similar((made + noise).astype("float32"), SPEC)
    within = np.abs(np.arange(120) % 30 - 14.5) < 10  # away from the changes, which are smoothed
    np.testing.assert_allclose(found[within], LOST[kinds][within], atol=1e-3)


@pytest.mark.parametrize("distances", [1, 400, 10**9])
def test_the_nearest_are_those_of_all_distances(monkeypatch, distances):
    monkeypatch.setattr(spectra, "DISTANCES", distances)
    rng = np.random.default_rng(0)
    points, known = rng.normal(size=(30, 5)), rng.normal(size=(50, 5))
    away = np.linalg.norm(points[:, None] - known, axis=-1)
    found = spectra._nearest(points, known, 4)
    np.testing.assert_array_equal(np.sort(found), np.sort(np.argsort(away)[:, :4]))


def test_the_details_of_several_recordings_are_joined():
    one, two = (spectra.Details.of(*utterance([kind, 1 - kind] * 9), SPEC) for kind in (0, 1))
    both = spectra.Details.joined([one, two])
    assert len(both.made) == len(both.lost) == len(one.made) + len(two.made)
    np.testing.assert_array_equal(both.lost[: len(one.lost)], one.lost)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_voice_of_fewer_frames_than_are_looked_for_has_the_mean_of_all(frames):
    details = spectra.Details(np.zeros((frames, MELS)), np.tile(LOST[0], (frames, 1)))
    found = details.of_similar(utterance([0, 1] * 5)[1], SPEC)
    np.testing.assert_allclose(found, np.tile(LOST[0], (10, 1)), atol=1e-6)


def test_a_long_term_spectrum_is_that_of_what_sounds():
    rng = np.random.default_rng(0)
    logs = TILT + rng.normal(size=(60, 1)) / 3 + 0.1 * rng.normal(size=(60, MELS))
    logs[20:40] = -8 - TILT  # a pause of another colour
    found = spectra.long_term_spectrum(logs.astype("float32"), SPEC)
    np.testing.assert_allclose(found, TILT, atol=0.1)
    quieter = spectra.long_term_spectrum((logs - 1).astype("float32"), SPEC)
    np.testing.assert_allclose(quieter, found, atol=1e-3)
