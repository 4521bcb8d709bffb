"""How well the recognisers of `kvoice.recognisers` hear recordings, and the phones of `demo`.

python benchmarks/judges.py --data=librispeech:DIR --count=28
python benchmarks/judges.py --data=demo --phones --count=240

The first command prints phone and word error rates against the texts, phone error rates against
what is heard in the recording, and DNSMOS, of recordings, of the same through Griffin-Lim, and of
noise. The second compares the phones of the frames, as `kvoice prepare --phones=hama` labels them,
with the true ones of `demo`.
"""

import argparse
import json
import pathlib

import numpy as np

from kvoice import audio, progress, recognisers
from kvoice.data import corpora
from kvoice.data.prepare import example
from kvoice.evaluation import independent
from kvoice.metrics import recognition

SPEC = audio.SPECS["waveglow"]
WITHIN_MS = (20, 50)  # errors up to which a boundary is counted as found


def recordings(data, count):
    """Recordings that are spread evenly over a corpus, of those with a text where there are any."""
    items, _ = corpora.items(data)
    items = [item for item in items if recognisers.comparable(item.text)] or items
    spread = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))
    for item in progress.bar([items[k] for k in spread], desc="recordings"):
        ((item, sound),) = corpora.recordings(item, SPEC.sample_rate_hz, SPEC.hop)
        yield item, sound


class Recordings:
    """What `IndependentJudges` asks of a source."""

    spec = SPEC

    def __init__(self, data):
        self.data = data


def judged(data, count):
    utterances = []
    for item, sound in recordings(data, count):
        wave, mel = audio.paired(sound.wave, SPEC)
        utterances.append({"wave": wave, "mel": mel, "text": item.text})
    independent.resemblyzer = lambda: None  # `kvoice evaluate` of a speakerencoder measures it
    judges = independent.IndependentJudges(Recordings(data))
    against_text = judges.scores(utterances, {})
    silent = [each | {"text": ""} for each in utterances]
    judges.installed -= {recognisers.SPEECHMOS}
    against_recording = judges.scores(silent, {})["rows"]
    found = {name: dict(row) for name, row in against_text["rows"].items()}
    for name, row in found.items():
        row["phones, against those heard in the recording"] = against_recording[name]["phones"]
    return {"count": len(utterances), "seconds": against_text["seconds"], "rows": found}


def phones(data, count):
    labels = {"speaker": [], "gender": [], "emotion": []}
    correct, spoken, errors, numbers = [], [], [], [0, 0]
    for item, sound in recordings(data, count):
        own = {field: [getattr(item, field)] for field in labels}
        made = example(item, sound, SPEC, SPEC.hop, own, recognisers.HAMA)["phone"]
        correct.append(made == sound.phone)
        spoken.append(sound.phone != recognisers.PHONES.index(recognisers.SILENCE))
        errors.append(recognition.boundary_errors(sound.phone, made))
        for k, each in enumerate((sound.phone, made)):
            numbers[k] += len(recognition.boundaries(each))
    correct, spoken, errors = map(np.concatenate, (correct, spoken, errors))
    errors_ms = errors * SPEC.hop / SPEC.sample_rate_hz * 1000
    return {
        "count": count,
        "frames": len(correct),
        "frame accuracy": float(correct.mean()),
        "frame accuracy in speech": float(correct[spoken].mean()),
        "frame accuracy in silence": float(correct[~spoken].mean()),
        "boundary error, median, ms": float(np.median(errors_ms)),
        **{
            f"boundaries within {limit} ms": float(np.mean(errors_ms <= limit))
            for limit in WITHIN_MS
        },
        "boundaries for each true one": numbers[1] / numbers[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--count", type=int, default=28)
    parser.add_argument("--phones", action="store_true", help="the phones of the frames of demo")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file of results")
    asked = parser.parse_args()
    found = (phones if asked.phones else judged)(asked.data, asked.count)
    used = [recognisers.HAMA] if asked.phones else recognisers.PACKAGES
    found["versions"] = [recognisers.version(each) for each in used if recognisers.installed(each)]
    print(json.dumps(found, indent=1))
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
