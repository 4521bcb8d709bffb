"""What becomes of voices when one latent of a beta-VAE is edited, as judges hear it.

    known = Utterances(model, train, valid)            # the factor is chosen on these
    test = Utterances(model, test)
    panel = LatentJudges(Utterances(model, judge))     # speakers whom only the judges know
    found = latents.discovered(model, known, test, rng)
    result = flips(model, found, panel, test, "gender", factor=3, control=9)

`scores` does all of it for `kvoice evaluate`. A flip is read beside three things: what the judges
say of the real recordings, what they say of their reconstructions, and what an edit as large of a
latent does that has nothing to do with the label.
"""

import numpy as np

from kvoice import audio, progress
from kvoice.evaluation import disentanglement
from kvoice.evaluation.judges import JUDGED, Judge, PhoneProbe, VoiceSpace
from kvoice.evaluation.tables import printed
from kvoice.files import write_json
from kvoice.inference import latents
from kvoice.training import loop

FACTORS = 10_000  # items whose codes are measured
OTHER_DATA = False
SOUNDED = 48  # utterances at most whose F0 is measured, on the sound that Griffin-Lim finds
ROUNDS = 30  # of it, enough for an F0
PAIRS = 2000  # of recordings that say how alike voices are


def f0_hz(mel, spec):
    """The median fundamental frequency of the sound of a mel; NaN where nothing is voiced."""
    track = audio.f0(audio.griffin_lim(mel, spec, ROUNDS), spec.sample_rate_hz, spec.hop)
    return float(np.median(track[track > 0])) if track.any() else np.nan


class LatentJudges:
    """All who listen to voices: they learned from real utterances of speakers of their own.

    Args:
        source: The `Utterances` of the split "judge".
        seed: Of the lessons.

    Attributes:
        judges: Label -> `judges.Judge`, for each label that tells utterances of the split apart,
            except the speaker, whom no other split has.
        probe: An `judges.PhoneProbe`; None where no phones are known.
        space: An `judges.VoiceSpace`; None where there are too few speakers.
        utterances: How many they learned from.
    """

    def __init__(self, source, seed=0):
        rows = np.linspace(0, len(source) - 1, min(len(source), JUDGED)).astype(int)
        lessons = [source.utterance(row) for row in rows]
        self.utterances, self.judges, self.probe, self.space = len(lessons), {}, None, None
        for label in latents.LABELS:
            told = np.array([each[label] for each in lessons])
            known = [each["mel"] for each in lessons if each[label] != latents.UNKNOWN]
            told = told[told != latents.UNKNOWN]
            if label == "speaker":
                if len(np.unique(told)) > 2:
                    self.space = VoiceSpace(known, told, seed)
            elif len(np.unique(told)) > 1:
                self.judges[label] = Judge(known, told, label, seed)
        if "phone" in lessons[0]:
            mels, phones = zip(*((each["mel"], each["phone"]) for each in lessons))
            self.probe = PhoneProbe(mels, phones, seed)
        self._silent = [
            i for i, name in enumerate(source.labels["phone"]) if name == latents.SILENT
        ]

    def __call__(self, mels, spec, sounded=()):
        """What is heard in mels.

        Args:
            mels: A list of [time, mels].
            spec: Of them.
            sounded: Numbers of those whose F0 is measured.

        Returns:
            Name -> [n]: each label, "f0_hz" and "f0_semitones" (above 1 Hz; NaN where not
            measured), "loudness_db", "phones_per_s" (changes of the phone that the probe hears in
            what is not silent); "voice" [n, speakers - 1].
        """
        heard = {label: judge(mels) for label, judge in self.judges.items()}
        heard["f0_hz"] = np.full(len(mels), np.nan)
        for k in sounded:
            heard["f0_hz"][k] = f0_hz(mels[k], spec)
        heard["f0_semitones"] = 12 * np.log2(heard["f0_hz"])
        heard["loudness_db"] = np.array([latents.loudness_db(mel, spec) for mel in mels])
        if self.probe:
            heard["phones_per_s"] = np.array(
                [latents.phones_per_s(self.probe(mel), self._silent, spec) for mel in mels]
            )
        if self.space:
            heard["voice"] = self.space(mels)
        return heard

    def words(self, mels, utterances):
        """The share of frames, silence left out, in which the probe hears the phone that was said.

        None where no phones are known.
        """
        if self.probe is None:
            return None
        right = []
        for mel, each in zip(mels, utterances):
            spoken = ~np.isin(each["phone"], [latents.UNKNOWN, *self._silent])
            right.append((self.probe(mel) == each["phone"])[spoken])
        right = np.concatenate(right)
        return float(right.mean()) if len(right) else None

    def flips(self, model, found, test, name, factor, control, rows=None):
        """What a flip of a latent changes (`flips`), and the tables that say it."""
        result = flips(model, found, self, test, name, factor, control, rows)
        return result, tables(result)


def panel(model, source, seed):
    """The `LatentJudges` that learned from the utterances of a source, the split "judge"."""
    return LatentJudges(latents.Utterances(model, source), seed)


# --- Flips


def flips(model, found, panel, test, name, factor, control, rows=None):
    """What a flip of a latent changes in the voices of unseen speakers, and what its control does.

    Args:
        model: A `models.betavae.BetaVAE` of mels.
        found: Of `latents.discovered`, whose unseen items are those of `test`.
        panel: Who listens.
        test: The `Utterances` of the split "test".
        name: The label, or the number, between whose ends is flipped.
        factor: The latent that is flipped.
        control: The latent that is moved as far.
        rows: Numbers of the utterances; None = all.

    Returns:
        A dict fit for JSON. "label", "factor", "control", "count", "to" (the names of both ends).
        "baseline": of "real" and "reconstruction": "right", label -> share in which the judge is
            right,
        with "low" and "high" (95 %, Wilson) and "count"; "phones", the share of frames in which the
        probe is; of the reconstruction "error_db" (root mean square, of the mels) and
        "f0_error_semitones" (median size). "voice": median cosines of recordings of the "same" and
        of "other" speakers. "edits": "flip", "flip to NAME" and "control" -> what `latents.judged`
        says against the reconstruction, with "phones", and "arrived", the share that is heard as
        the end where the flip leads.
    """
    rows = np.arange(len(test)) if rows is None else np.asarray(rows)
    utterances, spec = [test.utterance(row) for row in rows], test.spec
    moved = latents.edits(found, name, factor, control, rows)
    up = moved.pop("up")
    _, titles, classes = latents.ends(found["known"], name, factor)
    sounded = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SOUNDED)).astype(int))
    mels = {"real": [each["mel"] for each in utterances]}
    mels |= {edit: latents.decoded(model, codes, utterances) for edit, codes in moved.items()}
    heard = {
        edit: panel(each, spec, sounded) for edit, each in progress.bar(mels.items(), desc="judges")
    }

    everywhere, first = np.arange(len(rows)), next(iter(heard.values()))
    parts = {
        "flip": ("flip", everywhere),
        **{
            f"flip to {title}": ("flip", np.flatnonzero(up == bool(k)))
            for k, title in enumerate(titles)
        },
        "control": ("control", everywhere),
    }
    judges = {judge: lambda item, judge=judge: heard[item[0]][judge][item[1]] for judge in first}
    result = {}
    for part, (edit, chosen) in parts.items():
        if not len(chosen):
            continue
        result[part] = latents.judged(("none", chosen), {part: (edit, chosen)}, judges)[part]
        result[part]["phones"] = panel.words(
            [mels[edit][k] for k in chosen], [utterances[k] for k in chosen]
        )
        if name in panel.judges and edit == "flip":
            wanted = np.where(up, classes[1], classes[0])
            result[part]["arrived"] = float(np.mean((heard[edit][name] == wanted)[chosen]))
    return {
        "label": name,
        "factor": int(factor),
        "control": int(control),
        "count": len(rows),
        "to": list(titles),
        "judge_utterances": panel.utterances,
        "baseline": _baseline(panel, mels, heard, utterances, spec),
        "voice": _alike(heard, utterances),
        "edits": result,
    }


def _baseline(panel, mels, heard, utterances, spec):
    """What is heard in real utterances, and in their reconstructions."""
    rows = {}
    for row, edit in (("real", "real"), ("reconstruction", "none")):
        rows[row] = {"right": {}, "phones": panel.words(mels[edit], utterances)}
        for label in panel.judges:
            told = np.array([each[label] for each in utterances])
            known = told != latents.UNKNOWN
            if known.any():
                rows[row]["right"][label] = latents.share(
                    int(np.sum((heard[edit][label] == told)[known])), int(known.sum())
                )
    levels = [
        [20 * np.log10(audio.magnitude(mel, spec)) for mel in mels[edit]]
        for edit in ("real", "none")
    ]
    squares = np.concatenate([np.square(one - two).ravel() for one, two in zip(*levels)])
    rows["reconstruction"]["error_db"] = float(np.sqrt(squares.mean()))
    away = np.abs(heard["none"]["f0_semitones"] - heard["real"]["f0_semitones"])
    away = away[np.isfinite(away)]
    rows["reconstruction"]["f0_error_semitones"] = float(np.median(away)) if len(away) else None
    return rows


def _alike(heard, utterances):
    """Median cosines of the voices of recordings: of the same speaker, and of two."""
    if "voice" not in heard["real"]:
        return None
    voices = heard["real"]["voice"] / np.linalg.norm(heard["real"]["voice"], axis=1, keepdims=True)
    speaker = np.array([each["speaker"] for each in utterances])
    pairs = np.random.default_rng(0).integers(0, len(speaker), (PAIRS, 2))
    one, two = pairs[pairs[:, 0] != pairs[:, 1]].T
    cosines, same = np.sum(voices[one] * voices[two], axis=1), speaker[one] == speaker[two]
    return {
        kind: float(np.median(cosines[chosen])) if chosen.any() else None
        for kind, chosen in (("same", same), ("other", ~same))
    }


def scores(model, sources, label="", count=None, seed=0):
    """Everything that is said of a beta-VAE of voices, as a dict fit for JSON.

    Args:
        model: A trained `models.betavae.BetaVAE` of mels.
        sources: "train", "valid", "judge" and "test" -> `data.source.Source` of mels, and of F0 and
            phones as far as they are known.
        label: Whose factor is flipped; "" = the gender, or what is known instead.
        count: Test utterances whose flips are judged; None = all.
        seed: Of intervals, permutations and lessons.

    Returns:
        "flips" (see there), "found" and "activity", "metrics": name -> number, and "tables" for
        people.

    Raises:
        KvoiceError: If the label is not known.
    """
    known = latents.Utterances(model, sources["train"], sources["valid"])
    test = latents.Utterances(model, sources["test"])
    found = latents.discovered(model, known, test, np.random.default_rng(seed))
    label = label or next(iter(found["rankings"]), "")
    factor, control = latents.chosen(found, label)
    units = found["activity"]
    if control is None:  # nothing to compare a flip with
        return {
            "kind": "voices",
            "label": label,
            "flips": None,
            "found": found["found"],
            "activity": {name: np.asarray(values).tolist() for name, values in units.items()},
            "metrics": {"active": len(units["active"]), "KL, nats": float(np.sum(units["kl"]))},
            "tables": [latents.found_table(found)],
        }
    rows = np.unique(np.linspace(0, len(test) - 1, min(len(test), count or len(test))).astype(int))
    panel = LatentJudges(latents.Utterances(model, sources["judge"]), seed)
    result = flips(model, found, panel, test, label, factor, control, rows)
    return {
        "kind": "voices",
        "label": label,
        "flips": result,
        "found": found["found"],
        "activity": {name: np.asarray(values).tolist() for name, values in units.items()},
        "metrics": _metrics(found, result),
        "tables": [latents.found_table(found), *tables(result)],
    }


def _metrics(found, result):
    """The numbers by which runs are compared."""
    label = result["label"]
    best, base, edited = found["found"][label], result["baseline"], result["edits"]
    statistic = f"{label} {latents.STATISTICS[best['best']['statistic']]}"
    numbers = {
        statistic: best["best"]["value"],
        f"{statistic} (test)": best["confirmed"] and best["confirmed"]["value"],
        "flip changes": edited["flip"].get(label, {}).get("changed"),
        "control changes": edited["control"].get(label, {}).get("changed"),
        "phones right (real)": base["real"]["phones"],
        "phones right": base["reconstruction"]["phones"],
        "phones right (flip)": edited["flip"]["phones"],
        "error, dB": base["reconstruction"]["error_db"],
        "active": len(found["activity"]["active"]),
        "KL, nats": float(np.sum(found["activity"]["kl"])),
    }
    return {name: value for name, value in numbers.items() if value is not None}


# --- Tables


def tables(result):
    """The result of `flips` for people: tables of `kvoice.report`."""
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
    told = (
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
            "title": "What judges hear without any edit",
            "note": f"How often they are right in {result['count']} utterances of speakers whom "
            f"neither they nor the model knew, real and reconstructed. They learned from "
            f"{result['judge_utterances']} real utterances of other speakers. Phones: frames, "
            "silence left out, in which a linear probe hears the phone that was said.",
            "columns": ["utterances", *labels, "phones", "error, dB", "F0 error, semitones"],
            "rows": rows,
        },
        {
            "title": f"Latent {result['factor']} flipped, beside its control {result['control']}",
            "note": "Against the reconstruction: in how many utterances a judge hears another "
            f"{' or another '.join(labels) or 'label'}; arrived: hears the {label} that was aimed "
            "at; phones that the probe hears rightly; median changes of F0, loudness and heard "
            f"phones per second.{told}",
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


def validation(run, corpus):
    """As the package says: nothing chooses, the last epoch is the one."""


def callbacks(run, valid):
    """As the package says: the KL of each latent is written down."""
    return [disentanglement.LatentLog(run, valid)]


def evaluate(run, corpus, options):
    """As the package says: of images the factors of `FACTORS` items, of voices what flips
    change.
    """
    corpus, model = corpus(), loop.load(run.path)
    if corpus.images:
        sources = corpus.sources(("train", "test"))
        found = disentanglement.factor_scores(
            model, *sources.values(), options.count or FACTORS, options.seed, jobs=-1
        )
    else:
        sources = corpus.sources(("train", "valid", "judge", "test"), more=["f0"])
        found = scores(model, sources, count=options.count or None, seed=options.seed)
    write_json(run.path / "evaluation.json", found)
    return printed(found, run.path / "evaluation.json")


def next_commands(run):
    """As the package says."""
    known = next(
        (name for name in ("gender", "emotion") if len(run.labels.get(name, [])) > 1), "f0_hz"
    )
    label = "" if run.config["model"]["domain"] == "image" else f" --label={known}"
    return [f"traverse --run={run.path}{label}", f"report {run.path}"]
