"""Compares trained runs of adainvc by judges from elsewhere, to choose between them.

python benchmarks/trials.py runs/adainvc/one runs/adainvc/two --data=prepared:DIR --count=48

The same pairs of validation speakers are converted by each run, each source shorter than
`SECONDS`; with --split=test those of the test speakers, once, by the run that was chosen. Of the
conversions: the share that is nearer to the target than to the source by Resemblyzer (cosines with
the mean of other recordings, where there are others), the phone error rate against the phones that
hama hears in the source, and DNSMOS by P.808; beside them the sources as recorded, through
Griffin-Lim, at the pitch of the target, and noise. Rows go to benchmarks/results/NAME.json; those
of other runs stay there.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
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
from kvoice.metrics.classification import wilson

SECONDS = 12.0


class Pairs:
    """Pairs of utterances of different speakers of a split, and what the judges know of them."""

    def __init__(self, directory, split, spec, count, seed):
        source = Source(directory, split, spec, 64, 1, arrays=("mel", "wave", "f0"))
        self.spec, self.encoder = spec, independent.resemblyzer()
        self.utterances = [source.utterance(row) for row in range(len(source))]
        speakers, rng = source.speaker_of(), np.random.default_rng(seed)
        genders = [source.labels["gender"][each["gender"]] for each in self.utterances]
        self.points = self.voices([self.recorded(row) for row in range(len(source))])
        rows = {speaker: np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)}
        self.seed = seed
        self.rows = []
        while len(self.rows) < count:
            one, two = rng.choice(sorted(rows), 2, replace=False)
            said, target = rng.choice(rows[one]), rng.choice(rows[two])
            if len(self.utterances[said]["wave"]) < SECONDS * spec.sample_rate_hz:
                self.rows.append((said, target))
        self.genders = [f"{genders[one]} to {genders[two]}" for one, two in self.rows]
        others = [[self._mean(rows[speakers[row]], row) for row in pair] for pair in self.rows]
        self.of_source, self.of_target = zip(*others)
        spawned = multiprocessing.get_context("spawn")
        self.pool = concurrent.futures.ProcessPoolExecutor(os.cpu_count(), spawned)
        self.heard = self.each(recognisers.phones, [self.recorded(row) for row, _ in self.rows])

    def each(self, judge, waves):
        """What a judge says of each wave; the judges use one core each."""
        return list(self.pool.map(judge, waves, [self.spec.sample_rate_hz] * len(waves)))

    def _mean(self, rows, without):
        """The mean voice of a speaker, without one recording where there are others."""
        others = [row for row in rows if row != without] or [without]
        mean = self.points[others].mean(axis=0)
        return mean / np.linalg.norm(mean)

    def recorded(self, row):
        return audio.deemphasised(self.utterances[row]["wave"], self.spec)

    def voices(self, waves):
        rates = self.spec.sample_rate_hz, self.encoder.spec.sample_rate_hz
        return encode.of_waves(self.encoder, [audio.resample(wave, *rates) for wave in waves])

    def targets(self, voice, mix=1.0):
        """The target of each pair."""
        given = [self.utterances[target] for _, target in self.rows]
        return [convert.Target.of(voice, [(each["mel"], each["f0"])], mix) for each in given]

    def converted(self, voice, targets):
        return self.judged(
            [
                convert.conversion(voice, self.utterances[source]["mel"], target)
                for (source, _), target in zip(self.rows, targets)
            ],
            targets,
        )

    def references(self, targets):
        """What stands beside the conversions: name -> what the judges say."""
        recorded = [self.recorded(row) for row, _ in self.rows]
        mels = [self.utterances[row]["mel"] for row, _ in self.rows]
        return {
            independent.RECORDING: self.of_waves(recorded),
            independent.VOCODED: self.judged(mels),
            "at the target's pitch": self.judged(mels, targets),
            independent.NOISE: self.of_waves(independent.noises(recorded, self.seed)),
        }

    def judged(self, mels, targets=None):
        """Judges mels as sounds; without targets, through Griffin-Lim."""
        waves = []
        for (source, _), mel, target in zip(self.rows, mels, targets or [None] * len(mels)):
            vocoder = target and target.vocoder(self.spec, self.utterances[source]["f0"])
            waves.append(render.sound(mel, self.spec, vocoder=vocoder))
        return self.of_waves(waves)

    def of_waves(self, waves):
        points = self.voices(waves)
        to_source, to_target = (
            np.sum(points * np.array(voices), axis=1) for voices in (self.of_source, self.of_target)
        )
        nearer = to_target > to_source
        heard = self.each(recognisers.phones, waves)
        edits = [recognition.edit_distance(*each) for each in zip(self.heard, heard)]
        quality = self.each(recognisers.quality, waves)
        return {
            "nearer to the target": float(nearer.mean()),
            "interval": list(wilson(int(nearer.sum()), len(nearer))),
            "pairs": {
                pair: float(nearer[np.array(self.genders) == pair].mean())
                for pair in sorted({*self.genders})
            },
            "cosine with the target": float(to_target.mean()),
            "cosine with the source": float(to_source.mean()),
            "phone error rate": sum(edits) / sum(map(len, self.heard)),
            "DNSMOS P.808": float(np.mean([each["p808"] for each in quality])),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", required=True, help="prepared:DIR")
    parser.add_argument("--split", choices=("valid", "test"), default="valid")
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--mix", type=float, nargs="*", default=[convert.MIX], help="see `kvoice convert`"
    )
    parser.add_argument("--name", default="trials", help="name of the file of results")
    asked = parser.parse_args()
    path, pairs = RESULTS / f"{asked.name}.json", None
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    for name in ("count", "seed", "split"):
        if result.setdefault(name, getattr(asked, name)) != getattr(asked, name):
            parser.error(f"{path} has another {name}; give another --name")
    result["machine"] = machine()
    for name in asked.runs:
        voice, run = load(name), runs.load(name)
        directory = expanded(asked.data.removeprefix("prepared:"))
        pairs = pairs or Pairs(directory, asked.split, voice.spec, asked.count, asked.seed)
        if "sources" not in result:
            result["sources"] = pairs.references(pairs.targets(voice))
        row = result["rows"].setdefault(os.path.basename(run.path), {})
        row |= {
            "command": run.config["command"].partition(" kvoice ")[2],
            "corpus": run.config["data_spec"],
            "steps": run.state["step"],
            **{
                f"converted, mix {mix:g}": pairs.converted(voice, pairs.targets(voice, mix))
                for mix in asked.mix
            },
        }
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(name, json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
