"""Measures how well a vocoder resynthesises unseen recordings, beside Griffin-Lim.

A recording is converted to a mel and back to a wave; the error is measured on the spectrum, the
mel and the F0. The likelihood measures how well the flow models such audio.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kvoice import audio, progress
from kvoice.data.source import Source
from kvoice.evaluation import Options
from kvoice.evaluation.independent import IndependentJudges, added
from kvoice.evaluation.tables import written
from kvoice.files import whole_directory, write_json
from kvoice.inference import render
from kvoice.inference.vocode import Vocoder
from kvoice.inference.voice import Voice
from kvoice.metrics import speech
from kvoice.models.waveglow import WaveGlow
from kvoice.runs import Run
from kvoice.training import loop
from kvoice.training.corpus import Corpus

UTTERANCES = 48  # utterances that are resynthesised and measured
OPTIONS = ("count", "data", "split")
WRITTEN = 4  # utterances whose sounds are written
STRENGTH = 0.1  # strength of the denoiser
LIKELIHOOD = 32  # batches on which the likelihood is computed
MEASURES = (  # key, title, digits
    ("spectral_db", "log-spectral distance, dB", 2),
    ("mel_db", "mel distance, dB", 2),
    ("f0_cents", "F0 error, cents", 0),
    ("voicing", "voicing decision error", None),
    ("speed", "times real time", 1),
)


def validation_metrics(valid: Source, batches: int) -> Callable[[object], dict[str, float]]:
    """Returns a function that measures the bits per sample of validation audio.

    Args:
        valid: The validation data.
        batches: The number of batches that are used.

    Returns:
        A function model -> {"averaged_bits": the mean}: the smaller the better. (At the end of an
        epoch it is computed with the averaged weights.)
    """
    return lambda model: {"averaged_bits": likelihood(model, valid, batches)["bits_per_sample"]}


def likelihood(model: WaveGlow, source: Source, batches: int) -> dict[str, float]:
    """Computes the mean log-likelihood of audio under a flow over some batches.

    Returns:
        {"log_likelihood" in nats per sample, "bits_per_sample" of 16-bit audio}.
    """
    found = model.evaluate(loop.Batches(source, batches), verbose=0, return_dict=True)
    return {name: found[name] for name in ("log_likelihood", "bits_per_sample")}


def vocoder_scores(
    voice: Voice,
    sources: dict[str, Source],
    trained_on: list[str],
    count: int,
    seed: int,
    folder: Path,
    independent: IndependentJudges | None = None,
) -> dict:
    """Evaluates a vocoder; returns the scores as a dict fit for JSON.

    Args:
        voice: A trained WaveGlow, as a `voice.Voice`.
        sources: "train", "valid" and "test" -> `data.source.Source` of mels, waves and masks.
        trained_on: The names of the speakers that it was trained on; [] = unknown.
        count: The number of utterances of the split test that are resynthesised.
        seed: The seed of the noise.
        folder: The folder for some of the sounds; replaced.
        independent: The judges from elsewhere, of the split test; None = they are not asked.

    Returns:
        {"kind": "vocoder", "likelihood": split -> as `likelihood`, "rows": name -> measures,
        "sigma", "count", "seed", "metrics", "tables"}.
    """
    model, spec = voice.model, voice.spec
    likelihoods = {
        source.split: likelihood(model, source, LIKELIHOOD) for source in sources.values()
    }
    plain = Vocoder(model, spec, seed=seed)
    ways = [
        ("vocoder", "the vocoder", plain)
    ]  # name of its files, of its row, what makes the sound
    if not model.prewhitening:
        ways.append(
            (
                "vocoder_denoised",
                f"the vocoder, denoised by {STRENGTH:g}",
                Vocoder(model, spec, denoise=STRENGTH, seed=seed),
            )
        )
    ways.append(("griffin-lim", f"Griffin-Lim, {render.ROUNDS} iterations", None))
    test = sources["test"]
    chosen = np.unique(np.linspace(0, len(test) - 1, min(count, len(test))).astype(int))
    utterances = [test.utterance(row) for row in chosen]
    rows, shown = {}, []
    heard = independent.chosen(utterances) if independent else []
    made = {}
    with whole_directory(folder) as partial:
        every = max(1, len(utterances) // WRITTEN)
        for k, each in enumerate(utterances[::every][:WRITTEN]):
            shown.append({"name": each["name"], "recording": f"{k}_recording.wav"})
            audio.write(
                partial / shown[-1]["recording"],
                audio.deemphasised(each["wave"], spec),
                spec.sample_rate_hz,
            )
        for stem, name, vocoder in ways:
            found, made[f"recording through {name}"] = [], []
            render.waves(
                utterances[0]["mel"][None], spec, vocoder=vocoder
            )  # compilation is not part of the speed
            for row, each in enumerate(progress.bar(utterances, desc=name)):
                begun = time.perf_counter()
                (wave,) = render.waves(each["mel"][None], spec, vocoder=vocoder)
                took_s = time.perf_counter() - begun
                original = audio.deemphasised(each["wave"], spec)[: len(wave)]
                found.append(
                    differences(original, wave[: len(original)], spec)
                    | {"speed": len(wave) / spec.sample_rate_hz / took_s}
                )
                if row in heard:
                    made[f"recording through {name}"].append(wave)
                for k, entry in enumerate(shown):
                    if entry["name"] == each["name"]:
                        entry[name] = f"{k}_{stem}.wav"
                        audio.write(
                            partial / entry[name],
                            render.levelled(wave, original)[0],
                            spec.sample_rate_hz,
                        )
            rows[name] = {key: _mean([each[key] for each in found]) for key, _, _ in MEASURES}
        write_json(
            partial / "resynthesis.json", {"sigma": plain.sigma, "seed": seed, "utterances": shown}
        )
    unseen = bool(trained_on) and not {*trained_on} & {*test.speakers}
    scores = {
        "kind": "vocoder",
        "likelihood": likelihoods,
        "rows": rows,
        "sigma": plain.sigma,
        "unheard": unseen,
        "count": len(utterances),
        "seed": seed,
    }
    scores |= {"metrics": _metrics(scores), "tables": tables(scores)}
    if independent:
        scores = added(scores, independent.scores([utterances[k] for k in heard], made))
    return scores


def differences(
    original: np.ndarray, wave: np.ndarray, spec: audio.Spec
) -> dict[str, float | None]:
    """Computes the errors of a wave against the original: all of `MEASURES` except the speed.

    Shapes: original, wave [samples].
    """
    sizes = [np.abs(audio.stft(each, spec)) for each in (original, wave)]
    levels = [
        20 * np.log10(np.maximum(audio.mel_magnitude(each, spec), spec.floor))
        for each in (original, wave)
    ]
    tracks = [audio.f0(each, spec.sample_rate_hz, spec.hop) for each in (original, wave)]
    errors = speech.f0_errors(*tracks)
    return {
        "spectral_db": speech.log_spectral_distance(*sizes),
        "mel_db": float(np.sqrt(np.mean(np.square(levels[0] - levels[1])))),
        "f0_cents": errors["rmse_cents"],
        "voicing": 1 - errors["voicing"],
    }


def _mean(values):
    """Returns the mean of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _metrics(scores):
    """Returns the metrics by which runs are compared."""
    own = next(iter(scores["rows"].values()))
    likelihoods = {
        f"log-likelihood ({split})": each["log_likelihood"]
        for split, each in scores["likelihood"].items()
    }
    errors = {title: own[key] for key, title, _ in MEASURES if own[key] is not None}
    return likelihoods | errors


def tables(scores: dict) -> list[dict]:
    """Formats the scores as tables: title, note, columns, rows of texts."""
    known = scores["likelihood"]
    rows = []
    for name, each in scores["rows"].items():
        rows.append(
            [
                name,
                *(
                    "-"
                    if each[key] is None
                    else f"{each[key]:.1%}"
                    if digits is None
                    else f"{each[key]:.{digits}f}"
                    for key, _, digits in MEASURES
                ),
            ]
        )
    whose = "unseen speakers" if scores["unheard"] else "the split test"
    return [
        {
            "title": "Likelihood of audio",
            "note": "Likelihood of crops of 16-bit audio under the flow, given their mels.",
            "columns": ["speakers", "log-likelihood, nats per sample", "bits per sample"],
            "rows": [
                [split, f"{each['log_likelihood']:.3f}", f"{each['bits_per_sample']:.3f}"]
                for split, each in known.items()
            ],
        },
        {
            "title": f"{scores['count']} utterances of {whose}, resynthesised from their mels",
            "note": f"Means over utterances. Noise of the vocoder: sigma {scores['sigma']:g}. "
            f"Spectra with 60 dB "
            "below their loudest bin as floor; F0 by our own tracker, where both are voiced.",
            "columns": ["made by", *(title for _, title, _ in MEASURES)],
            "rows": rows,
        },
    ]


# --- Runs


def validation(run: Run, corpus: Corpus) -> Callable[[object], dict[str, float]]:
    """Returns the bits per sample, by which training keeps the best epoch."""
    valid = corpus.sources(("valid",))["valid"]
    return validation_metrics(valid, run.config["train"]["valid_steps"])


def evaluate(run: Run, corpus: Callable[[], Corpus], options: Options) -> str:
    """Evaluates a run on `UTTERANCES` utterances of the split test."""
    data = options.data or run.config["data_spec"]
    sources = corpus().sources(("train", "valid", "test"))
    model = loop.load(run.path, compiled=True)  # for the likelihoods
    scores = vocoder_scores(
        Voice(model, run.spec, run.names, run),
        sources,
        run.config["speakers"],
        options.count or UTTERANCES,
        options.seed,
        run.path / "resynthesis",
        IndependentJudges(sources["test"], seed=options.seed, most=options.count),
    )
    return written(
        run.path,
        scores | {"corpus": data},
        options,
        f"Measured on {data}",
        after=f", {run.path / 'resynthesis'} some of the sounds",
    )


def next_commands(run: Run) -> list[str]:
    """Returns commands that a user may try with a trained run."""
    return [f"vocode --run={run.quoted} --input=FILE_OR_DIR --output=FILE_OR_DIR"]
