"""Measures with judges what an edit of one latent of a beta-VAE changes in voices.

    known = Utterances(model, train, valid)            # the factor is chosen on these
    test = Utterances(model, test)
    panel = LatentJudges(Utterances(model, judge))     # trained on separate speakers
    found = latents.discovered(model, known, test, rng)
    result = flips(model, found, panel, test, "gender", factor=3, control=9)

`scores` does all of it for `kvoice evaluate`. A flip is compared with three references: the
predictions of the judges for the real recordings, those for their reconstructions, and the effect
of an equally large edit of a control latent, which is not associated with the label.
"""

from collections.abc import Callable, Iterable

import numpy as np

from kvoice import audio, progress, recognisers
from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.evaluation import Options, disentanglement
from kvoice.evaluation.independent import IndependentJudges, added
from kvoice.evaluation.judges import JUDGE_CLIPS, Judge, PhoneProbe, VoiceSpace, learned_from
from kvoice.evaluation.tables import written
from kvoice.inference import latents, render
from kvoice.models.betavae import BetaVAE
from kvoice.runs import Run
from kvoice.training import loop
from kvoice.training.corpus import Corpus

FACTORS = 10_000  # items whose codes are evaluated
OPTIONS = ("count", "judge_data", "split")
SOUNDED = 48  # utterances at most whose F0 is measured, on the sound of Griffin-Lim
ROUNDS = 30  # iterations of Griffin-Lim, enough for an F0
PAIRS = 2000  # pairs of recordings for the similarity of voices


def f0_hz(mel: np.ndarray, spec: audio.Spec) -> float:
    """Measures the median F0 of the sound of a mel; NaN where nothing is voiced."""
    track = audio.f0(audio.griffin_lim(mel, spec, ROUNDS), spec.sample_rate_hz, spec.hop)
    return float(np.median(track[track > 0])) if track.any() else np.nan


class LatentJudges:
    """The judges of voices, trained on real utterances of separate speakers.

    Args:
        source: The `Utterances` of the split "judge".
        seed: The seed of the training of the judges.

    Attributes:
        judges: Label -> `judges.Judge`, for each label with two classes or more in the split,
            except the speaker, who is in no other split.
        probe: A `judges.PhoneProbe`; None where no phones are known.
        space: A `judges.VoiceSpace`; None where there are too few speakers.
        utterances: The number of utterances that they were trained on.
        note: A sentence on their speakers, where those are not of the split "judge".
    """

    def __init__(self, source: latents.Utterances, seed: int = 0) -> None:
        rows = np.linspace(0, len(source) - 1, min(len(source), JUDGE_CLIPS)).astype(int)
        clips = [source.utterance(row) for row in rows]
        self.utterances, self.judges, self.probe, self.space = len(clips), {}, None, None
        self.note = learned_from(source.sources[0])
        for label in latents.LABELS:
            truth = np.array([each[label] for each in clips])
            known = [each["mel"] for each in clips if each[label] != latents.UNKNOWN]
            truth = truth[truth != latents.UNKNOWN]
            if label == "speaker":
                if len(np.unique(truth)) > 2:
                    self.space = VoiceSpace(known, truth, seed)
            elif len(np.unique(truth)) > 1:
                self.judges[label] = Judge(known, truth, label, seed)
        if "phone" in clips[0]:
            mels, phones = zip(*((each["mel"], each["phone"]) for each in clips))
            self.probe = PhoneProbe(mels, phones, seed)
        self._silent = [
            i for i, name in enumerate(source.labels["phone"]) if name == latents.SILENT
        ]

    def __call__(
        self, mels: list[np.ndarray], spec: audio.Spec, sounded: Iterable[int] = ()
    ) -> dict[str, np.ndarray]:
        """Predicts the labels of mels, and measures them.

        Args:
            mels: A list of [time, mels].
            spec: The Spec of the mels.
            sounded: The indices of the mels whose F0 is measured.

        Returns:
            Name -> [n]: each label, "f0_hz" and "f0_semitones" (above 1 Hz; NaN where not
            measured), "loudness_db", "phones_per_s" (changes of the predicted phone per second
            that is not silent); "voice" [n, speakers - 1].
        """
        predicted = {label: judge(mels) for label, judge in self.judges.items()}
        predicted["f0_hz"] = np.full(len(mels), np.nan)
        for k in sounded:
            predicted["f0_hz"][k] = f0_hz(mels[k], spec)
        predicted["f0_semitones"] = 12 * np.log2(predicted["f0_hz"])
        predicted["loudness_db"] = np.array([latents.loudness_db(mel, spec) for mel in mels])
        if self.probe:
            predicted["phones_per_s"] = np.array(
                [latents.phones_per_s(self.probe(mel), self._silent, spec) for mel in mels]
            )
        if self.space:
            predicted["voice"] = self.space(mels)
        return predicted

    def phone_accuracy(self, mels: list[np.ndarray], utterances: list[dict]) -> float | None:
        """Computes the phone accuracy over the frames that are not silent.

        None where no phones are known.
        """
        if self.probe is None:
            return None
        correct = []
        for mel, each in zip(mels, utterances):
            spoken = ~np.isin(each["phone"], [latents.UNKNOWN, *self._silent])
            correct.append((self.probe(mel) == each["phone"])[spoken])
        correct = np.concatenate(correct)
        return float(correct.mean()) if len(correct) else None

    def flips(
        self,
        model: BetaVAE,
        found: dict,
        test: latents.Utterances,
        name: str,
        factor: int,
        control: int,
        rows: np.ndarray | None = None,
    ) -> tuple[dict, list[dict]]:
        """Measures what a flip of a latent changes (`flips`); returns the result and its tables."""
        result = flips(model, found, self, test, name, factor, control, rows)
        return result, tables(result)


def panel(model: BetaVAE, source: Source, seed: int) -> LatentJudges:
    """Returns the `LatentJudges` trained on the utterances of a source, the split "judge"."""
    return LatentJudges(latents.Utterances(model, source), seed)


# --- Flips


def flips(
    model: BetaVAE,
    found: dict,
    panel: LatentJudges,
    test: latents.Utterances,
    name: str,
    factor: int,
    control: int,
    rows: np.ndarray | None = None,
) -> dict:
    """Measures what a flip of a latent and of its control change in voices of unseen speakers.

    Args:
        model: A `models.betavae.BetaVAE` of mels.
        found: The result of `latents.discovered`, whose unseen items are those of `test`.
        panel: The judges, `LatentJudges`.
        test: The `Utterances` of the split "test".
        name: The label, or the continuous label, between whose ends the latent is flipped.
        factor: The latent that is flipped.
        control: The latent that is moved as far.
        rows: The indices of the utterances; None = all.

    Returns:
        A dict fit for JSON. "label", "factor", "control", "count", "to" (the names of both ends).
        "baseline": for "real" and "reconstruction": "right", label -> the accuracy of the judge,
        with "low" and "high" (95 %, Wilson) and "count"; "phones", the phone accuracy; for the
        reconstruction "error_db" (root mean square, of the mels) and "f0_error_semitones" (median
        size). "voice": median cosines of recordings of the "same" and of "other" speakers.
        "edits": "flip", "flip to NAME" and "control" -> the result of `latents.judged` against the
        reconstruction, with "phones", and "arrived", the share that is predicted as the end that
        the flip aims at.
    """
    rows = np.arange(len(test)) if rows is None else np.asarray(rows)
    utterances, spec = [test.utterance(row) for row in rows], test.spec
    moved = latents.edits(found, name, factor, control, rows)
    up = moved.pop("up")
    _, titles, classes = latents.ends(found["known"], name, factor)
    sounded = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SOUNDED)).astype(int))
    mels = {"real": [each["mel"] for each in utterances]}
    mels |= {edit: latents.decoded(model, codes, utterances) for edit, codes in moved.items()}
    predicted = {
        edit: panel(each, spec, sounded) for edit, each in progress.bar(mels.items(), desc="judges")
    }

    everywhere, first = np.arange(len(rows)), next(iter(predicted.values()))
    parts = {
        "flip": ("flip", everywhere),
        **{
            f"flip to {title}": ("flip", np.flatnonzero(up == bool(k)))
            for k, title in enumerate(titles)
        },
        "control": ("control", everywhere),
    }
    judges = {
        judge: lambda item, judge=judge: predicted[item[0]][judge][item[1]] for judge in first
    }
    result = {}
    for part, (edit, chosen) in parts.items():
        if not len(chosen):
            continue
        result[part] = latents.judged(("none", chosen), {part: (edit, chosen)}, judges)[part]
        result[part]["phones"] = panel.phone_accuracy(
            [mels[edit][k] for k in chosen], [utterances[k] for k in chosen]
        )
        if name in panel.judges and edit == "flip":
            wanted = np.where(up, classes[1], classes[0])
            result[part]["arrived"] = float(np.mean((predicted[edit][name] == wanted)[chosen]))
    return {
        "label": name,
        "factor": int(factor),
        "control": int(control),
        "count": len(rows),
        "to": list(titles),
        "judge_utterances": panel.utterances,
        "judge_note": panel.note,
        "baseline": _baseline(panel, mels, predicted, utterances, spec),
        "voice": _alike(predicted, utterances),
        "edits": result,
    }


def _baseline(panel, mels, predicted, utterances, spec):
    """Evaluates the judges on real utterances, and on their reconstructions."""
    rows = {}
    for row, edit in (("real", "real"), ("reconstruction", "none")):
        rows[row] = {"right": {}, "phones": panel.phone_accuracy(mels[edit], utterances)}
        for label in panel.judges:
            truth = np.array([each[label] for each in utterances])
            known = truth != latents.UNKNOWN
            if known.any():
                rows[row]["right"][label] = latents.share(
                    int(np.sum((predicted[edit][label] == truth)[known])), int(known.sum())
                )
    levels = [
        [20 * np.log10(audio.magnitude(mel, spec)) for mel in mels[edit]]
        for edit in ("real", "none")
    ]
    squares = np.concatenate([np.square(one - two).ravel() for one, two in zip(*levels)])
    rows["reconstruction"]["error_db"] = float(np.sqrt(squares.mean()))
    away = np.abs(predicted["none"]["f0_semitones"] - predicted["real"]["f0_semitones"])
    away = away[np.isfinite(away)]
    rows["reconstruction"]["f0_error_semitones"] = float(np.median(away)) if len(away) else None
    return rows


def _alike(predicted, utterances):
    """Computes median cosines of the voices of recordings: of the same speaker, and of two."""
    if "voice" not in predicted["real"]:
        return None
    voices = predicted["real"]["voice"]
    voices = voices / np.linalg.norm(voices, axis=1, keepdims=True)
    speaker = np.array([each["speaker"] for each in utterances])
    pairs = np.random.default_rng(0).integers(0, len(speaker), (PAIRS, 2))
    one, two = pairs[pairs[:, 0] != pairs[:, 1]].T
    cosines, same = np.sum(voices[one] * voices[two], axis=1), speaker[one] == speaker[two]
    return {
        kind: float(np.median(cosines[chosen])) if chosen.any() else None
        for kind, chosen in (("same", same), ("other", ~same))
    }


def scores(
    model: BetaVAE,
    sources: dict[str, Source],
    label: str = "",
    count: int | None = None,
    seed: int = 0,
    independent: IndependentJudges | None = None,
) -> dict:
    """Evaluates a beta-VAE of voices; returns the scores as a dict fit for JSON.

    Args:
        model: A trained `models.betavae.BetaVAE` of mels.
        sources: "train", "valid", "judge" and "test" -> `data.source.Source` of mels, and of F0 and
            phones as far as they are known.
        label: The label whose factor is flipped; "" = the gender, or the first known label.
        count: The number of test utterances whose flips are judged; None = all.
        seed: The seed of intervals, permutations and the training of the judges.
        independent: The judges from elsewhere, who hear the sources' waves; None = they are not
            asked.

    Returns:
        "flips" (see `flips`), "found" and "activity", "metrics": name -> number, and "tables" for
        people.

    Raises:
        KvoiceError: If the label is not known.
    """
    splits = {sources[name].split: sources[name] for name in ("train", "valid")}
    splits.pop(sources["test"].split, None)  # latents are not chosen by what is measured
    known = latents.Utterances(model, *splits.values())
    test = latents.Utterances(model, sources["test"])
    found = latents.discovered(model, known, test, np.random.default_rng(seed))
    label = label or next(iter(found["rankings"]), "")
    factor, control = latents.chosen(found, label)
    units = found["activity"]
    rows = np.unique(np.linspace(0, len(test) - 1, min(len(test), count or len(test))).astype(int))
    evaluated = {
        "kind": "voices",
        "label": label,
        "flips": None,
        "found": found["found"],
        "activity": {name: np.asarray(values).tolist() for name, values in units.items()},
        "metrics": {"active": len(units["active"]), "KL, nats": float(np.sum(units["kl"]))},
        "tables": [latents.found_table(found)],
    }
    made = {"reconstruction": np.asarray(found["unseen"]["mean"], np.float32)[rows]}
    if control is not None:  # else there is nothing to compare a flip with
        panel = LatentJudges(latents.Utterances(model, sources["judge"]), seed)
        result = flips(model, found, panel, test, label, factor, control, rows)
        evaluated["flips"], evaluated["metrics"] = result, _metrics(found, result)
        evaluated["tables"] += tables(result)
        moved = latents.edits(found, label, factor, control, rows)
        made |= {name: moved[name] for name in ("flip", "control")}
    else:
        evaluated["notes"] = [
            f"flips are not judged: no latent can be the control of {label or 'a label'}, one that "
            "is used and is not associated with it"
        ]
    if independent:
        utterances = [test.utterance(row) for row in rows]
        return added(evaluated, _heard(model, utterances, made, independent))
    return evaluated


def _heard(model, utterances, made, independent):
    """Returns what the independent judges find in the sounds of codes of some utterances.

    Args:
        model: The model.
        utterances: The utterances.
        made: Name of a row -> codes of all utterances, [n, latents].
        independent: The judges, `IndependentJudges`.
    """
    kept = independent.chosen(utterances)
    utterances = [utterances[k] for k in kept]
    sounds = {
        name: [
            render.sound(mel, independent.spec)
            for mel in latents.decoded(model, codes[kept], utterances)
        ]
        for name, codes in made.items()
    }
    return independent.scores(utterances, sounds)


def _metrics(found, result):
    """Returns the metrics by which runs are compared."""
    label = result["label"]
    best, base, edited = found["found"][label], result["baseline"], result["edits"]
    statistic = f"{label} {latents.STATISTICS[best['best']['statistic']]}"
    numbers = {
        statistic: best["best"]["value"],
        f"{statistic} (test)": best["confirmed"] and best["confirmed"]["value"],
        "flip changes": edited["flip"].get(label, {}).get("changed"),
        "control changes": edited["control"].get(label, {}).get("changed"),
        "phone accuracy (recordings)": base["real"]["phones"],
        "phone accuracy": base["reconstruction"]["phones"],
        "phone accuracy (flip)": edited["flip"]["phones"],
        "error, dB": base["reconstruction"]["error_db"],
        "active": len(found["activity"]["active"]),
        "KL, nats": float(np.sum(found["activity"]["kl"])),
    }
    return {name: value for name, value in numbers.items() if value is not None}


# --- Tables


def tables(result: dict) -> list[dict]:
    """Formats the result of `flips` as tables for `kvoice.report`."""
    base, label, labels = (
        result["baseline"],
        result["label"],
        list(result["baseline"]["real"]["right"]),
    )
    rows = [
        [
            row,
            *(f"{each['right'][name]['share']:.0%}" for name in labels),
            _percent(each["phones"]),
            _number(each.get("error_db"), ".1f"),
            _number(each.get("f0_error_semitones"), ".1f"),
        ]
        for row, each in base.items()
    ]
    voice = result["voice"]
    voice_note = (
        f" Voice: median cosine of before and after; two recordings of one speaker have "
        f"{voice['same']:.2f}, of two speakers {voice['other']:.2f}."
        if voice and None not in voice.values()
        else ""
    )
    edited = [
        [
            edit,
            str(each["loudness_db"]["count"]),
            *(
                f"{each[name]['changed']:.0%} ({each[name]['low']:.0%}–{each[name]['high']:.0%})"
                for name in labels
            ),
            _number(each.get("arrived"), ".0%"),
            _percent(each["phones"]),
            *(
                _number(each.get(name, {}).get("change"), "+.1f")
                for name in ("f0_semitones", "loudness_db", "phones_per_s")
            ),
            _number(each.get("voice", {}).get("similarity"), ".2f"),
        ]
        for edit, each in result["edits"].items()
    ]
    return [
        {
            "title": "Predictions of the judges without any edit",
            "note": f"Accuracy of the judges on {result['count']} utterances of speakers that were "
            f"unseen by them and by the model, real and reconstructed. They were trained on "
            f"{result['judge_utterances']} real utterances of other speakers. Phones: accuracy of "
            f"a linear probe, in frames that are not silent.{result['judge_note']}",
            "columns": ["utterances", *labels, "phones", "error, dB", "F0 error, semitones"],
            "rows": rows,
        },
        {
            "title": f"Latent {result['factor']} flipped, beside its control {result['control']}",
            "note": "Against the reconstruction: in how many utterances a judge predicts another "
            f"{' or another '.join(labels) or 'label'}; arrived: predicts the {label} that was "
            "aimed at; phone accuracy; median changes of F0, loudness and predicted phones per "
            f"second.{voice_note}",
            "columns": [
                "edit",
                "utterances",
                *(f"{name} changed" for name in labels),
                "arrived",
                "phones",
                "F0, semitones",
                "loudness, dB",
                "phones/s",
                "voice",
            ],
            "rows": edited,
        },
    ]


def _percent(value):
    return _number(value, ".0%")


def _number(value, how):
    return "–" if value is None else format(value, how)


# --- Runs


def validation(run: Run, corpus: Corpus) -> None:
    """Returns no validation metrics: the last epoch is kept."""


def callbacks(run: Run, valid: Source | FactorSource) -> list[disentanglement.LatentLog]:
    """Returns the callback that logs the KL divergence of each latent."""
    return [disentanglement.LatentLog(run, valid)]


def evaluate(run: Run, corpus: Callable[[], Corpus], options: Options) -> str:
    """Evaluates a run: disentanglement for images, the effect of flips for voices."""
    corpus, model = corpus(), loop.load(run.path)
    if corpus.images:
        sources = corpus.sources(("train", "test"))
        found = disentanglement.factor_scores(
            model, *sources.values(), options.count or FACTORS, options.seed, jobs=-1
        )
    else:
        sources = corpus.sources(("train", "valid", "judge", "test"), more=["f0", "wave"])
        of_hama = bool(model.phones) and corpus.manifest.phones == recognisers.HAMA
        independent = IndependentJudges(sources["test"], of_hama, options.seed, options.count)
        found = scores(
            model,
            sources,
            count=options.count or None,
            seed=options.seed,
            independent=independent,
        )
    return written(run.path, found, options)


def next_commands(run: Run) -> list[str]:
    """Returns commands that a user may try with a trained run."""
    known = next(
        (name for name in ("gender", "emotion") if len(run.labels.get(name, [])) > 1), "f0_hz"
    )
    label = "" if run.config["model"]["domain"] == "image" else f" --label={known}"
    return [f"traverse --run={run.quoted}{label}", f"report {run.quoted}"]
