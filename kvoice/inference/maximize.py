"""Moves generated speech, or a recording, toward a label, and stores the steps of the ascent.

OUTPUT/
    maximization.json          settings and the probabilities at every snapshot; written last
    noise.npz                  for each target: the noises at the snapshots, [snapshots, starts,
                               noise]
    TARGET_K.wav               start K at the given strength
    TARGET_K_step-N.wav        start K at a snapshot, for the first `WRITTEN` starts
    TARGET_K_strength-S.wav    start K at a setting of the dial, for the same starts
    TARGET.png, TARGET.gif     mels before and after, and on the way
    TARGET_scores.png          probabilities of classifier and judge, over the steps
    start.wav, start_reconstruction.wav     a recording that was the start, and its inversion
    index.html                 a page of all results
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kvoice import audio, models, plots, progress, runs
from kvoice.errors import KvoiceError
from kvoice.files import read_json, whole_directory, write_json
from kvoice.inference import render, slerp
from kvoice.inference.ascent import Path as AscentPath
from kvoice.inference.ascent import ascend, invert
from kvoice.inference.generate import file_stems
from kvoice.inference.listener import JUDGE, MAXIMISED, listeners_of

FORMAT = 1
FILE = "maximization.json"
EVALUATION = "evaluation.json"  # what `evaluate` writes beside it
WRITTEN = 2  # starts of each target with wavs of every snapshot
SHOWN = 4  # starts of each target in the pictures
DIAL = (0.0, 0.25, 0.5, 0.75, 1.0)


# --- What goes together


def check(
    generator: runs.Run,
    classifier: runs.Run,
    judge: runs.Run | None = None,
    vocoder: runs.Run | None = None,
) -> None:
    """Checks that runs fit together, before anything is loaded.

    Args:
        generator: The `Run` of a generator that `voice.generate` takes.
        classifier: The `Run` of a classifier, which is maximised.
        judge: The `Run` of another classifier, or None.
        vocoder: The `Run` of a vocoder, or None.

    Raises:
        KvoiceError: If one of them is another model, has another Spec (its fields are named), or
            one label only, or the judge is the classifier, has other labels or was trained on a
            speaker that the generator or the classifier was trained on too.
    """
    for run, verb in (
        (generator, "generate"),
        (classifier, "classify"),
        (judge, "classify"),
        (vocoder, "vocode"),
    ):
        if run is None:
            continue
        models.check(run, verb)
        fields = audio.OF_MEL if verb == "vocode" else None
        if differences := run.spec.differences(generator.spec, fields):
            raise KvoiceError(
                f"{run.path}: has another Spec than {generator.path} "
                f"({'; '.join(differences)}): train both on the same audio"
            )
        if verb == "classify" and len(run.names) < 2:
            raise KvoiceError(
                f"{run.path}: was trained on one class only "
                f"({', '.join(run.names)}): there is nothing to tell apart"
            )
    if judge is None:
        return
    condition = classifier.config["model"]["condition"]
    if judge.path.resolve() == classifier.path.resolve():
        raise KvoiceError(f"{judge.path}: is the classifier that is maximised; a judge is another")
    if judge.config["model"]["condition"] != condition or judge.names != classifier.names:
        raise KvoiceError(
            f"{judge.path}: predicts {judge.config['model']['condition']} "
            f"({', '.join(judge.names)}), the classifier {condition} "
            f"({', '.join(classifier.names)})"
        )
    for run in (generator, classifier):
        if common := _common_speakers(run, judge):
            raise KvoiceError(
                f"{judge.path}: was trained on speakers that {run.path} was trained on too "
                f"({', '.join(common[:3])}{', ...' if len(common) > 3 else ''}): train a judge on "
                f"speakers of its own, with `kvoice train --model={judge.config['model_name']} "
                "--config.data.split=judge`"
            )


def _common_speakers(run, judge):
    """Returns the speakers of both trainings; with speakers as labels, those of the same split."""
    one, two = run.config, judge.config
    if two["model"]["condition"] == "speaker":  # splits by text: other sentences of the same voices
        same = (one["corpus"], one["data"]["split"]) == (two["corpus"], two["data"]["split"])
        return sorted(two["speakers"]) if same else []
    return sorted(set(one["speakers"]) & set(two["speakers"]))


def chosen(names: list[str], targets: Sequence[str]) -> list[int]:
    """Returns the indices of the target labels; all of them for no targets.

    Raises:
        KvoiceError: If there is no such label; the line lists those that there are.
    """
    for target in targets:
        if target not in names:
            raise KvoiceError(
                f"--target={target}: the classifier knows no such label; it knows "
                f"{', '.join(names)}"
            )
    return [names.index(target) for target in dict.fromkeys(targets or names)]


def conditions(
    generator: object, classifier: object, targets: list[int], label: str = ""
) -> list[int | None]:
    """Returns the index of the generator's label for each target; None if it is unconditional.

    It is the target itself where both models have it, so that an ascent starts from samples of that
    label; `label` replaces it for all targets.

    Raises:
        KvoiceError: If the generator needs a label and none is given, or does not have the given
            one.
    """
    if label and label not in generator.names:
        known = ", ".join(generator.names)
        raise KvoiceError(
            f"--label={label}: "
            + (
                f"the generator knows {known}"
                if known
                else "the generator was trained without labels"
            )
        )
    if not generator.labels:
        return [None] * len(targets)
    words = [label or classifier.names[target] for target in targets]
    if not set(words) <= set(generator.names):
        raise KvoiceError(
            f"the generator is conditional on {generator.condition}, the classifier "
            f"predicts {classifier.condition}: give --label=NAME, one of "
            f"{', '.join(generator.names)}"
        )
    return [generator.names.index(word) for word in words]


# --- From a recording


def window_of(
    path: str | Path, generator: object, spec: audio.Spec
) -> tuple[np.ndarray, np.ndarray, float]:
    """Chooses the part of a recording for the generator's window: the one with most energy.

    Shapes: -> item [time, mels] or [samples], wave [samples], and its start in seconds.

    Raises:
        KvoiceError: If the recording is shorter than the window, or cannot be used.
    """
    wave, _ = audio.read(path, spec.sample_rate_hz)
    if reason := audio.problem_of(wave, spec):
        raise KvoiceError(f"{path}: {reason}")
    wave = audio.condition(wave, spec)
    frames = generator.shape[0] if generator.domain == "mel" else generator.shape[0] // spec.hop
    samples = spec.samples(frames)
    if len(wave) < samples:
        raise KvoiceError(
            f"{path}: {len(wave) / spec.sample_rate_hz:.2f} s is shorter than the generator's "
            f"window of {samples / spec.sample_rate_hz:.2f} s: choose a longer recording"
        )
    energy = np.append(0, np.cumsum(wave.astype(np.float64) ** 2))
    starts = np.arange(0, len(wave) - samples + 1, spec.hop)
    start = int(starts[np.argmax(energy[starts + samples] - energy[starts])])
    wave = wave[start : start + samples]
    item = wave if generator.domain == "wave" else audio.paired(wave, spec)[1]
    return item, wave, start / spec.sample_rate_hz


def level_error_db(one: np.ndarray, other: np.ndarray, spec: audio.Spec) -> float:
    """Computes the root mean square difference of two mels [time, mels] in dB."""
    levels = (
        20 * np.log10(np.maximum(audio.magnitude(mel, spec), spec.floor)) for mel in (one, other)
    )
    return float(np.sqrt(np.mean(np.square(next(levels) - next(levels)))))


def inverted(
    path: AscentPath,
    clip: str | Path,
    count: int,
    seed: int,
    spec: audio.Spec,
    label: int | None = None,
) -> tuple[np.ndarray, np.ndarray | None, dict]:
    """Finds noises that reproduce a recording, from `count` starts, the closest first.

    A conditional generator is tried with each of its labels in turn, unless `label` names one.

    Returns:
        noise [count, noise], labels [count] or None, and a dict fit for JSON: "file", "second",
        "error_db", with the waves of the window and of its reconstruction under "_waves".
    """
    generator = path.generator
    item, wave, second = window_of(clip, generator, spec)
    labels = None
    if generator.labels:
        labels = np.arange(count) % generator.labels
        if label is not None:
            labels = np.full(count, label)
    noise, _, order = invert(path, item, generator.noise(count, seed), labels)
    labels = None if labels is None else labels[order]
    made = generator.decode(noise[:1], None if labels is None else labels[:1])
    mels = (audio.as_mels(each, generator.domain, spec)[0] for each in (item[None], made))
    about = {
        "file": os.fspath(clip),
        "second": round(second, 3),
        "error_db": round(level_error_db(*mels, spec), 2),
        "_waves": (
            render.waves(wave[None], spec, "wave")[0],
            render.waves(made, spec, generator.domain, path.vocoder)[0],
        ),
    }
    return noise, labels, about


# --- The folder


def maximize(
    generator: object,
    classifier: object,
    spec: audio.Spec,
    output: str | Path,
    about: dict,
    targets: Sequence[str] = (),
    judge: object = None,
    start: str | Path = "",
    label: str = "",
    strength: float = 1.0,
    count: int = 16,
    seed: int = 0,
    prior: str = "typical",
    steps: int = 300,
    vocoder: object = None,
    page: Callable[[Path], object] | None = None,
) -> dict:
    """Runs the ascent toward each target and writes the folder that this module describes.

    Args:
        generator: A trained model that generates from noise.
        classifier: The trained classifier that is maximised.
        spec: The `audio.Spec` of all.
        output: The folder; one of the same settings is replaced.
        about: Entries that are stored beside the results: the runs by their roles, the command.
        targets: Names of the classifier's labels; none = all.
        judge: Another trained classifier, which is not maximised, or None.
        start: A recording to start from; "" = from noise.
        label: The label that a conditional generator is conditioned on; "" = the target, or for a
            recording the label that fits.
        strength: The share of the way that each start goes: 0 = none of it, 1 = all of it.
        count: The number of starts of each target.
        seed: The seed of the noises.
        prior: A key of `ascent.PRIORS`.
        steps: The number of steps of the ascent, at most.
        vocoder: A `vocode.Vocoder` for the sounds of mels, also those that a classifier of waves is
            given; None = Griffin-Lim.
        page: A function that writes a page into the folder after all other files; None = no page.

    Returns:
        The content of maximization.json.

    Raises:
        KvoiceError: If an argument does not fit; the message names it.
    """
    if not 0 <= strength <= 1:
        raise KvoiceError(f"--strength={strength}: must be from 0 (the start) to 1 (the whole way)")
    targets = chosen(classifier.names, targets)
    labels = None  # for a recording: those that fit it
    if label or not (start and generator.labels):
        labels = conditions(generator, classifier, targets, label)
    output, path = Path(output), AscentPath(generator, classifier, spec, vocoder)
    settings = about | {
        "prior": prior,
        "strength": strength,
        "seed": seed,
        "count": count,
        "steps": steps,
        "asked": {
            "start": start and os.path.relpath(start, output),
            "label": label,
            "targets": [classifier.names[target] for target in targets],
        },
    }
    if start:
        window_of(start, generator, spec)  # before anything is made
    _refuse_others(output, settings)
    with whole_directory(output) as folder:
        result = _written(folder, path, judge, start, label, labels, targets, settings)
        if (output / EVALUATION).exists():  # of the same starts, since the settings are the same
            shutil.copy(output / EVALUATION, folder / EVALUATION)
        if page:
            page(folder)
    return result


def _written(folder, path, judge, start, label, labels, targets, settings):
    """Runs the ascents and writes a folder; returns the content of maximization.json."""
    generator, classifier, spec = path.generator, path.classifier, path.spec
    count, beginning = settings["count"], None
    noise = generator.noise(count, settings["seed"])
    if start:
        given = generator.names.index(label) if label else None
        noise, fitting, beginning = inverted(path, start, count, settings["seed"], spec, given)
        labels = [fitting] * len(targets)
    per_start = (
        None
        if not generator.labels
        else np.concatenate([np.broadcast_to(each, count) for each in labels])
    )
    wanted = np.repeat(targets, count)
    found = ascend(
        path,
        np.tile(noise, (len(targets), 1)),
        wanted,
        per_start,
        settings["prior"],
        settings["steps"],
    )
    listeners = listeners_of(classifier, judge, generator.domain, spec, path.vocoder)

    made, noises = [], {}
    with progress.bar(total=len(targets), desc="sounds and pictures") as bar:
        for i, target in enumerate(targets):
            rows = np.s_[i * count : (i + 1) * count]
            own = None if per_start is None else per_start[rows]
            noises[classifier.names[target]] = found.values[:, rows]
            made.append(
                _shown(
                    folder,
                    path,
                    listeners,
                    classifier.names,
                    target,
                    own,
                    found.steps,
                    found.values[:, rows],
                    found.stopped[rows],
                    settings["strength"],
                )
            )
            bar.update()
    with open(folder / "noise.npz", "wb") as file:
        np.savez_compressed(file, **noises)
    if beginning:
        names = ("wave", "start.wav"), ("reconstruction", "start_reconstruction.wav")
        for (key, name), wave in zip(names, beginning.pop("_waves")):
            beginning[key] = name
            audio.write(folder / name, render.eased(wave, spec), spec.sample_rate_hz)
    result = {
        "format": FORMAT,
        **settings,
        "versions": runs.versions(),
        "start": beginning,
        "sample_rate_hz": spec.sample_rate_hz,
        "targets": made,
    }
    write_json(folder / FILE, result)
    return result


def starts(
    content: dict, folder: str | Path, generator: object, classifier: object, count: int, seed: int
) -> tuple[np.ndarray, list[int], np.ndarray | None]:
    """Returns the initial noises of a folder's ascents, and the labels of the generator.

    Where a recording was the start, they are those of the folder; else `count` new ones.

    Returns:
        noise [count, noise], the indices of the targets, and labels [targets, count] or None.
    """
    targets = chosen(classifier.names, content["asked"]["targets"])
    if content["start"]:
        with np.load(Path(folder) / "noise.npz") as noises:
            noise = noises[classifier.names[targets[0]]][0]
        words = [
            [generator.names.index(word) for word in each["labels"]] for each in content["targets"]
        ]
    else:
        noise = generator.noise(count, seed)
        words = [
            [label] * count
            for label in conditions(generator, classifier, targets, content["asked"]["label"])
        ]
    return noise, targets, np.array(words) if generator.labels else None


def load(folder: str | Path) -> dict | None:
    """Reads the content of a folder's maximization.json; None if there is none.

    Raises:
        KvoiceError: If it is broken or of another format.
    """
    try:
        content = read_json(Path(folder) / FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if content.get("format") != FORMAT:
        raise KvoiceError(
            f"{Path(folder) / FILE}: format {content.get('format')}, expected {FORMAT}"
        )
    return content


def _refuse_others(output, settings):
    """Raises an error if a folder holds another maximisation, or other files."""
    there = load(output)
    if there is not None:
        asked = json.loads(json.dumps(settings)) | {"command": there["command"]}
        if changed := runs.differences({name: there.get(name) for name in asked}, asked):
            raise KvoiceError(
                f"{output}: holds a maximisation with other settings "
                f"({'; '.join(changed)}); choose another --run"
            )
    elif output.exists() and not output.is_dir():
        raise KvoiceError(f"{output}: is a file, expected a directory; choose another --run")
    elif output.exists() and any(output.iterdir()):
        raise KvoiceError(f"{output}: not empty, and not a maximisation; choose another --run")


def _shown(output, path, listeners, names, target, labels, steps, noises, stopped, strength):
    """Writes pictures and sounds of one target; returns its entry in maximization.json."""
    generator, spec, domain = path.generator, path.spec, path.generator.domain
    name, stem = names[target], file_stems(names)[target]
    words = [] if labels is None else [generator.names[label] for label in labels]
    count = noises.shape[1]

    def decoded(noise):
        return generator.decode(noise, labels)

    def odds(items):
        return {who: listener(items)[:, target] for who, listener in listeners.items()}

    items = [decoded(noise) for noise in noises]  # [snapshots][starts, ...]
    predicted = [{who: listener(each) for who, listener in listeners.items()} for each in items]
    curves = {who: np.stack([each[who][:, target] for each in predicted]) for who in listeners}
    mels = np.stack([audio.as_mels(each[:SHOWN], domain, spec) for each in items])
    last = int(stopped.max())
    plots.mel_image(output / f"{stem}.png", mels[[0, -1]], ["step 0", f"step {last}"], spec)
    plots.score_curves(output / f"{stem}_scores.png", list(steps), curves, name)
    shown = [i for i, step in enumerate(steps) if i == 0 or steps[i - 1] < last]
    captions = [
        f"step {steps[i]}: {name} {np.mean(curves[MAXIMISED][i][:SHOWN]):.2f}" for i in shown
    ]
    plots.mel_animation(output / f"{stem}.gif", mels[shown], captions, spec)

    def written(files, items):
        for file, wave in zip(files, render.waves(items, spec, domain, path.vocoder)):
            audio.write(output / file, render.eased(wave, spec), spec.sample_rate_hz)

    results = decoded(slerp.between(noises[0], noises[-1], strength))
    agreed = {
        who: {
            moment: float(np.mean(odds.argmax(axis=1) == target))
            for moment, odds in (("before", predicted[0][who]), ("after", listener(results)))
        }
        for who, listener in listeners.items()
    }
    files = [f"{stem}_{k}.wav" for k in range(count)]
    written(files, results)
    waves, dials = [], []
    settings = sorted({*DIAL, strength})
    turned = [decoded(slerp.between(noises[0], noises[-1], setting)) for setting in settings]
    turned_odds = [odds(each) for each in turned]
    for k in range(min(WRITTEN, count)):
        # After the step at which a start has stopped, nothing changes.
        own = [i for i in range(len(steps)) if i == 0 or steps[i - 1] < stopped[k]]
        snapshots = [f"{stem}_{k}_step-{steps[i]:03d}.wav" for i in own]
        written(snapshots, np.stack([items[i][k] for i in own]))
        waves.append({"start": k, "files": snapshots + [None] * (len(steps) - len(own))})
        dial = [f"{stem}_{k}_strength-{setting:g}.wav" for setting in settings]
        written(dial, np.stack([each[k] for each in turned]))
        dials.append(
            {
                "start": k,
                "strengths": settings,
                "files": dial,
                "probability": [float(each[MAXIMISED][k]) for each in turned_odds],
                "judge_probability": [float(each[JUDGE][k]) for each in turned_odds]
                if JUDGE in listeners
                else None,
            }
        )
    return {
        "target": name,
        "label": "" if labels is None else ", ".join(dict.fromkeys(words)),
        "labels": words,
        "steps": [int(step) for step in steps],
        "stopped": [int(step) for step in stopped],
        "probability": np.round(curves[MAXIMISED], 4).tolist(),
        "judge_probability": np.round(curves[JUDGE], 4).tolist() if JUDGE in listeners else None,
        "agreed": {who: agreed.get(who) for who in (MAXIMISED, JUDGE)},
        "figure": f"{stem}.png",
        "curve": f"{stem}_scores.png",
        "animation": f"{stem}.gif",
        "results": files,
        "waves": waves,
        "dial": dials,
    }
