"""Measures how well a speaker encoder verifies unseen speakers.

    scores = encoder_scores(voice, {"valid": source, "judge": source, "test": source})

A trial is a pair of recordings, of the same speaker or of two. At the equal error rate, the share
of pairs of two speakers that are accepted equals the share of pairs of one speaker that are
rejected; its threshold on the cosine defines "the same voice" wherever conversions are judged.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.manifold import TSNE

from kvoice import audio, plots
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.evaluation import Options
from kvoice.evaluation.tables import written
from kvoice.inference import encode
from kvoice.inference.voice import Voice, load
from kvoice.metrics import speech
from kvoice.runs import Run
from kvoice.training.corpus import Corpus

OPTIONS = ("data",)
PER_SPEAKER = 12  # utterances of each speaker, spread evenly over all of that speaker
RESAMPLED = 200  # bootstrap samples of the speakers, for an interval
FEWEST = 5  # speakers that an interval needs


def chosen(source: Source, per_speaker: int = PER_SPEAKER) -> tuple[np.ndarray, np.ndarray]:
    """Chooses up to `per_speaker` utterances of each speaker of a source, evenly spread.

    Shapes: -> rows [n], speakers [n].
    """
    speakers = source.speaker_of()
    rows = []
    for speaker in np.unique(speakers[speakers >= 0]):
        own = np.flatnonzero(speakers == speaker)
        rows.append(
            own[np.unique(np.linspace(0, len(own) - 1, min(len(own), per_speaker)).astype(int))]
        )
    rows = np.concatenate(rows) if rows else np.zeros(0, int)
    return rows, speakers[rows]


def embedded(
    voice: Voice, source: Source, per_speaker: int = PER_SPEAKER
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the embeddings of some utterances of each speaker of a source.

    Args:
        voice: A speaker encoder, as a `voice.Voice`.
        source: A `data.source.Source` with waves, of any rate.
        per_speaker: The number of utterances of each speaker, at most.

    Returns:
        embeddings [n, size], speakers [n], genders [n], -1 = unknown.
    """
    rows, speakers = chosen(source, per_speaker)
    found = [source.utterance(row) for row in rows]
    waves = [
        audio.resample(
            audio.deemphasised(each["wave"], source.spec),
            source.spec.sample_rate_hz,
            voice.spec.sample_rate_hz,
        )
        for each in found
    ]
    return encode.of_waves(voice, waves), speakers, np.array([each["gender"] for each in found])


def trials(points: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the cosines of all pairs of embeddings of length 1: of one speaker, and of two.

    Shapes: points [n, size], speakers [n] -> same [pairs], different [pairs].
    """
    one, two = np.triu_indices(len(points), 1)
    cosines = (points @ points.T)[one, two]
    same = speakers[one] == speakers[two]
    return cosines[same], cosines[~same]


def verification_scores(
    points: np.ndarray, speakers: np.ndarray, genders: np.ndarray, rng: np.random.Generator
) -> dict:
    """Computes the equal error rate of all trials, and of those between speakers of one gender.

    The interval is a bootstrap over the speakers, drawn with replacement: 2.5 to 97.5 %.

    Returns:
        {"speakers", "utterances", "rate", "low", "high", "threshold", "same_gender"}; "low" and
        "high" are None below `FEWEST` speakers, the last where there are no two speakers of one
        gender.

    Raises:
        KvoiceError: If there are fewer than two speakers, or no speaker has two utterances.
    """
    kinds = np.unique(speakers)
    same, different = trials(points, speakers)
    if not len(same) or not len(different):
        raise KvoiceError(
            "an equal error rate needs two speakers or more, and two utterances or more of "
            f"one of them, got {len(kinds)} and {len(points)} utterances"
        )
    rate, threshold = speech.equal_error_rate(same, different)
    low, high = _interval(same, different, speakers, rng) if len(kinds) >= FEWEST else (None, None)
    one, two = np.triu_indices(len(points), 1)
    alike = (speakers[one] != speakers[two]) & (genders[one] == genders[two]) & (genders[one] >= 0)
    closer = (points @ points.T)[one[alike], two[alike]]
    return {
        "speakers": len(kinds),
        "utterances": len(points),
        "rate": rate,
        "low": low,
        "high": high,
        "threshold": threshold,
        "same_gender": speech.equal_error_rate(same, closer)[0] if len(closer) else None,
    }


def _interval(same, different, speakers, rng):
    """Computes the bootstrap interval of the rate; each trial counts as often as its speakers.

    Shapes: same, different as of `trials`, speakers [n] -> (low, high).
    """
    kinds, own = np.unique(speakers, return_inverse=True)
    one, two = np.triu_indices(len(own), 1)
    alike = own[one] == own[two]
    who, first, second = own[one[alike]], own[one[~alike]], own[two[~alike]]

    def drawn():
        """Yields the weights of the trials; a draw without both kinds is skipped."""
        for _ in range(RESAMPLED):
            drawn_again = rng.integers(len(kinds), size=len(kinds))
            counts = np.bincount(drawn_again, minlength=len(kinds)).astype(
                np.int32
            )  # small: read at random
            weights = counts[who], counts[first] * counts[second]
            if weights[0].any() and weights[1].any():
                yield weights

    rates = [rate for rate, _ in speech.equal_error_rates(same, different, drawn())]
    return tuple(float(each) for each in np.quantile(rates, (0.025, 0.975)))


def with_interval(scores: dict, how: str = ".1%") -> str:
    """Formats the rate of `verification_scores` with its interval, as in "3.4% (1.0%-9.8%)"."""
    between = "" if scores["low"] is None else f" ({scores['low']:{how}}-{scores['high']:{how}})"
    return f"{scores['rate']:{how}}{between}"


def placed(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Embeds points in two dimensions with t-SNE: [n, size] -> [n, 2].

    Distances are cosines; large distances in the picture have little meaning.

    Source: van der Maaten & Hinton 2008, "Visualizing data using t-SNE".
    """
    perplexity = min(30, max(1, (len(points) - 1) / 3))
    tsne = TSNE(2, perplexity=perplexity, metric="cosine", init="random", random_state=seed)
    return tsne.fit_transform(np.asarray(points, np.float64))


def picture(
    path: Path, points: np.ndarray, speakers: list[str], genders: list[str], seed: int = 0
) -> dict:
    """Plots embeddings in two dimensions; returns the silhouettes by speaker and by gender.

    Shapes: points [n, size], names of speakers and genders [n] ("" = unknown).

    Returns:
        {"picture": the file's name, "silhouette": {"speaker", "gender"}}; a silhouette is left out
        where there are fewer than two classes.
    """
    kinds = {"speaker": np.asarray(speakers), "gender": np.asarray(genders)}
    found = {
        kind: speech.silhouette(points, names)
        for kind, names in kinds.items()
        if 1 < len(np.unique(names)) < len(points)
    }
    title = ", ".join(f"silhouette by {kind} {value:.2f}" for kind, value in found.items())
    plots.places(path, placed(points, seed), list(speakers), list(genders), title)
    return {"picture": path.name, "silhouette": found}


def validation_metrics(spec: audio.Spec, valid: Source) -> Callable[[object], dict[str, float]]:
    """Returns a function `model -> {"equal_error_rate"}` on the speakers of `valid`."""

    def validate(model):
        points, speakers, _ = embedded(Voice(model, spec), valid)
        same, different = trials(points, speakers)
        return {"equal_error_rate": speech.equal_error_rate(same, different)[0]}

    return validate


def encoder_scores(
    voice: Voice,
    sources: dict[str, Source],
    trained_on: list[str],
    path: Path,
    corpus: str,
    seed: int = 0,
) -> dict:
    """Evaluates a speaker encoder; returns the scores as a dict fit for JSON.

    Args:
        voice: A trained speaker encoder, as a `voice.Voice`.
        sources: Split -> `data.source.Source` with waves.
        trained_on: The splits with speakers whom it was trained on.
        path: The file of the plot of the embeddings of the last split.
        corpus: The corpus of the sources, as `--data` names it.
        seed: The seed of the intervals and of the plot.

    Returns:
        {"kind": "speakers", "corpus", "splits": split -> `verification_scores`, "learned_from",
        "embeddings" (see `picture`), "metrics": name -> number, "tables"}.
    """
    found, rng = {}, np.random.default_rng(seed)
    for split, source in sources.items():
        points, speakers, genders = embedded(voice, source)
        found[split] = verification_scores(points, speakers, genders, rng)
    names = source.labels["gender"]
    drawn = picture(
        path,
        points,
        [source.labels["speaker"][k] for k in speakers],
        [names[k] if k >= 0 else "" for k in genders],
        seed,
    )
    unseen = {split: each for split, each in found.items() if split not in trained_on}
    rows = [
        [
            f"{split}, trained on" if split in trained_on else split,
            str(each["speakers"]),
            str(each["utterances"]),
            with_interval(each),
            "" if each["same_gender"] is None else f"{each['same_gender']:.1%}",
            f"{each['threshold']:.3f}",
        ]
        for split, each in found.items()
    ]
    return {
        "kind": "speakers",
        "corpus": corpus,
        "splits": found,
        "learned_from": trained_on,
        "embeddings": drawn,
        "metrics": {f"equal error rate ({split})": each["rate"] for split, each in unseen.items()},
        "tables": [
            {
                "title": "Equal error rate",
                "note": f"Of all pairs of recordings of {corpus}, with a 95 % interval over "
                f"speakers drawn "
                f"again, where there are {FEWEST} or more; of pairs of one speaker against pairs "
                f"of two "
                "of one gender; and the cosine from which two recordings count as one voice.",
                "columns": [
                    "split",
                    "speakers",
                    "utterances",
                    "equal error rate (95 %)",
                    "one gender",
                    "threshold",
                ],
                "rows": rows,
            }
        ],
    }


# --- Runs


def validation(run: Run, corpus: Corpus) -> Callable[[object], dict[str, float]]:
    """Returns the equal error rate, by which training keeps the best epoch."""
    return validation_metrics(run.spec, corpus.waves(("valid",))["valid"])


def evaluate(run: Run, corpus: Callable[[], Corpus], options: Options) -> str:
    """Evaluates a run on some utterances of each speaker of all splits of two speakers or more."""
    corpus, data = corpus(), options.data or run.config["data_spec"]
    known = corpus.manifest.splits
    people = {split: known[split]["speakers"] for split in ("train", "valid", "judge", "test")}
    splits = [split for split, names in people.items() if len(names) > 1]
    if not splits:
        raise KvoiceError(
            f"{data}: no split of it has two speakers that could be "
            "compared; take a corpus of eight speakers or more"
        )
    trained_on = [split for split in splits if {*people[split]} & {*run.config["speakers"]}]
    scores = encoder_scores(
        load(run.path),
        corpus.waves(splits),
        trained_on,
        run.path / "embeddings.png",
        data,
        options.seed,
    )
    return written(run.path, scores, options, f"Measured on {scores['corpus']}")


def next_commands(run: Run) -> list[str]:
    """Returns commands that a user may try with a trained run."""
    return [f"encode --run={run.quoted} --input=FILE_OR_DIR --output=voices.npz"]
