"""How good conversions are, before judges who know neither of the two voices.

    judged_by = judged("demo", "../encoder", "demo:25-224")
    panel = ConversionJudges(encoder, judge, [test, judge], judged_by)
    scores = conversion_scores(model, run_speakers, sources, panel)
    examples(model, sources, panel, folder)

Everything is measured on the sound that is heard, through the vocoder, and stands beside three
    rows: the
source unchanged, an utterance of the target's own, and, for the words, noise. Voices are compared
by a speaker encoder that learned from other speakers than are converted here; words by a linear
probe of phones that learned from yet others.
"""

import os

import numpy as np

from kvoice import audio, plots, progress, runs
from kvoice.data.synthetic import additive
from kvoice.errors import KvoiceError
from kvoice.evaluation import judges, speakerencoder, voicegan
from kvoice.evaluation.judges import JUDGED, PhoneProbe
from kvoice.evaluation.tables import printed
from kvoice.files import whole_directory, write_json
from kvoice.inference import convert, encode, render
from kvoice.inference.voice import load
from kvoice.metrics import speech
from kvoice.metrics.classification import wilson

CONVERSIONS = 192  # between unseen speakers, that are measured
OTHER_DATA = True
FILE, FORMAT = "conversions.json", 1
SILENT = "sil"  # the phone of silence
UNKNOWN = -1
POOL = 12  # utterances of each speaker that are converted, or converted to
PROBED = 32  # utterances of each speaker for the probe of the leak
DRAWN = 10  # of each speaker, whose embeddings are drawn
EXAMPLES = 4  # of each kind, that are written to be heard
SEEN, UNSEEN = "seen", "unseen"
HARDLY = 0.2  # equal error rate above which a judge says little
ROWS = ("converted", "source unchanged", "target's own")
TARGETS = {  # non-speech targets: name -> F0 in Hz, slope, inharmonicity, decay, which partials
    "a low tone with all harmonics": (80.0, -1.0, 0.0, 0.5, 0),
    "a high tone with odd harmonics": (440.0, -1.0, 0.0, 0.5, 1),
}


def judged(corpus, encoder, encoder_corpus):
    """Who judges what, with the sentence that says it beside numbers and sounds.

    Args:
        corpus: What `--data` says of the recordings that are converted.
        encoder: The run of the speaker encoder.
        encoder_corpus: What that one learned from; "" where its weights were imported.

    Returns:
        {"corpus", "encoder", "encoder_corpus", "said"}.
    """
    knows = (
        f"which learned from {encoder_corpus} and knows none of these voices"
        if encoder_corpus
        else ("whose weights were imported: whether it knows these voices is not known")
    )
    return {
        "corpus": corpus,
        "encoder": encoder,
        "encoder_corpus": encoder_corpus,
        "said": f"Judged on {corpus} by {encoder}, {knows}.",
    }


class ConversionJudges:
    """All who listen: they learned from none of the speakers whose voices are converted.

    Args:
        encoder: A speaker encoder, as a `voice.Voice`.
        judge: A `data.source.Source` of mels and waves, and phones where they are known: the
            speakers of the probe.
        recorded: Sources of waves, of speakers whom the encoder does not know: they give the
            threshold.
        judged: From `judged`.

    Attributes:
        told: Of `speakerencoder.told_apart`, with the threshold.
        judged: What was given, with the "warning" that the encoder hardly tells these voices apart,
            or "".
    """

    def __init__(self, encoder, judge, recorded, judged, seed=0):
        self.encoder, self.silent = encoder, []
        points, speakers, genders = (
            np.concatenate(each)
            for each in zip(*(speakerencoder.embedded(encoder, source) for source in recorded))
        )
        self.told = speakerencoder.told_apart(
            points, speakers, genders, np.random.default_rng(seed)
        )
        self.judged = judged | {
            "warning": ""
            if self.told["rate"] <= HARDLY
            else (
                f"{judged['encoder']} hardly tells these voices apart (equal error rate "
                f"{self.told['rate']:.1%}"
                "): its judgement means little"
            )
        }
        self.probe = None
        if "phone" in judge.arrays:
            rows = np.unique(np.linspace(0, len(judge) - 1, min(len(judge), JUDGED)).astype(int))
            lessons = [judge.utterance(row) for row in rows]
            self.probe = PhoneProbe(*zip(*((each["mel"], each["phone"]) for each in lessons)), seed)
            self.silent = [i for i, name in enumerate(judge.labels["phone"]) if name == SILENT]

    def voices(self, waves, sample_rate_hz):
        """Embeddings of sounds: a list of [samples] -> [n, size], each of length 1."""
        own_hz = self.encoder.spec.sample_rate_hz
        return encode.of_waves(
            self.encoder, [audio.resample(wave, sample_rate_hz, own_hz) for wave in waves]
        )

    def phones_right(self, mels, phones):
        """For each mel the share of frames, silence left out, in which the right phone is heard.

        Shapes: lists of [time, mels] and [time] -> [n], NaN where nothing is spoken; None where no
        phones are known.
        """
        if self.probe is None:
            return None
        shares = []
        for mel, phone in zip(mels, phones):
            spoken = ~np.isin(phone[: len(mel)], [UNKNOWN, *self.silent])
            right = (self.probe(mel)[: len(spoken)] == phone[: len(mel)])[spoken]
            shares.append(right.mean() if len(right) else np.nan)
        return np.array(shares)


class Speakers:
    """The utterances of a source by speaker: some tell what the voice is, others are converted.

    Args:
        source: A `data.source.Source` of mels, waves and F0.
        panel: Who listens.
        rng: Which are converted.
    """

    def __init__(self, source, panel, rng):
        self.source, self.numbers = source, source.speaker_of()
        self.names = [
            source.labels["speaker"][k] for k in np.unique(self.numbers[self.numbers >= 0])
        ]
        self.rows, self.voice, self._sounds = {}, {}, {}
        found = (source.utterance(row) for row in range(len(source)))
        self._said = [(each["text"], each["emotion"]) for each in found]
        enrolled, speakers = speakerencoder.chosen(source)
        points, _, _ = speakerencoder.embedded(panel.encoder, source)
        for name in self.names:
            number = source.labels["speaker"].index(name)
            own = np.flatnonzero(self.numbers == number)
            rest = np.setdiff1d(own, enrolled)
            self.rows[name] = rng.permutation(rest if len(rest) > 1 else own)[:POOL]  # of few, all
            mean = points[speakers == number].mean(axis=0)
            self.voice[name] = mean / np.linalg.norm(mean)

    def drawn(self, name, rng, other_than=""):
        """A random utterance of a speaker, of another text where there is one."""
        rows = rng.permutation(self.rows[name])
        others = [row for row in rows if not other_than or self._said[row][0] != other_than]
        row = others[0] if others else rows[0]
        return self.source.utterance(row) | {"row": row}

    def sound(self, utterance):
        """An utterance of `drawn` through the vocoder."""
        if utterance["row"] not in self._sounds:
            self._sounds[utterance["row"]] = sound(utterance["mel"], self.source.spec)
        return self._sounds[utterance["row"]]

    def parallel(self, name, utterance):
        """The utterance in which a speaker says the same, in the same emotion; None if there is
        none.
        """
        if not utterance["text"]:
            return None
        for row in np.flatnonzero(self.numbers == self.source.labels["speaker"].index(name)):
            if self._said[row] == (utterance["text"], utterance["emotion"]):
                return self.source.utterance(row)
        return None


def pairs(sources, targets, count, rng):
    """`count` ordered pairs of names of two different speakers, each as often as the others.

    Args:
        sources: Names.
        targets: Names.
    """
    every = [(one, two) for one in sources for two in targets if one != two]
    if not every:
        raise KvoiceError("a conversion wants two speakers")
    rounds = -(-count // len(every))
    return [every[k] for _ in range(rounds) for k in rng.permutation(len(every))][:count]


def sound(mel, spec):
    """What is heard of a mel through the vocoder: [time, mels] -> [time * hop]."""
    return render.sound(mel, spec, spec.samples(len(mel)))


def _mel(wave, spec):
    """The mel of a sound that is heard, as `data.source` gives those of recordings."""
    return audio.mel(audio.condition(wave, spec, trim=False), spec)


# --- What is measured


def conversion_scores(model, learned_from, sources, panel, count=192, seed=0):
    """Everything that is said of a conversion model, as a dict fit for JSON.

    Args:
        model: A trained `models.adainvc.AdaINVC`.
        learned_from: The names of the speakers that it was trained on.
        sources: "train" and "test" -> `data.source.Source` of mels, waves and F0, and phones where
            they are known.
        panel: Who listens.
        count: Conversions between unseen speakers; of each other kind a quarter. Where there is one
            unseen speaker only, the first kind is "unseen to seen".
        seed: Of all draws.

    Returns:
        {"judged" (see `ConversionJudges`), "kinds": "unseen to unseen", ... -> `_judged`,
        "genders": the same for pairs of genders among the first, "reconstruction", "leak",
        "threshold", "metrics", "tables"}.
    """
    rng = np.random.default_rng(seed)
    people = _people(learned_from, sources, panel, rng)
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
        "threshold": panel.told["threshold"],
        "encoder": panel.told,
        "kinds": kinds,
        "genders": genders,
        "reconstruction": _reconstruction(model, sources["test"], rng),
        "leak": leak(model, sources["train"]),
        "count": count,
        "seed": seed,
    }
    return scores | {"metrics": _metrics(scores), "tables": tables(scores)}


def _people(learned_from, sources, panel, rng):
    """Returns the `Speakers` that are "unseen", and "seen" in the corpus of the training."""
    people = {UNSEEN: Speakers(sources["test"], panel, rng)}
    if set(sources["train"].speakers) <= set(learned_from):
        people[SEEN] = Speakers(sources["train"], panel, rng)
    return people


def _kinds(people):
    """Pairs of "unseen" and "seen" between whom there is something to convert.

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
            "a conversion wants two speakers, and there is one whom the model does not know: use a "
            "larger corpus, with --data"
        )
    return every


def _trials(model, sources, targets, panel, count, rng, title):
    """Conversions with all that is measured of each."""
    spec, made = sources.source.spec, []
    plan = pairs(sources.names, targets.names, count, rng)
    for one, two in progress.bar(plan, desc=title):
        source = sources.drawn(one, rng)
        target = targets.drawn(two, rng, source["text"])
        parallel = targets.parallel(two, source)
        mel = convert.converted(model, source["mel"], model.encode(target["mel"])["styles"])
        noise = voicegan.white_noise(source["mel"][None], spec, rng)[0]
        waves = [sound(mel, spec), sources.sound(source), targets.sound(target)]
        made.append(
            {
                "source": source,
                "target": target,
                "parallel": parallel,
                "waves": waves,
                # The mels of the sounds, a frame shorter: the vocoder's last.
                "heard": [*(_mel(wave, spec) for wave in waves), noise],
                "genders": _genders(sources.source, source, target),
                "voices": (sources.voice[one], targets.voice[two]),
                "spec": spec,
            }
        )
    for row in range(3):
        points = panel.voices([trial["waves"][row] for trial in made], spec.sample_rate_hz)
        for trial, point in zip(made, points):
            trial.setdefault("cosines", []).append(
                [float(point @ voice) for voice in trial["voices"]]
            )
    return made


def _genders(source, one, two):
    names = source.labels["gender"]
    return " to ".join(
        names[each["gender"]] if each["gender"] >= 0 else "unknown" for each in (one, two)
    )


def _judged(trials, panel):
    """What is said of a set of conversions.

    Returns:
        {"count", "voice": row -> {"to_target", "to_source" (mean cosines), "nearer" and "accepted"
        (shares with "low" and "high", 95 %, Wilson)}, "content": row -> {"phones", "mcd_db"}, "f0":
        row -> {"to_target_cents", "to_source_cents" (median distances of the median F0),
        "rmse_cents" and "correlation" (with the source's F0, frame by frame, median)}}; None where
        nothing is known.
    """
    threshold, found = (
        panel.told["threshold"],
        {"count": len(trials), "voice": {}, "content": {}, "f0": {}},
    )
    for row, name in enumerate(ROWS):
        to_source, to_target = np.array([trial["cosines"][row] for trial in trials]).T
        found["voice"][name] = {
            "to_target": float(to_target.mean()),
            "to_source": float(to_source.mean()),
            "nearer": _share(to_target > to_source),
            "accepted": _share(to_target >= threshold),
        }
        if row < 2:
            found["f0"][name] = _f0(trials, row)
    phones = [trial["source"].get("phone") for trial in trials]
    for row, name in ((0, ROWS[0]), (1, ROWS[1]), (3, "noise"), (None, "source recorded")):
        mels = [trial["source"]["mel"] if row is None else trial["heard"][row] for trial in trials]
        right = None if phones[0] is None else panel.phones_right(mels, phones)
        found["content"][name] = {
            "phones": None if right is None else float(np.nanmean(right)),
            "mcd_db": _mcd(trials, mels),
        }
    return found


def _share(hits):
    low, high = wilson(int(hits.sum()), len(hits))
    return {"share": float(hits.mean()), "low": low, "high": high}


def _mcd(trials, mels):
    """Mean mel-cepstral distance to the target's own utterance of the same words, in dB, or
    None.
    """
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


def _f0(trials, row):
    """How the F0 of a row lies to that of the target and of the source."""
    columns = {"to_target_cents": [], "to_source_cents": [], "rmse_cents": [], "correlation": []}
    for trial in trials:
        spec = trial["spec"]
        track = audio.f0(trial["waves"][row], spec.sample_rate_hz, spec.hop)
        known = {who: trial[who]["f0"] for who in ("source", "target")}
        for who, each in known.items():
            if track.any() and each.any():
                columns[f"to_{who}_cents"].append(
                    1200 * abs(np.log2(np.median(track[track > 0]) / np.median(each[each > 0])))
                )
        frames = min(len(track), len(known["source"]))
        errors = speech.f0_errors(track[:frames], known["source"][:frames])
        for name in ("rmse_cents", "correlation"):
            if errors[name] is not None:
                columns[name].append(errors[name])
    return {name: float(np.median(values)) if values else None for name, values in columns.items()}


def _reconstruction(model, source, rng, count=48):
    """The error of unseen recordings said again in their own voice: of the mels, standardised and
    in dB.
    """
    rows = rng.permutation(len(source))[:count]
    absolute, squares, spread = [], [], np.asarray(source.moments()[1])
    for row in rows:
        mel = source.utterance(row)["mel"]
        away = convert.converted(model, mel, model.encode(mel)["styles"]) - mel
        absolute.append(np.abs(away / spread).mean())
        levels = [
            20 * np.log10(np.maximum(audio.magnitude(each, source.spec), 1e-5))
            for each in (mel, mel + away)
        ]
        squares.append(np.square(levels[0] - levels[1]).mean())
    return {"l1": float(np.mean(absolute)), "error_db": float(np.sqrt(np.mean(squares)))}


def leak(model, source, per_speaker=PROBED):
    """How well the content still tells who is speaking.

    A linear discriminant on mean, spread and movement of the content of whole utterances; it learns
    from three quarters of the texts and is asked about the others. Without texts, every fourth
    utterance.

    Returns:
        {"accuracy", "low", "high" (95 %, Wilson), "chance", "speakers", "utterances"}.

    Source: the measure of Chou, Yeh & Lee 2019, table 1 (37.5 % with instance normalisation, 65.8 %
    without); differs: the probe, and synthetic speakers where the corpus has them.
    """
    rows, speakers = speakerencoder.chosen(source, per_speaker)
    found = [source.utterance(row) for row in progress.bar(rows, desc="leak")]
    codes = np.concatenate(
        [speech.mel_features(model.encode(each["mel"])["content"][None]) for each in found]
    )
    texts = [each["text"] or str(k) for k, each in enumerate(found)]
    order = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    asked = np.array([order[text] % 4 == 3 for text in texts])
    right = judges.linear_right(codes[~asked], speakers[~asked], codes[asked], speakers[asked])
    low, high = wilson(int(right.sum()), len(right))
    kinds = len(np.unique(speakers))
    return {
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "chance": 1 / kinds,
        "speakers": kinds,
        "utterances": len(found),
    }


def _metrics(scores):
    """The numbers by which runs are compared."""
    first = next(iter(scores["kinds"].values()))
    voice, content = first["voice"]["converted"], first["content"]
    numbers = {
        "nearer to the target": voice["nearer"]["share"],
        "accepted as the target": voice["accepted"]["share"],
        "phones right": content["converted"]["phones"],
        "phones right (recorded)": content["source recorded"]["phones"],
        "MCD, dB": content["converted"]["mcd_db"],
        "leak": scores["leak"]["accuracy"],
        "reconstruction, dB": scores["reconstruction"]["error_db"],
    }
    return {name: value for name, value in numbers.items() if value is not None}


# --- As tables


def tables(scores):
    """The scores for people: tables of `kvoice.report`."""
    told, leaked = scores["encoder"], scores["leak"]
    sets = {**scores["kinds"], **{f"  {pair}": each for pair, each in scores["genders"].items()}}
    voice, content, f0 = [], [], []
    for kind, each in sets.items():
        for name, row in each["voice"].items():
            first = name == ROWS[0]
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
            "title": "Whose voice it is",
            "note": f"{_said(scores['judged'])} Mean cosines of the speaker encoder's embedding "
            f"with the mean of "
            "other recordings of the target and of the source; the share that is nearer to the "
            "target; and the share that passes for the target, with a cosine of "
            f"{told['threshold']:.3f} or more: there the equal error rate of real recordings of "
            f"{told['speakers']} speakers is {speakerencoder.with_interval(told)}. 95 % intervals "
            f"(Wilson) over conversions.",
            "columns": [
                "speakers",
                "what is heard",
                "count",
                "to target",
                "to source",
                "nearer to target",
                "accepted as target",
            ],
            "rows": voice,
        },
        {
            "title": "What is said",
            "note": "Frames, silence left out, in which a linear probe that learned from other "
            "speakers hears the "
            "phone that was said; and mel-cepstral distance, along the best alignment, to the "
            "target's own utterance of the same words.",
            "columns": ["speakers", "what is heard", "phones right", "MCD, dB"],
            "rows": content,
        },
        {
            "title": "How high it is spoken",
            "note": "Medians over conversions: distance of the median F0 to that of the target's "
            "recording and to the source's; and the F0 frame by frame against the source's: root "
            "mean square distance in cents, and correlation.",
            "columns": [
                "speakers",
                "what is heard",
                "to target, cents",
                "to source, cents",
                "RMSE to source, cents",
                "correlation",
            ],
            "rows": f0,
        },
        {
            "title": "What the parts keep",
            "note": f"Leak: how often a linear probe tells the {leaked['speakers']} speakers of "
            f"the split train from "
            "the content code of sentences that the probe has not heard (lower is better). Error: "
            "of unseen recordings said again in their own voice.",
            "columns": ["", "leak (95 %)", "chance", "L1, standardised", "error, dB"],
            "rows": [
                [
                    "content code",
                    f"{leaked['accuracy']:.1%} ({leaked['low']:.0%}-{leaked['high']:.0%})",
                    f"{leaked['chance']:.1%}",
                    f"{scores['reconstruction']['l1']:.3f}",
                    f"{scores['reconstruction']['error_db']:.1f}",
                ]
            ],
        },
    ]


def _said(judged):
    """Who judged what, and what that is worth where it is worth little."""
    return judged["said"] + (f" Mind that {judged['warning']}." if judged["warning"] else "")


def _interval(share):
    return f"{share['share']:.0%} ({share['low']:.0%}-{share['high']:.0%})"


def _number(value, how):
    return "–" if value is None else format(value, how)


# --- To be seen and heard


def examples(model, learned_from, sources, panel, folder, about, seed=0):
    """Writes some conversions as wavs and pictures, and where all voices lie, into a folder.

    FOLDER/
        conversions.json   what there is, and the figures of each; written last
        K_source.wav, K_target.wav, K_converted.wav, K.png
        embeddings.png     the voices of speakers, seen and unseen, in two dimensions (t-SNE)

    Returns:
        The content of conversions.json.
    """
    rng, spec = np.random.default_rng(seed), sources["test"].spec
    people = _people(learned_from, sources, panel, rng)
    groups, number = [], 0
    for one, two in _kinds(people):
        rows = []
        for source_name, target_name in _by_gender(people[one], people[two], rng):
            source = people[one].drawn(source_name, rng)
            target = people[two].drawn(target_name, rng, source["text"])
            rows.append(
                _example(
                    model,
                    panel,
                    spec,
                    folder,
                    number,
                    source,
                    target["mel"],
                    audio.deemphasised(target["wave"], spec),
                    (people[one].voice[source_name], people[two].voice[target_name]),
                    f"{source_name} → {target_name}",
                    _genders(sources["test"], source, target),
                )
            )
            number += 1
        groups.append({"title": f"{one} to {two}", "rows": rows})
    rows = []
    for name, sounding in TARGETS.items():
        source = people[UNSEEN].drawn(people[UNSEEN].names[0], rng)
        wave = np.float32(0.1 * additive.tones(*sounding, samples=2 * additive.SAMPLE_RATE_HZ)[0])
        wave = audio.resample(
            0.3 * wave / np.abs(wave).max(), additive.SAMPLE_RATE_HZ, spec.sample_rate_hz
        )
        voice = panel.voices([wave], spec.sample_rate_hz)[0]
        rows.append(
            _example(
                model,
                panel,
                spec,
                folder,
                number,
                source,
                _mel(wave, spec),
                wave,
                (people[UNSEEN].voice[people[UNSEEN].names[0]], voice),
                f"{people[UNSEEN].names[0]} → {name}",
                "",
            )
        )
        number += 1
    groups.append({"title": "towards what is no voice", "rows": rows})
    made = {
        "format": FORMAT,
        **about,
        "sample_rate_hz": spec.sample_rate_hz,
        "seed": seed,
        "judged": panel.judged,
        "threshold": panel.told["threshold"],
        "groups": groups,
        "embeddings": _embeddings(
            model, [each.source for each in people.values()], folder / "embeddings.png", seed
        ),
    }
    write_json(folder / FILE, made)
    return made


def _by_gender(sources, targets, rng):
    """Up to `EXAMPLES` pairs of speakers, of different pairs of genders as far as there are
    some.
    """

    def gender(people, name):
        return people.source.utterance(people.rows[name][0])["gender"]

    found = {}
    for pair in pairs(sources.names, targets.names, 64, rng):
        found.setdefault((gender(sources, pair[0]), gender(targets, pair[1])), pair)
    return list(found.values())[:EXAMPLES]


def _example(
    model, panel, spec, folder, number, source, target_mel, target_wave, voices, title, note
):
    """Writes one conversion, its source and its target; what conversions.json says of it."""
    mel = convert.converted(model, source["mel"], model.encode(target_mel)["styles"])
    wave = sound(mel, spec)
    said = audio.deemphasised(source["wave"], spec)
    waves = {"source": said, "target": target_wave, "converted": render.levelled(wave, said)[0]}
    names = {part: f"{number:02d}_{part}.wav" for part in waves}
    for part, each in waves.items():
        audio.write(folder / names[part], each, spec.sample_rate_hz)
    frames = max(len(mel), len(source["mel"]), len(target_mel))
    shown = [
        np.pad(each, ((0, frames - len(each)), (0, 0)), constant_values=spec.silence)
        for each in (source["mel"], target_mel, mel)
    ]
    plots.mel_image(
        folder / f"{number:02d}.png", [shown], [""], spec, ("source", "target", "converted")
    )
    point = panel.voices([wave], spec.sample_rate_hz)[0]
    heard = _mel(wave, spec)
    right = (
        panel.phones_right([source["mel"], heard], [source["phone"]] * 2)
        if "phone" in source
        else None
    )
    tracks = [audio.f0(each, spec.sample_rate_hz, spec.hop) for each in waves.values()]
    return {
        "title": title,
        "note": note,
        **names,
        "picture": f"{number:02d}.png",
        "to_source": float(point @ voices[0]),
        "to_target": float(point @ voices[1]),
        "phones": None
        if right is None
        else {"source": float(right[0]), "converted": float(right[1])},
        "f0_hz": {
            part: float(np.median(track[track > 0])) if track.any() else None
            for part, track in zip(waves, tracks)
        },
    }


def _embeddings(model, sources, path, seed):
    """Draws where the model puts voices; what is said of it."""
    points, speakers, genders = [], [], []
    for source in sources:
        rows, numbers = speakerencoder.chosen(source, DRAWN)
        for row, number in zip(rows, numbers):
            found = source.utterance(row)
            heard = model.encode(found["mel"])
            points.append(heard.get("embedding", heard["styles"].ravel()))
            speakers.append(source.labels["speaker"][number])
            genders.append(source.labels["gender"][found["gender"]] if found["gender"] >= 0 else "")
    return speakerencoder.picture(path, np.stack(points), speakers, genders, seed)


# --- Runs


def validation(run, corpus):
    """As the package says: nothing chooses, the last epoch is the one."""


def evaluate(run, corpus, options):
    """As the package says: `CONVERSIONS` between speakers seen and unseen, before an encoder and a
    probe of phones.
    """
    if not os.path.exists(options.encoder):
        raise KvoiceError(
            f"--encoder={options.encoder}: there is no such run; `kvoice train "
            f"--model=speakerencoder` makes one, of voices that demo does not have"
        )
    encoder = runs.load(options.encoder)
    if encoder.config["model_name"] != "speakerencoder":
        raise KvoiceError(
            f"--encoder={encoder.path}: is a run of {encoder.config['model_name']}, expected "
            "one of speakerencoder; `kvoice train --model=speakerencoder` makes one"
        )
    corpus, data = corpus(), options.data or run.config["data_spec"]
    splits, known = ("train", "judge", "test"), corpus.manifest
    there = {split: known.splits[split]["speakers"] for split in splits}
    if common := sorted({*there["train"], *there["test"]} & {*encoder.config["speakers"]}):
        raise KvoiceError(
            f"--encoder={encoder.path}: learned from speakers whom it is to judge "
            f"({', '.join(common[:3])}); train one on others: `--model=speakerencoder:judge` "
            "with the same --data learns from the split judge"
        )
    sources = corpus.sources(splits, more=["wave", "f0", *["phone"] * bool(known.labels["phone"])])
    model = load(run.path).model
    recorded = [sources["test"]]  # and whoever the encoder does not know, for its threshold
    if not {*there["judge"]} & {*encoder.config["speakers"]}:
        recorded.append(sources["judge"])
    panel = ConversionJudges(
        load(encoder.path),
        sources["judge"],
        recorded,
        judged(data, os.path.relpath(encoder.path, run.path), encoder.config["data_spec"]),
        options.seed,
    )
    given = run.config["speakers"], sources, panel
    scores = conversion_scores(model, *given, count=options.count or CONVERSIONS, seed=options.seed)
    with whole_directory(run.path / "conversions") as folder:
        examples(model, *given, folder, {"command": options.command}, options.seed)
    write_json(run.path / "evaluation.json", scores)
    warning = f"warning: {panel.judged['warning']}\n\n" if panel.judged["warning"] else ""
    text = printed(
        scores,
        f"{warning}{run.path / 'evaluation.json'}",
        panel.judged["said"],
        after=f", {run.path / 'conversions'} some of the sounds",
    )
    return f"{text}. Next:\n  kvoice report {run.path}"


def next_commands(run):
    """As the package says."""
    return [f"convert --run={run.path} --source=me.wav --target=you.wav --output=out.wav"]
