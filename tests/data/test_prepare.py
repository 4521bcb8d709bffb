import dataclasses
import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from kvoice import audio, recognisers
from kvoice.audio import SPECS, Spec
from kvoice.data import corpora, shards
from kvoice.data import manifest as manifests
from kvoice.data import prepare as module
from kvoice.data.manifest import Manifest
from kvoice.data.prepare import prepare
from kvoice.errors import KvoiceError

SPEC = SPECS["waveglow"]


def tone(seconds=0.3, rate_hz=22050, hz=150.0, peak=0.3):
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def folder(root, speakers=8, takes=2):
    """A folder corpus of short tones, one pitch per speaker."""
    for speaker in range(speakers):
        for take in range(takes):
            path = root / f"s{speaker}" / ("happy", "sad")[take % 2] / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(0.25 + 0.01 * take, hz=100 + 10 * speaker), 22050)
    return f"folder:{root}"


def records(directory):
    found = {}
    for split in Manifest.load(directory).splits.values():
        for entry in split["shards"]:
            path = os.path.join(directory, entry["file"])
            for offset in shards.index(path):
                record = shards.read(path, offset)
                found[record["name"]] = record
    return found


def contents(directory):
    """The bytes of every file of a prepared corpus but the lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


# --- what is written


def test_a_wave_of_16_bits_passes_unchanged_and_its_f0_is_tracked(tmp_path):
    data = folder(tmp_path / "c")
    prepare(data, tmp_path / "out", SPEC, workers=1)
    found = records(tmp_path / "out")
    assert len(found) == 16
    for name, record in found.items():
        wave, _ = soundfile.read(tmp_path / name, dtype="int16")
        np.testing.assert_array_equal(record["wave"], wave)
        assert len(record["f0"]) == SPEC.frames(len(wave)) and len(record["phone"]) == 0
        pitch_hz = 100 + 10 * int(name.split("/")[1][1:])
        np.testing.assert_allclose(np.median(record["f0"]), pitch_hz, rtol=0.01)


def test_labels_are_numbers_into_the_manifest(tmp_path):
    made = prepare(folder(tmp_path / "c"), tmp_path / "out", SPEC, workers=1)
    assert made == Manifest.load(tmp_path / "out")
    assert made.labels["emotion"] == ["happy", "sad"] and made.labels["gender"] == []
    for name, record in records(tmp_path / "out").items():
        _, speaker, emotion, _ = name.split("/")
        assert made.labels["speaker"][record["speaker"]] == f"c/{speaker}"
        assert made.labels["emotion"][record["emotion"]] == emotion
        assert record["gender"] == -1


def test_conditioning_is_that_of_the_spec(tmp_path):
    root = tmp_path / "c"
    folder(root, speakers=4, takes=1)
    quiet = np.zeros(11025, np.float32)
    soundfile.write(root / "s0" / "long.wav", np.concatenate([quiet, tone(0.5), quiet]), 22050)
    spec = SPECS["adainvc"]
    prepare(f"folder:{root}", tmp_path / "out", spec, workers=1)
    record = records(tmp_path / "out")["c/s0/long.wav"]
    wave, _ = audio.read(root / "s0" / "long.wav", spec.sample_rate_hz)
    expected = audio.condition(wave, spec)
    assert len(expected) < 0.8 * len(wave)  # trimmed
    np.testing.assert_allclose(record["wave"] / 32768, expected, atol=1 / 32768)
    assert len(record["f0"]) == spec.frames(len(expected))


def test_the_manifest_counts_texts_and_those_that_are_parallel(tmp_path):
    root = tmp_path / "c"
    data = folder(root, speakers=4, takes=3)
    rows = [
        ("s0/happy/0.wav", "Say it."),
        ("s1/happy/0.wav", "say it"),
        ("s1/sad/1.wav", "Say it."),
        ("s2/happy/0.wav", "Alone."),
        ("s2/happy/2.wav", "Alone."),
    ]
    (root / "s0/happy/2.wav").write_bytes(b"")  # which is left out
    rows += [("s0/happy/2.wav", "Alone.")]
    table = "path,text,split\n" + "".join(f"{path},{text},train\n" for path, text in rows)
    (root / "metadata.csv").write_text(table)
    made = prepare(data, tmp_path / "out", SPEC, split="text", workers=1)
    counted = [made.splits[name][kind] for kind in ("texts", "parallel") for name in made.splits]
    assert counted == [5, 0, 0, 0, 2, 0, 0, 0]
    assert "; 5 of known text, 2 parallel" in made.report()
    assert (
        "the text of 6 utterances is unknown: two splits may hold the same words; --split=sp"
        in made.report()
    )


def test_levels_of_speakers_are_evened_and_recorded_in_the_manifest(tmp_path):
    data = folder(tmp_path / "c", speakers=4, takes=1)
    for speaker, peak in enumerate((0.9, 0.3, 0.03, 0.003)):
        soundfile.write(tmp_path / f"c/s{speaker}/happy/0.wav", tone(0.5, peak=peak), 22050)
    spread = {}
    for level_db in (0.0, -26.0):
        spec, out = Spec(level_db=level_db), tmp_path / f"out{level_db}"
        assert prepare(data, out, spec, workers=1).level_db == level_db
        assert Manifest.load(out).level_db == level_db
        waves = [record["wave"] / shards.FULL_SCALE for record in records(out).values()]
        spread[level_db] = np.array([audio.level_db(wave) for wave in waves])
    assert np.ptp(spread[0.0]) == pytest.approx(20 * np.log10(0.9 / 0.003), abs=0.1)
    np.testing.assert_allclose(spread[-26.0], -26, atol=0.1)  # 16 bits of a tone that was faint
    with pytest.raises(KvoiceError, match="other arguments: level_db: -30.0 here, -26.0 there"):
        prepare(data, tmp_path / "out-26.0", Spec(level_db=-30.0), workers=1)


def test_clipped_and_silent_files_are_left_out_whatever_the_level(tmp_path):
    data = folder(tmp_path / "c", speakers=4)
    soundfile.write(tmp_path / "c/s0/clipped.wav", np.clip(tone(peak=5.0), -1, 1), 22050)
    soundfile.write(tmp_path / "c/s0/silent.wav", tone(peak=5e-5), 22050)
    made = prepare(data, tmp_path / "out", Spec(level_db=-26.0), workers=1)
    reasons = {os.path.basename(entry["file"]): entry["reason"] for entry in made.skipped}
    assert reasons.keys() == {"clipped.wav", "silent.wav"}
    assert "clipped" in reasons["clipped.wav"] and reasons["silent.wav"] == "silent"


def test_what_was_prepared_before_there_were_levels_is_as_recorded(tmp_path):
    data = folder(tmp_path / "c", speakers=4)
    prepare(data, tmp_path / "out", SPEC, workers=1)
    for path in (tmp_path / "out" / manifests.FILE, tmp_path / "out/.prepare/arguments.json"):
        content = json.loads(path.read_text())
        assert content.pop("level_db") == 0
        content.pop("seal", None)
        path.write_text(json.dumps(content))
    manifest = Manifest.load(tmp_path / "out")
    assert manifest.level_db == 0
    manifest.check(SPEC, tmp_path / "out")
    with pytest.raises(KvoiceError, match="level_db: -26.0 here, 0.0 there"):
        manifest.check(Spec(level_db=-26.0), tmp_path / "out")
    prepare(data, tmp_path / "out", SPEC, workers=1)
    (tmp_path / "out" / manifests.FILE).unlink()  # stopped by an earlier version
    assert prepare(data, tmp_path / "out", SPEC, workers=1).level_db == 0


def test_labels_of_every_frame_are_kept_and_their_wave_is_not_trimmed():
    item = corpora.items("demo:1")[0][0]
    ((_, sound),) = corpora.recordings(item, 22050, 100)
    labels = {"speaker": ["x", item.speaker], "gender": [item.gender], "emotion": [item.emotion]}
    made = module.example(item, sound, Spec(trim_db=20.0), label_hop=100, labels=labels)
    np.testing.assert_allclose(made["wave"] / 32768, sound.wave, atol=1 / 32768)
    spec = Spec(trim_db=20.0, level_db=-30.0)
    quiet = module.example(item, sound, spec, label_hop=100, labels=labels)
    assert len(quiet["wave"]) == len(sound.wave)
    assert audio.level_db(quiet["wave"] / 32768) == pytest.approx(-30, abs=0.01)
    np.testing.assert_array_equal(quiet["f0"], sound.f0)
    np.testing.assert_array_equal(made["f0"], sound.f0)
    np.testing.assert_array_equal(made["phone"], sound.phone)
    assert len(made["phone"]) == 1 + len(made["wave"]) // 100
    assert (made["speaker"], made["gender"], made["rate"]) == (1, 0, sound.rate)


def test_bad_files_are_left_out_and_listed_with_the_reason(tmp_path):
    root = tmp_path / "c"
    folder(root)
    bad = root / "s0"
    (bad / "empty.wav").write_bytes(b"")
    (bad / "corrupt.wav").write_bytes(b"RIFF" + os.urandom(1000))
    (bad / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0")
    (bad / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    soundfile.write(bad / "zero.wav", np.zeros(0), 22050)
    soundfile.write(bad / "silent.wav", np.zeros(22050), 22050)
    soundfile.write(bad / "short.wav", tone(0.05), 22050)
    soundfile.write(bad / "clipped.wav", np.clip(tone(peak=5.0), -1, 1), 22050)
    made = prepare(f"folder:{root}", tmp_path / "out", SPEC, workers=1)
    skipped = {os.path.basename(entry["file"]): entry["reason"] for entry in made.skipped}
    assert set(skipped) == {
        "empty.wav",
        "corrupt.wav",
        "pointer.wav",
        "gone.wav",
        "zero.wav",
        "silent.wav",
        "short.wav",
        "clipped.wav",
    }
    for name, word in [
        ("empty.wav", "empty"),
        ("corrupt.wav", "corrupt"),
        ("pointer.wav", "LFS"),
        ("zero.wav", "no samples"),
        ("silent.wav", "silent"),
        ("short.wav", "short"),
        ("clipped.wav", "clipped"),
    ]:
        assert word in skipped[name] and str(root) not in skipped[name]
    assert made.faults == made.skipped
    assert sum(split["utterances"] for split in made.splits.values()) == 16
    assert "left out      1: silent" in made.report()


def test_a_recording_that_passes_full_scale_is_scaled_down_not_clipped(tmp_path):
    root = tmp_path / "c"
    folder(root)
    loud = tone(0.5, SPECS["waveglow"].sample_rate_hz, peak=0.3)
    loud[5000:5020] *= 5
    soundfile.write(root / "s0" / "loud.wav", loud, 22050, subtype="FLOAT")
    made = prepare(f"folder:{root}", tmp_path / "out", SPECS["waveglow"], workers=1)
    assert not made.skipped
    wave = records(tmp_path / "out")["c/s0/loud.wav"]["wave"].astype(float)
    assert np.abs(wave).max() >= shards.FULL_SCALE - 1
    assert np.corrcoef(wave, loud)[0, 1] > 0.9999


def test_clipping_is_found_behind_the_filters(tmp_path):
    root = tmp_path / "c"
    folder(root)
    soundfile.write(root / "s0" / "clipped.wav", np.clip(tone(0.5, 16000, peak=5.0), -1, 1), 16000)
    made = prepare(f"folder:{root}", tmp_path / "out", SPECS["speechsplit"], workers=1)
    assert [os.path.basename(skip["file"]) for skip in made.skipped] == ["clipped.wav"]


@pytest.mark.parametrize(
    "rate_hz, subtype, channels",
    [
        (22050, "PCM_U8", 1),
        (22050, "PCM_16", 2),
        (8000, "PCM_16", 1),
        (96000, "PCM_24", 2),
        (44100, "FLOAT", 1),
    ],
)
def test_files_of_any_rate_and_width_are_mixed_down_and_resampled(
    tmp_path, rate_hz, subtype, channels
):
    root = tmp_path / "c"
    folder(root, takes=1)
    wave = tone(0.5, rate_hz, hz=200)
    soundfile.write(
        root / "s0" / "odd.wav", np.stack([wave] * channels, 1), rate_hz, subtype=subtype
    )
    prepare(f"folder:{root}", tmp_path / "out", SPEC, workers=1)
    record = records(tmp_path / "out")["c/s0/odd.wav"]
    inside = slice(500, -500)
    expected = tone(0.5, hz=200)[inside]
    np.testing.assert_allclose(record["wave"][inside] / 32768, expected, atol=0.01)


def test_a_long_recording_becomes_utterances_that_end_where_it_is_quiet(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "LONGEST_S", 2.0)
    words = [np.append(tone(0.7, hz=100 + 20 * n), np.zeros(4410, np.float32)) for n in range(8)]
    wave = np.concatenate(words)
    root = tmp_path / "c"
    folder(root)
    soundfile.write(root / "s0" / "happy" / "0.wav", wave, 22050)
    manifest = prepare(f"folder:{root}", tmp_path / "p", SPEC, workers=1)
    found = records(tmp_path / "p")
    parts = {float(name.partition("#")[2]): record for name, record in found.items() if "#" in name}
    assert len(found) == 15 + len(parts) and not manifest.skipped
    assert all(len(record["wave"]) <= 2 * 22050 for record in parts.values())
    assert {record["speaker"] for record in parts.values()} == {0}
    joined = np.concatenate([parts[start]["wave"] for start in sorted(parts)])
    np.testing.assert_allclose(joined / 32768, wave, atol=1 / 32768)  # nothing lost, nothing twice
    for end in np.cumsum([len(parts[start]["wave"]) for start in sorted(parts)]):
        assert np.abs(wave[end - 1000 : end + 1000]).max() == 0  # in a pause, or at the end


def test_a_part_that_cannot_be_used_is_listed_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "LONGEST_S", 2.0)
    root = tmp_path / "c"
    folder(root)
    wave = np.concatenate([tone(2.5), np.zeros(6 * 22050, np.float32), tone(1.0)])
    soundfile.write(root / "s0" / "happy" / "0.wav", wave, 22050)
    made = prepare(f"folder:{root}", tmp_path / "p", SPEC, workers=1)
    assert made.skipped and all(
        each["file"].endswith("0.wav") and re.search(r"#\d+\.\d: silent$", each["reason"])
        for each in made.skipped
    )
    assert not made.faults  # a long pause is none
    assert sum("#" in name for name in records(tmp_path / "p")) >= 2


def test_a_long_file_that_is_damaged_at_its_end_gives_no_part(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "LONGEST_S", 2.0)
    root = tmp_path / "c"
    folder(root)
    wave = np.append(tone(9.0), np.float32(np.nan))
    soundfile.write(root / "s0" / "happy" / "0.wav", wave, 22050, subtype="FLOAT")
    (skip,) = prepare(f"folder:{root}", tmp_path / "p", SPEC, workers=1).faults
    assert skip["reason"] == "holds NaN or infinite samples"
    assert len(records(tmp_path / "p")) == 15


def test_a_corpus_of_nothing_but_bad_files_is_refused(tmp_path):
    for speaker in "abcd":
        (tmp_path / "c" / speaker).mkdir(parents=True)
        (tmp_path / "c" / speaker / "x.wav").write_bytes(b"")
    with pytest.raises(KvoiceError, match="none of its 4 files can be used, for instance .*empty"):
        prepare(f"folder:{tmp_path / 'c'}", tmp_path / "out", SPEC, workers=1)


def test_two_processes_write_what_one_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", 3)
    data = folder(tmp_path / "c")
    prepare(data, tmp_path / "one", SPEC, workers=1)
    prepare(data, tmp_path / "two", SPEC, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_splits_of_the_corpus_itself_may_share_speakers_and_be_empty(tmp_path):
    data = folder(tmp_path / "c", speakers=2, takes=3)
    (tmp_path / "c" / "metadata.csv").write_text(
        "path,split\n"
        + "".join(
            f"s{speaker}/{emotion}/{take}.wav,{split}\n"
            for speaker in (0, 1)
            for take, emotion, split in [
                (0, "happy", "train"),
                (1, "sad", "valid"),
                (2, "happy", "test"),
            ]
        )
    )
    with pytest.raises(KvoiceError, match="speaker 'c/s0' into test and train.*--split=corpus"):
        prepare(data, tmp_path / "out", SPEC, workers=1)
    made = prepare(data, tmp_path / "out", SPEC, split="corpus", workers=1)
    assert made == Manifest.load(tmp_path / "out") and made.split == "corpus"
    counts = {name: (own["utterances"], own["speakers"]) for name, own in made.splits.items()}
    both = ["c/s0", "c/s1"]
    assert counts == {"train": (2, both), "valid": (2, both), "judge": (0, []), "test": (2, both)}
    assert re.search(r"judge +0 utterances +0.00 h +0 speakers", made.report())
    with pytest.raises(KvoiceError, match="'judge' holds no .* choose among train, valid, test$"):
        made.shards(tmp_path / "out", "judge")


def test_the_protocol_of_tess_and_ravdess_is_split_by_itself_unless_asked_otherwise(tmp_path):
    words = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "klmnprst"]
    (tmp_path / "c").mkdir()
    for name in [
        *(f"OAF_{word}_{('fear', 'sad')[i % 20 == 0]}" for i, word in enumerate(words)),
        *(f"03-01-02-01-01-01-{actor}" for actor in (20, 22, 24)),
    ]:
        soundfile.write(tmp_path / "c" / f"{name}.wav", tone(), 22050)
    data = f"tess-ravdess:{tmp_path / 'c'}"
    made = prepare(data, tmp_path / "out", SPEC, workers=1)
    assert made.split == "corpus"
    counts = {name: own["utterances"] for name, own in made.splits.items()}
    assert counts == {"train": 8 + 1, "valid": 1 + 1, "judge": 0, "test": 1 + 1}
    assert made.labels["emotion"] == ["neutral", "sad"]
    assert made.labels["speaker"] == ["ravdess/20", "ravdess/22", "ravdess/24", "tess/OAF"]
    assert "left out    190: an emotion that the protocol does not use" in made.report()
    with pytest.raises(KvoiceError, match="'tess/OAF' into .*--split=corpus"):
        prepare(data, tmp_path / "other", SPEC, split="speaker", workers=1)


def test_an_unknown_way_to_split_is_refused(tmp_path):
    with pytest.raises(KvoiceError, match="--split=gender: expected one of speaker, text, corpus"):
        prepare("demo", tmp_path / "out", SPEC, split="gender")


# --- stopped and started again

KILLED = """
import sys
from kvoice import audio, recognisers
from kvoice.data import prepare as module
module.RECORDS = 3
write, done = module.write_shard, []
def write_then_say(job, **settings):
    write(job, **settings)
    done.append(job)
    if len(done) == 2:
        print("two shards", flush=True)
        sys.stdin.read()  # until killed
module.write_shard = write_then_say
module.prepare(sys.argv[1], sys.argv[2], audio.SPECS["waveglow"], workers=1)
"""


def killed_prepare(data, directory):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, data, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "two shards\n"
    return process


def test_a_killed_prepare_goes_on_and_ends_in_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", 3)
    data = folder(tmp_path / "c")
    process = killed_prepare(data, tmp_path / "out")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = sorted((tmp_path / "out").glob("*.tfrecord"))
    kept = {path: path.stat().st_mtime_ns for path in finished}
    assert len(kept) == 2
    with pytest.raises(KvoiceError, match="again if it was stopped"):
        Manifest.load(tmp_path / "out")
    (tmp_path / "out" / ".train-00001-of-00003.tfrecord.x.tmp").write_bytes(b"half of a shard")
    prepare(data, tmp_path / "out", SPEC, workers=1)
    assert {path: path.stat().st_mtime_ns for path in finished} == kept
    prepare(data, tmp_path / "whole", SPEC, workers=1)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    (tmp_path / "out" / ".kvoice-0.tmp").write_bytes(b"half of a manifest")
    prepare(data, tmp_path / "out", SPEC, workers=1)  # where no shard is missing
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_second_prepare_waits_for_the_first_and_uses_its_shards(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "RECORDS", 3)
    data, out = folder(tmp_path / "c"), tmp_path / "out"
    process = killed_prepare(data, out)
    waiting = threading.Thread(target=prepare, args=(data, out, SPEC), kwargs={"workers": 1})
    waiting.start()
    shown = ""
    while "waiting" not in shown:
        shown += capsys.readouterr().out
    assert f"waiting for another process that prepares {out}" in shown and waiting.is_alive()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    waiting.join()
    assert len(kept) == 2 and {path: path.stat().st_mtime_ns for path in kept} == kept
    assert Manifest.load(out).report()


def test_a_deleted_or_cut_shard_is_made_again_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", 3)
    data = folder(tmp_path / "c")
    prepare(data, tmp_path / "out", SPEC, workers=1)
    before = contents(tmp_path / "out")
    first, second, third, *_ = sorted((tmp_path / "out").glob("*.tfrecord"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    untouched = third.stat().st_mtime_ns
    prepare(data, tmp_path / "out", SPEC, workers=1)
    assert contents(tmp_path / "out") == before
    assert third.stat().st_mtime_ns == untouched


def test_a_full_disk_is_one_clear_line_and_the_same_command_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", 3)
    data, out = folder(tmp_path / "c"), tmp_path / "out"
    framed, room = shards.framed, [7]

    def framed_while_there_is_room(message):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        return framed(message)

    monkeypatch.setattr(shards, "framed", framed_while_there_is_room)
    with pytest.raises(
        KvoiceError, match="the disk is full: make room and run the same command again"
    ) as caught:
        prepare(data, out, SPEC, workers=1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in out.iterdir() if path.name.endswith(".tmp")] == []
    assert len(list(out.glob("*.tfrecord"))) == 2
    room[0] = 1000
    prepare(data, out, SPEC, workers=1)
    prepare(data, tmp_path / "whole", SPEC, workers=1)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_directory_that_may_not_be_written_is_named(tmp_path):
    data = folder(tmp_path / "c")
    (tmp_path / "file").write_text("")
    with pytest.raises(KvoiceError, match="file.* cannot be written"):
        prepare(data, tmp_path / "file" / "out", SPEC, workers=1)


# --- directories of others


def test_other_arguments_are_refused_by_name(tmp_path):
    data = folder(tmp_path / "c")
    prepare(data, tmp_path / "out", SPEC, workers=1)
    with pytest.raises(
        KvoiceError, match="other arguments: seed: 1 here, 0 there; trim_db: 20.0 here, 0.0 there"
    ):
        prepare(data, tmp_path / "out", Spec(trim_db=20.0), seed=1, workers=1)


def test_a_corpus_that_has_changed_is_refused(tmp_path):
    data = folder(tmp_path / "c")
    prepare(data, tmp_path / "out", SPEC, workers=1)
    folder(tmp_path / "c", speakers=9)
    with pytest.raises(KvoiceError, match="has changed since"):
        prepare(data, tmp_path / "out", SPEC, workers=1)


def test_a_directory_with_other_files_is_refused(tmp_path):
    data = folder(tmp_path / "c")
    with pytest.raises(KvoiceError, match="holds other files"):
        prepare(data, tmp_path / "c", SPEC, workers=1)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}'])
def test_a_manifest_that_cannot_be_understood_is_named(tmp_path, content):
    (tmp_path / manifests.FILE).write_text(content)
    with pytest.raises(KvoiceError, match="manifest.json is damaged, or not a manifest"):
        Manifest.load(tmp_path)


# --- Phones that a recogniser hears


@pytest.fixture
def heard(monkeypatch):
    """A recogniser that hears IY from the middle of a wave on; the waves that it was given."""
    given = []

    def frame_phones(wave, rate_hz, hop):
        given.append((wave, rate_hz, hop))
        labels = np.zeros(1 + len(wave) // hop, np.int32)
        labels[len(labels) // 2 :] = 1
        return labels

    monkeypatch.setattr(recognisers, "frame_phones", frame_phones)
    monkeypatch.setattr(recognisers, "require", lambda package: None)
    monkeypatch.setattr(recognisers, "version", lambda package: f"{package} 1")
    return given


def test_each_frame_has_the_phone_that_is_heard_in_the_conditioned_wave(tmp_path, heard):
    root = tmp_path / "c"
    folder(root, speakers=4, takes=1)
    spec = SPECS["adainvc"]  # trims, and has a pre-emphasis
    made = prepare(
        f"folder:{root}", tmp_path / "out", spec, workers=1, label_hop=200, phones="hama"
    )
    assert made.labels["phone"] == list(recognisers.PHONES) and made.phones == "hama"
    assert ", phones heard by hama" in made.report()
    for record in records(tmp_path / "out").values():
        frames = 1 + len(record["wave"]) // 200
        np.testing.assert_array_equal(record["phone"], np.arange(frames) >= frames // 2)
    waves = [record["wave"] / 32768 for record in records(tmp_path / "out").values()]
    for wave, rate_hz, hop in heard:
        assert (rate_hz, hop) == (spec.sample_rate_hz, 200)
        emphasised = audio.condition(wave, Spec(preemphasis=spec.preemphasis), trim=False)
        assert any(
            len(wave) == len(each) and np.allclose(emphasised, each, atol=1e-4) for each in waves
        )


def test_phones_that_are_heard_replace_those_of_the_corpus_and_nothing_else(heard):
    item = corpora.items("demo:1")[0][0]
    ((_, sound),) = corpora.recordings(item, 22050, 100)
    labels = {"speaker": [item.speaker], "gender": [item.gender], "emotion": [item.emotion]}
    known, made = (
        module.example(item, sound, Spec(trim_db=20.0), 100, labels, phones)
        for phones in ("", "hama")
    )
    assert len(made["phone"]) == len(known["phone"]) and set(made.pop("phone")) == {0, 1}
    np.testing.assert_array_equal(known.pop("phone"), sound.phone)
    for name, value in made.items():
        np.testing.assert_array_equal(value, known[name])


def test_other_phones_are_another_prepared_folder(tmp_path, heard, monkeypatch):
    data = folder(tmp_path / "c")
    plain = prepare(data, tmp_path / "plain", SPEC, workers=1)
    made = prepare(data, tmp_path / "heard", SPEC, workers=1, phones="hama")
    assert made.items != plain.items and made.identity == plain.identity
    assert plain.items == module.fingerprint(corpora.items(data)[0])
    for directory, phones in (("plain", "hama"), ("heard", "")):
        with pytest.raises(KvoiceError, match="other arguments: phones: (hama|none) here, "):
            prepare(data, tmp_path / directory, SPEC, workers=1, phones=phones)
    before = len(heard)
    prepare(data, tmp_path / "heard", SPEC, workers=1, phones="hama")
    assert len(heard) == before  # nothing is heard again
    monkeypatch.setattr(recognisers, "version", lambda package: f"{package} 2")
    with pytest.raises(KvoiceError, match="name another directory"):
        prepare(data, tmp_path / "heard", SPEC, workers=1, phones="hama")


def test_what_was_prepared_before_there_were_recognisers_goes_on(tmp_path):
    data = folder(tmp_path / "c")
    made = prepare(data, tmp_path / "out", SPEC, workers=1)
    for path in (tmp_path / "out" / "manifest.json", tmp_path / "out" / ".prepare/arguments.json"):
        content = json.loads(path.read_text())
        assert content.pop("phones") == ""
        content.pop("seal", None)
        path.write_text(json.dumps(content))
    assert Manifest.load(tmp_path / "out") == made
    (tmp_path / "out" / "manifest.json").unlink()
    assert prepare(data, tmp_path / "out", SPEC, workers=1) == made


def test_a_recogniser_that_is_unknown_or_missing_is_named_before_any_work(tmp_path, monkeypatch):
    data = folder(tmp_path / "c")
    with pytest.raises(KvoiceError, match="--phones=whisper: expected hama"):
        prepare(data, tmp_path / "out", SPEC, workers=1, phones="whisper")
    monkeypatch.setattr(recognisers.frameworks, "installed", lambda name: False)
    with pytest.raises(KvoiceError, match=r"hama is not installed; .*kvoice\[judges\]"):
        prepare(data, tmp_path / "out", SPEC, workers=1, phones="hama")
    assert not (tmp_path / "out").exists()


def test_a_corpus_for_another_spec_is_refused_with_the_flags_that_make_one_for_it(tmp_path):
    prepare(folder(tmp_path / "c"), tmp_path / "out", SPEC, workers=1)
    made = Manifest.load(tmp_path / "out")
    wanted = dataclasses.replace(audio.SPECS["resemblyzer"], trim_db=0.0, level_db=0.0)
    with pytest.raises(KvoiceError, match="was made for another Spec") as error:
        made.check(wanted, tmp_path / "out")
    # Both are prepared in the same way, and this one comes first.
    assert str(error.value).endswith(", with --spec=speakerencoder --trim_db=0 --level_db=0")
    with pytest.raises(KvoiceError, match="into another directory$"):
        made.check(dataclasses.replace(SPEC, sample_rate_hz=48000), tmp_path / "out")


def test_the_report_offers_a_split_by_speaker_only_where_there_are_four(tmp_path):
    made = prepare(folder(tmp_path / "c"), tmp_path / "out", SPEC, workers=1, split="text")
    many = len(made.labels["speaker"])
    assert many >= 4 and "two splits may hold the same words; --split=speaker" in made.report()
    few = dataclasses.replace(made, labels=made.labels | {"speaker": ["a", "b", "c"]})
    assert few.report().endswith("two splits may hold the same words")


def test_the_speakers_of_the_split_judge_can_be_trained_on(tmp_path):
    data = folder(tmp_path / "c")
    usual = prepare(data, tmp_path / "usual", SPEC, workers=1)
    made = prepare(data, tmp_path / "made", SPEC, workers=1, judge=False)
    speakers = {
        name: [set(each.splits[name]["speakers"]) for each in (usual, made)]
        for name in ("train", "valid", "judge", "test")
    }
    assert speakers["judge"][0] and not speakers["judge"][1]
    assert speakers["train"][1] == speakers["train"][0] | speakers["judge"][0]
    for name in ("valid", "test"):
        assert speakers[name][0] == speakers[name][1]
    assert made.identity == usual.identity | {"judge": False}
    with pytest.raises(KvoiceError, match="other arguments: judge: False here, True there"):
        prepare(data, tmp_path / "usual", SPEC, workers=1, judge=False)


def test_copies_at_other_speeds_are_further_speakers_of_the_training_split_alone(tmp_path):
    data = folder(tmp_path / "c")
    plain = prepare(data, tmp_path / "plain", SPEC, workers=1)
    made = prepare(data, tmp_path / "made", SPEC, workers=1, speeds=[0.8, 1.25])
    for name in ("valid", "judge", "test"):
        assert made.splits[name]["speakers"] == plain.splits[name]["speakers"]
    known = plain.splits["train"]["speakers"]
    own = made.splits["train"]
    assert {*own["speakers"]} == {f"{each}{end}" for each in known for end in ("", "@0.8", "@1.25")}
    assert own["utterances"] == 3 * plain.splits["train"]["utterances"]
    assert own["texts"] == plain.splits["train"]["texts"]
    assert sorted(made.copies) == sorted({*own["speakers"]} - {*known}) and plain.copies == []
    found = records(tmp_path / "made")
    for name in records(tmp_path / "plain"):
        if f"{name}@0.8" in found:
            original, slow = (found[each] for each in (name, f"{name}@0.8"))
            assert len(slow["wave"]) == pytest.approx(len(original["wave"]) / 0.8, abs=2)
            f0 = [np.median(each["f0"][each["f0"] > 0]) for each in (original, slow)]
            assert f0[1] / f0[0] == pytest.approx(0.8, rel=0.01)  # a tone: the tracker errs little
    with pytest.raises(KvoiceError, match="other arguments: speeds: "):
        prepare(data, tmp_path / "plain", SPEC, workers=1, speeds=[0.8])


def test_frame_labels_change_speed_with_the_sound():
    wave = np.sin(np.arange(4000) / 10).astype(np.float32)
    f0 = np.linspace(100, 200, 41).astype(np.float32)
    phone = np.repeat([0, 1, 2, 3, 4], [8, 8, 8, 8, 9]).astype(np.int32)
    sound = corpora.Recording(wave, 8000, f0, phone, rate=10.0)
    assert sound.at_speed(1, 100) is sound
    fast = sound.at_speed(1.25, 100)
    assert len(fast.wave) == 3200 and fast.rate == 12.5
    assert len(fast.f0) == len(fast.phone) == 1 + 3200 // 100
    np.testing.assert_allclose(fast.f0[[0, 16, 32]], 1.25 * f0[[0, 20, 40]])
    np.testing.assert_array_equal(fast.phone[[0, 16, 32]], phone[[0, 20, 40]])


@pytest.mark.parametrize(
    "speeds, wanted", [([3], "3 must be"), ([1], "1 must"), ([2, 2], "differ")]
)
def test_speeds_are_checked_before_anything_is_made(tmp_path, speeds, wanted):
    with pytest.raises(KvoiceError, match=wanted):
        prepare(folder(tmp_path / "c"), tmp_path / "p", SPEC, workers=1, speeds=speeds)
    assert not (tmp_path / "p").exists()


def test_a_file_that_cannot_be_read_is_listed_once_though_it_has_copies(tmp_path):
    data = folder(tmp_path / "c")
    for path in sorted((tmp_path / "c").rglob("0.wav")):
        path.write_bytes(b"RIFF")
    made = prepare(data, tmp_path / "p", SPEC, workers=1, speeds=[0.8])
    files = [skip["file"] for skip in made.skipped]
    assert len(files) == len({*files}) == 8
