"""Damages every file that commands read, and kills commands, and prints what went wrong.

    python tests/campaign.py --minutes=10 --seed=0
    python tests/campaign.py --minutes=20 --seed=0 --kills=50

A mutant is a file with a random damage that is read in this process. It must be refused in one
line, or read as if nothing had happened. Of formats that have no checksum (recordings, tables,
arrays) it may also be read as something else. Anything else is a fault: another exception, a silent
change, or no answer within `PATIENCE_S`. A kill sends SIGKILL to a command after a random time; the
same command must then end well, with the result of one that was not killed, and leave nothing under
a temporary name. The seed and the number of a fault are printed, so that `--seed=S --first=N`
repeats it.
"""

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import pickle
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np
import soundfile

from kvoice import audio, runs
from kvoice.cli.main import main
from kvoice.data import corpora
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.exchange import published, torchfiles
from kvoice.inference import vocode
from kvoice.training import loop

PATIENCE_S = 30
SPEC = dataclasses.replace(audio.SPECS["waveglow"], **audio.RECORDINGS)  # of TINY
TINY = ["--data=folder:wavs", "--config.train.steps=6", "--config.train.steps_per_epoch=2"]


# --- The files, each with what reads it


def corpus(place):
    """A folder of eight speakers who say two things, with a table of their labels."""
    rows = ["path,speaker,gender,emotion,text"]
    for speaker in range(8):
        for take, emotion in enumerate(("happy", "sad")):
            path = place / "wavs" / f"s{speaker}" / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = 0.3 * np.sin(np.arange(15000) * (0.03 + 0.003 * speaker + 0.01 * take))
            soundfile.write(path, wave, 22050)
            gender = ("female", "male")[speaker % 2]
            rows.append(f'{path.relative_to(place / "wavs")},,{gender},{emotion},"text, {take}"')
    (place / "wavs" / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def digest(value):
    """A digest of arrays, containers and texts."""
    if isinstance(value, dict):
        value = sorted((str(name), digest(each)) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        value = "".join(digest(each) for each in value)
    if isinstance(value, np.ndarray):
        value = f"{value.dtype}{value.shape}".encode() + value.tobytes()
    return hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()


def targets(place):
    """Path of a file -> what reads it, and whether a change must be noticed."""
    (shards,) = (path.parent for path in place.glob("prepared/*/manifest.json"))

    def batch(fresh=False):
        if fresh:
            shutil.rmtree(shards / "features", ignore_errors=True)
        source = Source(shards, "train", SPEC, crop_frames=16, batch=4, arrays=("mel", "wave"))
        return digest([source.batch(step) for step in range(3)])

    def weights():
        return digest([np.asarray(each) for each in loop.load("runs/gan").get_weights()])

    def sound(path):
        return lambda: digest(audio.read(path, 22050)[0])

    found = {}
    for kind in ("wav", "flac", "ogg", "mp3", "aiff"):
        path = place / f"sound.{kind}"
        soundfile.write(path, 0.3 * np.sin(np.arange(22050) * 0.05), 22050)
        found[path] = sound(path), False
    mel = audio.mel(audio.read(place / "sound.wav", 22050)[0], SPEC)
    np.save(place / "mel.npy", mel)
    found[place / "mel.npy"] = lambda: digest(vocode.read_mel(place / "mel.npy", SPEC)), False
    moments = {"mean": np.arange(80.0), "std": np.ones(80)}
    (place / "attr.pkl").write_bytes(pickle.dumps(moments))
    found[place / "attr.pkl"] = lambda: digest(published.moments(place / "attr.pkl", 80)), False
    header = {"a": {"dtype": "F32", "shape": [20], "data_offsets": [0, 80]}}
    text = json.dumps(header, separators=(",", ":")).encode()
    content = struct.pack("<Q", len(text)) + text + bytes(range(80))
    (place / "a.safetensors").write_bytes(content)
    found[place / "a.safetensors"] = (
        lambda: digest(torchfiles.read(place / "a.safetensors")),
        False,
    )
    with contextlib.suppress(ImportError):
        import torch

        torch.save({"a": torch.arange(20.0)}, place / "a.ckpt")
        found[place / "a.ckpt"] = lambda: digest(torchfiles.read(place / "a.ckpt")), False
    table = place / "wavs" / "metadata.csv"
    found[table] = lambda: digest(repr(corpora.items("folder:wavs"))), False
    for name in ("manifest.json", sorted(shards.glob("train-*"))[0].name):
        found[shards / name] = lambda: batch(fresh=True), True
    batch()
    for path in sorted((shards / "features").rglob("train.np*")):
        if path.suffix in (".npz", ".npy"):
            found[path] = batch, True
    run = place / "runs" / "gan"
    for name in (*runs.PARTS, "state.json"):
        found[run / name] = (
            lambda: digest(repr((lambda run: (run, run.state))(runs.load(run)))),
            True,
        )
    found[run / "checkpoints" / runs.load(run).state["weights"]] = weights, True
    return found


# --- Mutants


def mutated(content, rng):
    """Returns the bytes of a file with one random damage, and its name."""
    data, size = bytearray(content), len(content)
    at, length = rng.randrange(size), rng.randrange(1, min(size, 4096) + 1)
    kind = rng.choice(["bit", "byte", "cut", "zeros", "lost", "twice", "noise", "empty"])
    if kind == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        data[at] = rng.randrange(256)
    elif kind == "cut":
        del data[at:]
    elif kind == "zeros":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == "lost":
        del data[at : at + length]
    elif kind == "twice":
        data[at:at] = data[at : at + length]
    elif kind == "noise":
        data[at : at + length] = rng.randbytes(len(data[at : at + length]))
    else:
        data.clear()
    return bytes(data), kind


def answer(read):
    """What reading gives: ("read", digest), ("refused", message) or ("fault", what)."""

    def late(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE_S)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return "read", read()
    except KvoiceError as error:
        return ("refused", str(error)) if "\n" not in str(error) else ("fault", "several lines")
    except TimeoutError:
        return "fault", f"no answer within {PATIENCE_S} s"
    except Exception:
        return "fault", traceback.format_exc(limit=-3)
    finally:
        signal.alarm(0)


def damage(place, until, seed, first):
    """Reads mutants until a time; returns the counts of the outcomes and the faults."""
    files, counts, faults = targets(place), collections.Counter(), []
    whole = {path: path.read_bytes() for path in files}
    expected = {path: answer(read) for path, (read, _) in files.items()}
    assert all(kind == "read" for kind, _ in expected.values()), expected
    number = first
    while time.monotonic() < until:
        rng = random.Random(f"{seed}/{number}")
        path = rng.choice(sorted(files))
        read, checked = files[path]
        if not path.exists():
            read()  # a cache that another mutant removed
        content, kind = mutated(whole[path], rng)
        path.write_bytes(content)
        outcome, what = answer(read)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole[path])
        if outcome == "read" and what != expected[path][1]:
            outcome = "fault" if checked else "read as something else"
            what = "a silent change"
        counts[outcome] += 1
        if outcome == "fault":
            faults.append(f"--seed={seed} --first={number}: {path.name}, {kind}: {what}")
            print(faults[-1], flush=True)
        number += 1
    return counts, faults


# --- Kills

# A command that writes into the folder `out`, and the files there that are the same each time.
COMMANDS = {
    "train": (["train", "--model=voicegan:tiny", *TINY, "--run=out"], "log.csv"),
    "prepare": (["prepare", "--data=folder:wavs", "--output=out"], "*.tfrecord"),
    "generate": (["generate", "--run=runs/gan", "--count=1", "--output=out"], "*.wav"),
    "report": (["report", "runs/gan", "--output=out"], "*.wav"),
}


def result(place, pattern):
    """The files of `out` that a command is judged by, which it removes."""
    found = {path.name: path.read_bytes() for path in (place / "out").rglob(pattern)}
    shutil.rmtree(place / "out", ignore_errors=True)
    return found


def kills(place, count, seed):
    """Kills commands until `count` of them were killed while they ran; returns the faults."""
    expected, longest_s, faults = {}, {}, []
    for verb, (words, pattern) in COMMANDS.items():
        command = [sys.executable, "-Pm", "kvoice", *words]
        begun = time.monotonic()
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        longest_s[verb] = time.monotonic() - begun
        expected[verb] = result(place, pattern)
        assert expected[verb], verb
    number = done = 0
    while done < count:
        rng = random.Random(f"{seed}/kill/{number}")
        verb = rng.choice(sorted(COMMANDS))
        if rng.random() < 0.5:  # what `train` prepares
            shutil.rmtree(place / "prepared", ignore_errors=True)
        words, pattern = COMMANDS[verb]
        command = [sys.executable, "-Pm", "kvoice", *words]
        for _ in range(rng.randrange(1, 4)):
            process = subprocess.Popen(
                command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, longest_s[verb]))
            done += process.poll() is None
            process.kill()
            process.wait()
        last = subprocess.run(command, cwd=place, capture_output=True, text=True)
        left = [path.name for path in (place / "out").rglob("*.tmp")]
        made = result(place, pattern)
        if last.returncode or made != expected[verb] or left:
            faults.append(
                f"--seed={seed}, kill {number} of {verb}: status {last.returncode}, "
                f"{sorted(made)}, left {left}: {last.stderr[-500:]}"
            )
            print(faults[-1], flush=True)
        number += 1
        if number % 20 == 0:
            print(f"{done} of {count} kills, {len(faults)} faults", flush=True)
    return faults


def campaign():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="for the mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--kills", type=int, default=0, help="kills, whatever time they take")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        os.chdir(place)
        corpus(place)
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["train", "--model=voicegan:tiny", "--run=runs/gan", *TINY]) == 0
        until = time.monotonic() + 60 * given.minutes
        counts, faults = damage(place, until, given.seed, given.first)
        faults += kills(place, given.kills, given.seed)
        print(f"{sum(counts.values())} mutants: {dict(counts)}; {given.kills} kills")
        print(f"{len(faults)} faults")
        os.chdir("/")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(campaign())
