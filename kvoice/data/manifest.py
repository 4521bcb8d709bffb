"""The manifest of a prepared corpus: what its shards hold, and how they were made."""

import dataclasses
import json
import os

from kvoice.audio import CONDITIONING
from kvoice.errors import KvoiceError, hint
from kvoice.files import write_json

FILE = "manifest.json"
FORMAT = 1
ARGUMENTS = ("data", "split", "seed", *CONDITIONING, "label_hop")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a directory of shards holds.

    Attributes:
        data: What `--data` said.
        seed: Of the split.
        split: "speaker": no speaker is in two splits; "text": no text is; "corpus": as the corpus
            itself says.
        sample_rate_hz: Of the waves, like the next three as in the Spec they were conditioned by.
        trim_db: Not applied to utterances that came with frame labels.
        highpass_hz: 0 = none.
        preemphasis: 0 = none.
        label_hop: Samples from one frame label to the next.
        items: Fingerprint of the list of utterances that the corpus had.
        labels: Names by number: "speaker", "gender", "emotion", "phone"; [] where unknown.
        splits: For "train", "valid", "judge" and "test": "shards" (a list of {"file", "records",
            "bytes"}), "utterances", "seconds", "speakers" (names), "counts" ({"gender" | "emotion":
            {name: utterances}}). A corpus that assigns its own may leave some empty.
        skipped: What was left out: a list of {"file", "reason"}.
    """

    data: str
    seed: int
    split: str
    sample_rate_hz: int
    trim_db: float
    highpass_hz: float
    preemphasis: float
    label_hop: int
    items: str
    labels: dict
    splits: dict
    skipped: list
    format: int = FORMAT

    @staticmethod
    def load(directory):
        """The manifest of a directory.

        Raises:
            KvoiceError: If there is none (the line says what to run), or it cannot be understood.
        """
        path = os.path.join(directory, FILE)
        try:
            with open(path, encoding="utf-8") as file:
                fields = json.load(file)
            manifest = Manifest(**fields)
        except FileNotFoundError:
            raise KvoiceError(
                f"{directory} holds no prepared corpus (no {FILE}): run kvoice prepare "
                f"--data=CORPUS --output={directory}, again if it was stopped"
            ) from None
        except (ValueError, TypeError):
            raise KvoiceError(
                f"{path} is not a manifest that this version of kvoice wrote: "
                "delete it and run prepare again"
            ) from None
        if manifest.format != FORMAT:
            raise KvoiceError(
                f"{path}: format {manifest.format}, expected {FORMAT}: "
                "delete the directory and run prepare again"
            )
        return manifest

    def save(self, directory):
        """Writes the manifest into a directory, whole or not at all."""
        write_json(os.path.join(directory, FILE), dataclasses.asdict(self))

    def check(self, spec, directory):
        """Refuses a Spec that the waves were not prepared for.

        Raises:
            KvoiceError: If a field of `CONDITIONING` differs, by name.
        """
        differences = spec.differences(self, CONDITIONING)
        if differences:
            raise KvoiceError(
                f"{os.path.join(directory, FILE)} was made for another Spec (this run's here, its "
                f"own there): {'; '.join(differences)}: prepare the corpus again for this "
                "Spec into another directory"
            )

    def shards(self, directory, split):
        """The paths of the shards of a split.

        Raises:
            KvoiceError: If there is no such split, or nothing in it.
        """
        if split not in self.splits:
            raise KvoiceError(f"there is no split {split!r}: {hint(split, self.splits)}")
        if not self.splits[split]["utterances"]:
            others = ", ".join(name for name, own in self.splits.items() if own["utterances"])
            raise KvoiceError(
                f"{directory}: the split {split!r} holds no utterance: choose among {others}"
            )
        return [os.path.join(directory, entry["file"]) for entry in self.splits[split]["shards"]]

    def report(self):
        """Lines that say how much there is, per split and label, and what was left out and why."""
        lines = [
            f"{self.data}: {self._total('utterances')} utterances, "
            f"{self._total('seconds') / 3600:.2f} h, {len(self.labels['speaker'])} speakers"
        ]
        for name, split in self.splits.items():
            counts = "; ".join(
                ", ".join(f"{label} {count}" for label, count in counted.items())
                for counted in split["counts"].values()
                if counted
            )
            lines.append(
                f"  {name:5} {split['utterances']:6} utterances {split['seconds'] / 3600:7.2f} h "
                f"{len(split['speakers']):4} speakers   {counts}"
            )
        reasons = {}
        for skipped in self.skipped:
            reasons.setdefault(skipped["reason"], []).append(skipped["file"])
        for reason, files in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
            more = ", ..." if len(files) > 1 else ""
            lines.append(f"  left out {len(files):6}: {reason} ({files[0]}{more})")
        return "\n".join(lines)

    def _total(self, field):
        return sum(split[field] for split in self.splits.values())
