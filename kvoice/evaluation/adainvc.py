"""Evaluates conversions with judges that were trained on neither of the two voices.

    judged_by = judged("demo", "../encoder", "demo:25-224")
    panel = ConversionJudges(encoder, judge, [test, judge], judged_by)
    scores = conversion_scores(model, run_speakers, sources, panel, independent=judges)
    examples(model, run_speakers, sources, panel, folder, about, independent=judges)

Everything is measured on the sound after the vocoder, and is compared with references: the source
transposed to the pitch of the target and otherwise unchanged, the unchanged source, an utterance of
the target speaker, and, for the phones, noise. Voices are compared by a speaker encoder, and words
by a linear phone probe; neither was trained on the speakers that are converted.
"""

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from kvoice import audio, exchange, plots, progress, runs, weights
from kvoice.data.corpora.utterance import words
from kvoice.data.source import Source
from kvoice.data.synthetic import additive
from kvoice.errors import KvoiceError
from kvoice.evaluation import Options, independent, judges, speakerencoder, voicegan
from kvoice.evaluation.independent import (
    NOISE,
    RECORDING,
    VOCODED,
    IndependentJudges,
    added,
    noises,
)
from kvoice.evaluation.judges import JUDGE_CLIPS, PhoneProbe, learned_from
from kvoice.evaluation.tables import written
from kvoice.files import refuse_foreign, whole_directory, write_json
from kvoice.inference import convert, encode, render
from kvoice.inference.voice import Voice, load
from kvoice.metrics import speech
from kvoice.metrics.classification import wilson
from kvoice.models.adainvc import AdaINVC
from kvoice.training.corpus import Corpus

CONVERSIONS = 192  # conversions between unseen speakers that are measured
OPTIONS = ("count", "data", "encoder", "judge_data", "split")
ENCODER = "runs/speakerencoder/default"  # the judge where none is named
FILE, FORMAT = "conversions.json", 1
SILENT = "sil"  # the phone of silence
UNKNOWN = -1
DASH = "–"  # in a table: not known
POOL = 12  # utterances of each speaker that are sources or targets of conversions
PROBED = 32  # utterances of each speaker for the speaker probe
PLOTTED = 10  # utterances of each speaker whose embeddings are plotted
EXAMPLES = 4  # conversions of each pair of genders that are written, of the first kind
EXAMPLE_S = 5.0  # of a longer recording, an example is the beginning: all stay under 10 MB
SEEN, UNSEEN = "seen", "unseen"
UNRELIABLE = 0.2  # equal error rate above which a speaker encoder is no reliable judge
CONVERTED, TRANSPOSED, SOURCE, TARGET = ROWS = (
    "converted",
    "source at the target's pitch",
    "source unchanged",
    "target's own",
)
TARGETS = {  # non-speech targets: name -> F0 in Hz, slope, inharmonicity, decay, which partials
    "a low tone with all harmonics": (80.0, -1.0, 0.0, 0.5, 0),
    "a high tone with odd harmonics": (440.0, -1.0, 0.0, 0.5, 1),
}


def judged(corpus: str, encoder: str, encoder_corpus: str) -> dict[str, str]:
    """Describes the judges, with a sentence that is shown beside numbers and sounds.

    Args:
        corpus: The corpus of the recordings that are converted, as `--data` names it.
        encoder: The run of the speaker encoder.
        encoder_corpus: The corpus that it was trained on; "" where its weights were imported.

    Returns:
        {"corpus", "encoder", "encoder_corpus", "description": a sentence}.
    """
    training = (
        f"which was trained on {encoder_corpus} and on none of these voices"
        if encoder_corpus
        else "whose weights were imported: whether it was trained on these voices is not known"
    )
    return {
        "corpus": corpus,
        "encoder": encoder,
        "encoder_corpus": encoder_corpus,
        "description": f"Judged on {corpus} by {encoder}, {training}.",
    }


class ConversionJudges:
    """The judges of conversions, trained on none of the speakers whose voices are converted.

    Args:
        encoder: A speaker encoder, as a `voice.Voice`.
        judge: A `data.source.Source` of mels and waves, and phones where they are known: the
            training data of the phone probe.
        recorded: Sources of waves, of speakers whom the encoder was not trained on: the threshold
            is computed on them.
        judged: The description that `judged` returns.
        seed: The seed of the interval and of the phone probe.

    Attributes:
        verification: The result of `speakerencoder.verification_scores`, with the threshold.
        judged: The description, with the "warning" that the encoder hardly distinguishes these
            voices, or "".
    """

    def __init__(
        self,
        encoder: Voice,
        judge: Source,
        recorded: list[Source],
        judged: dict[str, str],
        seed: int = 0,
    ) -> None:
        self.encoder, self.silent = encoder, []
        points, speakers, genders = (
            np.concatenate(each)
            for each in zip(*(speakerencoder.embedded(encoder, source) for source in recorded))
        )
        self.verification = speakerencoder.verification_scores(
            points, speakers, genders, np.random.default_rng(seed)
        )
        self.judged = judged | {
            "warning": ""
            if self.verification["rate"] <= UNRELIABLE
            else (
                f"{judged['encoder']} hardly distinguishes these voices (equal error rate "
                f"{self.verification['rate']:.1%}"
                "): its judgement means little"
            )
        }
        self.probe = None
        if "phone" in judge.arrays:
            count = min(len(judge), JUDGE_CLIPS)
            rows = np.unique(np.linspace(0, len(judge) - 1, count).astype(int))
            clips = [judge.utterance(row) for row in rows]
            self.probe = PhoneProbe(*zip(*((each["mel"], each["phone"]) for each in clips)), seed)
            self.silent = [i for i, name in enumerate(judge.labels["phone"]) if name == SILENT]

    def voices(self, waves: list[np.ndarray], sample_rate_hz: int) -> np.ndarray:
        """Computes embeddings of length 1: a list of [samples] -> [n, size]."""
        own_hz = self.encoder.spec.sample_rate_hz
        return encode.of_waves(
            self.encoder, [audio.resample(wave, sample_rate_hz, own_hz) for wave in waves]
        )

    def phone_accuracy(self, mels: list[np.ndarray], phones: list[np.ndarray]) -> np.ndarray | None:
        """Computes the phone accuracy of each mel: the share of frames, without silence.

        Shapes: lists of [time, mels] and [time] -> [n], NaN where all is silent; None where no
        phones are known.
        """
        if self.probe is None:
            return None
        shares = []
        for mel, phone in zip(mels, phones):
            spoken = ~np.isin(phone[: len(mel)], [UNKNOWN, *self.silent])
            correct = (self.probe(mel)[: len(spoken)] == phone[: len(mel)])[spoken]
            shares.append(correct.mean() if len(correct) else np.nan)
        return np.array(shares)


class Speakers:
    """The utterances of a source by speaker: some define the speaker's voice, others are converted.

    Utterances that another speaker says in the same words and emotion are converted first: where
    there are such, a conversion can be compared with the target's own recording.

    Args:
        source: A `data.source.Source` of mels, waves and F0.
        panel: The judges, `ConversionJudges`.
        rng: A NumPy generator, for the choice of the utterances that are converted.
    """

    def __init__(self, source: Source, panel: ConversionJudges, rng: np.random.Generator) -> None:
        self.source, self.numbers = source, source.speaker_of()
        self.names = [
            source.labels["speaker"][k] for k in np.unique(self.numbers[self.numbers >= 0])
        ]
        self.rows, self.voice, self._sounds = {}, {}, {}
        self._longest = int(EXAMPLE_S * source.spec.sample_rate_hz) // source.spec.hop
        self._said, self._short = [], []
        for each in map(source.utterance, range(len(source))):
            self._said.append((words(each["text"]), each["emotion"]))
            self._short.append(bool(self._said[-1][0]) and len(each["mel"]) <= self._longest)
        said = [{self._said[row] for row in self._own(name)} for name in self.names]
        shared = {
            each
            for each, speakers in collections.Counter(itertools.chain(*said)).items()
            if each[0] and speakers > 1
        }
        enrolled, speakers = speakerencoder.chosen(source)
        points, _, _ = speakerencoder.embedded(panel.encoder, source)
        for name in self.names:
            own = self._own(name)
            rest = np.setdiff1d(own, enrolled)
            rows = rng.permutation(rest if len(rest) > 1 else own)  # of few, all
            self.rows[name] = self._first(rows, shared)[:POOL]
            mean = points[speakers == self.numbers[own[0]]].mean(axis=0)
            self.voice[name] = mean / np.linalg.norm(mean)

    def _own(self, name):
        """Returns the rows of a speaker."""
        return np.flatnonzero(self.numbers == self.source.labels["speaker"].index(name))

    def _first(self, rows, said):
        """Sorts rows: those come first whose words and emotion are among `said`."""
        return sorted(rows, key=lambda row: self._said[row] not in said)

    def said(self, name: str) -> set[tuple[str, int]]:
        """Returns the words and emotions of a speaker's utterances, as far as they are known."""
        return {self._said[row] for row in self._own(name) if self._said[row][0]}

    def drawn(
        self,
        name: str,
        rng: np.random.Generator,
        said: Collection[tuple[str, int]] = (),
        other_than: str = "",
    ) -> dict:
        """Draws a random utterance of a speaker that fits, or any where there is none.

        Args:
            name: The speaker.
            rng: A NumPy generator.
            said: The words and emotions that another speaker `said`: one of these is drawn.
            other_than: A text: one of other words is drawn.
        """
        rows = self._first(rng.permutation(self.rows[name]), said)
        row = self._other(rows, other_than)
        return self.source.utterance(row) | {"row": row}

    def _other(self, rows, other_than):
        """Returns the first row of other words than a text; the first of all if there is none."""
        others = [row for row in rows if self._said[row][0] != words(other_than)]
        return others[0] if others and other_than else rows[0]

    def by_gender(self, rng: np.random.Generator) -> dict[int, list[str]]:
        """Returns the names of the speakers of each gender, in random order.

        Those come first of whom there is a recording of `EXAMPLE_S` at most with a text.
        """
        names = [self.names[k] for k in rng.permutation(len(self.names))]
        names.sort(key=lambda name: not any(self._short[row] for row in self.rows[name]))
        found = {}
        for name in names:
            gender = self.source.utterance(self.rows[name][0])["gender"]
            found.setdefault(gender, []).append(name)
        return dict(sorted(found.items()))

    def example(self, name: str, other_than: str = "") -> dict:
        """Returns a recording of a speaker for an example: always the same, if its words fit.

        It is a short one with a text where there is one. Of a recording longer than `EXAMPLE_S` it
        is the beginning, whose text is not known.

        Args:
            name: The speaker.
            other_than: A text: a recording of other words is taken, if there is one.
        """
        rows = sorted(self.rows[name], key=lambda row: not self._short[row])
        row = self._other(rows, other_than)
        found, spec = self.source.utterance(row) | {"row": row}, self.source.spec
        if len(found["mel"]) > self._longest:
            ends = {each: self._longest for each in self.source.arrays}
            ends["wave"] = spec.samples(self._longest)
            found |= {each: found[each][:end] for each, end in ends.items()} | {"text": ""}
            found["wave"] = render.eased(found["wave"], spec)
        return found

    def sound(self, utterance: dict) -> np.ndarray:
        """Returns the sound of an utterance of `drawn` after the vocoder."""
        if utterance["row"] not in self._sounds:
            self._sounds[utterance["row"]] = render.sound(utterance["mel"], self.source.spec)
        return self._sounds[utterance["row"]]

    def parallel(self, name: str, utterance: dict) -> dict | None:
        """Returns a speaker's utterance of the same words and emotion; None if there is none."""
        said = words(utterance["text"]), utterance["emotion"]
        for row in self._own(name) if said[0] else ():
            if self._said[row] == said:
                return self.source.utterance(row)
        return None


def pairs(
    sources: list[str], targets: list[str], count: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    """Draws `count` ordered pairs of two different speakers, each as often as the others.

    Args:
        sources: The names of the source speakers.
        targets: The names of the target speakers.
        count: The number of pairs.
        rng: A NumPy generator, for the order.
    """
    every = [(one, two) for one in sources for two in targets if one != two]
    if not every:
        raise KvoiceError("a conversion needs two speakers")
    rounds = -(-count // len(every))
    return [every[k] for _ in range(rounds) for k in rng.permutation(len(every))][:count]


def _mel(wave, spec):
    """Computes the mel of a generated sound as `data.source` computes those of recordings."""
    return audio.mel(audio.condition(wave, spec, trim=False), spec)


# --- Measures


def conversion_scores(
    model: AdaINVC,
    trained_on: list[str],
    sources: dict[str, Source],
    panel: ConversionJudges,
    count: int = 192,
    seed: int = 0,
    independent: IndependentJudges | None = None,
) -> dict:
    """Evaluates a conversion model; returns the scores as a dict fit for JSON.

    Args:
        model: A trained `models.adainvc.AdaINVC`.
        trained_on: The names of the speakers that it was trained on.
        sources: "train" and "test" -> `data.source.Source` of mels, waves and F0, and phones where
            they are known.
        panel: The judges, `ConversionJudges`.
        count: The number of conversions between unseen speakers; of each other kind a quarter.
            Where there is one unseen speaker only, the first kind is "unseen to seen".
        seed: The seed of all random draws.
        independent: The judges from elsewhere, of some conversions of the first kind; None = they
            are not asked.

    Returns:
        {"judged" (see `ConversionJudges`), "kinds": "unseen to unseen", ... -> `_judged`,
        "genders": the same for pairs of genders among the first, "reconstruction", "speaker_probe",
        "threshold", "metrics", "tables"}.
    """
    rng = np.random.default_rng(seed)
    people = _people(trained_on, sources, panel, rng)
    kinds, trials = {}, {}
    for one, two in _kinds(people):
        kind, asked = f"{one} to {two}", max(2, count // 4) if trials else count
        trials[kind] = _trials(model, people[one], people[two], panel, asked, rng, kind)
        kinds[kind] = _judged(trials[kind], panel)
    first, genders = next(iter(trials.values())), {}
    for pair in sorted({trial["genders"] for trial in first}):
        genders[pair] = _judged([trial for trial in first if trial["genders"] == pair], panel)
    scores = {
        "kind": "conversions",
        "judged": panel.judged,
        "threshold": panel.verification["threshold"],
        "encoder": panel.verification,
        "kinds": kinds,
        "genders": genders,
        "reconstruction": _reconstruction(model, sources["test"], rng),
        "speaker_probe": speaker_probe_accuracy(model, sources["train"]),
        "count": count,
        "seed": seed,
    }
    scores |= {"metrics": _metrics(scores), "tables": tables(scores)}
    return added(scores, _heard(first, independent)) if independent else scores


def _heard(trials, independent):
    """Returns what the independent judges find in some conversions."""
    kept = [trials[k] for k in independent.chosen([trial["source"] for trial in trials])]
    return independent.scores(
        [trial["source"] for trial in kept],
        {
            CONVERTED: [trial["waves"][CONVERTED] for trial in kept],
            TRANSPOSED: [trial["waves"][TRANSPOSED] for trial in kept],
            VOCODED: [trial["waves"][SOURCE] for trial in kept],
        },
        [audio.deemphasised(trial["target"]["wave"], trial["spec"]) for trial in kept],
    )


def _people(trained_on, sources, panel, rng):
    """Returns the `Speakers` that are "unseen", and those that were "seen" in training.

    Raises:
        KvoiceError: If speakers of the split test were trained on.
    """
    if known := sorted({*sources["test"].speakers} & {*trained_on}):
        raise KvoiceError(
            f"{', '.join(known[:3])}: in the split test of this corpus, but the run was trained on "
            "them; give with --data a corpus of other speakers"
        )
    people = {UNSEEN: Speakers(sources["test"], panel, rng)}
    if set(sources["train"].speakers) <= set(trained_on):
        people[SEEN] = Speakers(sources["train"], panel, rng)
    return people


def _kinds(people):
    """Returns the pairs of "unseen" and "seen" between which conversions are possible.

    Raises:
        KvoiceError: If there is none.
    """
    every = [
        (one, two)
        for one in people
        for two in people
        if len({*people[one].names, *people[two].names}) > 1
    ]
    if not every:
        raise KvoiceError(
            "a conversion needs two speakers, and there is one unseen speaker only: use a larger "
            "corpus, with --data"
        )
    return every


def _trials(model, sources, targets, panel, count, rng, title):
    """Makes conversions and measures each of them."""
    spec, made = sources.source.spec, []
    plan = pairs(sources.names, targets.names, count, rng)
    for one, two in progress.bar(plan, desc=title):
        source = sources.drawn(one, rng, targets.said(two))
        target = targets.drawn(two, rng, other_than=source["text"])
        parallel = targets.parallel(two, source)
        mel, aim = _converted(model, spec, source, target)
        vocoder = aim.vocoder(spec, source["f0"])
        waves = {
            CONVERTED: render.sound(mel, spec, vocoder=vocoder),
            TRANSPOSED: render.sound(source["mel"], spec, vocoder=vocoder),
            SOURCE: sources.sound(source),
            TARGET: targets.sound(target),
        }
        made.append(
            {
                "source": source,
                "target": target,
                "parallel": parallel,
                "waves": waves,
                # The mels of the sounds, without the last frame of the vocoder.
                "mels": {name: _mel(wave, spec) for name, wave in waves.items()}
                | {NOISE: voicegan.white_noise(source["mel"][None], spec, rng)[0]},
                "genders": _genders(sources.source, source, target),
                "voices": (sources.voice[one], targets.voice[two]),
                "spec": spec,
            }
        )
    for name in ROWS:
        points = panel.voices([trial["waves"][name] for trial in made], spec.sample_rate_hz)
        for trial, point in zip(made, points):
            trial.setdefault("cosines", {})[name] = [
                float(point @ voice) for voice in trial["voices"]
            ]
    return made


def _converted(model, spec, source, target):
    """Converts an utterance to the voice of another as `kvoice convert` does.

    Returns:
        The mel, and the `convert.Target`.
    """
    voice = Voice(model, spec)
    aim = convert.Target.of(voice, [(target["mel"], target["f0"])], convert.MIX)
    return convert.conversion(voice, source["mel"], aim), aim


def _genders(source, one, two):
    names = source.labels["gender"]
    return " to ".join(
        names[each["gender"]] if each["gender"] >= 0 else "unknown" for each in (one, two)
    )


def _judged(trials, panel):
    """Computes the scores of a set of conversions.

    Returns:
        {"count", "voice": row -> {"to_target", "to_source" (mean cosines), "nearer" and "accepted"
        (shares with "low" and "high", 95 %, Wilson)}, "content": row -> {"phones", "mcd_db"}, "f0":
        row -> {"to_target_cents", "to_source_cents" (median distances of the median F0),
        "rmse_cents" and "correlation" (with the source's F0, frame by frame, median)}}; None where
        nothing is known.
    """
    threshold, found = (
        panel.verification["threshold"],
        {"count": len(trials), "voice": {}, "content": {}, "f0": {}},
    )
    for name in ROWS:
        to_source, to_target = np.array([trial["cosines"][name] for trial in trials]).T
        found["voice"][name] = {
            "to_target": float(to_target.mean()),
            "to_source": float(to_source.mean()),
            "nearer": _share(to_target > to_source),
            "accepted": _share(to_target >= threshold),
        }
        if name != TARGET:
            found["f0"][name] = _f0(trials, name)
    phones = [trial["source"].get("phone") for trial in trials]
    heard = {
        name: [trial["mels"][name] for trial in trials]
        for name in (CONVERTED, TRANSPOSED, SOURCE, NOISE)
    }
    heard["source recorded"] = [trial["source"]["mel"] for trial in trials]
    for name, mels in heard.items():
        accuracy = None if phones[0] is None else panel.phone_accuracy(mels, phones)
        found["content"][name] = {
            "phones": None if accuracy is None else float(np.nanmean(accuracy)),
            "mcd_db": _mcd(trials, mels),
        }
    return found


def _share(hits):
    low, high = wilson(int(hits.sum()), len(hits))
    return {"share": float(hits.mean()), "low": low, "high": high}


def _mcd(trials, mels):
    """Computes the mean mel-cepstral distance in dB to the target's utterance of the same text."""
    far = [
        speech.mel_cepstral_distance(
            _ln(mel, trial["spec"]), _ln(trial["parallel"]["mel"], trial["spec"])
        )
        for trial, mel in zip(trials, mels)
        if trial["parallel"] is not None
    ]
    return float(np.mean(far)) if far else None


def _ln(mel, spec):
    return np.log(np.maximum(audio.magnitude(mel, spec), 1e-5))


def _f0(trials, name):
    """Compares the F0 of a row with that of the target and of the source."""
    columns = {"to_target_cents": [], "to_source_cents": [], "rmse_cents": [], "correlation": []}
    for trial in trials:
        spec = trial["spec"]
        track = audio.f0(trial["waves"][name], spec.sample_rate_hz, spec.hop)
        known = {who: trial[who]["f0"] for who in ("source", "target")}
        for who, each in known.items():
            if track.any() and each.any():
                columns[f"to_{who}_cents"].append(
                    1200 * abs(np.log2(np.median(track[track > 0]) / np.median(each[each > 0])))
                )
        frames = min(len(track), len(known["source"]))
        errors = speech.f0_errors(track[:frames], known["source"][:frames])
        for column in ("rmse_cents", "correlation"):
            if errors[column] is not None:
                columns[column].append(errors[column])
    return {name: float(np.median(values)) if values else None for name, values in columns.items()}


def _reconstruction(model, source, rng, count=48):
    """Computes the reconstruction error of unseen mels, standardised ("l1") and in dB."""
    rows = rng.permutation(len(source))[:count]
    absolute, squares, spread = [], [], np.asarray(source.moments()[1])
    for row in rows:
        mel = source.utterance(row)["mel"]
        found = model.encode(mel)
        away = model.decode(found["content"], found["styles"])[: len(mel)] - mel
        absolute.append(np.abs(away / spread).mean())
        levels = [
            20 * np.log10(np.maximum(audio.magnitude(each, source.spec), 1e-5))
            for each in (mel, mel + away)
        ]
        squares.append(np.square(levels[0] - levels[1]).mean())
    return {"l1": float(np.mean(absolute)), "error_db": float(np.sqrt(np.mean(squares)))}


def speaker_probe_accuracy(
    model: AdaINVC, source: Source, per_speaker: int = PROBED
) -> dict | None:
    """Measures how accurately a linear probe predicts the speaker from the content code.

    A linear discriminant on mean, standard deviation and mean change of the content of whole
    utterances; it is trained on three quarters of the texts and tested on the others. Without
    texts, it is tested on every fourth utterance. Speakers who are only in one of the two parts are
    left out.

    Returns:
        {"accuracy", "low", "high" (95 %, Wilson), "chance", "speakers", "utterances"}; None where
        fewer than two speakers are in both, or the first has one recording of each.

    Source: the measure of Chou, Yeh & Lee 2019, table 1 (37.5 % with instance normalisation, 65.8 %
    without); differs: the probe, and synthetic speakers where the corpus has them.
    """
    rows, speakers = speakerencoder.chosen(source, per_speaker)
    found = [source.utterance(row) for row in progress.bar(rows, desc="speaker probe")]
    codes = np.concatenate(
        [speech.mel_features(model.encode(each["mel"])["content"][None]) for each in found]
    )
    texts = [each["text"] or str(k) for k, each in enumerate(found)]
    order = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    tested = np.array([order[text] % 4 == 3 for text in texts])
    both = np.intersect1d(speakers[tested], speakers[~tested])
    trained, tested = (part & np.isin(speakers, both) for part in (~tested, tested))
    if len(both) < 2 or trained.sum() <= len(both):
        return None
    correct = judges.probe_correct(
        codes[trained], speakers[trained], codes[tested], speakers[tested]
    )
    low, high = wilson(int(correct.sum()), len(correct))
    kinds = len(both)
    return {
        "accuracy": float(correct.mean()),
        "low": low,
        "high": high,
        "chance": 1 / kinds,
        "speakers": kinds,
        "utterances": int(trained.sum() + tested.sum()),
    }


def _metrics(scores):
    """Returns the metrics by which runs are compared."""
    first = next(iter(scores["kinds"].values()))
    voice, content = first["voice"]["converted"], first["content"]
    numbers = {
        "nearer to the target": voice["nearer"]["share"],
        "accepted as the target": voice["accepted"]["share"],
        "phone accuracy": content["converted"]["phones"],
        "phone accuracy (recordings)": content["source recorded"]["phones"],
        "MCD, dB": content["converted"]["mcd_db"],
        "speaker-probe accuracy": (scores["speaker_probe"] or {}).get("accuracy"),
        "reconstruction, dB": scores["reconstruction"]["error_db"],
    }
    return {name: value for name, value in numbers.items() if value is not None}


# --- As tables


def tables(scores: dict) -> list[dict]:
    """Formats the scores as tables for `kvoice.report`."""
    encoder, probe = scores["encoder"], scores["speaker_probe"]
    sets = {**scores["kinds"], **{f"  {pair}": each for pair, each in scores["genders"].items()}}
    voice, content, f0 = [], [], []
    for kind, each in sets.items():
        for name, row in each["voice"].items():
            first = name == CONVERTED
            voice.append(
                [
                    kind if first else "",
                    name,
                    str(each["count"]) if first else "",
                    f"{row['to_target']:.2f}",
                    f"{row['to_source']:.2f}",
                    _interval(row["nearer"]),
                    _interval(row["accepted"]),
                ]
            )
        if kind.startswith(" "):
            continue
        content += [
            [
                kind if k == 0 else "",
                name,
                _number(row["phones"], ".1%"),
                _number(row["mcd_db"], ".2f"),
            ]
            for k, (name, row) in enumerate(each["content"].items())
        ]
        f0 += [
            [
                kind if k == 0 else "",
                name,
                *(
                    _number(row[column], ".0f")
                    for column in ("to_target_cents", "to_source_cents", "rmse_cents")
                ),
                _number(row["correlation"], ".2f"),
            ]
            for k, (name, row) in enumerate(each["f0"].items())
        ]
    return [
        {
            "title": "Voice similarity",
            "note": f"{_judged_sentence(scores['judged'])} Mean cosines of the speaker encoder's "
            "embedding with the mean of other recordings of the target and of the source; the "
            "share that is nearer to the target; and the share that passes for the target, with a "
            f"cosine of {encoder['threshold']:.3f} or more: there the equal error rate of real "
            f"recordings of {encoder['speakers']} speakers is "
            f"{speakerencoder.with_interval(encoder)}. 95 % "
            f"intervals (Wilson) over conversions.",
            "columns": [
                "speakers",
                "sound",
                "count",
                "to target",
                "to source",
                "nearer to target",
                "accepted as target",
            ],
            "rows": voice,
        },
        *_content_table(content),
        {
            "title": "F0",
            "note": "Medians over conversions: distance of the median F0 to that of the target's "
            "recording and to the source's; and the F0 frame by frame against the source's: root "
            "mean square distance in cents, and correlation.",
            "columns": [
                "speakers",
                "sound",
                "to target, cents",
                "to source, cents",
                "RMSE to source, cents",
                "correlation",
            ],
            "rows": f0,
        },
        {
            "title": "Content code and reconstruction",
            "note": "Speaker-probe accuracy: of a linear probe that predicts the "
            f"{probe['speakers']} speakers of the split train from the content code "
            "of sentences that it was not trained on (lower is better). Error: the reconstruction "
            "error of unseen recordings."
            if probe
            else "The reconstruction error of unseen recordings. The split train has too few "
            "recordings of each speaker for a speaker probe.",
            "columns": [
                "",
                "speaker-probe accuracy (95 %)",
                "chance",
                "L1, standardised",
                "error, dB",
            ],
            "rows": [
                [
                    "content code",
                    f"{probe['accuracy']:.1%} ({probe['low']:.0%}-{probe['high']:.0%})"
                    if probe
                    else "–",
                    f"{probe['chance']:.1%}" if probe else "–",
                    f"{scores['reconstruction']['l1']:.3f}",
                    f"{scores['reconstruction']['error_db']:.1f}",
                ]
            ],
        },
    ]


def _content_table(rows):
    """Returns the table of the phonetic content; none where neither phones nor texts are known."""
    if all(cell == DASH for row in rows for cell in row[2:]):
        return []
    return [
        {
            "title": "Phonetic content",
            "note": "Phone accuracy of a linear probe that was trained on other speakers, in "
            "frames that are not silent; and mel-cepstral distance, along the best alignment, to "
            "the target's utterance of the same text.",
            "columns": ["speakers", "sound", "phone accuracy", "MCD, dB"],
            "rows": rows,
        }
    ]


def _judged_sentence(judged):
    """Returns the sentence on the judges, with the warning if there is one."""
    return judged["description"] + (f" Mind that {judged['warning']}." if judged["warning"] else "")


def _interval(share):
    return f"{share['share']:.0%} ({share['low']:.0%}-{share['high']:.0%})"


def _number(value, how):
    return DASH if value is None else format(value, how)


# --- Examples


def examples(
    model: AdaINVC,
    trained_on: list[str],
    sources: dict[str, Source],
    panel: ConversionJudges,
    folder: Path,
    about: dict,
    seed: int = 0,
    independent: IndependentJudges | None = None,
) -> dict:
    """Writes some conversions as wavs and pictures, and a plot of the voices, into a folder.

    FOLDER/
        conversions.json   the list of all files with what the judges say of each; written last
        unseen_K.wav, seen_K.wav   recordings K of the splits, sources or targets or both
        K_converted.wav, K.png
        embeddings.png     the embeddings of speakers, seen and unseen, in two dimensions (t-SNE)

    Args:
        model: See `conversion_scores`, as `trained_on`, `sources`, `panel`, `seed`.
        folder: The folder.
        about: What else conversions.json holds.
        independent: The judges from elsewhere, who are asked about each example; None = they are
            not asked.

    Returns:
        The content of conversions.json.
    """
    rng, spec = np.random.default_rng(seed), sources["test"].spec
    people = _people(trained_on, sources, panel, rng)
    plan = _planned(people, panel, rng)
    every = [*itertools.chain(*plan.values())]
    written = _Examples(model, panel, independent, folder, spec, every, seed)
    made = {
        "format": FORMAT,
        **about,
        "sample_rate_hz": spec.sample_rate_hz,
        "seed": seed,
        "judged": panel.judged,
        "threshold": panel.verification["threshold"],
        "longest_s": EXAMPLE_S,
        "independent": written.judged(),
        "groups": [written.group(title, planned) for title, planned in plan.items()],
        "embeddings": _embeddings(
            model, [each.source for each in people.values()], folder / "embeddings.png", seed
        ),
    }
    write_json(folder / FILE, made)
    return made


def _planned(people, panel, rng):
    """Returns the conversions of each group: title -> [{"source", "target", "voices", ...}]."""
    by_gender = {who: each.by_gender(rng) for who, each in people.items()}
    plan = {}
    for one, two in _kinds(people):
        pairs_of = _of_genders(by_gender[one], by_gender[two], 1 if plan else EXAMPLES)
        if plan:  # of the other kinds less: those that change the gender, where there are such
            changed = {key: each for key, each in pairs_of.items() if len({*key}) > 1}
            pairs_of = changed or pairs_of
        plan[f"{one} to {two}"] = [
            _plan(people, one, source, two, target)
            for source, target in itertools.chain(*pairs_of.values())
        ]
    unseen, name = people[UNSEEN], next(iter(by_gender[UNSEEN].values()))[0]
    spec = unseen.source.spec
    plan["towards what is no voice"] = [
        {
            "source": _filed(UNSEEN, unseen.example(name)),
            "target": {
                "wave": wave,
                "mel": _mel(wave, spec),
                "f0": audio.f0(wave, spec.sample_rate_hz, spec.hop),
                "file": f"tone_{k}.wav",
            },
            "voices": (unseen.voice[name], panel.voices([wave], spec.sample_rate_hz)[0]),
            "title": f"{name} → {title}",
            "note": "",
        }
        for k, (title, wave) in enumerate(_tones(spec).items())
    ]
    return plan


def _of_genders(sources, targets, count):
    """Returns some pairs of speakers for each pair of genders, of as few speakers as possible.

    Args:
        sources: Gender -> names of speakers, as `Speakers.by_gender` returns them.
        targets: The same of the targets.
        count: The number of pairs of each pair of genders; fewer where there are no more.

    Returns:
        (gender of the source, gender of the target) -> [(source, target)].
    """
    found, size = {}, max(2, count)
    for one, two in itertools.product(sources, targets):
        own, others = sources[one][:size], targets[two][:size]
        turns = [
            (name, others[(k + turn) % len(others)])
            for turn in range(len(others))
            for k, name in enumerate(own)
        ]
        found[one, two] = [pair for pair in turns if pair[0] != pair[1]][:count]
    return found


def _plan(people, one, source_name, two, target_name):
    """Returns what a conversion between two speakers is made of."""
    source = people[one].example(source_name)
    target = people[two].example(target_name, other_than=source["text"])
    recording = audio.deemphasised(target["wave"], people[two].source.spec)
    return {
        "source": _filed(one, source),
        "target": _filed(two, target) | {"wave": recording},
        "voices": (people[one].voice[source_name], people[two].voice[target_name]),
        "title": f"{source_name} → {target_name}",
        "note": _genders(people[one].source, source, target),
    }


def _filed(who, utterance):
    """Adds the name of its file to an utterance of speakers who are "unseen" or "seen"."""
    return utterance | {"file": f"{who}_{utterance['row']}.wav"}


def _tones(spec):
    """Renders `TARGETS` at the rate of a Spec: name -> [samples]."""
    found = {}
    for name, sounding in TARGETS.items():
        wave = np.float32(0.1 * additive.tones(*sounding, samples=2 * additive.SAMPLE_RATE_HZ)[0])
        found[name] = audio.resample(
            0.3 * wave / np.abs(wave).max(), additive.SAMPLE_RATE_HZ, spec.sample_rate_hz
        )
    return found


class _Examples:
    """Writes conversions, with what all judges say of them and of the recordings.

    A recording is written and judged once, however often it is converted, or is a target.

    Args:
        model, panel, independent, folder, seed: See `examples`.
        spec: The Spec of the mels.
        plan: All conversions, as `_planned` returns them.
    """

    def __init__(self, model, panel, independent, folder, spec, plan, seed):
        self.model, self.panel, self.independent = model, panel, independent
        self.folder, self.spec, self.seed = folder, spec, seed
        self.sources = {each["source"]["file"]: each["source"] for each in plan}
        self.count, self._of_recordings, self._of_targets = 0, {}, {}
        self._expected = {}
        if independent:
            found = independent.expected([*self.sources.values()])
            self._expected = dict(zip(self.sources, found, strict=True))

    def judged(self):
        """Returns how the independent judges judge; None where they are not asked."""
        if not self.independent:
            return None
        known = self.independent.verification
        return {
            "english": self.independent.english,
            "against": self.independent.against([*self.sources.values()]),
            "threshold": known["threshold"] if known else None,
        }

    def group(self, title, plan):
        """Writes some conversions; returns their group in conversions.json."""
        made = [self._written(each) for each in progress.bar(plan, desc=f"examples, {title}")]
        return {
            "title": title,
            "rows": [row for row, _ in made],
            "references": {
                name: self._mean([sounds[name] for _, sounds in made]) for name in made[0][1]
            },
        }

    def _written(self, each):
        """Writes a conversion; returns its row, and what is said of it and of its references."""
        source, target, spec = each["source"], each["target"], self.spec
        stem, self.count = f"{self.count:02d}", self.count + 1
        mel, aim = _converted(self.model, spec, source, target)
        wave = render.sound(mel, spec, vocoder=aim.vocoder(spec, source["f0"]))
        sounds = self._references(source)
        recorded = sounds[RECORDING]["wave"]
        wave = render.levelled(wave, recorded)[0]
        (alone,) = self._alone(source, [wave], [_mel(wave, spec)])
        sounds = sounds | {CONVERTED: alone}
        waves = {"source": recorded, "target": target["wave"], "converted": wave}
        names = {
            "source": source["file"],
            "target": target["file"],
            "converted": f"{stem}_converted.wav",
        }
        for part, name in names.items():
            if not (self.folder / name).exists():
                audio.write(self.folder / name, waves[part], spec.sample_rate_hz)
        self._draw(self.folder / f"{stem}.png", [source["mel"], target["mel"], mel])
        found = self._compared(sounds, each["voices"], target["wave"])
        of_phones = {"source": RECORDING, "converted": CONVERTED}
        row = {
            "title": each["title"],
            "note": each["note"],
            **names,
            "picture": f"{stem}.png",
            **{key: found[CONVERTED][key] for key in ("to_source", "to_target")},
            "phones": {part: found[name]["phone_accuracy"] for part, name in of_phones.items()}
            if found[CONVERTED]["phone_accuracy"] is not None
            else None,
            "f0_hz": {part: self._f0(wave) for part, wave in waves.items()},
            "independent": self._of_row(found, target),
        }
        return row, found

    def _references(self, source):
        """Returns the sounds that a conversion is compared with, and what is said in them.

        Name of a row of the independent judges -> {"wave", "phone_accuracy", "independent"}.
        """
        if source["file"] not in self._of_recordings:
            recorded = audio.deemphasised(source["wave"], self.spec)
            vocoded = render.sound(source["mel"], self.spec)
            (noise,) = noises([recorded], self.seed)
            mels = [source["mel"], *(_mel(wave, self.spec) for wave in (vocoded, noise))]
            alone = self._alone(source, [recorded, vocoded, noise], mels)
            names = RECORDING, VOCODED, NOISE
            self._of_recordings[source["file"]] = dict(zip(names, alone, strict=True))
        return self._of_recordings[source["file"]]

    def _alone(self, source, waves, mels):
        """Judges what is said in sounds that were made of a recording, and their quality."""
        accuracies = [None] * len(waves)
        if "phone" in source:
            found = self.panel.phone_accuracy(mels, [source["phone"]] * len(mels))
            accuracies = accuracies if found is None else [float(each) for each in found]
        judged = [None] * len(waves)
        if self.independent:
            expected = [self._expected[source["file"]]] * len(waves)
            judged = self.independent.judgements(waves, expected)
        return [
            {"wave": wave, "phone_accuracy": accuracy, "independent": each}
            for wave, accuracy, each in zip(waves, accuracies, judged, strict=True)
        ]

    def _compared(self, sounds, voices, wanted):
        """Compares the voices of sounds with those of source and target, and with a recording."""
        waves = [each["wave"] for each in sounds.values()]
        points = self.panel.voices(waves, self.spec.sample_rate_hz)
        said = [None] * len(waves)
        if self.independent:
            embedded = self.independent.embeddings([wanted])
            said = self.independent.voices(waves, embedded)
        return {
            name: {
                "to_source": float(point @ voices[0]),
                "to_target": float(point @ voices[1]),
                "phone_accuracy": each["phone_accuracy"],
                "independent": each["independent"] and each["independent"] | {"voice": voice},
            }
            for (name, each), point, voice in zip(sounds.items(), points, said, strict=True)
        }

    def _of_row(self, found, target):
        """Returns what the independent judges say of a conversion, its source and its target."""
        if not self.independent:
            return None
        judged = {name: each["independent"] for name, each in found.items() if name != NOISE}
        if "row" not in target:
            return judged  # what is no voice is no target of a quality either
        if target["file"] not in self._of_targets:
            (found,) = self.independent.judgements([target["wave"]])
            self._of_targets[target["file"]] = found | {"voice": None}
        return judged | {"target": self._of_targets[target["file"]]}

    def _mean(self, found):
        """Returns the means of what is said of a kind of sound."""
        accuracies = [each["phone_accuracy"] for each in found]
        return {
            **{
                key: float(np.mean([each[key] for each in found]))
                for key in ("to_source", "to_target")
            },
            "phone_accuracy": None if None in accuracies else float(np.nanmean(accuracies)),
            "independent": self.independent.mean([each["independent"] for each in found])
            if self.independent
            else None,
        }

    def _draw(self, path, mels):
        """Draws the mels of source, target and conversion side by side."""
        frames = max(map(len, mels))
        padded = [
            np.pad(each, ((0, frames - len(each)), (0, 0)), constant_values=self.spec.silence)
            for each in mels
        ]
        plots.mel_image(path, [padded], [""], self.spec, ("source", "target", "converted"))

    def _f0(self, wave):
        """Computes the median F0 of a sound in Hz; None where nothing is voiced."""
        track = audio.f0(wave, self.spec.sample_rate_hz, self.spec.hop)
        return float(np.median(track[track > 0])) if track.any() else None


def _embeddings(model, sources, path, seed):
    """Plots the embeddings of voices; returns the entry in conversions.json."""
    points, speakers, genders = [], [], []
    for source in sources:
        rows, numbers = speakerencoder.chosen(source, PLOTTED)
        for row, number in zip(rows, numbers):
            found = source.utterance(row)
            code = model.encode(found["mel"])
            points.append(code.get("embedding", code["styles"].ravel()))
            speakers.append(source.labels["speaker"][number])
            genders.append(source.labels["gender"][found["gender"]] if found["gender"] >= 0 else "")
    return speakerencoder.picture(path, np.stack(points), speakers, genders, seed)


# --- Runs


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A speaker encoder that judges conversions.

    Attributes:
        voice: The encoder, as a `voice.Voice`.
        name: What the tables call it.
        speakers: The names of the speakers that it was trained on; [] = unknown.
        data: The corpus that it was trained on; "" = unknown.
    """

    voice: Voice
    name: str
    speakers: list
    data: str

    @classmethod
    def of(cls, path: str, base: Path) -> "Encoder":
        """Loads the encoder of a run.

        Args:
            path: The run, or the name of weights that ship; "" = `ENCODER`, or Resemblyzer's
                weights where that is missing and they are installed.
            base: The folder to which its name is relative.

        Raises:
            KvoiceError: If there is no such run, or it is none of a speaker encoder.
        """
        if not path and not os.path.exists(ENCODER) and (voice := independent.resemblyzer()):
            return cls(voice, independent.ENCODER, [], "")
        path = path or ENCODER
        if not os.path.exists(path) and not weights.shipped(path):
            way = exchange.way_to("speakerencoder")
            raise KvoiceError(
                f"--encoder={path}: there is no such run; `kvoice train "
                f"--model=speakerencoder` makes one, trained on other voices than those that it "
                f"judges; --encoder=speakerencoder names weights that ship; or "
                f"{independent.ENCODER}, which judges without a run: {way}"
            )
        run = runs.load(path)
        if run.config["model_name"] != "speakerencoder":
            raise KvoiceError(
                f"--encoder={run.path}: is a run of {run.config['model_name']}, expected "
                "one of speakerencoder; `kvoice train --model=speakerencoder` makes one"
            )
        name = os.path.relpath(run.path, base) if os.path.exists(path) else path
        return cls(load(run.path), name, run.config["speakers"], run.config["data_spec"])


def validation(run: runs.Run, corpus: Corpus) -> None:
    """Returns no validation metrics: the last epoch is kept."""


def evaluate(run: runs.Run, corpus: Callable[[], Corpus], options: Options) -> str:
    """Evaluates conversions between seen and unseen speakers with an encoder and a phone probe."""
    refuse_foreign(run.path / "conversions")  # before minutes of work
    encoder = Encoder.of(options.encoder, run.path)
    corpus, data = corpus(), options.data or run.config["data_spec"]
    splits, known = ("train", "judge", "test"), corpus.manifest
    there = {split: known.splits[split]["speakers"] for split in splits}
    if common := sorted({*there["train"], *there["test"]} & {*encoder.speakers}):
        raise KvoiceError(
            f"--encoder={options.encoder or ENCODER}: was trained on speakers whom it is to judge "
            f"({', '.join(common[:3])}); leave --encoder out where {independent.ENCODER} is "
            "installed, or train one on others: `--model=speakerencoder:judge` with the same "
            "--data is trained on the split judge"
        )
    model = load(run.path).model
    more = ["wave", "f0", *["phone"] * bool(known.labels["phone"])]
    sources = corpus.sources(splits, more, model.minimum_frames, copies=False)
    for split, source in sources.items():
        if source.too_short:
            seconds = model.minimum_frames * run.spec.hop / run.spec.sample_rate_hz
            print(f"left out of {split}: {source.too_short} utterances under {seconds:.2f} s")
    recorded = [sources["test"]]  # and all unseen speakers of the encoder, for its threshold
    if not {*sources["judge"].speakers} & {*encoder.speakers}:
        recorded.append(sources["judge"])
    panel = ConversionJudges(
        encoder.voice,
        sources["judge"],
        recorded,
        judged(data, encoder.name, encoder.data),
        options.seed,
    )
    given = run.config["speakers"], sources, panel
    asked = {
        "seed": options.seed,
        "independent": IndependentJudges(sources["test"], seed=options.seed, most=options.count),
    }
    scores = conversion_scores(model, *given, count=options.count or CONVERSIONS, **asked)
    with whole_directory(run.path / "conversions") as folder:
        examples(model, *given, folder, {"command": options.command}, **asked)
    warning = [f"warning: {panel.judged['warning']}"] if panel.judged["warning"] else []
    return written(
        run.path,
        scores,
        options,
        *warning,
        panel.judged["description"] + (learned_from(sources["judge"]) if panel.probe else ""),
        after=f", {run.path / 'conversions'} some of the sounds",
    )


def next_commands(run: runs.Run) -> list[str]:
    """Returns commands that a user may try with a trained run."""
    return [
        f"convert --run={run.quoted} --source=me.wav --target=you.wav --output=out.wav",
        "train --model=speakerencoder    for the evaluation, if there is none yet",
    ]
