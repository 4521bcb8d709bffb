"""Prepares a corpus: writes its TFRecord shards and a manifest, once for all runs.

Each worker turns a fixed list of utterances into one shard: it reads or renders them, resamples
them, conditions them by the Spec, and tracks F0 where the corpus has no labels of it. A shard and
then its summary are written under temporary names and renamed, so that a prepare that was killed
can be resumed, and ends in the same bytes. The manifest is written last: a directory with a
manifest is complete.

No worker imports a framework.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import errno
import fcntl
import functools
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from kvoice import audio, progress, recognisers
from kvoice.data import corpora, shards, splits
from kvoice.data.corpora.utterance import SPLITS, Item, Recording, Skipped, words
from kvoice.data.manifest import ARGUMENTS, FILE, Manifest
from kvoice.errors import KvoiceError
from kvoice.files import write_json

SLOWEST, FASTEST = 0.5, 2.0  # speeds of copies
RECORDS = 64  # utterances per shard
HEARD = ("", recognisers.HAMA)  # recognisers of the phones; "" = none
WORK = ".prepare"  # summaries of finished shards, until the manifest is written


def prepare(
    data: str,
    directory: str | os.PathLike,
    spec: audio.Spec,
    split: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    label_hop: int | None = None,
    phones: str = "",
    judge: bool = True,
    speeds: Sequence[float] = (),
) -> Manifest:
    """Writes the shards and the manifest of a corpus, or those that are missing.

    Waves are 16-bit at `spec.sample_rate_hz`, conditioned by the Spec (`audio.CONDITIONING`); one
    that passes full scale is scaled down as a whole. A file longer than `corpora.LONGEST_S` becomes
    several utterances. Waves are not trimmed where the corpus has frame labels; each is scaled to
    the level of the Spec by one factor. Where the corpus has no labels of F0, it is tracked on the
    wave before its pre-emphasis.

    Args:
        data: The argument of `--data`; see `corpora`.
        directory: The output directory, which is made if need be.
        spec: The `audio.Spec` whose conditioning is applied.
        split: "speaker": no speaker is in two splits; "text": no text is in two; "corpus": the
            corpus assigns its utterances itself; None = `splits.default(data)`.
        seed: Seed of the split.
        workers: Number of processes; None = one per processor, 1 = only this process.
        label_hop: Hop of the frame labels, in samples; None = `spec.hop`.
        phones: "hama": each frame is labelled with the phone that this recogniser hears, as
            `recognisers.frame_phones` does; "" = with that of the corpus, where it has labels.
        judge: Whether utterances are kept for the split "judge"; else they are in "train".
        speeds: The split "train" also gets a copy of each of its utterances at each of these
            speeds, pitch included, whose speaker counts as a further one.

    Returns:
        The `Manifest`; its `report()` lists what was written and left out.

    Raises:
        KvoiceError: If the corpus cannot be found or split, the directory holds another corpus, the
            recogniser is not installed, or the disk is full.
    """
    split = split or splits.default(data)
    if split not in splits.WAYS:
        raise KvoiceError(f"--split={split}: expected one of {', '.join(splits.WAYS)}")
    if wrong := [speed for speed in speeds if not SLOWEST <= speed <= FASTEST or speed == 1]:
        raise KvoiceError(
            f"--speeds: {wrong[0]:g} must be from {SLOWEST:g} to {FASTEST:g}, and not 1, which is "
            "there anyway"
        )
    if len({*speeds}) < len(speeds):
        raise KvoiceError(f"--speeds: {', '.join(map('{:g}'.format, speeds))} must all differ")
    if phones not in HEARD:
        raise KvoiceError(f"--phones={phones}: expected {' or '.join(filter(None, HEARD))}")
    if phones:
        recognisers.require(phones)
    items, left_out = corpora.items(data)
    split_of = splits.split_of(items, split, seed)
    if not judge:
        split_of |= {name: "train" for name, own in split_of.items() if own == "judge"}
    copies = corpora.at_speeds([item for item in items if split_of[item.name] == "train"], speeds)
    items = [*items, *copies]
    split_of |= {item.name: "train" for item in copies}
    label_hop = label_hop or spec.hop
    arguments = {
        "data": data,
        "split": split,
        "seed": seed,
        "label_hop": label_hop,
        **{name: getattr(spec, name) for name in audio.CONDITIONING},
        "phones": phones,
        "judge": judge,
        "speeds": [*speeds],
        "items": fingerprint(items, phones),
    }
    labels = {
        field: sorted({getattr(item, field) for item in items} - {""})
        for field in ("speaker", "gender", "emotion")
    }
    labels["phone"] = list(recognisers.PHONES if phones else corpora.phones(data))
    work = functools.partial(
        write_shard,
        directory=directory,
        spec=spec,
        label_hop=label_hop,
        labels=labels,
        phones=phones,
    )
    jobs = jobs_of(items, split_of)
    try:
        _refuse_foreign(directory)
        os.makedirs(os.path.join(directory, WORK), exist_ok=True)
        with locked(directory):
            _refuse_others(directory, arguments)
            _sweep(directory)
            _run([job for job in jobs if summary(directory, job) is None], work, directory, workers)
            manifest = _manifest(directory, jobs, arguments, labels, left_out)
            manifest.save(directory)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise KvoiceError(
                f"{directory}: the disk is full: make room and run the same command again; "
                "it goes on from the shards that are finished"
            ) from error
        raise KvoiceError(
            f"{error.filename or directory}: cannot be written ({error.strerror})"
        ) from error
    return manifest


# --- The shards


@dataclasses.dataclass(frozen=True)
class Job:
    """A shard to write."""

    split: str
    file: str
    items: list


def jobs_of(items: list[Item], split: dict[str, str]) -> list[Job]:
    """The shards of a corpus, in the order of the splits and of the items."""
    jobs = []
    for name in SPLITS:
        own = [item for item in items if split[item.name] == name]
        parts = [own[first : first + RECORDS] for first in range(0, len(own), RECORDS)]
        jobs += [
            Job(name, f"{name}-{number:05}-of-{len(parts):05}.tfrecord", part)
            for number, part in enumerate(parts)
        ]
    return jobs


def write_shard(
    job: Job,
    directory: str | os.PathLike,
    spec: audio.Spec,
    label_hop: int,
    labels: dict[str, list[str]],
    phones: str = "",
) -> None:
    """Writes a shard, then its summary, which lists the files that were left out."""
    skipped, records, samples = [], 0, 0
    counts = {field: collections.Counter() for field in ("speaker", "gender", "emotion")}

    def leave_out(item, error, place="", intended=False):
        reason = str(error).removeprefix(f"{item.path}: ") or "too large to read"
        skip = Skipped(item.path or item.name, f"{place}{reason}", intended)
        skipped.append(dataclasses.asdict(skip))

    def examples():
        nonlocal records, samples
        for item in job.items:
            try:
                for part, sound in corpora.recordings(item, spec.sample_rate_hz, label_hop):
                    try:
                        utterance = example(part, sound, spec, label_hop, labels, phones)
                    except KvoiceError as error:
                        pause = part is not item and audio.silent(sound.wave)
                        leave_out(item, error, "" if part is item else f"{part.name}: ", pause)
                        continue
                    records, samples = records + 1, samples + len(utterance["wave"])
                    for field, counted in counts.items():
                        counted.update(filter(None, [getattr(item, field)]))
                    yield utterance
            except (KvoiceError, MemoryError) as error:
                leave_out(item, error)

    path = os.path.join(directory, job.file)
    shards.write(path, examples())
    write_json(
        _summary_path(directory, job),
        {
            "bytes": os.path.getsize(path),
            "records": records,
            "samples": samples,
            "counts": counts,
            "skipped": skipped,
        },
    )


def example(
    item: Item,
    sound: Recording,
    spec: audio.Spec,
    label_hop: int,
    labels: dict[str, list[str]],
    phones: str = "",
) -> dict:
    """The record of an utterance, a dict with the keys of `shards.FIELDS`.

    With `phones` its phones are those that the recogniser hears, on the wave before its
    pre-emphasis, in place of those of the corpus.

    Raises:
        KvoiceError: If the sound cannot be used; the message says why.
    """
    labelled = sound.f0 is not None or sound.phone is not None
    # What is clipped has to be seen before the wave is levelled.
    recorded = dataclasses.replace(spec, preemphasis=0.0, level_db=0.0)
    wave = audio.condition(sound.wave, recorded, trim=not labelled)
    reason = audio.problem(wave, spec.sample_rate_hz)
    if reason:
        raise KvoiceError(reason)
    f0 = audio.f0(wave, spec.sample_rate_hz, label_hop) if sound.f0 is None else sound.f0
    phone = sound.phone
    if phones:
        phone = recognisers.frame_phones(wave, spec.sample_rate_hz, label_hop)
    wave = audio.condition(wave, dataclasses.replace(spec, trim_db=0.0, highpass_hz=0.0))
    wave = wave / max(1.0, np.abs(wave).max())  # floats may pass full scale, and pre-emphasis may
    return {
        "wave": np.minimum(np.round(wave * shards.FULL_SCALE), shards.FULL_SCALE - 1),
        "f0": f0,
        "phone": [] if phone is None else phone,
        **{
            field: labels[field].index(getattr(item, field)) if getattr(item, field) else -1
            for field in ("speaker", "gender", "emotion")
        },
        "rate": sound.rate,
        "text": item.text,
        "name": item.name,
    }


def summary(directory: str | os.PathLike, job: Job) -> dict | None:
    """The summary of a shard that `write_shard` wrote; None if the shard is not finished."""
    try:
        with open(_summary_path(directory, job), encoding="utf-8") as file:
            noted = json.load(file)
        whole = os.path.getsize(os.path.join(directory, job.file)) == noted["bytes"]
    except (OSError, ValueError):
        return None
    return noted if whole else None


def fingerprint(items: list[Item], phones: str = "") -> str:
    """A short hash of a corpus: names, labels, sizes of files and versions of renderers.

    Args:
        items: The utterances.
        phones: The recogniser of the phones, whose version counts too; "" = none.
    """
    digest = hashlib.sha256(recognisers.version(phones).encode() if phones else b"")
    for item in items:
        origin = (
            _size(item.path) if item.path else (corpora.version(item.corpus), repr(item.utterance))
        )
        digest.update(
            repr(
                (item.name, item.speaker, item.gender, item.emotion, item.text, item.split, origin)
            ).encode()
        )
    return digest.hexdigest()[:16]


def _size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def _summary_path(directory, job):
    return os.path.join(directory, WORK, f"{job.file}.json")


def _manifest(directory, jobs, arguments, labels, left_out):
    """The manifest of finished shards."""
    contents, skipped = {}, [dataclasses.asdict(skip) for skip in left_out]
    for name in SPLITS:
        own = [(job, summary(directory, job)) for job in jobs if job.split == name]
        counts = {
            field: sum(
                (collections.Counter(noted["counts"][field]) for _, noted in own),
                collections.Counter(),
            )
            for field in ("speaker", "gender", "emotion")
        }
        contents[name] = {
            "shards": [
                {"file": job.file, "records": noted["records"], "bytes": noted["bytes"]}
                for job, noted in own
            ],
            "utterances": sum(noted["records"] for _, noted in own),
            "seconds": sum(noted["samples"] for _, noted in own) / arguments["sample_rate_hz"],
            "speakers": sorted(counts["speaker"]),
            "counts": {
                field: dict(sorted(counts[field].items())) for field in ("gender", "emotion")
            },
            **_texts(
                item
                for job, noted in own
                for item in job.items
                if item.speed == 1
                and (item.path or item.name) not in {skip["file"] for skip in noted["skipped"]}
            ),
        }
        skipped += [skip for _, noted in own for skip in noted["skipped"]]
    if not any(split["utterances"] for split in contents.values()):
        raise KvoiceError(
            f"{arguments['data']}: none of its {len(skipped)} files can be used, for instance "
            f"{skipped[0]['file']}: {skipped[0]['reason']}"
        )
    # A file that cannot be read is left out at every speed.
    once = {(skip["file"], skip["reason"]): skip for skip in skipped}
    return Manifest(**arguments, labels=labels, splits=contents, skipped=[*once.values()])


def _texts(items):
    """How many utterances have a text, and how many another speaker says in the same emotion."""
    speakers = {}
    for item in items:
        if said := words(item.text):
            speakers.setdefault((said, item.emotion), []).append(item.speaker)
    return {
        "texts": sum(map(len, speakers.values())),
        "parallel": sum(len(each) for each in speakers.values() if len(set(each)) > 1),
    }


# --- The directory and its workers


def _refuse_foreign(directory):
    """Refuses a file, and a directory that holds something other than shards."""
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise KvoiceError(f"{directory}: is a file, expected a directory for the shards")
    if (
        os.path.isdir(directory)
        and os.listdir(directory)
        and not (
            os.path.exists(os.path.join(directory, WORK))
            or os.path.exists(os.path.join(directory, FILE))
        )
    ):
        raise KvoiceError(f"{directory} holds other files: name a new or an empty directory")


@contextlib.contextmanager
def locked(directory: str | os.PathLike) -> Iterator[None]:
    """Locks the directory against another prepare, for whose end it waits.

    The lock is released when the process ends, however it does.
    """
    with open(os.path.join(directory, WORK, "lock"), "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that prepares {directory}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refuse_others(directory, arguments):
    """Refuses a directory of another corpus or of other arguments; else writes the arguments."""
    begun = os.path.join(directory, WORK, "arguments.json")
    if os.path.exists(os.path.join(directory, FILE)):
        noted = dataclasses.asdict(Manifest.load(directory))
    elif os.path.exists(begun):
        with open(begun, encoding="utf-8") as file:
            noted = {"level_db": 0.0} | json.load(file)  # which 0.1 did not have
    else:
        write_json(begun, arguments)
        return
    noted = {"phones": "", "judge": True, "speeds": []} | noted  # of 0.1, which had none
    differences = [
        f"{name}: {_shown(arguments[name])} here, {_shown(noted[name])} there"
        for name in ARGUMENTS
        if arguments[name] != noted[name]
    ]
    if differences:
        raise KvoiceError(
            f"{directory} was prepared with other arguments: {'; '.join(differences)}: "
            "name another directory or delete this one"
        )
    if arguments["items"] != noted["items"]:
        raise KvoiceError(
            f"{directory}: the corpus {arguments['data']} has changed since it was prepared there: "
            "name another directory or delete this one"
        )


def _shown(value):
    return "none" if value == "" else value


def _sweep(directory):
    """Deletes what a prepare that was killed has left under temporary names."""
    for place in (directory, os.path.join(directory, WORK)):
        for name in os.listdir(place):
            if name.endswith(".tmp"):
                os.unlink(os.path.join(place, name))


def _run(jobs, work, directory, workers):
    """Runs the jobs in up to `workers` processes, with a progress bar in utterances."""
    if not jobs:
        return
    shutil.rmtree(
        os.path.join(directory, "features"), ignore_errors=True
    )  # those of earlier shards
    workers = min(workers or os.cpu_count(), len(jobs))
    total = sum(len(job.items) for job in jobs)
    with progress.bar(total=total, desc="prepare", unit="utt", smoothing=0) as bar:
        for job in _done(jobs, work, workers):
            bar.update(len(job.items))


def _done(jobs, work, workers):
    """Yields each job when it is finished."""
    if workers == 1:
        for job in jobs:
            work(job)
            yield job
        return
    # Spawned, not forked: a fork of a process that runs a framework's threads may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _end_with_parent) as pool:
        with _deaf():
            futures = {pool.submit(work, job): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                yield futures[future]
        except concurrent.futures.process.BrokenProcessPool:
            raise KvoiceError(
                "a worker of prepare died (was the memory full?): run the same command again; "
                "it goes on from the shards that are finished"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _deaf():
    """Ignores Ctrl-C, as the processes that are begun in the block do for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent():
    """Ends a worker when prepare is killed; it would wait for jobs for ever otherwise."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
