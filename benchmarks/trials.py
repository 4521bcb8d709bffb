"""Compares trained runs of adainvc by judges from elsewhere, to choose between them.

python benchmarks/trials.py runs/adainvc/one runs/adainvc/two --data=prepared:DIR --count=24

The same pairs of validation speakers are converted by each run, each source shorter than
`SECONDS`. Of the reconstructions and of the conversions: the share that is nearer to the target
than to the source by Resemblyzer, the phone error rate against the phones that hama hears in the
source, and DNSMOS by P.808; beside them the sources through the vocoder. A row for each run goes to
benchmarks/results/trials.json; rows of other runs stay there.
"""

import argparse
import json
import os

import numpy as np
from measure import RESULTS, machine

from kvoice import audio, recognisers, runs
from kvoice.data.source import Source
from kvoice.evaluation import independent
from kvoice.files import expanded
from kvoice.inference import convert, encode, render
from kvoice.inference.voice import load
from kvoice.metrics import recognition

SECONDS = 12.0


class Pairs:
    """Pairs of utterances of different validation speakers, and what the judges know of them."""

    def __init__(self, directory, spec, count, seed):
        source = Source(directory, "valid", spec, 64, 1, arrays=("mel", "wave", "f0"))
        self.spec, self.encoder = spec, independent.resemblyzer()
        self.utterances = [source.utterance(row) for row in range(len(source))]
        speakers, rng = source.speaker_of(), np.random.default_rng(seed)
        points = self.voices([self.recorded(row) for row in range(len(source))])
        self.voice = {}
        for speaker in np.unique(speakers):
            mean = points[speakers == speaker].mean(axis=0)
            self.voice[speaker] = mean / np.linalg.norm(mean)
        rows = {speaker: np.flatnonzero(speakers == speaker) for speaker in self.voice}
        self.rows = []
        while len(self.rows) < count:
            one, two = rng.choice(sorted(rows), 2, replace=False)
            said, target = rng.choice(rows[one]), rng.choice(rows[two])
            if len(self.utterances[said]["wave"]) < SECONDS * spec.sample_rate_hz:
                self.rows.append((said, target, speakers[said], speakers[target]))
        self.heard = [
            recognisers.phones(self.recorded(row), spec.sample_rate_hz) for row, *_ in self.rows
        ]

    def recorded(self, row):
        return audio.deemphasised(self.utterances[row]["wave"], self.spec)

    def voices(self, waves):
        rates = self.spec.sample_rate_hz, self.encoder.spec.sample_rate_hz
        return encode.of_waves(self.encoder, [audio.resample(wave, *rates) for wave in waves])

    def targets(self, voice, mix=1.0, own=False):
        """The target of each pair, or with `own` the source as a target of its own."""
        found = []
        for source, target, *_ in self.rows:
            each = self.utterances[source if own else target]
            found.append(convert.Target.of(voice, [(each["mel"], each["f0"])], mix))
        return found

    def converted(self, voice, targets):
        return self.judged(
            [
                convert.conversion(voice, self.utterances[source]["mel"], target)
                for (source, *_), target in zip(self.rows, targets)
            ],
            targets,
        )

    def judged(self, mels, targets=None):
        """Judges mels as sounds; without targets, through Griffin-Lim."""
        waves = []
        for (source, *_), mel, target in zip(self.rows, mels, targets or [None] * len(mels)):
            vocoder = target and target.vocoder(self.spec, self.utterances[source]["f0"])
            waves.append(render.sound(mel, self.spec, vocoder=vocoder))
        to_source, to_target = np.transpose(
            [
                (point @ self.voice[source], point @ self.voice[target])
                for point, (*_, source, target) in zip(self.voices(waves), self.rows)
            ]
        )
        heard = [recognisers.phones(wave, self.spec.sample_rate_hz) for wave in waves]
        edits = [recognition.edit_distance(*each) for each in zip(self.heard, heard)]
        quality = [recognisers.quality(wave, self.spec.sample_rate_hz) for wave in waves]
        return {
            "nearer to the target": float(np.mean(to_target > to_source)),
            "cosine with the target": float(to_target.mean()),
            "cosine with the source": float(to_source.mean()),
            "phone error rate": sum(edits) / sum(map(len, self.heard)),
            "DNSMOS P.808": float(np.mean([each["p808"] for each in quality])),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", required=True, help="prepared:DIR")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mix", type=float, nargs="*", default=[1.0], help="see `kvoice convert`")
    parser.add_argument("--name", default="trials", help="name of the file of results")
    asked = parser.parse_args()
    path, pairs = RESULTS / f"{asked.name}.json", None
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    result |= {"machine": machine(), "count": asked.count, "seed": asked.seed}
    for name in asked.runs:
        voice, run = load(name), runs.load(name)
        directory = expanded(asked.data.removeprefix("prepared:"))
        pairs = pairs or Pairs(directory, voice.spec, asked.count, asked.seed)
        if "vocoder alone" not in result:
            mels = [pairs.utterances[row]["mel"] for row, *_ in pairs.rows]
            result["vocoder alone"] = pairs.judged(mels)
            result["transposed alone"] = pairs.judged(mels, pairs.targets(voice))
        result["rows"][os.path.basename(run.path)] = {
            "command": run.config["command"].partition(" kvoice ")[2],
            "corpus": run.config["data_spec"],
            "steps": run.state["step"],
            "reconstructed": pairs.converted(voice, pairs.targets(voice, own=True)),
            **{
                "converted" if mix == 1 else f"converted, mix {mix:g}": pairs.converted(
                    voice, pairs.targets(voice, mix)
                )
                for mix in asked.mix
            },
        }
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(name, json.dumps(result["rows"][os.path.basename(run.path)], indent=1))


if __name__ == "__main__":
    main()
