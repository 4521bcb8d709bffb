"""Judges of speech that were trained elsewhere, on none of what kvoice trains with.

    judges = IndependentJudges(test)                       # a `data.source.Source` of recordings
    rows = judges.chosen(utterances)
    found = judges.scores([utterances[k] for k in rows], {"converted": waves})
    scores = added(scores, found)

hama hears phones, pocketsphinx words, DNSMOS judges quality (see `recognisers`), and Resemblyzer's
speaker encoder voices. Each has columns of the table where it is installed; a line says how to get
the others. They are not trained on the corpus, and their errors on it are unknown: every table has
the rows "recording as it is", "recording through the vocoder" and "noise".
"""

from collections.abc import Sequence

import numpy as np

from kvoice import audio, exchange, progress, recognisers
from kvoice.data import corpora
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.evaluation import speakerencoder
from kvoice.exchange import published
from kvoice.frameworks import way_to
from kvoice.inference import encode, render
from kvoice.inference.voice import Voice
from kvoice.metrics import recognition

UTTERANCES = 16  # recordings that are judged where no number is asked for, at most,
SECONDS = 60.0  # and how long they are together: pocketsphinx needs half of it for a row
PER_SPEAKER = 4  # recordings of each speaker that the threshold of Resemblyzer is computed on
ENCODER = "Resemblyzer"
RECORDING, VOCODED, NOISE = "recording as it is", "recording through the vocoder", "noise"
VOICES = "voices"  # judged by Resemblyzer, whose package is not one of `recognisers.PACKAGES`


def resemblyzer() -> Voice | None:
    """Returns the speaker encoder with Resemblyzer's weights; None where it is not installed."""
    path = exchange.installed("speakerencoder")
    if path is None:
        return None
    found = published.read("speakerencoder", path)
    return Voice(published.model(found, {}), found.spec)


class IndependentJudges:
    """Judges of speech that were trained elsewhere; those that are installed.

    Phones and words are compared with the text where the corpus is English and has texts; without,
    phones are compared with those heard in the recording, and words are not judged.

    Args:
        source: The recordings that are judged, with waves: the threshold of Resemblyzer is computed
            on them.
        trained_on_phones: Whether the model was trained on phones that hama heard: it is not judged
            by them then.
        seed: The seed of the noise and of the intervals.
        most: The number of recordings that are judged; 0 = `UTTERANCES`, which last `SECONDS`
            together at most. Words are heard in no more than these.

    Attributes:
        missing: What is not judged and why, a line each.
        verification: The result of `speakerencoder.verification_scores` of Resemblyzer; None where
            it is not installed or there are too few speakers.
    """

    def __init__(
        self, source: Source, trained_on_phones: bool = False, seed: int = 0, most: int = 0
    ) -> None:
        self.spec, self.english, self.seed = source.spec, corpora.english(source.data), seed
        self.trained_on_phones, self.most = trained_on_phones, most
        self.installed = {each for each in recognisers.PACKAGES if recognisers.installed(each)}
        self.missing = []
        for each in sorted(self.installed):
            try:
                recognisers.require(each)
            except KvoiceError as error:
                self.missing.append(f"{each} does not judge: {error}")
                self.installed.discard(each)
        if lacking := [each for each in recognisers.PACKAGES if not recognisers.installed(each)]:
            are = "is" if len(lacking) == 1 else "are"
            self.missing.append(f"{', '.join(lacking)} {are} not installed; {way_to('judges')}")
        if trained_on_phones:
            self.installed -= {recognisers.HAMA}
        self.encoder, self.verification = resemblyzer(), None
        if self.encoder is None:
            way = exchange.way_to("speakerencoder")
            self.missing.append(f"{ENCODER} is not installed; {way}")
        else:
            self.verification = _verification(self.encoder, source, seed)

    def chosen(self, utterances: Sequence[dict]) -> list[int]:
        """Chooses the recordings that are judged: those with a text, where there are any.

        Args:
            utterances: Utterances as `data.source.Source.utterance` returns them.

        Returns:
            Their indices, spread evenly; at least one.
        """
        texts = [k for k, each in enumerate(utterances) if self._has_text(each)]
        known = texts or list(range(len(utterances)))
        if self.most:
            return [known[k] for k in _spread(len(known), self.most)]
        return [known[k] for k in self._few([utterances[k] for k in known])]

    def _few(self, utterances):
        """Returns the indices of `UTTERANCES` at most that last `SECONDS` at most, or of one."""
        spread = _spread(len(utterances), UTTERANCES)
        ends = np.cumsum([self._seconds(utterances[k]) for k in spread])
        # Of more than fit, again some that are spread evenly.
        fitting = max(1, min(len(spread), int(len(spread) * SECONDS / ends[-1])))
        return spread[_spread(len(spread), fitting)]

    def scores(
        self,
        utterances: Sequence[dict],
        made: dict[str, Sequence[np.ndarray]],
        voices: Sequence[np.ndarray] = (),
        of_recordings: bool = True,
    ) -> dict:
        """Judges sounds beside the recordings that they were made of.

        Args:
            utterances: The recordings, as `data.source.Source.utterance` returns them.
            made: Name of a row -> the sounds, one for each recording, each [samples] at the rate of
                the Spec. The row `VOCODED` is made by Griffin-Lim where it is not among them.
            voices: Sounds of the voices that are wanted, one for each recording; () = the
                recordings themselves.
            of_recordings: Whether the sounds were made of the recordings; else, as of a generator,
                only their quality is judged.

        Returns:
            A dict fit for JSON: "against" ("text" or "recording"), "english", "trained_on_phones",
            "count", "seconds", "missing", "verification", and "rows": name -> {"phones" and "words"
            (results of `recognition.error_rate`), "quality" (means of `recognisers.quality`),
            "voice" ("cosine", the mean, and "accepted", the share above the threshold)}, None where
            it is not judged.
        """
        originals = [audio.deemphasised(each["wave"], self.spec) for each in utterances]
        rows = {RECORDING: originals}
        if VOCODED not in made:
            rows[VOCODED] = [render.sound(each["mel"], self.spec) for each in utterances]
        rows |= made
        rows[NOISE] = noises(originals, self.seed)
        expected, wanted = self.expected(utterances), self.embeddings(voices or originals)
        judged = {}
        for name, waves in progress.bar(rows.items(), desc="independent judges"):
            compared = of_recordings or name not in made
            found = self.judgements(waves, expected if compared else None)
            said = self.voices(waves, wanted) if compared else [None] * len(waves)
            judged[name] = self.mean(
                [each | {"voice": voice} for each, voice in zip(found, said, strict=True)]
            )
        return {
            "against": self.against(utterances),
            "english": self.english,
            "trained_on_phones": self.trained_on_phones,
            "count": len(utterances),
            "seconds": float(sum(map(self._seconds, utterances))),
            "missing": self._lines(utterances),
            "verification": self.verification,
            "rows": judged,
        }

    def against(self, utterances: Sequence[dict]) -> str:
        """Returns what phones are compared with: "text" where all have one, else "recording"."""
        return "text" if all(map(self._has_text, utterances)) else "recording"

    def expected(self, utterances: Sequence[dict]) -> list[dict]:
        """Returns what has to be heard in sounds that were made of recordings.

        Args:
            utterances: The recordings, as `data.source.Source.utterance` returns them.

        Returns:
            For each recording {"phones", "words"}: those of its text, as lists. Where not all
            recordings have a text, the phones are those heard in the recording; the words of a
            recording without a text are None, as of those beyond `UTTERANCES` and `SECONDS`, and so
            is what no installed judge hears.
        """
        by_text, few = self.against(utterances) == "text", {*self._few(utterances)}
        return [
            {
                "phones": self._phones(each, by_text),
                "words": self._words(each) if k in few else None,
            }
            for k, each in enumerate(utterances)
        ]

    def judgements(
        self, waves: Sequence[np.ndarray], expected: Sequence[dict] | None = None
    ) -> list[dict]:
        """Judges what is said in sounds, and their quality, one by one.

        Args:
            waves: The sounds, each [samples] at the rate of the Spec.
            expected: For each of them an item of what `expected` returns; None = only their quality
                is judged.

        Returns:
            For each sound {"phones" and "words" ({"errors": edits, "count": of how many}),
            "quality" (see `recognisers.quality`)}, None where it is not judged.
        """
        rate_hz, found = self.spec.sample_rate_hz, []
        for wave, wanted in zip(waves, expected or [{}] * len(waves), strict=True):
            graded = recognisers.SPEECHMOS in self.installed
            found.append(
                {
                    "phones": self._errors(wanted.get("phones"), recognisers.phones, wave),
                    "words": self._errors(wanted.get("words"), recognisers.words, wave),
                    "quality": recognisers.quality(wave, rate_hz) if graded else None,
                }
            )
        return found

    def embeddings(self, waves: Sequence[np.ndarray]) -> np.ndarray | None:
        """Computes the embeddings of voices; None without Resemblyzer.

        Shapes: waves, each [samples] at the rate of the Spec -> [n, size].
        """
        if self.encoder is None:
            return None
        rates = self.spec.sample_rate_hz, self.encoder.spec.sample_rate_hz
        return encode.of_waves(self.encoder, [audio.resample(wave, *rates) for wave in waves])

    def voices(self, waves: Sequence[np.ndarray], wanted: np.ndarray | None) -> list[dict | None]:
        """Compares the voices of sounds with those that are wanted, one by one.

        Args:
            waves: The sounds, each [samples] at the rate of the Spec.
            wanted: The `embeddings` of the wanted voices, one for each sound, or one of all.

        Returns:
            For each sound {"cosine", "accepted": whether it reaches the threshold, None where none
            is known}; None without Resemblyzer.
        """
        if wanted is None:
            return [None] * len(waves)
        cosines = np.sum(self.embeddings(waves) * wanted, axis=1)
        known = self.verification
        return [
            {
                "cosine": float(cosine),
                "accepted": bool(cosine >= known["threshold"]) if known else None,
            }
            for cosine in cosines
        ]

    def mean(self, found: Sequence[dict]) -> dict:
        """Returns the row of a table for sounds that were judged one by one.

        Args:
            found: The `judgements` of sounds, each with its "voice" (see `voices`).

        Returns:
            An item of the "rows" of `scores`.
        """
        quality = _known(found, "quality")
        return {
            "phones": self._rate(_known(found, "phones")),
            "words": self._rate(_known(found, "words")),
            "quality": {
                name: float(np.mean([each[name] for each in quality])) for name in quality[0]
            }
            if quality
            else None,
            "voice": _mean_voice(_known(found, "voice")),
        }

    def _has_text(self, utterance):
        return self.english and recognisers.comparable(utterance["text"])

    def _seconds(self, utterance):
        return len(utterance["wave"]) / self.spec.sample_rate_hz

    def _lines(self, utterances):
        """Returns what is not judged and why."""
        if self.trained_on_phones and self.against(utterances) != "text":
            return [
                *self.missing,
                "what was trained on the phones of hama is judged by its words, and this corpus "
                "has no English texts; prepare one of English speech with texts",
            ]
        if recognisers.POCKETSPHINX in self.installed and not any(map(self._has_text, utterances)):
            return [*self.missing, "words are not judged: no English text is known of them"]
        return self.missing

    def _phones(self, utterance, by_text):
        """Returns the phones of a text, or of a recording; None without hama."""
        if recognisers.HAMA not in self.installed:
            return None
        if by_text:
            return recognisers.phones_of_text(utterance["text"])
        recording = audio.deemphasised(utterance["wave"], self.spec)
        return recognisers.phones(recording, self.spec.sample_rate_hz)

    def _words(self, utterance):
        """Returns the words of a text; None without one, or without pocketsphinx."""
        if recognisers.POCKETSPHINX not in self.installed or not self._has_text(utterance):
            return None
        return recognisers.words_of_text(utterance["text"])

    def _errors(self, expected, heard, wave):
        """Counts the errors of what is heard in a sound; None where it is not compared."""
        if expected is None:
            return None
        edits = recognition.edit_distance(expected, heard(wave, self.spec.sample_rate_hz))
        return {"errors": edits, "count": len(expected)}

    def _rate(self, found):
        """Computes the error rate of all sounds; None where it is not judged, or nothing said."""
        counts = [each["count"] for each in found]
        if not any(counts):
            return None
        rng = np.random.default_rng(self.seed)
        return recognition.error_rate([each["errors"] for each in found], counts, rng)


def _spread(count, most):
    """Returns indices below `count`, spread evenly, `most` at most: [n]."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


def noises(waves: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """Returns white noises, each as long and as loud as a wave [samples]."""
    rng = np.random.default_rng(seed)
    return [np.std(wave) * rng.standard_normal(len(wave)).astype(np.float32) for wave in waves]


def _known(found, judge):
    """Returns what a judge found, of the sounds that it judged."""
    return [each[judge] for each in found if each[judge] is not None]


def _mean_voice(found):
    """Computes the mean cosine, and the share that is accepted; None where nothing is known."""
    if not found:
        return None
    accepted = [each["accepted"] for each in found]
    return {
        "cosine": float(np.mean([each["cosine"] for each in found])),
        "accepted": None if None in accepted else float(np.mean(accepted)),
    }


def _verification(encoder, source, seed):
    """Computes the equal error rate of real recordings; None where there are too few speakers."""
    points = speakerencoder.embedded(encoder, source, PER_SPEAKER)
    try:
        return speakerencoder.verification_scores(*points, np.random.default_rng(seed))
    except KvoiceError:
        return None


def added(scores: dict, found: dict) -> dict:
    """Adds what the judges found to the scores of a model, with its table and its lines."""
    notes = [f"independent judges: {line}" for line in found["missing"]]
    return scores | {
        "independent": found,
        "tables": [*scores["tables"], *table(found)],
        "notes": [*scores.get("notes", []), *notes],
    }


def table(found: dict) -> list[dict]:
    """Formats the result of `IndependentJudges.scores` as a table; [] where nothing was judged."""
    rows = found["rows"].values()
    calibrated = "" if found["against"] == "text" else " against the recording"
    calibrated += "" if found["english"] else ", uncalibrated"
    columns = {
        f"phone error rate{calibrated} (95 %)": ("phones", _rate),
        "word error rate (95 %)": ("words", _rate),
        "DNSMOS P.808": ("quality", lambda each: f"{each['p808']:.2f}"),
        "P.835": ("quality", lambda each: f"{each['overall']:.2f}"),
        "signal": ("quality", lambda each: f"{each['signal']:.2f}"),
        "background": ("quality", lambda each: f"{each['background']:.2f}"),
        "voice": ("voice", lambda each: f"{each['cosine']:.2f}"),
    }
    if known := found["verification"]:
        columns[f"same voice (≥ {known['threshold']:.2f})"] = (
            "voice",
            lambda each: f"{each['accepted']:.0%}",
        )
    columns = {
        title: (key, text)
        for title, (key, text) in columns.items()
        if any(each[key] is not None for each in rows)
    }
    if not columns:
        return []
    return [
        {
            "title": f"Independent judges, on {found['count']} utterances "
            f"({found['seconds']:.0f} s)",
            "note": " ".join(_sentences(found, {key for key, _ in columns.values()})),
            "columns": ["sound", *columns],
            "rows": [
                [
                    name,
                    *(
                        "–" if row[key] is None else text(row[key])
                        for key, text in columns.values()
                    ),
                ]
                for name, row in found["rows"].items()
            ],
        }
    ]


def _rate(each):
    return f"{each['rate']:.0%} ({each['low']:.0%}-{each['high']:.0%})"


def _sentences(found, judged):
    """Returns the sentences of the note: who judges what, and against what."""
    if "phones" in judged and found["against"] == "text":
        yield "Phones heard by hama, against those of the text."
    elif "phones" in judged:
        yield "Phones heard by hama, against those that it hears in the recording."
    if "phones" in judged and not found["english"]:
        yield "hama knows English only, and its errors on this corpus are not known."
    if found["trained_on_phones"]:
        yield "The model was trained on the phones of hama, which does not judge it therefore."
    if "words" in judged:
        yield f"Words heard by pocketsphinx in {SECONDS:.0f} s of them at most, against the text."
    if {"phones", "words"} & judged:
        yield "Intervals: bootstrap over utterances."
    if "quality" in judged:
        yield "DNSMOS: estimated opinion of listeners, 1 to 5, by ITU-T P.808 and P.835."
    if "voice" in judged:
        yield f"Voice: mean cosine of {ENCODER}'s embeddings with that of the voice that is wanted."
    if "voice" in judged and (known := found["verification"]):
        yield (
            f"Same voice: {known['threshold']:.3f} or more, where the equal error rate of "
            f"recordings of {known['speakers']} speakers is {known['rate']:.1%}."
        )
    yield "None of them was trained here; compare with the recordings and with noise."
