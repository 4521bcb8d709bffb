"""The splits of a prepared corpus with what a model needs."""

import dataclasses
import re

import numpy as np
import pytest
import soundfile

from kvoice import audio
from kvoice.data.prepare import prepare
from kvoice.errors import KvoiceError
from kvoice.evaluation.judges import learned_from
from kvoice.training.corpus import Corpus

SPEC = audio.SPECS["waveglow"]
GROUP = {"split": "train", "crop_frames": 16, "batch": 2, "seed": 0}


def corpus(place, splits, emotions=("",)):
    """A corpus that assigns its utterances itself; `splits` has the speakers of each split.

    Its utterances have the `emotions`, one after the other.
    """
    rows = ["path,speaker,split,emotion"]
    t = np.arange(SPEC.sample_rate_hz // 2) / SPEC.sample_rate_hz
    for split, speakers in splits.items():
        for speaker in speakers:
            path = place / "c" / speaker / f"{split}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = 0.3 * np.sin(2 * np.pi * 20 * len(rows) * t)
            soundfile.write(path, wave, SPEC.sample_rate_hz)
            emotion = emotions[(len(rows) - 1) % len(emotions)]
            rows.append(f"{speaker}/{split}.wav,{speaker},{split},{emotion}")
    (place / "c" / "metadata.csv").write_text("\n".join(rows))
    prepare(f"folder:{place / 'c'}", place / "p", SPEC, split="corpus", workers=1)
    return Corpus(place / "p", SPEC, GROUP, ("mel",))


def test_judges_learn_from_their_own_split(tmp_path):
    made = corpus(tmp_path, {"train": "ab", "valid": "c", "judge": "de", "test": "f"})
    judge = made.sources(["judge"])["judge"]
    assert (judge.split, judge.speakers, len(judge)) == ("judge", ["c/d", "c/e"], 2)


def test_without_it_they_learn_from_validation_speakers_who_are_in_no_other_split(tmp_path):
    made = corpus(tmp_path, {"train": "ab", "valid": "bcde", "test": "de"})
    sources = made.sources(["train", "judge", "valid"])
    judge = sources["judge"]
    assert (judge.split, judge.speakers, len(judge)) == ("valid", ["c/c"], 1)
    assert judge.utterance(0)["name"] == "c/c/valid.wav"
    assert sources["valid"].speakers == ["c/b", "c/c", "c/d", "c/e"] and len(sources["valid"]) == 4


def test_without_such_speakers_judges_are_refused_with_the_way_out(tmp_path):
    made = corpus(tmp_path, {"train": "ab", "valid": "ab", "test": "ab"})
    assert made.sources(["train", "test"])
    wanted = re.escape(str(tmp_path / "p")) + ".*no split judge.*--split=speaker"
    with pytest.raises(KvoiceError, match=wanted):
        made.sources(["train", "judge"])


def test_another_split_can_stand_for_test(tmp_path):
    made = corpus(tmp_path, {"train": "ab", "valid": "c", "judge": "de", "test": "f"})
    chosen = dataclasses.replace(made, tested="valid").sources(["train", "judge", "test"])
    assert chosen["test"].speakers == ["c/c"]
    assert (chosen["train"].split, chosen["judge"].split) == ("train", "judge")


def test_speakers_who_train_the_judges_are_not_measured_by_them(tmp_path):
    made = corpus(tmp_path, {"train": "ab", "valid": "c", "test": "f"})
    with pytest.raises(KvoiceError, match="no split judge.*split test"):
        dataclasses.replace(made, tested="valid").sources(["judge", "test"])


def test_judges_learn_from_another_corpus_in_the_numbers_of_this_one(tmp_path):
    made = corpus(tmp_path, {"train": "abc", "valid": "d", "test": "e"}, ["angry", "sad", "happy"])
    other = corpus(
        tmp_path / "o", {"train": "apqr", "valid": "s"}, ["bored", "sad", "angry", "sad"]
    )
    assert made.manifest.labels["emotion"] == ["angry", "happy", "sad"]
    assert other.manifest.labels["emotion"] == ["angry", "bored", "sad"]
    joined = dataclasses.replace(made, judges=str(other.directory))
    judge = joined.sources(["judge", "test"], more=["wave"])["judge"]
    assert judge.labels["emotion"] == ["angry", "happy", "sad"]
    found = {judge.utterance(i)["name"]: judge.utterance(i)["emotion"] for i in range(len(judge))}
    # c/a, who is in both, does not judge.
    assert found == {"c/p/train.wav": 2, "c/q/train.wav": 0, "c/r/train.wav": 2}
    assert learned_from(judge).endswith("on 3 speakers who are not in this corpus.")
    other = corpus(tmp_path / "b", {"train": "pq", "valid": "s"}, ["bored", "sad"])
    chosen = dataclasses.replace(joined, judges=str(other.directory), condition="emotion")
    judge = chosen.sources(["judge"])["judge"]
    assert [judge.utterance(i)["name"] for i in range(len(judge))] == ["c/q/train.wav"]
    chosen = dataclasses.replace(joined, tested="valid")  # whose judges need no own speaker
    assert chosen.sources(["judge", "test"])["test"].speakers == ["c/d"]


def test_a_corpus_of_the_same_speakers_alone_trains_no_judges(tmp_path):
    made = corpus(tmp_path, {"train": "ab", "valid": "c", "test": "d"})
    other = corpus(tmp_path / "o", {"train": "bd", "valid": "x"})
    with pytest.raises(KvoiceError, match="--judge_data: folder:.* has no training speaker"):
        dataclasses.replace(made, judges=str(other.directory)).sources(["judge"])
