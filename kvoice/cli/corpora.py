"""The corpora that commands work on: prepared where they are not yet, and those of runs."""

import dataclasses
import hashlib
import json
import os
import pathlib
import re

from kvoice.errors import KvoiceError
from kvoice.files import expanded


def conditioned(spec, data, run="", chosen=()):
    """Returns a Spec with the trimming and the level that fit a corpus, but for `chosen` fields.

    Those of an existing run, so that its command resumes it, or else those that the shards of
    `prepared:DIR` have. A rendered corpus is neither trimmed nor levelled: it has no silence at its
    ends, and its levels are meant. Other corpora are conditioned as the Spec says.
    """
    from kvoice import audio, runs
    from kvoice.data import corpora, factors
    from kvoice.data.manifest import Manifest

    if run and os.path.exists(os.path.join(run, "state.json")):
        found = runs.load(run).spec
    elif data.startswith("prepared:"):
        found = Manifest.load(expanded(data.removeprefix("prepared:")))
    elif factors.named(data) or corpora.rendered(data):
        found = audio.Spec()  # which does neither
    else:
        return spec
    fields = audio.RECORDINGS.keys() - {*chosen}
    return dataclasses.replace(spec, **{field: getattr(found, field) for field in fields})


def prepared(data, spec, model):
    """Returns the directory with the shards of `data` for a Spec; writes them if need be.

    Of a corpus of images, which needs none, its name. `splits.default` says how they are split. The
    name of the directory tells apart what cannot share shards: corpora and their files,
        conditioning and ways to split. The hop
    is none of it: labels are read at any.
    """
    from kvoice import audio
    from kvoice.data import corpora, factors, manifest, prepare, splits

    condition, domain = model.get("condition", ""), model.get("domain", "mel")
    if factors.named(data) != (domain == "image"):
        kinds = ("images", f"of {', '.join(factors.CORPORA)}"), ("speech", "of recordings or demo")
        (has, _), (wants, of) = kinds if factors.named(data) else kinds[::-1]
        raise KvoiceError(
            f"--data={data}: holds {has}, and model.domain={domain} learns from "
            f"{wants}, {of}; `kvoice train --model=NAME -h` says what a variant learns from"
        )
    if factors.named(data):
        return data
    if data.startswith("prepared:"):
        return expanded(data.removeprefix("prepared:"))
    split = splits.default(data, condition)
    items, _ = corpora.items(data)
    if condition and not any(getattr(item, condition) for item in items):
        known = [
            name
            for name in ("speaker", "gender", "emotion")
            if any(getattr(item, name) for item in items)
        ]
        raise KvoiceError(
            f"{data}: no {condition} is known of any utterance, so that none can be "
            f"learned; choose --config.model.condition among {', '.join(known)}; of a "
            "generator it may be empty"
        )
    key = [prepare.fingerprint(items), split, *(getattr(spec, f) for f in audio.CONDITIONING)]
    if not spec.level_db:
        key.pop()  # the name is that of versions that had no level
    words = re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-")[:40]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]
    directory = f"prepared/{words}-{digest}"
    new = not os.path.exists(os.path.join(directory, manifest.FILE))
    if new:
        print(f"preparing {data} in {directory}")
    label_hop = None if new else manifest.Manifest.load(directory).label_hop
    made = prepare.prepare(
        data, directory, spec, split=split, label_hop=label_hop
    )  # at once where nothing is missing
    if new:
        print(made.report())
    return directory


def of_run(run):
    """The `training.corpus.Corpus` of a run.

    Shards in `prepared/` are enough; the files of the corpus are not needed then.

    Raises:
        KvoiceError: If the corpus, or its split, is not what the run was trained on any more.
    """
    from kvoice.data.manifest import Manifest

    data, values = run.config["data_spec"], run.config["model"]
    if values.get("domain") == "image":
        return _corpus(data, run)
    directory = _shards_of(run) or prepared(data, run.spec, values)
    manifest = Manifest.load(directory)
    if manifest.items != run.config["corpus"]:
        raise KvoiceError(f"{data}: has changed since {run.path} was trained on it")
    if not _same_split(run, manifest):
        split = run.config.get("split", {"by": manifest.split, "seed": "N"})
        raise KvoiceError(
            f"{directory}: splits {data} in another way than {run.path} was trained on: its test "
            f"speakers may have been trained on; write those shards again with `kvoice prepare "
            f"--data=CORPUS --split={split['by']} --seed={split['seed']}"
            f"{'' if split.get('judge', True) else ' --judge=false'} --output=prepared/NAME`"
        )
    return _corpus(directory, run)


def _shards_of(run):
    """A directory with the shards of the corpus of a run; None if there is none."""
    from kvoice import audio
    from kvoice.data.manifest import FILE, Manifest

    own = expanded(run.config["data_spec"].removeprefix("prepared:"))
    # Here, and where the run was made.
    places = [pathlib.Path(), pathlib.Path(run.config.get("directory", ""))]
    found = [place / own / FILE for place in places]
    for place in places:
        found += sorted(place.glob(f"prepared/*/{FILE}"))
    for path in found:
        if not path.is_file():
            continue
        manifest = Manifest.load(path.parent)
        same = all(getattr(manifest, f) == getattr(run.spec, f) for f in audio.CONDITIONING)
        if same and manifest.items == run.config["corpus"] and _same_split(run, manifest):
            return path.parent
    return None


def _same_split(run, manifest):
    """Whether a manifest splits a corpus as the run was trained on it."""
    if split := run.config.get("split"):
        return split == manifest.identity
    # A run of 0.1 does not know its split, only the speakers that it was trained on.
    from kvoice.data import splits

    data, learnt = run.config["data_spec"], run.config["data"]["split"]
    default = splits.default(data, run.config["model"].get("condition", ""))
    expected = {"by": default, "seed": 0}
    return manifest.splits[learnt]["speakers"] == run.config["speakers"] and (
        data.startswith("prepared:") or manifest.identity == expected
    )


def for_run(run, data, split="test", judges=""):
    """The corpus that a run is evaluated on, on one split: `data`, else that of the run.

    Its judges learn from the corpus `judges`, if one is named.

    Raises:
        KvoiceError: If neither is known.
    """
    if not (data or run.config["data_spec"]):
        raise KvoiceError(
            f"{run.path}: was not trained here; say with --data=CORPUS on which recordings "
            "it is to be evaluated"
        )
    found = _corpus(prepared(data, run.spec, run.config["model"]), run) if data else of_run(run)
    try:
        judges = prepared(judges, run.spec, {}) if judges else ""
    except KvoiceError as error:
        raise KvoiceError(str(error).replace("--data=", "--judge_data=", 1)) from None
    return dataclasses.replace(found, tested=split, judges=judges)


def _corpus(directory, run):
    # Not before: the processes of `prepare` are not to inherit a framework.
    from kvoice.training.corpus import Corpus

    return Corpus.of(directory, run.spec, run.config)
