import dataclasses
import shutil

import numpy as np
import pytest
import soundfile

from kvoice import audio
from kvoice.audio import SPECS, Spec
from kvoice.data import corpora, shards
from kvoice.data import source as module
from kvoice.data.manifest import Manifest
from kvoice.data.prepare import prepare
from kvoice.data.source import Source, at_frames
from kvoice.errors import KvoiceError

SPEC = SPECS["waveglow"]
CROP = 16
ALL = ("mel", "wave", "f0")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Chirps of 0.12 to 0.5 s, most beyond the crop; half of the speakers have an emotion."""
    root = tmp_path_factory.mktemp("source")
    for speaker in range(4):
        for take in range(7):
            folder = root / "c" / f"s{speaker}" / ("happy" if speaker % 2 else "")
            folder.mkdir(parents=True, exist_ok=True)
            time = np.arange(int(22050 * (0.12 + 0.06 * take))) / 22050
            wave = 0.3 * np.sin(2 * np.pi * (150 + 20 * take + 10 * speaker + 200 * time) * time)
            wave += np.random.default_rng(take).normal(0, 0.003, len(time))
            soundfile.write(folder / f"{take}.wav", wave, 22050)
    directory = root / "out"
    prepare(f"folder:{root / 'c'}", directory, SPEC, split="text", workers=1, label_hop=100)
    return directory


@pytest.fixture
def copy(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "copy")


def source(directory, split="train", spec=SPEC, batch=5, **arguments):
    return Source(directory, split, spec, CROP, batch, **arguments)


def assert_same(left, right):
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_a_batch_is_a_function_of_seed_and_step_alone(prepared):
    first, second = (source(prepared, seed=3, arrays=ALL) for _ in range(2))
    first.batch(0), first.batch(7)
    assert_same(first.batch(4), second.batch(4))
    assert np.any(first.batch(4)["mel"] != first.batch(5)["mel"])
    assert np.any(first.batch(4)["mel"] != source(prepared, seed=2).batch(4)["mel"])


def test_an_epoch_holds_each_utterance_once(prepared):
    whole = source(prepared, batch=3)
    longest = max(len(whole.utterance(i)["mel"]) for i in range(len(whole)))
    steps = Source(prepared, "train", SPEC, longest, 3)  # crops of whole utterances
    names = {steps.utterance(i)["mel"].tobytes(): i for i in range(len(steps))}
    lengths = [len(steps.utterance(i)["mel"]) for i in range(len(steps))]
    seen = []
    for step in range(len(steps)):  # three epochs
        for row in steps.batch(step)["mel"]:
            seen += [i for content, i in names.items() if row[: lengths[i]].tobytes() == content]
    epochs = np.reshape(seen, (3, len(steps)))
    np.testing.assert_array_equal(np.sort(epochs), np.arange(len(steps))[None].repeat(3, 0))
    assert np.any(epochs[0] != epochs[1])


def test_crops_come_from_all_over_an_utterance(prepared):
    steps = source(prepared, batch=8)
    total = {steps.utterance(i)["mel"].tobytes(): set() for i in range(len(steps))}
    for step in range(60):
        for row in steps.batch(step)["mel"]:
            for content, starts in total.items():
                whole = np.frombuffer(content, np.float32).reshape(-1, SPEC.mels)
                starts |= {
                    start
                    for start in range(len(whole) - CROP + 1)
                    if np.array_equal(whole[start : start + CROP], row)
                }
    for content, starts in total.items():
        spare = len(content) // 4 // SPEC.mels - CROP
        assert spare < 0 or starts >= {0, spare}


def test_wave_mel_and_f0_of_a_crop_belong_together(prepared):
    steps = source(prepared, arrays=ALL)
    for step in range(4):
        batch = steps.batch(step)
        assert batch["wave"].shape == (5, SPEC.samples(CROP)) and batch["f0"].shape == (5, CROP)
        inner = slice(3, -3)  # the edges see what lies outside of the crop
        whole = batch["wave"][:, -1] != 0
        expected = audio.mel(batch["wave"][whole], SPEC)[:, :CROP]
        np.testing.assert_allclose(batch["mel"][whole, inner], expected[:, inner], atol=1e-4)
        rising_hz = np.diff(batch["f0"][whole, inner])  # 400 Hz per second
        np.testing.assert_allclose(np.mean(rising_hz), 400 * SPEC.hop / 22050, rtol=0.1)


def test_an_utterance_is_the_mel_of_its_wave(prepared):
    steps = source(prepared, arrays=ALL)
    for i in range(3):
        whole = steps.utterance(i)
        frames = len(whole["mel"])
        assert len(whole["wave"]) == frames * SPEC.hop and len(whole["f0"]) == frames
        wave, _ = audio.read(prepared.parent / whole["name"])
        np.testing.assert_array_equal(whole["wave"], wave[: frames * SPEC.hop])
        np.testing.assert_allclose(whole["mel"], audio.mel(wave, SPEC)[:frames], atol=1e-5)


def test_phones_of_the_demo_stand_where_the_sound_is(tmp_path, monkeypatch):
    items = corpora.items("demo:4")[0]
    first = [item for item in items if item.text == items[0].text and item.emotion == "happy"]
    monkeypatch.setattr(corpora, "items", lambda data: (first, []))
    prepare("demo:4", tmp_path, SPEC, workers=1)
    steps = source(tmp_path, batch=1, arrays=("mel", "phone"), condition="gender")
    silent = steps.labels["phone"].index("sil")
    whole = steps.utterance(0)
    loudness = np.exp(whole["mel"]).mean(-1)
    assert loudness[whole["phone"] != silent].mean() > 5 * loudness[whole["phone"] == silent].mean()
    row = steps.batch(0)
    start = [
        start
        for start in range(len(loudness))
        if np.array_equal(whole["mel"][start : start + CROP], row["mel"][0])
    ][0]
    np.testing.assert_array_equal(row["phone"][0], whole["phone"][start : start + CROP])


def test_short_utterances_end_in_silence(prepared):
    steps = Source(prepared, "train", SPEC, 60, 8, arrays=ALL)
    batch = steps.batch(0)
    np.testing.assert_array_equal(batch["mel"][:, 50:], np.float32(SPEC.silence))
    assert not batch["wave"][:, 50 * SPEC.hop :].any() and not batch["f0"][:, 50:].any()
    assert np.all(batch["mel"][:, :5].max(-1) > SPEC.silence + 1)


def test_the_mask_is_one_up_to_the_end_of_the_utterance(prepared):
    steps = Source(prepared, "train", SPEC, 40, 8, arrays=("mel", "mask"))
    lengths = [len(steps.utterance(i)["mel"]) for i in range(len(steps))]
    assert min(lengths) < 40 < max(lengths)
    seen = set()
    for step in range(3):
        batch = steps.batch(step)
        assert batch["mask"].dtype == np.float32
        for mel, mask in zip(batch["mel"], batch["mask"]):
            end = int(mask.sum())
            np.testing.assert_array_equal(mask, np.arange(40) < end)
            np.testing.assert_array_equal(mel[end:], np.float32(SPEC.silence))
            assert np.all(mel[:end].max(-1) > SPEC.silence + 1)
            seen.add(end)
    assert seen == set(np.minimum(lengths, 40))


def test_the_mask_comes_where_it_is_asked_for_and_needs_no_other_array(prepared):
    alone, none = source(prepared, arrays=("mask",)), source(prepared, arrays=ALL)
    assert "mask" not in none.batch(0) and "mask" not in none.utterance(0)
    assert set(alone.batch(0)) == {"mask", "speaker", "gender", "emotion"}
    whole = source(prepared, arrays=("mask", "mel")).utterance(0)
    np.testing.assert_array_equal(whole["mask"], np.ones(len(whole["mel"])))
    np.testing.assert_array_equal(alone.utterance(0)["mask"], whole["mask"])


# --- batches of speakers


def rows_of(steps, batch):
    """Which utterance each row of a batch of whole utterances is."""
    known = {steps.utterance(i)["mel"].tobytes(): i for i in range(len(steps))}
    lengths = batch["mask"].sum(-1).astype(int)
    return [known[mel[:length].tobytes()] for mel, length in zip(batch["mel"], lengths)]


def by_speakers(directory, batch, per_speaker, **arguments):
    """A source of whole utterances: no utterance is as long as the crop."""
    arrays = ("mel", "mask")
    return Source(
        directory, "train", SPEC, 60, batch, arrays=arrays, per_speaker=per_speaker, **arguments
    )


def test_a_batch_of_speakers_has_as_many_different_utterances_of_each_one_after_the_other(prepared):
    steps = by_speakers(prepared, batch=6, per_speaker=3)
    for step in range(20):
        batch = steps.batch(step)
        speakers, rows = batch["speaker"].reshape(2, 3), rows_of(steps, batch)
        np.testing.assert_array_equal(speakers, speakers[:, :1].repeat(3, 1))
        assert speakers[0, 0] != speakers[1, 0]
        assert len(set(rows)) == 6
        assert [steps.utterance(i)["speaker"] for i in rows] == list(batch["speaker"])


def test_batches_of_speakers_come_to_all_speakers_and_all_their_utterances(prepared):
    steps = by_speakers(prepared, batch=4, per_speaker=2)
    drawn = [row for step in range(60) for row in rows_of(steps, steps.batch(step))]
    assert set(drawn) == set(range(len(source(prepared))))


def test_a_batch_of_speakers_is_a_function_of_seed_and_step_alone(prepared):
    first, second = (by_speakers(prepared, 6, 3, seed=3) for _ in range(2))
    first.batch(0), first.batch(7)
    assert_same(first.batch(4), second.batch(4))
    assert np.any(first.batch(4)["mel"] != first.batch(5)["mel"])
    assert np.any(first.batch(4)["mel"] != by_speakers(prepared, 6, 3, seed=2).batch(4)["mel"])


def test_a_speaker_of_few_utterances_repeats_them_only_as_often_as_needed(prepared):
    few = by_speakers(prepared, batch=2, per_speaker=0)
    counts = np.bincount([few.utterance(i)["speaker"] for i in range(len(few))])
    steps = by_speakers(prepared, batch=2 * (max(counts) + 2), per_speaker=max(counts) + 2)
    batch = steps.batch(0)
    for rows, speaker in zip(
        np.reshape(rows_of(steps, batch), (2, -1)), np.unique(batch["speaker"])
    ):
        times = np.bincount(rows, minlength=len(steps))
        assert set(times) <= {0, *np.array([0, 1]) + len(rows) // np.count_nonzero(times)}
        assert np.count_nonzero(times) in counts


def rewritten(path, table):
    """Writes another table into the cache, as `Source` would."""
    np.savez(path, **table)
    path.with_name(path.name + ".crc32c").write_text(module._checksum(path))


def test_utterances_of_unknown_speakers_are_in_no_batch_of_speakers(copy):
    source(copy)  # writes the table
    path = copy / "features" / "train.npz"
    with np.load(path) as table:
        table = dict(table)
    unknown = table["speaker"][0]
    table["speaker"][table["speaker"] == unknown] = -1
    rewritten(path, table)
    steps = by_speakers(copy, batch=6, per_speaker=2)
    assert len(steps) == np.sum(table["speaker"] != -1) < len(by_speakers(copy, 6, 0))
    for step in range(10):
        assert not {unknown, -1} & set(steps.batch(step)["speaker"])
    with pytest.raises(KvoiceError, match="want 4 speakers; the split 'train' of .* has 3"):
        by_speakers(copy, batch=8, per_speaker=2)


@pytest.mark.parametrize(
    "batch, per_speaker, line",
    [
        (7, 3, "data.batch: 7 must be a multiple of data.per_speaker=3.*set data.batch to 6"),
        (3, 3, "data.batch: 3 must be .* of two speakers or more: set data.batch to 6"),
        (5, 1, "data.per_speaker: 1 must be 2 or more"),
        (6, -2, "data.per_speaker: -2 must be 2 or more.*; or 0"),
        (
            10,
            2,
            "data.per_speaker=2 of each speaker, want 5 speakers; .* has 4: set data.batch to 8 or",
        ),
    ],
)
def test_a_batch_that_cannot_be_of_speakers_says_what_can(prepared, batch, per_speaker, line):
    with pytest.raises(KvoiceError, match=line):
        source(prepared, batch=batch, per_speaker=per_speaker)


def test_a_split_of_one_speaker_wants_another_corpus(copy):
    source(copy)
    path = copy / "features" / "train.npz"
    with np.load(path) as table:
        table = dict(table)
    rewritten(path, table | {"speaker": np.zeros_like(table["speaker"])})
    with pytest.raises(KvoiceError, match="'train' of .* has 1: take a corpus of more speakers"):
        source(copy, batch=4, per_speaker=2)


# --- labels and mistakes


def test_labels_are_those_of_the_speaker_of_each_row(prepared):
    steps = source(prepared)
    for i in range(len(steps)):
        whole = steps.utterance(i)
        assert (
            steps.labels["speaker"][whole["speaker"]].split("/")[1] == whole["name"].split("/")[1]
        )
        assert whole["gender"] == -1


def test_a_condition_leaves_out_what_has_no_such_label(prepared):
    steps, every = source(prepared, condition="emotion"), source(prepared)
    assert 0 < len(steps) < len(every)
    assert np.all(steps.batch(0)["emotion"] == steps.labels["emotion"].index("happy"))
    assert np.any(every.batch(0)["emotion"] == -1)


def test_a_label_that_the_corpus_lacks_is_refused_with_those_it_has(prepared):
    with pytest.raises(
        KvoiceError, match="no utterance with a label 'gender'; it knows speaker, emotion"
    ):
        source(prepared, condition="gender")
    with pytest.raises(KvoiceError, match="does not know its phones"):
        source(prepared, arrays=("mel", "phone"))


@pytest.mark.parametrize(
    "mistake, line",
    [
        ({"split": "trian"}, "no split 'trian': did you mean train"),
        ({"condition": "emotoin"}, "no condition 'emotoin': did you mean emotion"),
        ({"arrays": ("mel", "wav")}, "no array 'wav': did you mean wave"),
    ],
)
def test_a_wrong_name_gets_a_hint(prepared, mistake, line):
    with pytest.raises(KvoiceError, match=line):
        source(prepared, **mistake)


def test_speakers_as_labels_need_a_split_by_text(copy):
    dataclasses.replace(Manifest.load(copy), split="speaker").save(copy)
    with pytest.raises(KvoiceError, match="prepare it again with .*--split=text"):
        source(copy, condition="speaker")


def test_a_manifest_of_another_conditioning_is_refused_by_field(prepared):
    with pytest.raises(
        KvoiceError, match="sample_rate_hz: 16000 here, 22050 there; highpass_hz: 30.0 here, 0.0"
    ):
        source(prepared, spec=SPECS["speechsplit"])


def test_one_corpus_serves_several_mels(prepared):
    spec = Spec(mels=40, hop=200)
    mel = source(prepared, spec=spec, arrays=ALL).utterance(0)["mel"]
    assert mel.shape[1] == 40
    wave, _ = audio.read(prepared.parent / source(prepared).utterance(0)["name"])
    np.testing.assert_allclose(mel, audio.mel(wave, spec)[: len(mel)], atol=1e-5)


def test_utterances_that_are_too_short_for_a_model_are_left_out_and_counted(prepared):
    every = source(prepared)
    frames = sorted(len(every.utterance(i)["mel"]) for i in range(len(every)))
    some = source(prepared, least_frames=frames[0] + 1)
    assert some.too_short == frames.count(frames[0]) and len(some) == len(every) - some.too_short
    assert min(len(some.utterance(i)["mel"]) for i in range(len(some))) > frames[0]
    assert every.too_short == 0
    with pytest.raises(KvoiceError, match="no utterance of 9999 frames"):
        source(prepared, least_frames=9999)


def test_a_directory_without_a_corpus_says_what_to_run(tmp_path):
    with pytest.raises(KvoiceError, match="no prepared corpus .*: run `kvoice prepare"):
        source(tmp_path)


def test_a_missing_or_truncated_shard_is_named(copy):
    path = next(copy.glob("train-*.tfrecord"))
    shutil.rmtree(copy / "features", ignore_errors=True)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(
        KvoiceError, match=f"{path.name}: .*truncated.*delete it and run prepare again"
    ):
        source(copy)
    path.unlink()
    with pytest.raises(KvoiceError, match=f"{path.name}: this shard is missing: run prepare again"):
        source(copy)


def test_a_shard_that_lost_its_last_record_whole_is_noticed(copy):
    path = next(copy.glob("train-*.tfrecord"))
    shutil.rmtree(copy / "features", ignore_errors=True)
    path.write_bytes(path.read_bytes()[: shards.index(path)[-1]])
    with pytest.raises(KvoiceError, match="the manifest says"):
        source(copy)


def test_mels_are_computed_once(prepared, monkeypatch):
    expected = source(prepared).batch(0)
    monkeypatch.setattr(module.audio, "mel", None)
    assert_same(source(prepared).batch(0), expected)


@pytest.mark.parametrize("ending", [".npz", ".npy"])
@pytest.mark.parametrize(
    "damage", ["a bit", "its end", "all of it", "its header", "no checksum", "another checksum"]
)
def test_a_damaged_cache_is_made_anew(copy, ending, damage):
    shutil.rmtree(copy / "features", ignore_errors=True)
    expected = source(copy).batch(0)
    (path,) = (copy / "features").rglob(f"train{ending}")
    checksum = path.with_name(path.name + ".crc32c")
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[-40] ^= 4
    elif damage == "its end":
        del content[-100:]
    elif damage == "all of it":
        content.clear()
    elif damage == "its header":
        content[:8] = bytes(8)
    elif damage == "no checksum":
        checksum.unlink()
    else:
        checksum.write_text("nonsense")
    path.write_bytes(content)
    assert_same(source(copy).batch(0), expected)
    assert module._intact(str(path))


def test_a_full_disk_leaves_no_half_of_the_mels(copy, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    shutil.rmtree(copy / "features", ignore_errors=True)
    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", no_room)
    with pytest.raises(
        KvoiceError, match="train.npy: cannot be written .No space left on device.: mels .* make"
    ):
        source(copy)
    assert not list((copy / "features").rglob("*.tmp")) and not list(copy.rglob("*.npy"))


def test_labels_at_another_hop_are_the_nearest_in_time():
    labels = np.arange(100)  # at 0, 100, 200, ... samples
    np.testing.assert_array_equal(at_frames(labels, np.arange(6), 256, 100), [0, 3, 5, 8, 10, 13])
    np.testing.assert_array_equal(at_frames(labels, np.arange(5), 100, 100), labels[:5])
    assert at_frames(labels, np.array([1000]), 256, 100) == 99


def test_a_silent_crop_is_drawn_anew(tmp_path):
    for speaker in range(4):
        folder = tmp_path / "c" / f"s{speaker}"
        folder.mkdir(parents=True)
        tone = 0.3 * np.sin(np.arange(11025) / 7)
        soundfile.write(folder / "a.wav", np.concatenate([np.zeros(44100), tone]), 22050)
    prepare(f"folder:{tmp_path / 'c'}", tmp_path / "out", SPEC, workers=1)

    def silent(**arguments):
        steps = source(tmp_path / "out", batch=8, arrays=("wave",), **arguments)
        waves = np.concatenate([steps.batch(step)["wave"] for step in range(20)])
        return np.mean(np.sqrt(np.mean(np.square(waves), axis=1)) < 1e-3)

    assert silent() > 0.6  # four fifths are
    assert silent(reject_silence=True) < 0.3  # 0.8 to the eighth power would be 0.17
