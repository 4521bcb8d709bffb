"""Compares an ascent with and without its prior, with judges that were not maximised.

    scores = compare(path, judge, sources, targets, generator.noise(100))
    for table in tables(scores): ...

Every row starts from the same noises, ends where the classifier is confident, and is judged twice:
by another classifier, of another architecture and trained on separate speakers, and by the linear
discriminant of `judges.Judge`, which shares no code with either. Without a prior an ascent finds
adversarial patterns, which change the predictions of its own classifier only.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from kvoice import audio, progress, runs
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.evaluation import Options
from kvoice.evaluation.judges import Judge, learned_from
from kvoice.evaluation.tables import written
from kvoice.evaluation.voicegan import crops, within
from kvoice.files import claim
from kvoice.inference import maximize, render, slerp, vocode
from kvoice.inference.ascent import PRIORS, STEPS, Path, ascend, ascend_items
from kvoice.inference.listener import MAXIMISED, Roles, listeners_of
from kvoice.metrics import speech
from kvoice.metrics.classification import wilson
from kvoice.models.classifier import Classifier
from kvoice.training import loop
from kvoice.training.corpus import Corpus

OPTIONS = ("count",)
STARTS = 100  # starts of each target that are measured
SPLITS = ("train", "judge", "test")  # splits that an evaluation uses
JUDGE_CROPS = 2048  # crops at most that the linear judge is trained on
MEASURED = 24  # items of each target whose F0, loudness and voicing are measured: vocoding is slow
SPACE = 1024  # training crops that fit the space of the Frechet distance
ROW_TITLES = {
    "start": "samples as they are",
    "typical": "ascent, noise of typical length",
    "zero": "ascent, noise pulled to zero (published)",
    "none": "ascent on the noise, no prior on it",
    "items": "ascent on the item itself",
}


@dataclasses.dataclass
class _Row:
    """The items of one row: [targets * count, ...], with the noises where there are any."""

    items: np.ndarray
    noise: np.ndarray | None
    stopped: np.ndarray


def compare(
    path: Path,
    judge: Classifier | None,
    sources: dict[str, Source],
    targets: list[int],
    noise: np.ndarray,
    labels: np.ndarray | None = None,
    seed: int = 0,
    steps: int = STEPS,
) -> dict:
    """Evaluates an ascent; returns the scores as a dict fit for JSON.

    Args:
        path: An `ascent.Path`.
        judge: Another trained classifier, or None.
        sources: "train", "judge" and "test" -> `data.source.Source` of mels, of the corpus of the
            generator; the crops are as long as the generator's items.
        targets: Indices of the classifier's labels.
        noise: The starts, the same for each target: [count, noise].
        labels: The labels that a conditional generator is conditioned on, as indices [targets,
            count]; None for an unconditional one.
        seed: The seed of the training of the linear judge.
        steps: The number of steps of each ascent, at most.

    Returns:
        {"count", "steps", "names", "targets", "judges": names of the judges beside the classifier,
        "rows": row -> {"agreed": classifier or judge -> target or "all" -> {"share", "low", "high",
        "clips"}, "gained" and "lost" (starts that are predicted as another label before and as the
        target after, and the other way round), "frechet", "diversity", "moved_db",
        "turned_degrees", "length", "f0_semitones", "loudness_db", "voiced_points", "steps"},
        "real": the same crops of real speech as a reference}.
    """
    generator, classifier, spec = path.generator, path.classifier, path.spec
    condition, names = classifier.condition, list(classifier.names)
    count = len(noise)
    wanted, noise = np.repeat(targets, count), np.tile(noise, (len(targets), 1))
    labels = None if labels is None else np.reshape(labels, -1)
    items = generator.decode(noise, labels)

    rows = {"start": _Row(items, noise, np.zeros(len(wanted), int))}
    for prior in progress.bar(PRIORS, desc="priors"):
        found = ascend(path, noise, wanted, labels, prior, steps)
        rows[prior] = _Row(
            generator.decode(found.values[-1], labels), found.values[-1], found.stopped
        )
    found = ascend_items(path, items, wanted, steps)
    rows["items"] = _Row(found.values[-1], None, found.stopped)

    listeners = listeners_of(classifier, judge, generator.domain, spec, path.vocoder)
    examples = crops(sources["judge"], min(3 * len(sources["judge"]), JUDGE_CROPS))
    linear = Judge(examples["mel"], examples[condition], condition, seed)
    known = crops(sources["train"], min(len(sources["train"]), SPACE))["mel"]
    real = crops(sources["test"], len(wanted))
    space = speech.MelSpace.fit(known)
    real_points = space.points(real["mel"])

    def predictions(items, mels):
        found = {who: listener(items).argmax(axis=1) for who, listener in listeners.items()}
        return found | {"linear judge": linear(mels)}

    measured = np.concatenate(
        [np.arange(i * count, i * count + min(count, MEASURED)) for i in range(len(targets))]
    )
    before = None
    scores = {
        "count": count,
        "steps": steps,
        "condition": condition,
        "names": names,
        "targets": [names[target] for target in targets],
        "judges": [*listeners, "linear judge"][1:],
        "judge_note": learned_from(sources["judge"]),
        "rows": {},
    }
    with progress.bar(total=len(rows), desc="judging") as bar:
        for name, row in rows.items():
            mels = audio.as_mels(row.items, generator.domain, spec)
            points = space.points(mels)
            predicted = predictions(row.items, mels)
            waves = render.waves(row.items[measured], spec, generator.domain, path.vocoder)
            voice = prosody(waves, spec)
            if before is None:
                before = {"mels": mels, "predicted": predicted, "voice": voice}
            scores["rows"][name] = {
                "agreed": {
                    who: _agreed(found == wanted, wanted, names) for who, found in predicted.items()
                },
                "gained": {
                    who: int(np.sum((found == wanted) & (before["predicted"][who] != wanted)))
                    for who, found in predicted.items()
                },
                "lost": {
                    who: int(np.sum((found != wanted) & (before["predicted"][who] == wanted)))
                    for who, found in predicted.items()
                },
                "frechet": speech.frechet(points, real_points),
                "diversity": within(points, wanted) / within(real_points, real[condition]),
                "moved_db": _decibels(mels, before["mels"], spec),
                "steps": float(np.mean(row.stopped)),
                **{
                    f"{what}_change": _median_change(voice[what], before["voice"][what])
                    for what in voice
                },
            }
            if row.noise is not None:
                scores["rows"][name] |= {
                    "turned_degrees": float(np.mean(slerp.degrees(noise, row.noise))),
                    "length": float(
                        np.mean(np.linalg.norm(row.noise, axis=1) / np.sqrt(noise.shape[1]))
                    ),
                }
            bar.update()
    scores["real"] = {
        "agreed": {
            "linear judge": _agreed(linear(real["mel"]) == real[condition], real[condition], names),
            **{
                who: _agreed(
                    listener.model.probabilities(real["mel"]).argmax(axis=1) == real[condition],
                    real[condition],
                    names,
                )
                for who, listener in listeners.items()
                if listener.model.domain == "mel"
            },
        }
    }
    return scores


def prosody(waves: np.ndarray, spec: audio.Spec) -> dict[str, np.ndarray]:
    """Measures the prosody of waves, which an ascent may change beside the label.

    Shapes: waves [n, samples] -> dict of `f0_semitones` (mean over the voiced frames, against 100
    Hz; NaN where nothing is voiced), `loudness_db` (root mean square, full scale = 0) and
    `voiced_points` (voiced frames in percent), [n] each.
    """
    tracks = [audio.f0(wave, spec.sample_rate_hz, spec.hop) for wave in waves]
    power = np.mean(np.square(waves, dtype=np.float64), axis=1)
    return {
        "f0_semitones": np.array(
            [
                12 * np.mean(np.log2(track[track > 0] / 100)) if np.any(track > 0) else np.nan
                for track in tracks
            ]
        ),
        "loudness_db": 10 * np.log10(np.maximum(power, 1e-12)),
        "voiced_points": np.array([100 * np.mean(track > 0) for track in tracks]),
    }


def _agreed(hits, wanted, names):
    """Returns for "all" and every label the share of clips that were predicted as it."""
    shares = {}
    for name, asked in [("all", wanted >= 0), *((n, wanted == i) for i, n in enumerate(names))]:
        count = int(asked.sum())
        if count:
            low, high = wilson(int(hits[asked].sum()), count)
            shares[name] = {
                "share": float(hits[asked].mean()),
                "low": low,
                "high": high,
                "clips": count,
            }
    return shares


def _decibels(mels, others, spec):
    """Computes the root mean square difference of mels in dB, averaged over the clips."""
    levels = (
        20 * np.log10(np.maximum(audio.magnitude(m, spec), spec.floor)) for m in (mels, others)
    )
    return float(np.mean(np.sqrt(np.mean(np.square(next(levels) - next(levels)), axis=(1, 2)))))


def _median_change(values, before):
    change = values - before
    return float(np.nanmedian(change)) if np.any(np.isfinite(change)) else None


# --- As text


def tables(scores: dict) -> list[dict]:
    """Formats the scores as tables: a list of {"title", "note", "columns", "rows"}."""
    listeners = [MAXIMISED, *scores["judges"]]
    factor = scores["rows"]["start"]["frechet"]
    summary = {
        "title": f"{scores['count']} starts for each of {', '.join(scores['targets'])}",
        "note": "Share of results predicted as their target, with 95 % intervals (Wilson) over "
        "starts; Frechet distance to real test clips, and as a multiple of that of the samples as "
        "they are; diversity within a target, over that of real clips; distance moved in the "
        "mel, and the angle that the noise turned." + scores.get("judge_note", ""),
        "columns": [
            "",
            *listeners,
            "Frechet",
            "diversity",
            "moved, dB",
            "turned",
            "|noise|",
            "steps",
        ],
        "rows": [
            [
                ROW_TITLES[name],
                *(_share(row["agreed"][who]["all"]) for who in listeners),
                f"{row['frechet']:.3f} ({row['frechet'] / factor:.2f}x)",
                f"{row['diversity']:.2f}",
                f"{row['moved_db']:.1f}",
                *_noise_cells(row),
                f"{row['steps']:.0f}",
            ]
            for name, row in scores["rows"].items()
        ],
    }
    if "real" in scores:
        agreed = scores["real"]["agreed"]
        summary["rows"].append(
            [
                "real test clips, own label",
                *(_share(agreed[who]["all"]) if who in agreed else "" for who in listeners),
                *[""] * 6,
            ]
        )
    per_target = {
        "title": "Predicted as the target, by target",
        "note": "",
        "columns": ["", "predicted by", *scores["targets"]],
        "rows": [
            [
                ROW_TITLES[name] if i == 0 else "",
                who,
                *(_share(row["agreed"][who][target]) for target in scores["targets"]),
            ]
            for name, row in scores["rows"].items()
            for i, who in enumerate(listeners)
        ],
    }
    changed = {
        "title": "What else changed",
        "note": "Median over starts, against the samples as they are.",
        "columns": ["", "F0, semitones", "loudness, dB", "voiced, points"],
        "rows": [
            [
                ROW_TITLES[name],
                *(
                    "" if row[f"{what}_change"] is None else f"{row[f'{what}_change']:+.1f}"
                    for what in ("f0_semitones", "loudness_db", "voiced_points")
                ),
            ]
            for name, row in scores["rows"].items()
            if name != "start"
        ],
    }
    enhanced = {
        "title": "Before and after",
        "note": "Starts that were predicted as the target before and after "
        "the ascent with noise of typical length, and how many it gained and lost.",
        "columns": ["predicted by", "before", "after", "gained", "lost"],
        "rows": [
            [
                who,
                _share(scores["rows"]["start"]["agreed"][who]["all"]),
                _share(scores["rows"]["typical"]["agreed"][who]["all"]),
                f"{scores['rows']['typical']['gained'][who]}",
                f"{scores['rows']['typical']['lost'][who]}",
            ]
            for who in listeners
        ],
    }
    return [summary, per_target, changed, enhanced]


def _share(agreed):
    return f"{agreed['share']:.0%} ({agreed['low']:.0%}-{agreed['high']:.0%})"


def _noise_cells(row):
    if "length" not in row:
        return ["", ""]
    return [f"{row['turned_degrees']:.0f} deg", f"{row['length']:.2f}"]


# --- Folders


def evaluate(
    folder: pathlib.Path, content: dict, corpus_of: Callable[[runs.Run], Corpus], options: Options
) -> str:
    """Evaluates the ascent of a folder and writes its evaluation.json; returns the printed text.

    Args:
        folder: The folder that `kvoice maximize` wrote.
        content: The content of its maximization.json.
        corpus_of: A function that gives the `training.corpus.Corpus` of a run.
        options: An `evaluation.Options`; a count of 0 is 100 starts for each target.

    Raises:
        KvoiceError: If a run is missing, the judge's split shares speakers with what it judges, or
            there is one start only.
    """
    generator, classifier, judge = (
        content[name] and runs.load(folder / content[name]["run"]) for name in Roles._fields[:3]
    )
    vocoder = content.get("vocoder")  # older maximisations had none
    maximize.check(generator, classifier, judge)
    corpus = dataclasses.replace(
        corpus_of(classifier).of_mels(), spec=generator.spec, group=generator.config["data"]
    )
    sources = corpus.sources(SPLITS)
    if common := set(sources["judge"].speakers) & {
        *generator.config["speakers"],
        *classifier.config["speakers"],
    }:
        raise KvoiceError(
            f"the judge's split shares speakers with the generator or the classifier "
            f"({', '.join(sorted(common)[:3])}): train those on the split train"
        )
    models = [loop.load(run.path) for run in (generator, classifier)]
    path = Path(
        *models, generator.spec, vocoder and vocode.of_run(folder / vocoder["run"], generator)
    )
    noise, targets, labels = maximize.starts(
        content, folder, *models, options.count or STARTS, options.seed
    )
    if len(noise) < 2:
        raise KvoiceError(
            f"{folder}: one start is too few to measure; give --count=2 or more"
            + (" to `kvoice maximize`" if content["start"] else "")
        )
    scores = compare(
        path,
        judge and loop.load(judge.path),
        sources,
        targets,
        noise,
        labels,
        options.seed,
        content["steps"],
    )
    scores["tables"] = tables(scores)
    found = written(folder, scores, options, after=f", {folder / 'index.html'} shows them")
    claim(folder, [maximize.EVALUATION])
    return found
