"""Judges predict labels of unseen clips, and do not pretend to an accuracy that they lack."""

import warnings

import numpy as np
import pytest
import scipy.ndimage

from kvoice.errors import KvoiceError
from kvoice.evaluation.judges import Judge, PhoneProbe, VoiceSpace, augmented, probe_correct
from kvoice.evaluation.voicegan import crops
from tests.evaluation.test_voicegan import FRAMES, JUDGE, SPEC, TEST, clips


def test_the_judge_predicts_the_labels_of_unseen_clips():
    known, unknown = crops(JUDGE, 240), crops(TEST, 120)
    judge = Judge(known["mel"], known["emotion"])
    assert np.mean(judge(unknown["mel"]) == unknown["emotion"]) > 0.9


def levels(labels, spread, grain, seed):
    """Grain on a level that is 2 higher for label 1."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)[:, None, None]
    level = -6 + 2 * labels + rng.normal(0, spread, labels.shape)
    return level + (np.asarray(grain)[labels]) * rng.normal(0, 1, (len(labels), FRAMES, SPEC.mels))


def test_the_judge_does_not_rely_on_a_texture_that_blur_takes_away():
    labels = np.arange(200) % 2
    judge = Judge(levels(labels, 0.7, (0.05, 0.1), 0), labels)
    blurred = scipy.ndimage.gaussian_filter(levels(labels, 0.7, (0.05, 0.1), 1), (0, 1, 1))
    assert np.mean(judge(blurred) == labels) > 0.8


def test_the_judge_is_fair_to_rare_labels():
    labels = np.repeat([0, 1], [400, 40])
    judge = Judge(levels(labels, 2, (0.1, 0.1), 0), labels)
    assert np.mean(judge(levels(np.ones(200, int), 2, (0.1, 0.1), 1)) == 1) > 0.5


def test_a_judge_of_one_label_is_refused():
    with pytest.raises(KvoiceError, match="judge of gender.*two labels.*got 1"):
        Judge(clips([0, 0], 0), [0, 0], "gender")


def test_a_judge_predicts_clips_of_any_length_as_it_predicts_them_alone():
    known, unknown = crops(JUDGE, 240), crops(TEST, 40)
    cut = [mel[: 12 + k % 12] for k, mel in enumerate(known["mel"])]
    judge = Judge(cut, known["emotion"])
    ragged = [mel[: 12 + k % 12] for k, mel in enumerate(unknown["mel"])]
    together = judge(ragged)
    assert together.tolist() == [judge(mel[None])[0] for mel in ragged]
    assert np.mean(together == unknown["emotion"]) > 0.7


# Voices and words


def voiced(speakers, seed):
    """Clips of different lengths: the speaker sets the shape of the spectrum, chance the rest."""
    shapes = np.cos(np.pi * np.outer([1, 2, 3, 4, 5], np.arange(SPEC.mels)) / SPEC.mels)
    rng = np.random.default_rng(seed)
    return [
        -5
        + shapes[speaker]
        + rng.normal(0, 1) * np.cos(np.arange(SPEC.mels) / 4)
        + rng.normal(0, 0.3, (12 + k % 9, SPEC.mels))
        for k, speaker in enumerate(speakers)
    ]


def test_clips_of_one_voice_lie_in_one_direction_and_of_two_in_two():
    space = VoiceSpace(voiced(np.arange(80) % 5, 0), np.arange(80) % 5)
    speakers = np.arange(20) % 5
    points = space(voiced(speakers, 1))
    assert points.shape == (20, 4)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    cosines, same = points @ points.T, speakers[:, None] == speakers
    assert cosines[same].min() > 0.9 and np.mean(cosines[~same]) < 0.1
    with pytest.raises(KvoiceError, match="three speakers or more, got 2"):
        VoiceSpace(voiced([0, 1] * 4, 0), [0, 1] * 4)


def spoken(count, seed):
    """Utterances of four phones, each a shape of the spectrum, in a loud or a soft voice."""
    rng = np.random.default_rng(seed)
    shapes = np.cos(np.pi * np.outer([2, 3, 4, 5], np.arange(SPEC.mels)) / SPEC.mels)
    phones = [
        np.repeat(rng.integers(0, 4, 8), 6)[: int(rng.integers(30, 48))] for _ in range(count)
    ]
    return [
        -5 + rng.normal(0, 1) + shapes[phone] + rng.normal(0, 0.3, (len(phone), SPEC.mels))
        for phone in phones
    ], phones


def test_a_probe_predicts_the_phone_of_each_frame_and_not_in_noise():
    probe = PhoneProbe(*spoken(20, 0))
    mels, phones = spoken(10, 1)
    right = np.concatenate([probe(mel) == phone for mel, phone in zip(mels, phones)])
    assert right.mean() > 0.95
    rng = np.random.default_rng(2)
    lost = [
        np.mean(probe(rng.normal(-5, 1, mel.shape)) == phone) for mel, phone in zip(mels, phones)
    ]
    assert np.mean(lost) < 0.5


def test_a_probe_learns_nothing_from_frames_whose_phone_is_unknown():
    mels, phones = spoken(20, 0)
    wrong = [np.where(np.arange(len(phone)) % 2, phone, -1) for phone in phones]
    probe = PhoneProbe(mels, wrong)
    assert {int(each) for mel in mels for each in probe(mel)} == {0, 1, 2, 3}
    with pytest.raises(KvoiceError, match="two phones or more"):
        PhoneProbe(mels, [np.full(len(phone), -1) for phone in phones])


def test_augmentation_adds_up_to_a_third_of_the_spread():
    mels = clips(np.zeros(40, int), 0)
    grain = augmented(np.zeros_like(mels) + mels.mean(), np.random.default_rng(0))
    assert np.std(grain) == 0  # no spread, no grain, and nothing to blur
    change = np.std(augmented(mels, np.random.default_rng(0)) - mels, axis=(1, 2)) / np.std(mels)
    assert change.min() < 0.15 and 0.2 < change.max() < 0.8


def test_a_probe_is_trained_without_a_warning_on_labels_with_one_example():
    items, labels = np.eye(6), np.array([0, 1, 2, 3, 4, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe_correct(items, labels, items, labels).shape == (6,)
