"""The commands: absl flags, and one function per verb that calls the library.

Frameworks are imported inside these functions, once KERAS_BACKEND is settled, so that `-h` answers
at once. The flags are parsed here rather than by `absl.app`, which knows no `-h`, and the fields of
a config rather than by `config_flags`, which reads the words of the process instead of those it is
given and answers a wrong type with a traceback.
"""

import difflib
import errno
import functools
import hashlib
import inspect
import json
import logging
import operator
import os
import pathlib
import re
import runpy
import shlex
import sys

from absl import flags

from kvoice import frameworks
from kvoice.errors import KvoiceError

HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")
SPECS = ("waveglow", "speechsplit", "adainvc", "speakerencoder", "resemblyzer")
ELSEWHERE = ("adainvc", "speakerencoder", "waveglow")  # models that can be evaluated on a corpus of one's choice
PUBLISHED = ("adainvc", "speakerencoder", "waveglow")  # models of which published weights are known
IMAGES = ("train", "test")  # the splits of images that are looked at
CONVERSIONS = 192  # between unseen speakers, that are measured
CLIPS = 512  # generated ones that are measured
UTTERANCES = 48  # that a vocoder says again
FACTORS = 10_000  # items whose codes are measured
DEMO = "demo"  # what is learned from where nothing else is said
PRIORS = ("typical", "zero", "none")
LEARNT = ("train", "judge")  # splits that a model may learn from: judges have speakers of their own
LINEAR = ("train", "judge", "test")  # splits that an ascent is judged with
SHOWN = 20  # files whose labels `classify` prints
EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}

_HERE = pathlib.Path(__file__).resolve().parent
# Inside the package of an installed wheel, beside it in a checkout.
CONFIGS = next(d for d in (_HERE / "configs", _HERE.parent / "configs") if d.is_dir())


class UsageError(KvoiceError):
    """A command that cannot be understood: exit status 2."""


def main(words=None):
    """Runs `kvoice VERB ...`.

    Args:
        words: What follows the program's name; None takes it from the process.

    Returns:
        The exit status: 0, 1 where the command failed, 2 where it could not be understood, 130
        where Ctrl-C stopped it.
    """
    verb, *words = (sys.argv[1:] if words is None else words) or ["-h"]
    if verb in HELP:
        print(_overview())
        return 0
    try:
        if verb not in VERBS:
            near = _near(verb, VERBS)
            return _failed(verb, f"no such command{near}; `kvoice -h` lists them", 2)
        if any(word in HELP for word in words):
            print(_help(verb, words))
        else:
            command, declare = VERBS[verb]
            logging.getLogger("tensorflow").addFilter(_worth_telling)
            command(**_values(declare, words))
    except UsageError as error:
        return _failed(verb, f"{error} (kvoice {verb} -h shows the flags)", 2)
    except KvoiceError as error:
        return _failed(verb, error, 1)
    except KeyboardInterrupt:
        how = {"train": "goes on from the last checkpoint", "prepare": "goes on"}
        return _failed(verb, f"stopped; the same command {how.get(verb, 'starts again')}", 130)
    except ModuleNotFoundError as error:
        line = frameworks.missing(error)
        if not line:
            raise
        return _failed(verb, line, 1)
    except Exception as error:  # TensorFlow's and HDF5's for a full disk have nothing in common
        line = _system_line(error)
        if not line:
            raise
        return _failed(verb, line, 1)
    return 0


def _worth_telling(record):
    """False for TensorFlow's warning that it traces a graph again: recordings have many lengths."""
    return "triggered tf.function retracing" not in record.getMessage()


def _failed(verb, line, status):
    print(f"kvoice {verb}: {line}", file=sys.stderr)
    return status


def _system_line(error):
    """One line for a full disk or a file that the system refuses; "" for anything else."""
    full = os.strerror(errno.ENOSPC)  # libraries keep only this text
    if getattr(error, "errno", None) == errno.ENOSPC or full in str(error):
        where = getattr(error, "filename", None)
        return f"{full}{f': {where}' if where else ''}; make room, then give the same command again"
    if getattr(error, "filename", None):
        return f"{error.filename}: {error.strerror}"
    return ""


def _near(word, words):
    """', did you mean "..."?' where one of the words is like it, else nothing."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f', did you mean "{close[0]}"?' if close else ""


# Flags


def _values(declare, words):
    """Keyword arguments of a command from its words; `overrides` are its --config.FIELD=VALUE."""
    parser = flags.FlagValues()
    declare(parser)
    overrides = [word for word in words if re.match(r"--?config\.", word)]
    if declare is not _train_flags:
        overrides = []
    try:
        surplus = parser(["kvoice", *(word for word in words if word not in overrides)])[1:]
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from None
    values = parser.flag_values_dict()
    if declare is _report_flags:
        values["runs"] = surplus
    elif surplus:
        raise UsageError(f"{surplus[0]!r} is no flag: they are written --name=value")
    if declare is _train_flags:
        values["overrides"] = overrides
    return values


def _required(name, value, placeholder):
    if not value:
        raise UsageError(f"--{name}={placeholder} is missing")
    return value


def _overview():
    lines = [f"  {v:<10}{inspect.getdoc(f).splitlines()[0]}" for v, (f, _) in VERBS.items()]
    return "\n".join([
        "kvoice: disentangled representations of voices, and speech made from them.", "",
        *lines, "",
        "`kvoice VERB -h` shows examples and flags. The environment variable KERAS_BACKEND chooses",
        f"one of {', '.join(frameworks.BACKENDS)}.",
    ])


def _help(verb, words):
    """What a command does, its flags, and the config of the model that the words name, if any."""
    command, declare = VERBS[verb]
    parser = flags.FlagValues()
    declare(parser)
    summary, *examples = inspect.getdoc(command).splitlines()
    lines = [f"kvoice {verb}: {summary}", *(f"  {line}".rstrip() for line in examples), "",
             "Flags:"]
    for name in parser:
        value = parser[name].default
        default = "" if value in ("", []) else f" (default: {value})"
        text = parser[name].help.split(";\n")[0]  # absl adds how to repeat a flag
        lines.append(f"  --{name}={text}{default}")
    if declare is _train_flags:
        lines.append("  --config.FIELD=VALUE: a field of the model's config, as often as needed")
        for word in words:
            if match := re.match(r"--?model=([^:]*):?(.*)", word):
                config = fields(configuration(*match.groups()))
                lines += ["", config_file(match[1])["__doc__"], "Fields of its config:"]
                lines += [f"  --config.{name}={value}" for name, value in config.items()]
    return "\n".join(lines)


# Configs


def configuration(model, variant="", overrides=()):
    """The resolved config of a model: group -> field -> value.

    Args:
        model: The name of a file in `configs/`.
        variant: One of its variants; "" is the default.
        overrides: Words `--config.GROUP.FIELD=VALUE`.

    Raises:
        UsageError: If a name is unknown or a value of another type, naming it and what was
            expected.
    """
    file = config_file(model)
    if variant not in file["VARIANTS"]:
        named = [name for name in file["VARIANTS"] if name]
        raise UsageError(f"--model={model}:{variant}: no such variant{_near(variant, named)}; "
                         f"there are {', '.join(named)}")
    config = file["config"](variant)
    for word in overrides:
        name, equals, text = word.lstrip("-").removeprefix("config.").partition("=")
        known = fields(config)
        if name not in known:
            # A part of a name stands for the whole of it: "steps" for "train.steps".
            parts = {part: field for field in known for part in (field, *field.split("."))}
            close = difflib.get_close_matches(name, parts, n=1)
            near = f', did you mean "--config.{parts[close[0]]}"?' if close else ""
            raise UsageError(f"--config.{name}: {model} has no such field{near}")
        if not equals:
            raise UsageError(f"--config.{name}: the value is missing; write --config.{name}=VALUE")
        *groups, field = name.split(".")
        group = functools.reduce(operator.getitem, groups, config)
        group[field] = _converted(name, text, type(known[name]))
    return config.to_dict()


def config_file(model):
    """The names that the config file of a model defines: VARIANTS, config, __doc__."""
    names = sorted(path.stem for path in CONFIGS.glob("*.py"))
    if model not in names:
        raise UsageError(f"--model={model}: no such model{_near(model, names)}; "
                         f"there are {', '.join(names)}")
    return runpy.run_path(str(CONFIGS / f"{model}.py"))


def fields(config):
    """The fields of a config or of a group of it by their dotted names, as in "train.steps"."""
    found = {}
    for name, value in config.items():
        if hasattr(value, "items"):
            found |= {f"{name}.{inner}": field for inner, field in fields(value).items()}
        else:
            found[name] = value
    return found


def _converted(name, text, kind):
    """The text as a value of a field's type; inf and nan are no numbers here."""
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
        if kind is float and not abs(value) < float("inf"):
            raise ValueError
    except (KeyError, ValueError):
        raise UsageError(f"--config.{name}: expected {EXPECTED[kind]}, got {text!r}") from None
    return value


# The commands


def train(model, data, run, init, overrides):
    """Trains a model; the same command again goes on from the last checkpoint.

    kvoice train --model=voicegan
    kvoice train --model=voicegan:tiny --data=folder:wavs --config.train.steps=20
    kvoice train --model=voicegan -h      shows the fields of its config too
    """
    name, _, variant = _required("model", model, "NAME[:VARIANT]").partition(":")
    config = configuration(name, variant, overrides)
    backend = frameworks.chosen_backend()

    from kvoice import audio

    spec = audio.Spec(**config["audio"])
    data = data or config_file(name).get("DATA", {}).get(variant, DEMO)
    group = config["model"]
    condition = group.get("condition", "")
    corpus = _prepared(data, spec, group)

    # From here on with a framework: workers of `prepare` were not to inherit one.
    from kvoice import runs
    from kvoice.training import loop
    from kvoice.training.callbacks import TimeEstimate
    from kvoice.training.config import DEFAULTS, TrainConfig

    splits = (config["data"]["split"], "valid")
    training = TrainConfig(**config["train"])  # what is refused is refused before anything is made
    if splits[0] not in LEARNT:
        raise KvoiceError(f"data.split: {splits[0]!r} must be one of {', '.join(LEARNT)}")
    if "phones" in group:
        group["phones"] = _phones(corpus) if group["phones"] else 0
    source, valid = _sources(corpus, splits, spec, group, config["data"])
    names = source.labels[condition] if condition else []
    _refuse_one_class(data, source, condition)
    group |= _known(source, spec, group, names)
    with loop.beginning(training):
        built = loop.from_values(name, group)
    least, crop = getattr(built, "minimum_frames", 1), config["data"].get("crop_frames", 1)
    if crop < least:
        raise KvoiceError(f"data.crop_frames: {crop} must be at least {least} for this model")
    if crop % (step := getattr(built, "frames_step", 1)):
        raise KvoiceError(f"data.crop_frames: {crop} must be a multiple of {step} for this model")
    if init:
        loop.begin_from(built, init, spec)
    run = runs.create(
        run or f"runs/{name}/{variant or 'default'}",
        {"model_name": name, "variant": variant, "data_spec": data, "init": init,
         "corpus": source.fingerprint, "speakers": source.speakers, "data": config["data"],
         "model": group, "train": config["train"]},
        spec, source.labels, defaults={"train": DEFAULTS},
        command=shlex.join([f"KERAS_BACKEND={backend}", "kvoice", "train", *sys.argv[2:]]))
    steps, done = training.steps, run.state.get("step", 0)
    if done < steps:
        print(_header(run, source, backend, built.count_params()))
        loop.train(run, source, valid, built=built, init=init,
                   validate=_quality(run, corpus, splits), verbose=1 if sys.stdout.isatty() else 2,
                   callbacks=[TimeEstimate(steps - done), *_summaries(run, valid)])
    _complete(run)
    best = run.state["best"] or run.state
    reached = f", the best at {best['step']}" if run.state["best"] else ""
    print(f"{run.path} is finished: {steps} steps{reached}. Next:\n"
          f"  kvoice evaluate --run={run.path}")
    if name == "voicegan":
        print(f"  kvoice generate --run={run.path} --count=8 --seed=1\n"
              f"Samples of it are in {run.path / 'samples'}")
    if name == "classifier":
        print(f"  kvoice classify --run={run.path} --input=FILE_OR_DIR")
    if name == "adainvc":
        print(f"  kvoice convert --run={run.path} --source=me.wav --target=you.wav --output=out.wav")
    if name == "speakerencoder":
        print(f"  kvoice encode --run={run.path} --input=FILE_OR_DIR --output=voices.npz")
    if name == "waveglow":
        print(f"  kvoice vocode --run={run.path} --input=FILE_OR_DIR --output=FILE_OR_DIR")
    if name == "betavae":
        known = next((name for name in ("gender", "emotion") if len(run.labels.get(name, [])) > 1), "f0_hz")
        label = f" --label={known}" if group["domain"] == "mel" else ""
        print(f"  kvoice traverse --run={run.path}{label}\n  kvoice report {run.path}")


def _known(source, spec, group, names):
    """What a model is told by its data rather than by its config."""
    if "domain" not in group:  # models of mels alone, of any length
        known = {"mels": spec.mels}
        if source.per_speaker:
            known |= {"partial_frames": source.crop_frames, "per_speaker": source.per_speaker}
        if "flows" in group:
            known |= {"hop": spec.hop}
        if group.get("prewhiten"):
            from kvoice import audio

            known |= {"bands": audio.band_powers(spec)}
        return known
    if group["domain"] == "image":
        known = {"shape": list(source.shape), "low": 0.0, "high": 1.0}
    elif group["domain"] == "mel":
        known = {"shape": [source.crop_frames, spec.mels], "low": spec.low, "high": spec.high}
    elif group["domain"] == "wave":
        known = {"shape": [spec.samples(source.crop_frames)], "low": -1.0, "high": 1.0}
    else:
        known = {}  # the model says what is wrong
    return known | ({"labels": len(names)} if "condition" in group else {})


def _phones(directory):
    """How many phones the manifest of a corpus knows."""
    from kvoice.data.manifest import Manifest

    return len(Manifest.load(directory).labels["phone"])


def _refuse_one_class(data, source, condition):
    """Raises where all utterances that are learned from have the same label."""
    if not condition:
        return
    counts = source.manifest.splits[source.split]["counts"].get(condition)
    names = source.labels[condition]
    present = [name for name in names if counts is None or counts.get(name)]
    if len(present) == 1:
        where = "" if len(names) == 1 else f" in the split {source.split}"
        raise KvoiceError(f"{data}: {condition} is {present[0]} everywhere{where}, nothing to tell "
                          "apart; use another --config.model.condition, or more speakers")


def _quality(run, corpus, splits):
    """What a run is asked at the end of each epoch, as a function of its model; None = nothing."""
    model, group = run.config["model"], run.config["data"]
    if run.config["model_name"] == "classifier":
        from kvoice.inference import classify as classification

        (valid,) = _sources(corpus, splits[1:], run.spec, model, group)
        return classification.quality(valid)
    if run.config["model_name"] == "speakerencoder":
        from kvoice.evaluation import speakerencoder

        (valid,) = _waves(corpus, splits[1:], run.spec, group)
        return speakerencoder.quality(run.spec, valid)
    if run.config["model_name"] == "waveglow":
        from kvoice.evaluation import waveglow

        (valid,) = _sources(corpus, splits[1:], run.spec, model, group)
        return waveglow.quality(valid, run.config["train"]["valid_steps"])
    if run.config["model_name"] == "voicegan":
        from kvoice.evaluation import voicegan

        return voicegan.quality(*_sources(corpus, splits, run.spec, _mels(model), group))
    return None


def _waves(corpus, splits, spec, group):
    """The sources of some splits, of whole waves."""
    from kvoice.data.source import Source

    whole = {"crop_frames": group["crop_frames"], "batch": 1, "arrays": ("wave",)}
    return [Source(corpus, split, spec, **whole) for split in splits]


def _domain(model):
    """The named array that a model learns from; models without a choice learn from mels."""
    return model.get("domain", "mel")


def _mels(model):
    """A config's group `model`, of whose data only the mels are wanted."""
    return model | {"domain": "mel"}


def _complete(run):
    """Writes what a run holds at its end, as far as it is missing."""
    from kvoice import plots
    from kvoice.training import loop

    if not (run.path / "model.keras").exists():
        loop.save(run)
    if not (run.path / "curves.png").exists():
        plots.curves(run.path / "curves.png", plots.log(run.path / "log.csv"))
    heard = (run.path / "samples" / "samples.json").exists()
    if run.config["model_name"] == "voicegan" and not heard:
        _samples(run, run.path / "samples")


def _prepared(data, spec, model):
    """The directory with the shards of `data` for this Spec; they are written if they are not there.

    Of a corpus of images, which needs none, its name. `splits.default` says how they are split. The name of the
    directory tells apart what cannot share shards: corpora and their files, conditioning and ways to split. The hop
    is none of it: labels are read at any.
    """
    from kvoice import audio
    from kvoice.data import corpora, factors, manifest, prepare, splits

    condition = model.get("condition", "")
    if factors.named(data) != (_domain(model) == "image"):
        kinds = ("images", f"of {', '.join(factors.CORPORA)}"), ("speech", "of recordings or demo")
        (has, _), (wants, of) = kinds if factors.named(data) else kinds[::-1]
        raise KvoiceError(f"--data={data}: holds {has}, and model.domain={_domain(model)} learns from "
                          f"{wants}, {of}; --model=betavae:tones and betavae:digits learn from images")
    if factors.named(data):
        return data
    if data.startswith("prepared:"):
        return data.removeprefix("prepared:")
    split = splits.default(data, condition)
    items, _ = corpora.items(data)
    if condition and not any(getattr(item, condition) for item in items):
        known = [name for name in ("speaker", "gender", "emotion")
                 if any(getattr(item, name) for item in items)]
        raise KvoiceError(f"{data}: no {condition} is known of any utterance, so that none can be "
                          f"learned; choose --config.model.condition among {', '.join(known)}, or "
                          "leave it empty")
    key = [prepare.fingerprint(items), split, *(getattr(spec, f) for f in audio.CONDITIONING)]
    words = re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-")[:40]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]
    directory = f"prepared/{words}-{digest}"
    new = not os.path.exists(os.path.join(directory, manifest.FILE))
    if new:
        print(f"preparing {data} in {directory}")
    label_hop = None if new else manifest.Manifest.load(directory).label_hop
    made = prepare.prepare(data, directory, spec, split=split, label_hop=label_hop)  # at once where nothing is missing
    if new:
        print(made.report())
    return directory


def _shards_of(run):
    """A directory below prepared/ with the corpus of a run, so that its files are not needed."""
    from kvoice import audio
    from kvoice.data import splits
    from kvoice.data.manifest import FILE, Manifest

    split = splits.default(run.config["data_spec"], run.config["model"].get("condition", ""))
    for path in sorted(pathlib.Path("prepared").glob(f"*/{FILE}")):
        manifest = Manifest.load(path.parent)
        same = all(getattr(manifest, f) == getattr(run.spec, f) for f in audio.CONDITIONING)
        if same and (manifest.items, manifest.split) == (run.config["corpus"], split):
            return path.parent
    return None


def _sources(corpus, splits, spec, model, group, more=()):
    """The sources of some splits of a corpus, with the arrays that a model learns from, and `more`."""
    if _domain(model) == "image":
        from kvoice.data.factors import FactorSource

        return [FactorSource(corpus, **group | {"split": split}) for split in splits]
    from kvoice.data.source import Source

    arrays = [_domain(model), *more]
    if "phones" in model:
        arrays += ["mask", *["phone"][: model["phones"]]]
    if "flows" in model:
        arrays += ["wave", "mask"]
    return [Source(corpus, spec=spec, condition=model.get("condition", ""), arrays=arrays,
                   **_fitting(corpus, split, group)) for split in splits]


def _fitting(corpus, split, group):
    """The group `data` for a split, which may have fewer speakers than a batch has."""
    from kvoice.data.manifest import Manifest

    each = group.get("per_speaker", 0)
    if not each or split == group["split"]:
        return group | {"split": split}
    there = len(Manifest.load(corpus).splits[split]["speakers"])
    return group | {"split": split, "batch": each * max(2, min(group["batch"] // each, there))}


def _header(run, source, backend, parameters):
    condition = run.config["model"].get("condition", "")
    does = "tells" if run.config["model_name"] == "classifier" else "conditional on"
    labels = f"{does} {condition} ({', '.join(run.names)})" if condition else "unconditional"
    sizes = run.config["model"]
    if run.config["model_name"] == "betavae":
        told = sizes.get("phones")
        labels = f"{sizes['latents']} latents" + (f", told which of {told} phones is spoken" if told else "")
    if run.config["model_name"] == "adainvc":
        labels = f"content {'' if sizes['content_norm'] else 'not '}normalised, voice from {sizes['speaker']}"
    if run.config["model_name"] == "waveglow":
        labels = f"{sizes['flows']} steps of flow, {sizes['width']} channels"
    if run.config["model_name"] == "speakerencoder":
        labels = f"voices of {sizes['embedding']} values, heard {sizes['partial_frames']} frames at once"
    learnt = f"{len(source)} items" if not source.speakers else (
        f"{len(source)} utterances of {len(source.speakers)} speakers, {source.seconds / 60:.1f} min,")
    group, done = run.config["train"], run.state.get("step", 0)
    begun = run.state.get("backend", backend)
    return "\n".join([
        f"model    {run.config['model_name']}: {parameters:,} parameters, {labels}",
        f"corpus   {source.data}: {learnt} to train on",
        f"backend  {backend}, {group['precision']}" + (
            f"; begun on {begun}, whose random numbers were others" if begun != backend else ""),
        f"run      {run.path}: " + (f"goes on at step {done} of {group['steps']}" if done else
                                    f"{group['steps']} steps"),
    ])


def _summaries(run, valid):
    """What writes down the course of a run beside its log: the latents' KL, and TensorBoard."""
    latent = []
    if run.config["model_name"] == "betavae":
        from kvoice.evaluation import disentanglement

        latent = [disentanglement.LatentLog(run, valid)]
    return [*latent, *_tensorboard(run, valid)]


def _tensorboard(run, valid):
    """The callback for TensorBoard, where TensorFlow is installed."""
    if not frameworks.installed("tensorflow"):
        return []
    from kvoice.training import tensorboard

    return [tensorboard.Summaries(run, run.config["train"]["steps_per_epoch"], valid)]


def _vocoder(path, run, **chosen):
    """The vocoder of a run for the mels of another, loaded; None where none is named.

    Raises:
        KvoiceError: If it is none, or of another Spec, or the other makes no mels.
    """
    if not path:
        return None
    if _domain(run.config["model"]) != "mel":
        raise KvoiceError(f"--vocoder={path}: makes the sound of mels, and {run.path} makes "
                          f"{_domain(run.config['model'])}s; leave it out")
    from kvoice import runs
    from kvoice.inference import vocode as vocoding
    from kvoice.training import loop

    try:
        found = runs.load(path)
        vocoding.check(found, run.spec, run.path)
    except KvoiceError as error:
        raise KvoiceError(f"--vocoder={error}") from None
    return vocoding.Vocoder(loop.load(path), found.spec, **chosen)


def _samples(run, output, **chosen):
    from kvoice.inference import generate as generation
    from kvoice.training import loop

    return generation.generate(loop.load(run.path), run.spec, run.names, output, **chosen)


def prepare(data, output, spec, split, seed, workers):
    """Turns a corpus into shards and a manifest; goes on where it was stopped.

    Tones and digits need no shards: of them a few random items are written, to be seen and heard.

    kvoice prepare --data=demo --output=prepared/demo
    kvoice prepare --data=additive --output=tones
    kvoice prepare --data=tess:TESS+ravdess:RAVDESS --output=prepared/emotions --split=text
    """
    _required("data", data, "CORPUS")
    _required("output", output, "DIR")

    from kvoice import audio
    from kvoice.data import factors, prepare

    if factors.named(data):
        return _examples(data, output, seed)
    made = prepare.prepare(data, output, audio.SPECS[spec], split=split, seed=seed,
                           workers=workers or None)
    print(made.report())
    if spec == "waveglow":  # the Spec of the models that there are
        condition = "speaker" if made.split == "text" and len(made.labels["speaker"]) > 1 else ""
        override = "" if made.labels["emotion"] else f" --config.model.condition={condition}"
        print(f"Next:\n  kvoice train --model=voicegan --data=prepared:{output}{override}")


def _examples(data, output, seed):
    """Writes some random items of a corpus of images: pictures, factors, and wavs where they sound."""
    from kvoice import plots
    from kvoice.data import factors

    rows, images = factors.examples(data, output, seed=seed)
    wide = max(n for n in range(1, 5) if len(images) % n == 0)
    picture = pathlib.Path(output) / "items.png"
    plots.image_grid(picture, images.reshape(-1, wide, *images.shape[1:]), [""] * (len(rows) // wide),
                     turned="wav" in rows[0])
    print(f"{len(rows)} items of {data}: {picture} and factors.csv, a row for each picture from left to "
          "right and downwards" + (", and their wavs" if "wav" in rows[0] else ""))


def generate(run, output, count, seed, label, vocoder):
    """Lets a trained run speak: wavs and pictures of each label, and a path between two noises.

    kvoice generate --run=runs/voicegan/default
    kvoice generate --run=runs/voicegan/default --label=happy --count=8 --seed=1
    """
    _required("run", run, "DIR")
    frameworks.chosen_backend()

    from kvoice import runs

    run = runs.load(run)
    if run.config["model_name"] != "voicegan":
        raise KvoiceError(f"{run.path}: is a run of {run.config['model_name']}, expected one of voicegan")
    output = output or run.path / "generated" / f"seed-{seed}"
    made = _samples(run, output, count=count, seed=seed, labels=label or None, vocoder=_vocoder(vocoder, run))
    print(f"{len(made['files'])} wavs and their pictures are in {output}")


def evaluate(run, count, seed, encoder, data):
    """Measures a run against recordings that it never heard, and prints the table.

    kvoice evaluate --run=runs/voicegan/default
    kvoice evaluate --run=runs/classifier/default      accuracy, confusion, calibration
    kvoice evaluate --run=runs/betavae/default         which latent is what, and what a flip changes
    kvoice evaluate --run=runs/speakerencoder/default  equal error rate on speakers it never heard
    kvoice evaluate --run=runs/adainvc/default         whose voice conversions have, and what they say
    kvoice evaluate --run=runs/waveglow/default        likelihood, and re-synthesis beside Griffin-Lim
    kvoice evaluate --run=runs/maximize/default        the ascent with and without its prior
    """
    _required("run", run, "DIR")
    frameworks.chosen_backend()

    from kvoice import runs
    from kvoice.inference import maximize

    if content := maximize.load(run):
        _refuse_data(data, run, "a maximisation")
        return _evaluate_maximization(pathlib.Path(run), content, count or 100, seed)
    if not os.path.exists(os.path.join(run, "config.json")):
        raise KvoiceError(f"{run}: neither a run nor a maximisation (no config.json or "
                          f"{maximize.FILE} in it); `kvoice train` and `kvoice maximize` make them")
    run = runs.load(run)
    how = {"voicegan": _evaluate_voicegan, "classifier": _evaluate_classifier,
           "betavae": _evaluate_betavae}
    name = run.config["model_name"]
    if name == "adainvc":
        return _evaluate_adainvc(run, count, seed, encoder, data)
    if name == "speakerencoder":
        return _evaluate_speakerencoder(run, seed, data)
    if name == "waveglow":
        return _evaluate_waveglow(run, count, seed, data)
    _refuse_data(data, run.path, f"a run of {name}")
    how[name](run, count, seed)


def _refuse_data(data, run, kind):
    """Raises where `--data` is given for what is evaluated on its own corpus alone."""
    if data:
        raise KvoiceError(f"--data={data}: {run} is {kind}, evaluated on what it was made from; leave it "
                          f"out, only {', '.join(ELSEWHERE)} take it")


def _corpus_for(run, data):
    """The directory with the shards that a run is evaluated on: those of `data`, else of its own corpus.

    Raises:
        KvoiceError: If neither is known.
    """
    if not (data or run.config["data_spec"]):
        raise KvoiceError(f"{run.path}: was not trained here; say with --data=CORPUS on which recordings "
                          "it is to be evaluated")
    return _prepared(data, run.spec, run.config["model"]) if data else _corpus_of(run)


def _corpus_of(run):
    """The directory with the shards of a run's corpus.

    Raises:
        KvoiceError: If the corpus is not what the run was trained on any more.
    """
    from kvoice.data.manifest import Manifest

    if _domain(run.config["model"]) == "image":
        return run.config["data_spec"]
    directory = _shards_of(run) or _prepared(run.config["data_spec"], run.spec, run.config["model"])
    if Manifest.load(directory).items != run.config["corpus"]:
        raise KvoiceError(f"{run.config['data_spec']}: has changed since {run.path} was trained on it")
    return directory


def _evaluate_voicegan(run, count, seed):
    directory = _corpus_of(run)

    import keras

    from kvoice.evaluation import voicegan
    from kvoice.training import loop
    from kvoice.files import write_json

    train, judge, test = _sources(
        directory, ("train", "judge", "test"), run.spec, _mels(run.config["model"]), run.config["data"])
    keras.utils.set_random_seed(run.config["train"]["seed"])  # of the untrained model
    scores = voicegan.voicegan_scores(
        loop.load(run.path), train, judge, test, count=count or CLIPS, seed=seed,
        untrained=loop.model(run))
    write_json(run.path / "evaluation.json", scores)
    print(f"{voicegan.table(scores)}\n\n{run.path / 'evaluation.json'} holds the numbers")


def _evaluate_classifier(run, count, seed):
    """Whole files of every split; `count` and `seed` do not matter, all are heard."""
    directory, group = _corpus_of(run), run.config["model"]

    from kvoice import plots
    from kvoice.inference import classify as classification
    from kvoice.training import loop
    from kvoice.data.manifest import Manifest
    from kvoice.files import write_json

    splits = [name for name, split in Manifest.load(directory).splits.items() if split["utterances"]]
    sources = _sources(directory, splits, run.spec, group, run.config["data"])
    scores = classification.scores(
        loop.load(run.path), dict(zip(splits, sources)), run.config["speakers"])
    for split, each in scores["splits"].items():
        plots.confusion(run.path / f"confusion_{split}.png", each["confusion"], scores["names"])
        plots.reliability(run.path / f"calibration_{split}.png", each["calibration"])
    write_json(run.path / "evaluation.json", scores)
    print(f"{classification.table(scores)}\n\n{run.path / 'evaluation.json'} holds the numbers; "
          "confusion and calibration are beside it as pictures")


def _evaluate_betavae(run, count, seed):
    corpus, group = _corpus_of(run), run.config["model"]

    from kvoice.evaluation import disentanglement, maximization as priors
    from kvoice.training import loop
    from kvoice.files import write_json

    model = loop.load(run.path)
    if group["domain"] == "image":
        train, test = _sources(corpus, ["train", "test"], run.spec, group, run.config["data"])
        scores = disentanglement.factor_scores(model, train, test, count or FACTORS, seed, jobs=-1)
    else:
        from kvoice.evaluation import betavae

        scores = betavae.scores(model, _voices(run, corpus), count=count or None, seed=seed)
    write_json(run.path / "evaluation.json", scores)
    print("\n\n".join(map(priors.text, scores["tables"])))
    print(f"\n{run.path / 'evaluation.json'} holds the numbers")


def _evaluate_adainvc(run, count, seed, encoder, data):
    """Conversions between speakers seen and unseen, before a speaker encoder and a probe of phones."""
    from kvoice import runs

    if not os.path.exists(encoder):
        raise KvoiceError(f"--encoder={encoder}: there is no such run; `kvoice train --model=speakerencoder` makes "
                          "one, of voices that demo does not have")
    encoder = runs.load(encoder)
    if encoder.config["model_name"] != "speakerencoder":
        raise KvoiceError(f"--encoder={encoder.path}: is a run of {encoder.config['model_name']}, expected "
                          "one of speakerencoder; `kvoice train --model=speakerencoder` makes one")
    corpus = _corpus_for(run, data)

    from kvoice.data.manifest import Manifest

    known = Manifest.load(corpus)
    splits = ("train", "judge", "test")
    there = {split: known.splits[split]["speakers"] for split in splits}
    if common := sorted({*there["train"], *there["test"]} & {*encoder.config["speakers"]}):
        raise KvoiceError(f"--encoder={encoder.path}: learned from speakers whom it is to judge "
                          f"({', '.join(common[:3])}); train one on others: `--model=speakerencoder:judge` "
                          "with the same --data learns from the split judge")

    from kvoice.evaluation import adainvc, maximization as priors
    from kvoice.training import loop
    from kvoice.files import whole_directory, write_json

    arrays = ["wave", "f0", *["phone"] * bool(known.labels["phone"])]
    sources = dict(zip(splits, _sources(corpus, splits, run.spec, run.config["model"], run.config["data"],
                                        arrays)))
    model = loop.load(run.path)
    recorded = [sources["test"]]  # and whoever the encoder does not know, for its threshold
    if not {*there["judge"]} & {*encoder.config["speakers"]}:
        recorded.append(sources["judge"])
    judged = adainvc.judged(
        data or run.config["data_spec"], os.path.relpath(encoder.path, run.path), encoder.config["data_spec"])
    panel = adainvc.Panel(
        loop.load(encoder.path), encoder.spec, sources["judge"], recorded, judged, seed)
    told = run.config["speakers"], sources, panel
    scores = adainvc.conversion_scores(model, *told, count=count or CONVERSIONS, seed=seed)
    with whole_directory(run.path / "conversions") as folder:
        adainvc.examples(model, *told, folder, {"command": shlex.join(
            [f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}", "kvoice", *sys.argv[1:]])}, seed)
    write_json(run.path / "evaluation.json", scores)
    print("\n\n".join([panel.judged["said"], *map(priors.text, scores["tables"])]))
    if panel.judged["warning"]:
        print(f"\nwarning: {panel.judged['warning']}")
    print(f"\n{run.path / 'evaluation.json'} holds the numbers, {run.path / 'conversions'} some of the sounds. "
          f"Next:\n  kvoice report {run.path}")


def _evaluate_speakerencoder(run, seed, data):
    """Some utterances of every speaker of all splits in which there are two speakers."""
    corpus = _corpus_for(run, data)

    from kvoice.data.manifest import Manifest

    known = Manifest.load(corpus).splits
    people = {split: known[split]["speakers"] for split in ("train", "valid", "judge", "test")}
    splits = [split for split, names in people.items() if len(names) > 1]
    if not splits:
        raise KvoiceError(f"{data or run.config['data_spec']}: no split of it has two speakers that could be "
                          "told apart; take a corpus of eight speakers or more")
    learned_from = [split for split in splits if {*people[split]} & {*run.config["speakers"]}]

    from kvoice.evaluation import maximization as priors, speakerencoder
    from kvoice.training import loop
    from kvoice.files import write_json

    sources = dict(zip(splits, _waves(corpus, splits, run.spec, run.config["data"])))
    scores = speakerencoder.encoder_scores(
        loop.load(run.path), run.spec, sources, learned_from, run.path / "embeddings.png",
        data or run.config["data_spec"], seed)
    write_json(run.path / "evaluation.json", scores)
    print(f"Measured on {scores['corpus']}\n")
    print("\n\n".join(map(priors.text, scores["tables"])))
    print(f"\n{run.path / 'evaluation.json'} holds the numbers")


def _evaluate_waveglow(run, count, seed, data):
    corpus = _corpus_for(run, data)

    from kvoice.evaluation import maximization as priors, waveglow
    from kvoice.training import loop
    from kvoice.files import write_json

    splits = ("train", "valid", "test")
    sources = dict(zip(splits, _sources(corpus, splits, run.spec, run.config["model"], run.config["data"])))
    scores = waveglow.vocoder_scores(
        loop.load(run.path), run.spec, sources, run.config["speakers"], count or UTTERANCES, seed,
        run.path / "resynthesis")
    write_json(run.path / "evaluation.json", scores | {"corpus": data or run.config["data_spec"]})
    print(f"Measured on {data or run.config['data_spec']}\n")
    print("\n\n".join(map(priors.text, scores["tables"])))
    print(f"\n{run.path / 'evaluation.json'} holds the numbers, {run.path / 'resynthesis'} some of the sounds")


def _voices(run, corpus):
    """The sources of whole utterances of every split, with their F0 for what is measured of them."""
    splits = ("train", "valid", "judge", "test")
    return dict(zip(splits, _sources(corpus, splits, run.spec, run.config["model"], run.config["data"],
                                     more=["f0"])))


def _evaluate_maximization(folder, content, count, seed):
    from kvoice import report, runs
    from kvoice.evaluation import maximization as priors
    from kvoice.inference import ascent, maximize
    from kvoice.training import loop
    from kvoice.files import write_json

    generator, classifier, judge = (content[name] and runs.load(folder / content[name]["run"])
                                    for name in ("generator", "classifier", "judge"))
    vocoder = content.get("vocoder")  # maximisations of before had none
    maximize.check(generator, classifier, judge)
    directory = _corpus_of(classifier)
    frames = generator.config["data"]["crop_frames"]
    sources = dict(zip(LINEAR, _sources(
        directory, LINEAR, generator.spec, _mels(classifier.config["model"]),
        generator.config["data"] | {"crop_frames": frames})))
    if common := set(sources["judge"].speakers) & {*generator.config["speakers"],
                                                   *classifier.config["speakers"]}:
        raise KvoiceError(f"the judge's split shares speakers with the generator or the classifier "
                          f"({', '.join(sorted(common)[:3])}): train those on the split train")
    models = [loop.load(run.path) for run in (generator, classifier)]
    path = ascent.Path(*models, generator.spec, vocoder and _vocoder(folder / vocoder["run"], generator))
    noise, targets, told = maximize.starts(content, folder, *models, count, seed)
    if len(noise) < 2:
        raise KvoiceError(f"{folder}: one start is too few to measure; give --count=2 or more" + (
            " to `kvoice maximize`" if content["start"] else ""))
    scores = priors.compare(path, judge and loop.load(judge.path), sources, targets, noise, told,
                            seed, content["steps"])
    scores["tables"] = priors.tables(scores)
    write_json(folder / "evaluation.json", scores)
    report.maximization(folder)
    print("\n\n".join(map(priors.text, scores["tables"])))
    print(f"\n{folder / 'evaluation.json'} holds the numbers, {folder / 'index.html'} shows them")


def classify(run, input, output):  # noqa: A002  the name of the flag
    """Says what a trained classifier hears in a sound file, or in all those of a folder.

    kvoice classify --run=runs/classifier/default --input=me.wav
    kvoice classify --run=runs/classifier/default --input=recordings --output=heard.csv
    """
    _required("run", run, "DIR")
    _required("input", input, "FILE_OR_DIR")
    frameworks.chosen_backend()

    from kvoice import runs
    from kvoice.inference import classify as classification

    run = runs.load(run)
    if run.config["model_name"] != "classifier":
        raise KvoiceError(f"{run.path}: is a run of {run.config['model_name']}, expected one of "
                          "classifier")
    paths = classification.files(input)

    from kvoice.training import loop

    rows, left_out = classification.classify(loop.load(run.path), run.spec, paths, output)
    for row in rows[:SHOWN]:
        odds = ", ".join(f"{name} {row[name]}" for name in run.names)
        print(f"{row['file']}: {row['label']}   ({odds})")
    if len(rows) > SHOWN:
        print(f"... and {len(rows) - SHOWN} more")
    _left_out(left_out, rows, input)
    if output:
        print(f"{len(rows)} files in {output}")


def convert(run, source, target, output, mix, layers, vocoder, rate):
    """Converts a recording, or all those of a folder, to the voice of another, be it one never heard before.

    kvoice convert --run=runs/adainvc/default --source=me.wav --target=you.wav --output=out.wav
    kvoice convert --run=runs/adainvc/default --source=recordings --output=converted \\
        --target=you_1.wav --target=you_2.wav          the mean of both
    kvoice convert --run=runs/adainvc/default --source=me.wav --target=you.wav --output=half.wav \\
        --mix=0.5 --layers=0-3,8                       half of the way, in some layers of the decoder
    """
    for name, value, placeholder in (("run", run, "DIR"), ("source", source, "FILE_OR_DIR"),
                                     ("target", target, "FILE"), ("output", output, "FILE_OR_DIR")):
        _required(name, value, placeholder)
    frameworks.chosen_backend()

    from kvoice import runs
    from kvoice.inference import convert as conversion

    run = runs.load(run)
    conversion.check(run)
    conversion.plan(source, target, output)  # before anything is loaded

    from kvoice.training import loop

    vocoder = _vocoder(vocoder, run)
    model = loop.load(run.path)
    print("Converted voices imitate somebody: ask them, and say that it is converted.")
    rows, left_out = conversion.convert(
        model, run.spec, source, target, output, mix,
        conversion.layer_numbers(layers, model.style_layers) if layers else None,
        vocoder, rate or None)
    _left_out(left_out, rows, source)
    for line in conversion.quieter(rows):
        print(line)
    seconds, network_s, vocoder_s = (sum(row[key] for row in rows)
                                     for key in ("seconds", "network_s", "vocoder_s"))
    print(f"{_files(rows, left_out)}, {seconds:.1f} s of sound, in {output}: "
          f"the network at {seconds / network_s:.1f} times real time, "
          f"{'the vocoder' if vocoder else 'Griffin-Lim'} at {seconds / vocoder_s:.1f}, what is compiled for the "
          "first included")


def vocode(run, input, output, sigma, denoise, seed):  # noqa: A002  the name of the flag
    """Makes waves of mels by a trained waveglow: says recordings again, and gives .npy mels a sound.

    kvoice vocode --run=runs/waveglow/default --input=me.wav --output=again.wav
    kvoice vocode --run=runs/waveglow/default --input=mels --output=waves     .npy files, each [time, mels]
    """
    for name, value, placeholder in (("run", run, "DIR"), ("input", input, "FILE_OR_DIR"),
                                     ("output", output, "FILE_OR_DIR")):
        _required(name, value, placeholder)
    frameworks.chosen_backend()

    from kvoice import runs
    from kvoice.inference import convert as conversion, vocode as vocoding

    run = runs.load(run)
    vocoding.check(run, run.spec, run.path)
    conversion.plan(input, [], output, vocoding.KINDS)  # before anything is loaded
    vocoder = _vocoder(run.path, run, sigma=sigma, denoise=denoise, seed=seed)
    rows, left_out = vocoding.vocode(vocoder, input, output)
    _left_out(left_out, rows, input)
    for line in conversion.quieter(rows):
        print(line)
    seconds, took_s = (sum(row[key] for row in rows) for key in ("seconds", "took_s"))
    print(f"{_files(rows, left_out)}, {seconds:.1f} s of sound, in {output}: at "
          f"{seconds / took_s:.1f} times real time, what is compiled for the first included")


def _left_out(lines, used, source):
    """Tells which files of a source were left out, and refuses one of which none was used."""
    for line in lines:
        print(f"left out: {line}")
    if not used:
        raise KvoiceError(f"{source}: no file of it could be used")


def _files(used, left_out):
    """How many files were used and left out: "2 files, 1 left out"."""
    return f"{len(used)} {'file' if len(used) == 1 else 'files'}" + (
        f", {len(left_out)} left out" if left_out else "")


def encode(run, input, output):  # noqa: A002  the name of the flag
    """Writes the voice of a sound file, or of all those of a folder, as numbers.

    kvoice encode --run=runs/speakerencoder/default --input=recordings --output=voices.npz
    kvoice encode --run=runs/adainvc/default --input=me.wav --output=me.csv
    """
    for name, value, placeholder in (("run", run, "DIR"), ("input", input, "FILE_OR_DIR"),
                                     ("output", output, "FILE")):
        _required(name, value, placeholder)
    frameworks.chosen_backend()

    from kvoice import runs
    from kvoice.inference import classify as classification, encode as embeddings

    run = runs.load(run)
    if run.config["model_name"] not in embeddings.MODELS:
        raise KvoiceError(f"{run.path}: is a run of {run.config['model_name']}, expected one of "
                          f"{', '.join(embeddings.MODELS)}")
    paths = classification.files(input)

    from kvoice.training import loop

    used, points, left_out = embeddings.encode(loop.load(run.path), run.spec, paths, output)
    _left_out(left_out, used, input)
    print(f"{_files(used, left_out)}, {points.shape[1]} numbers each, in {output}")


def maximize(generator, classifier, target, judge, vocoder, start, strength, label, prior, count, seed,
             steps, run):
    """Changes the noise of a generator until a classifier hears an emotion; shows and plays it.

    kvoice maximize --generator=runs/voicegan/plain --classifier=runs/classifier/default \\
        --judge=runs/classifier/judge --target=angry
    kvoice maximize --generator=runs/voicegan/default --classifier=runs/classifier/default \\
        --target=happy --start=me.wav --strength=0.5 --run=runs/maximize/me
    """
    _required("generator", generator, "RUN")
    _required("classifier", classifier, "RUN")
    backend = frameworks.chosen_backend()

    from kvoice import runs

    runs_of = {name: path and runs.load(path) for name, path in
               (("generator", generator), ("classifier", classifier), ("judge", judge),
                ("vocoder", vocoder))}

    from kvoice.inference import maximize as maximization
    from kvoice.training import loop

    maximization.check(*(each or None for each in runs_of.values()))
    maximization.chosen(runs_of["classifier"].names, target)
    models = {name: loop.load(each.path) for name, each in runs_of.items() if each and name != "vocoder"}
    about = {"command": shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]])}
    for name, each in runs_of.items():
        about[name] = each and {
            "run": os.path.relpath(each.path, run), "names": each.names,
            **{field: each.config["model"][field] for field in ("domain", "condition", "architecture")
               if field in each.config["model"]}} or None
    result = maximization.maximize(
        models["generator"], models["classifier"], runs_of["generator"].spec, run, about, target,
        models.get("judge"), start, label, strength, count, seed, prior, steps,
        _vocoder(vocoder, runs_of["generator"]))
    for each in result["targets"]:
        agreed = "; ".join(f"{who} {share['before']:.0%} -> {share['after']:.0%}"
                           for who, share in each["agreed"].items() if share)
        print(f"{each['target']:10} heard by {agreed}")
    if result["start"]:
        print(f"{start}: from second {result['start']['second']}, reproduced within "
              f"{result['start']['error_db']} dB")
    print(f"{pathlib.Path(run) / 'index.html'} shows and plays it. Next:\n"
          f"  kvoice evaluate --run={run}")


def traverse(run, factor, label, count, seed, output, vocoder):
    """Walks through the latents of a betavae: which one goes with a label, seen, heard and judged.

    kvoice traverse --run=runs/betavae/default --label=gender
    kvoice traverse --run=runs/betavae/default --label=gender --factor=7    another latent than found
    kvoice traverse --run=runs/betavae/tones
    """
    _required("run", run, "DIR")
    if factor != "auto" and not factor.isdecimal():
        raise UsageError(f"--factor={factor}: expected auto, or the number of a latent")
    backend = frameworks.chosen_backend()

    from kvoice import runs

    run = _betavae(runs.load(run))
    corpus, group = _corpus_of(run), run.config["model"]

    from kvoice.inference import traverse as traversal
    from kvoice.training import loop

    vocoder = _vocoder(vocoder, run)
    model = loop.load(run.path)
    if group["domain"] == "image":
        sources = dict(zip(IMAGES, _sources(corpus, IMAGES, run.spec, group, run.config["data"])))
    else:
        sources = _voices(run, corpus)
    folder = pathlib.Path(output or run.path / "traversal" / (label or "latents"))
    made = traversal.traverse(
        model, run, sources, folder,
        {"run": os.path.relpath(run.path, folder),
         "command": shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]])},
        label, None if factor == "auto" else int(factor), count, seed, vocoder)
    from kvoice.evaluation import maximization as priors

    print("\n\n".join(map(priors.text, made["tables"])))
    print(f"\nlatent {made['factor']}" + (f" for {label}" if label else " says most") + (
        f", latent {made['control']} as its control" if made["control"] is not None else "")
        + f"; {'pictures' if group['domain'] == 'image' else 'pictures and sounds'} are in {folder}. Next:\n  kvoice report {run.path}")


def _betavae(run):
    """The run, which has to be one of betavae."""
    if run.config["model_name"] != "betavae":
        raise KvoiceError(f"{run.path}: is a run of {run.config['model_name']}, expected one of "
                          "betavae")
    return run


def report(runs, output, single):
    """Writes one page of one or several runs of a model, to be read and heard in a browser.

    kvoice report runs/betavae/default                      latents, and what they change
    kvoice report runs/adainvc/default                      one-shot conversions
    kvoice report runs/speakerencoder/*                     how well voices are told apart
    kvoice report runs/tones/* --output=tones --single      all in one file, to be sent
    """
    if not runs:
        raise UsageError("RUN is missing: kvoice report RUN [RUN ...]")
    from kvoice import report as pages
    from kvoice import runs as folders

    opened = [folders.load(path) for path in runs]
    model = opened[0].config["model_name"]
    if model not in pages.PAGES:
        raise KvoiceError(f"{opened[0].path}: is a run of {model}, expected one of {', '.join(pages.PAGES)}")
    print(pages.PAGES[model](opened, output or opened[0].path / "report", single))


def import_(model, checkpoint, stats, spec, alternate, run):
    """Makes a run of published PyTorch weights; the files are read, never run.

    kvoice import --model=adainvc --checkpoint=vctk_model.ckpt --stats=attr.pkl --run=runs/adainvc/published
    kvoice import --model=speakerencoder --checkpoint=pretrained.pt --run=runs/speakerencoder/published
    kvoice import --model=waveglow --checkpoint=waveglow_256channels_universal_v5.pt --run=runs/waveglow/published
    """
    for name, value, placeholder in (("model", model, "NAME"), ("checkpoint", checkpoint, "FILE"),
                                     ("run", run, "DIR")):
        _required(name, value, placeholder)
    if model not in PUBLISHED:
        raise UsageError(f"--model={model}: no published weights of it are known{_near(model, PUBLISHED)}; "
                         f"there are {', '.join(PUBLISHED)}")
    if alternate is not None and model != "waveglow":
        raise UsageError(f"--alternate: is for waveglow, {model} has no halves; leave it out")
    backend = frameworks.chosen_backend()

    from kvoice.exchange import published

    found = published.read(model, checkpoint, spec, alternate)
    made = published.write(
        found, run, configuration(model, found.variant), stats,
        command=shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]]))
    numbers = sum(tensor.size for tensor in found.tensors.values())
    print(f"weights  {checkpoint}: {len(found.tensors)} tensors of {model}, {numbers:,} numbers\n"
          f"mels     {found.spec.mels} of {found.spec.sample_rate_hz} Hz, a frame every {found.spec.hop} "
          f"samples; scale {found.spec.scale}")
    if published.NETWORKS[model].stats and not stats:
        print("         not standardised (mean 0, std 1): the published weights want their attr.pkl, with "
              "--stats=FILE")
    print(f"run      {made.path}, imported")
    if model == "adainvc":
        variant = f":{found.variant}" if found.variant else ""
        print(f"Next:\n  kvoice train --model=adainvc{variant} --init={made.path} --data=CORPUS --run=DIR")
    if model == "waveglow":
        print(f"Next:\n  kvoice vocode --run={made.path} --input=FILE_OR_DIR --output=FILE_OR_DIR")


# The flags


_CORPORA = ("demo (built in), espeak, folder:DIR, ravdess:DIR, tess:DIR, vctk:DIR, libritts:DIR, "
            "librispeech:DIR, joined by +; or tess-ravdess:DIR, a published protocol")


def _train_flags(parser):
    flags.DEFINE_string("model", "", "NAME[:VARIANT]: what to train", flag_values=parser)
    flags.DEFINE_string("data", "", f"CORPUS: {_CORPORA}; additive[:SPACE], digits or mnist[:FILE] for "
                        "models of images; or prepared:DIR, from `prepare`; demo if not given, or what "
                        "the variant is for", flag_values=parser)
    flags.DEFINE_string("run", "", "DIR: of the run; runs/MODEL/VARIANT if not given",
                        flag_values=parser)
    flags.DEFINE_string("init", "", "DIR: a run whose weights are the start", flag_values=parser)


def _prepare_flags(parser):
    flags.DEFINE_string("data", "", f"CORPUS: {_CORPORA}; additive[:SPACE], digits or mnist[:FILE], of which "
                        "items are shown", flag_values=parser)
    flags.DEFINE_string("output", "", "DIR: where the shards go, or the items that are shown",
                        flag_values=parser)
    flags.DEFINE_enum("spec", "waveglow", SPECS, "what the rate and conditioning of the "
                      "waves are for", flag_values=parser)
    flags.DEFINE_enum("split", "", ("", "speaker", "text", "corpus"), "what no two splits share; or "
                      "corpus: as it says itself; speaker if not given, where it says nothing",
                      flag_values=parser)
    flags.DEFINE_integer("seed", 0, "N: of the split", lower_bound=0, flag_values=parser)
    flags.DEFINE_integer("workers", 0, "N: processes, 0 = one for each processor", lower_bound=0,
                         flag_values=parser)


def _generate_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained run", flag_values=parser)
    flags.DEFINE_string("output", "", "DIR: where the files go; RUN/generated/seed-N if not given",
                        flag_values=parser)
    flags.DEFINE_integer("count", 4, "N: samples of each label", lower_bound=1, flag_values=parser)
    flags.DEFINE_integer("seed", 0, "N: of the noise", lower_bound=0, flag_values=parser)
    flags.DEFINE_multi_string("label", [], "NAME: only this label, as often as needed; all if not given",
                      flag_values=parser)
    flags.DEFINE_string("vocoder", "", "RUN: what makes the sound; Griffin-Lim if not given",
                        flag_values=parser)


def _evaluate_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained run", flag_values=parser)
    flags.DEFINE_integer("count", 0, "N: samples that are measured; 0 = 512, of a betavae all utterances or "
                         "10,000 tones, of a waveglow 48 utterances, of an ascent 100 for "
                         "each target, of a classifier always all files, of an ascent from a "
                         "recording its own starts", lower_bound=0, flag_values=parser)
    flags.DEFINE_integer("seed", 0, "N: of the noise", lower_bound=0, flag_values=parser)


    flags.DEFINE_string("encoder", "runs/speakerencoder/default", "DIR: of a trained speakerencoder, which "
                        "judges conversions; it must not know the voices", flag_values=parser)
    flags.DEFINE_string("data", "", "CORPUS: whose recordings an adainvc converts, or whose voices a "
                        "speakerencoder tells apart; what the run learned from if not given",
                        flag_values=parser)


def _classify_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained classifier", flag_values=parser)
    flags.DEFINE_string("input", "", "FILE_OR_DIR: what it listens to", flag_values=parser)
    flags.DEFINE_string("output", "", "FILE: a CSV table with the probabilities", flag_values=parser)


def _convert_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained adainvc", flag_values=parser)
    flags.DEFINE_string("source", "", "FILE_OR_DIR: what is said", flag_values=parser)
    flags.DEFINE_multi_string("target", [], "FILE: in whose voice, as often as needed; the mean of all",
                              flag_values=parser)
    flags.DEFINE_string("output", "", "FILE_OR_DIR: a .wav, or the folder for those of a folder",
                        flag_values=parser)
    flags.DEFINE_float("mix", 1.0, "X: how far from the voice of the source, 0, to the target's, 1",
                       lower_bound=0, upper_bound=1, flag_values=parser)
    flags.DEFINE_string("layers", "", "N-M,...: of the decoder, that take the voice of the target, 0 next to "
                        "the content; all if not given", flag_values=parser)
    flags.DEFINE_string("vocoder", "", "RUN: what makes the sound; Griffin-Lim if not given",
                        flag_values=parser)
    flags.DEFINE_integer("rate", 0, "HZ: of the output; 0 = that of the run", lower_bound=0,
                         flag_values=parser)


def _vocode_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained waveglow", flag_values=parser)
    flags.DEFINE_string("input", "", "FILE_OR_DIR: recordings, and mels as .npy files, [time, mels]",
                        flag_values=parser)
    flags.DEFINE_string("output", "", "FILE_OR_DIR: a .wav, or the folder for those of a folder",
                        flag_values=parser)
    flags.DEFINE_float("sigma", None, "X: of the noise; less is less noisy, and duller", lower_bound=0,
                       flag_values=parser)
    flags.DEFINE_float("denoise", 0.0, "X: how much of a published vocoder's own tone is taken away, 0 to 1 and more",
                       lower_bound=0, flag_values=parser)
    flags.DEFINE_integer("seed", 0, "N: of the noise", lower_bound=0, flag_values=parser)


def _encode_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained speakerencoder or adainvc", flag_values=parser)
    flags.DEFINE_string("input", "", "FILE_OR_DIR: whose voices", flag_values=parser)
    flags.DEFINE_string("output", "", "FILE: an .npz with the arrays file and embedding, or a .csv",
                        flag_values=parser)


def _maximize_flags(parser):
    flags.DEFINE_string("generator", "", "RUN: a trained voicegan", flag_values=parser)
    flags.DEFINE_string("classifier", "", "RUN: the trained classifier that is maximised",
                        flag_values=parser)
    flags.DEFINE_string("judge", "", "RUN: another classifier, which only listens: of speakers that "
                        "neither learned from", flag_values=parser)
    flags.DEFINE_string("vocoder", "", "RUN: a trained waveglow, through which a classifier of waves hears mels; "
                        "Griffin-Lim makes the sounds if not given", flag_values=parser)
    flags.DEFINE_multi_string("target", [], "NAME: what is to be heard, as often as needed; all labels "
                              "if not given", flag_values=parser)
    flags.DEFINE_string("start", "", "FILE: a recording to begin from, instead of noise",
                        flag_values=parser)
    flags.DEFINE_float("strength", 1.0, "X: how far of the way to go, 0 to 1", lower_bound=0,
                       upper_bound=1, flag_values=parser)
    flags.DEFINE_string("label", "", "NAME: what a conditional generator is told; the target if not "
                        "given, for a recording what fits it best", flag_values=parser)
    flags.DEFINE_enum("prior", "typical", PRIORS, "what keeps the noise: at typical length, pulled to "
                      "zero as published, or nothing", flag_values=parser)
    flags.DEFINE_integer("count", 16, "N: starts for each target", lower_bound=1, flag_values=parser)
    flags.DEFINE_integer("seed", 0, "N: of the noise", lower_bound=0, flag_values=parser)
    flags.DEFINE_integer("steps", 300, "N: of the ascent, at most", lower_bound=1, flag_values=parser)
    flags.DEFINE_string("run", "runs/maximize/default", "DIR: where everything goes",
                        flag_values=parser)


def _traverse_flags(parser):
    flags.DEFINE_string("run", "", "DIR: a trained betavae", flag_values=parser)
    flags.DEFINE_string("factor", "auto", "N: the latent that is edited; auto: the one found for the "
                        "label", flag_values=parser)
    flags.DEFINE_string("label", "", "NAME: gender, emotion, speaker, f0_hz, ...; of tones and digits, a "
                        "factor", flag_values=parser)
    flags.DEFINE_integer("count", 4, "N: items that are shown and heard", lower_bound=2,
                         upper_bound=64, flag_values=parser)
    flags.DEFINE_integer("seed", 0, "N: of all draws", lower_bound=0, flag_values=parser)
    flags.DEFINE_string("output", "", "DIR: where everything goes; RUN/traversal/LABEL if not given",
                        flag_values=parser)
    flags.DEFINE_string("vocoder", "", "RUN: what makes the sound; Griffin-Lim if not given",
                        flag_values=parser)


def _report_flags(parser):
    flags.DEFINE_string("output", "", "DIR: where the page goes; RUN/report if not given",
                        flag_values=parser)
    flags.DEFINE_bool("single", False, "all in one file, sounds and pictures included",
                      flag_values=parser)


def _import_flags(parser):
    flags.DEFINE_string("model", "", f"NAME: whose weights they are; {' or '.join(PUBLISHED)}",
                        flag_values=parser)
    flags.DEFINE_string("checkpoint", "", "FILE: what torch.save wrote of the published network, or of a "
                        "smaller one", flag_values=parser)
    flags.DEFINE_string("stats", "", "FILE: the attr.pkl of adainvc, mean and std of each mel; mean 0 and "
                        "std 1 if not given", flag_values=parser)
    flags.DEFINE_enum("spec", "", ("", *SPECS), "what its mels are; by their number if not given",
                      flag_values=parser)
    flags.DEFINE_bool("alternate", None, "whether the halves of a waveglow change roles, as in waveglow_old.pt; "
                      "as the file says if not given, else not", flag_values=parser)
    flags.DEFINE_string("run", "", "DIR: of the run that is made, new or empty", flag_values=parser)


VERBS = {
    "train": (train, _train_flags),
    "prepare": (prepare, _prepare_flags),
    "generate": (generate, _generate_flags),
    "evaluate": (evaluate, _evaluate_flags),
    "classify": (classify, _classify_flags),
    "convert": (convert, _convert_flags),
    "vocode": (vocode, _vocode_flags),
    "encode": (encode, _encode_flags),
    "maximize": (maximize, _maximize_flags),
    "traverse": (traverse, _traverse_flags),
    "report": (report, _report_flags),
    "import": (import_, _import_flags),
}
