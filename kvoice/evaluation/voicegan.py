"""Evaluates a trained VoiceGAN beside unseen real speech and beside noise.

    validate = validation_metrics(train, valid)      # for training.loop.train: keeps the best epoch
    scores = voicegan_scores(model, train, judge, test)
    print(scores["tables"])

`train`, `valid`, `judge` and `test` are `data.source.Source`s of one corpus, whose speakers (or
texts, where the label is the speaker) are disjoint. Each measure is given for the generated
clips, for real ones and for noise, at the same number of clips.
"""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np

from kvoice import audio
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.evaluation import Options, judges
from kvoice.evaluation.independent import UTTERANCES, IndependentJudges, added
from kvoice.evaluation.tables import written
from kvoice.inference import render
from kvoice.metrics import speech
from kvoice.metrics.classification import wilson
from kvoice.models.voicegan import VoiceGAN
from kvoice.runs import Run
from kvoice.training import loop
from kvoice.training.corpus import Corpus

CLIPS = 512  # generated clips that are measured
OPTIONS = ("count", "judge_data", "split")
REFERENCE = 2048  # training clips at most that fit the space, and that the novelty refers to
CROPS = 3  # crops of each utterance that the judge is trained on
DISTANCES = {"frechet": "Frechet distance", "diversity": "diversity", "novelty": "novelty"}
INTENDED = "classified as intended (95 %)"


def validation_metrics(
    train: Source, valid: Source, count: int = 256, seed: int = 0
) -> Callable[[object], dict[str, float]]:
    """Returns a function `model -> {"frechet", "diversity"}`, computed after each epoch.

    The Frechet distance (`metrics.speech`) of `count` generated clips to `count` real ones of
    `valid` comes first: by it training keeps its best epoch. The diversity is the mean distance of
    two generated clips of one label, over that of real ones. The generated clips have the labels of
    the real ones; each call uses the same clips and noises.

    Args:
        train: The source that fits the space.
        valid: The source of the real clips.
        count: The number of clips of each kind.
        seed: The seed of the noises.
    """
    space = speech.MelSpace.fit(crops(train, count)["mel"])
    real = crops(valid, count)
    points = space.points(real.pop("mel"))

    def validate(model):
        labels = real[model.condition] if model.condition else np.zeros(count, int)
        asked = labels if model.condition else None
        made = space.points(generated(model, valid.spec, count, asked, seed))
        return {
            "frechet": speech.frechet(made, points),
            "diversity": relative(within(made, labels), within(points, labels)),
        }

    return validate


def voicegan_scores(
    model: VoiceGAN,
    train: Source,
    judge: Source,
    test: Source,
    count: int = 512,
    seed: int = 0,
    untrained: VoiceGAN | None = None,
) -> dict:
    """Evaluates a VoiceGAN; returns the scores as a dict fit for JSON.

    Each row is a set of `count` clips with the labels of `count` real test clips:
        generated: by the model.
        real train: clips it was trained on; the scores of a perfect model.
        real test: the clips that all are compared to; for the judge, the upper bound.
        white noise: each as loud as its test clip; the scores of loudness alone.
        untrained: by the model before training, where one is given.
    and each row holds, for all clips ("all") and for the clips of one label:
        frechet: Distance to the real test clips (`metrics.speech`); None below two clips.
        diversity: Mean distance of two clips of one label, over that of the real test clips: 0 for
            one pattern, about 1 for as many as real speech has.
        novelty: Distance to the nearest of the training clips, median, over that of the real test
            clips: 0 for copies of them, about 1 for clips as new as unseen recordings.
        confirmed: How often a `Judge` trained on other speakers predicts the intended label:
            share, low and high of a 95 % interval (Wilson), clips. Absent for a plain model.
    `confusion`: for each intended label of the generated clips, the counts of predicted labels.
    `metrics` and `tables` are for `kvoice.report`.

    Args:
        model: A `VoiceGAN`: `condition`, `labels` and `generate` are used.
        train: The source that the model was trained on.
        judge: The source that the judge is trained on.
        test: The source of real clips that neither was trained on.
        count: The number of clips in each row.
        seed: The seed of the noises, and of the training of the judge.
        untrained: The same model with its initial weights, or None.

    Raises:
        KvoiceError: If the labels of the corpus are not the model's, or the judge's split holds
            fewer than two of them.
    """
    condition = model.condition
    names = test.labels[condition] if condition else []
    if len(names) != model.labels:
        raise KvoiceError(
            f"the corpus has {len(names)} labels of {condition or 'no condition'}, "
            f"the model {model.labels}: evaluate it on the corpus it was trained on"
        )
    known = crops(train, max(count, min(len(train), REFERENCE)))
    real = crops(test, count)
    labels = real[condition] if condition else np.zeros(count, int)
    asked = labels if condition else None
    clips = {
        "generated": generated(model, test.spec, count, asked, seed),
        "real train": known["mel"][:count],
        "real test": real["mel"],
        "white noise": white_noise(real["mel"], test.spec, np.random.default_rng(seed)),
    }
    if untrained is not None:
        clips["untrained"] = generated(untrained, test.spec, count, asked, seed)
    intended = dict.fromkeys(clips, labels)
    if condition:
        intended["real train"] = known[condition][:count]

    space = speech.MelSpace.fit(known["mel"])
    points = {row: space.points(mels) for row, mels in clips.items()}
    rows = _distances(points, intended, names)
    _add_novelty(rows, points, space.points(known["mel"]))
    scores = {
        "version": speech.VERSION,
        "condition": condition,
        "names": list(names),
        "count": count,
        "seed": seed,
        "rows": rows,
    }
    if condition:
        del known, real
        examples = crops(judge, min(CROPS * len(judge), judges.JUDGE_CLIPS))
        classify = judges.Judge(examples["mel"], examples[condition], condition, seed)
        predicted = {row: classify(mels) for row, mels in clips.items()}
        for row in rows:
            rows[row]["confirmed"] = _confirmed(predicted[row], intended[row], names)
        scores["judge"] = {"clips": len(examples["mel"]), "note": judges.learned_from(judge)}
        scores["confusion"] = {
            name: {
                other: int(np.sum(predicted["generated"][labels == i] == j))
                for j, other in enumerate(names)
            }
            for i, name in enumerate(names)
        }
    return scores | {"metrics": _metrics(scores), "tables": tables(scores)}


def generated(
    model: VoiceGAN, spec: audio.Spec, count: int, labels: np.ndarray | None, seed: int
) -> np.ndarray:
    """Generates `count` items as mels, in either domain of the generator: [count, time, mels]."""
    return audio.as_mels(model.generate(count, labels, seed), model.domain, spec)


def crops(
    source: Source, count: int, names: Sequence[str] = ("mel", "speaker", "gender", "emotion")
) -> dict[str, np.ndarray]:
    """Returns `count` crops of a source: arrays such as `mel` [count, time, mels], labels [count].

    Args:
        source: A source with the arrays.
        count: The number of crops.
        names: The names of the arrays and labels.
    """
    batches = [
        source.batch(step) for step in range(math.ceil(count / len(source.batch(0)["speaker"])))
    ]
    return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in names}


def white_noise(mels: np.ndarray, spec: audio.Spec, rng: np.random.Generator) -> np.ndarray:
    """Makes mels of white noise, each as loud (mean square of the magnitudes) as the given one.

    Shapes: mels [clips, time, mels] -> the same.
    """
    noises = []
    for mel in mels:
        wave = rng.standard_normal(spec.samples(len(mel))).astype(np.float32)
        noise = audio.mel_magnitude(wave, spec)[:-1]
        gain = np.sqrt(np.mean(audio.magnitude(mel, spec) ** 2) / np.mean(noise**2))
        noises.append(audio.scaled(gain * noise, spec))
    return np.stack(noises)


def within(points: np.ndarray, labels: np.ndarray) -> float:
    """Computes the mean diversity within a label; NaN if each label has one point only.

    Shapes: points [n, components], labels [n] -> a float.
    """
    groups = [points[labels == label] for label in np.unique(labels)]
    groups = [speech.diversity(group) for group in groups if len(group) > 1]
    return float(np.mean(groups)) if groups else math.nan


def relative(value: float, real: float) -> float:
    """Divides a value by that of real clips; NaN where those are all alike."""
    return value / real if real else math.nan


def _distances(points, intended, names):
    """Computes "frechet" and "diversity" of each row, for "all" and every label."""
    real, real_intended = points["real test"], intended["real test"]
    rows = {}
    for row, each in points.items():
        varied = relative(within(each, intended[row]), within(real, real_intended))
        rows[row] = {
            "frechet": {"all": speech.frechet(each, real)},
            "diversity": {"all": None if math.isnan(varied) else varied},
        }
        for i, name in enumerate(names):
            ours, theirs = each[intended[row] == i], real[real_intended == i]
            count = min(len(ours), len(theirs))
            if count < 2:
                rows[row]["frechet"][name] = rows[row]["diversity"][name] = None
                continue
            ours, theirs = ours[:count], theirs[:count]
            rows[row]["frechet"][name] = speech.frechet(ours, theirs)
            varied = relative(speech.diversity(ours), speech.diversity(theirs))
            rows[row]["diversity"][name] = None if math.isnan(varied) else varied
    return rows


def _add_novelty(rows, points, known):
    far = {row: float(np.median(speech.nearest(each, known))) for row, each in points.items()}
    for row in rows:
        rows[row]["novelty"] = {"all": far[row] / far["real test"]}


def _confirmed(predicted, intended, names):
    """Returns for "all" and every label the share of clips that were predicted as it."""
    shares = {}
    for name, asked in [("all", intended >= 0), *((n, intended == i) for i, n in enumerate(names))]:
        hits, count = int(np.sum((predicted == intended)[asked])), int(asked.sum())
        if count:
            low, high = wilson(hits, count)
            shares[name] = {"share": hits / count, "low": low, "high": high, "clips": count}
    return shares


def _metrics(scores):
    """Returns the metrics by which runs are compared."""
    row = scores["rows"]["generated"]
    numbers = {
        "Frechet distance": row["frechet"]["all"],
        "diversity": row["diversity"]["all"],
        "novelty": row["novelty"]["all"],
    }
    if scores["names"]:
        numbers["classified as intended"] = row["confirmed"]["all"]["share"]
    return {name: value for name, value in numbers.items() if value is not None}


def tables(scores: dict) -> list[dict]:
    """Formats the scores as tables for `kvoice.report`."""
    intended = [INTENDED] * bool(scores["names"])
    made = [
        {
            "title": f"{scores['count']} clips in each row, compared to real test clips",
            "note": "Frechet distance: 0 is the same distribution, 1 a model that always gives the "
            "average clip. Diversity: mean distance of two clips of one label, over that of the "
            "real test clips. Novelty: median distance to the nearest training clip, over that of "
            "the real test clips; copies have 0."
            + " Classified: by a linear discriminant that was trained on other speakers; 95 % "
            "intervals (Wilson) over clips."
            * len(intended)
            + scores.get("judge", {}).get("note", "")
            + f" Version of the distances: {scores['version']}.",
            "columns": ["clips", *DISTANCES.values(), *intended],
            "rows": [
                [row, *_cells(values, "all", DISTANCES), *_share(values, "all")]
                for row, values in scores["rows"].items()
            ],
        }
    ]
    if scores["names"]:
        measured = ("frechet", "diversity")
        values = scores["rows"]["generated"]
        made.append(
            {
                "title": "Generated clips of each label",
                "note": "Compared to as many real test clips of the label.",
                "columns": [
                    "label",
                    *(DISTANCES[key] for key in measured),
                    INTENDED,
                    "classified as",
                ],
                "rows": [
                    [
                        name,
                        *_cells(values, name, measured),
                        *(_share(values, name) or ["–"]),
                        _predicted(scores["confusion"][name]),
                    ]
                    for name in scores["names"]
                ],
            }
        )
    return made


def _cells(values, name, measured):
    numbers = [values[key].get(name) for key in measured]
    return ["–" if number is None else f"{number:.3f}" for number in numbers]


def _share(values, name):
    """Returns the cell of the clips that are classified as intended; [] without any."""
    share = values.get("confirmed", {}).get(name)
    return [f"{share['share']:.0%} ({share['low']:.0%}-{share['high']:.0%})"] if share else []


def _predicted(counts):
    """Returns the shares of the predicted labels, as in "sad 90%, happy 10%"."""
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {hits / total:.0%}" for name, hits in ranked if hits) or "–"


# --- Runs


def validation(run: Run, corpus: Corpus) -> Callable[[object], dict[str, float]]:
    """Returns Frechet distance and diversity; the distance chooses the best epoch."""
    sources = corpus.of_mels().sources((run.config["data"]["split"], "valid"))
    return validation_metrics(*sources.values())


def evaluate(run: Run, corpus: Callable[[], Corpus], options: Options) -> str:
    """Evaluates a run on `CLIPS` generated clips."""
    corpus = corpus()
    sources = corpus.of_mels().sources(("train", "judge", "test"))
    keras.utils.set_random_seed(run.config["train"]["seed"])  # of the untrained model
    model = loop.load(run.path)
    scores = voicegan_scores(
        model,
        *sources.values(),
        count=options.count or CLIPS,
        seed=options.seed,
        untrained=loop.model(run),
    )
    scores = added(scores, _heard(model, corpus, options))
    return written(run.path, scores, options)


def _heard(model, corpus, options):
    """Returns what the independent judges find in some generated clips, beside real test clips."""
    source = corpus.sources(("test",), more=["mel", "wave"])["test"]
    count = options.count or UTTERANCES
    real = crops(source, count, ("mel", "wave", model.condition or "speaker"))
    clips = [{"mel": mel, "wave": wave, "text": ""} for mel, wave in zip(real["mel"], real["wave"])]
    labels = real[model.condition] if model.condition else None
    items = model.generate(count, labels, options.seed)
    made = {"generated": list(render.waves(items, source.spec, model.domain))}
    judges = IndependentJudges(source, seed=options.seed, most=options.count)
    return judges.scores(clips, made, of_recordings=False)


def next_commands(run: Run) -> list[str]:
    """Returns commands that a user may try with a trained run."""
    return [f"generate --run={run.quoted} --count=8 --seed=1"]
