"""The manifest of a prepared corpus: the content of its shards, and how they were made."""

import dataclasses
import os

from kvoice.audio import CONDITIONING, RECORDINGS, SPECS, Spec
from kvoice.errors import KvoiceError, hint
from kvoice.files import read_json, write_json

FILE = "manifest.json"
FORMAT = 1
ARGUMENTS = ("data", "split", "seed", *CONDITIONING, "label_hop", "phones", "judge", "speeds")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of a directory of shards.

    Attributes:
        data: The argument of `--data`.
        seed: The seed of the split.
        split: "speaker": no speaker is in two splits; "text": no text is in two; "corpus": the
            corpus assigns its utterances itself.
        sample_rate_hz: Sample rate of the waves, in Hz. This, the next three and `level_db` are
            those of the Spec that the waves were conditioned by.
        trim_db: Threshold of the trimming of silence, in dB; utterances with frame labels of the
            corpus are not trimmed.
        highpass_hz: Cutoff of the high-pass filter, in Hz; 0 = none.
        preemphasis: Coefficient of the pre-emphasis; 0 = none.
        label_hop: Hop of the frame labels, in samples.
        items: Fingerprint of the utterances of the corpus.
        labels: Names by number: "speaker", "gender", "emotion", "phone"; [] where unknown.
        splits: For "train", "valid", "judge" and "test": "shards" (a list of {"file", "records",
            "bytes"}), "utterances", "seconds", "speakers" (names), "counts" ({"gender" | "emotion":
            {name: utterances}}), "texts" (utterances whose text is known) and "parallel" (those of
            them whose words another speaker of the split says in the same emotion). Splits may be
            empty where the corpus assigns them itself; version 0.1 did not count texts.
        skipped: The files that were left out, a list of {"file", "reason", "intended"}; see
            `corpora.utterance.Skipped`.
        level_db: Level of each utterance, in dB of full scale; 0 = as recorded.
        phones: The recogniser that heard the phones, "hama"; "" = those of the corpus, if any.
        judge: Whether utterances were kept for the split "judge"; else they are in "train".
        speeds: Speeds of the copies of its utterances that are in "train" too; [] = none.
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
    level_db: float = 0.0  # which earlier versions did not have
    phones: str = ""
    judge: bool = True
    speeds: list = dataclasses.field(default_factory=list)

    @property
    def identity(self) -> dict:
        """What determines the splits of a corpus: {"by": the way, "seed"}, "judge" if it is not."""
        return {"by": self.split, "seed": self.seed} | ({} if self.judge else {"judge": False})

    @property
    def copies(self) -> list[str]:
        """The names of the speakers of copies at other speeds."""
        endings = tuple(f"@{speed:g}" for speed in self.speeds)
        return [name for name in self.labels["speaker"] if endings and name.endswith(endings)]

    @property
    def faults(self) -> list[dict]:
        """Those of `skipped` that cannot be used; version 0.1 did not tell them apart: none."""
        return [skip for skip in self.skipped if not skip.get("intended", True)]

    @staticmethod
    def load(directory: str | os.PathLike) -> "Manifest":
        """Reads the manifest of a directory.

        Raises:
            KvoiceError: If there is none (the message names the command), or it cannot be parsed.
        """
        path = os.path.join(directory, FILE)
        try:
            manifest = Manifest(**read_json(path))
        except (FileNotFoundError, NotADirectoryError):
            raise KvoiceError(
                f"{directory} holds no prepared corpus (no {FILE}): run `kvoice prepare "
                f"--data=CORPUS --output={directory}`, again if it was stopped"
            ) from None
        except (ValueError, TypeError):  # a KvoiceError among them
            raise KvoiceError(
                f"{path} is damaged, or not a manifest that this version of kvoice wrote: "
                "delete it and run prepare again"
            ) from None
        if manifest.format != FORMAT:
            raise KvoiceError(
                f"{path}: format {manifest.format}, expected {FORMAT}: "
                "delete the directory and run prepare again"
            )
        return manifest

    def save(self, directory: str | os.PathLike) -> None:
        """Writes the manifest into a directory, whole or not at all."""
        write_json(os.path.join(directory, FILE), dataclasses.asdict(self), sealed=True)

    def check(self, spec: Spec, directory: str | os.PathLike) -> None:
        """Refuses a Spec that the waves were not prepared for.

        Raises:
            KvoiceError: If a field of `CONDITIONING` differs; the message names it.
        """
        differences = spec.differences(self, CONDITIONING)
        if differences:
            raise KvoiceError(
                f"{os.path.join(directory, FILE)} was made for another Spec (this run's here, its "
                f"own there): {'; '.join(differences)}: prepare the corpus again into another "
                f"directory{_way(spec)}"
            )

    def shards(self, directory: str | os.PathLike, split: str) -> list[str]:
        """The paths of the shards of a split.

        Raises:
            KvoiceError: If there is no such split, or it is empty.
        """
        if split not in self.splits:
            raise KvoiceError(f"there is no split {split!r}: {hint(split, self.splits)}")
        if not self.splits[split]["utterances"]:
            others = ", ".join(name for name, own in self.splits.items() if own["utterances"])
            raise KvoiceError(
                f"{directory}: the split {split!r} holds no utterance: choose among {others}"
            )
        return [os.path.join(directory, entry["file"]) for entry in self.splits[split]["shards"]]

    def report(self) -> str:
        """Lines with the sizes of the splits and labels, and with the files left out and why."""
        lines = [
            f"{self.data}: {self._total('utterances')} utterances, "
            f"{self._total('seconds') / 3600:.2f} h, {len(self.labels['speaker'])} speakers"
            + f", phones heard by {self.phones}"
            * bool(self.phones)
        ]
        for name, split in self.splits.items():
            counts = "; ".join(
                ", ".join(f"{label} {count}" for label, count in counted.items())
                for counted in split["counts"].values()
                if counted
            )
            if split.get("texts"):
                counts += f"; {split['texts']} of known text, {split['parallel']} parallel"
            lines.append(
                f"  {name:5} {split['utterances']:6} utterances {split['seconds'] / 3600:7.2f} h "
                f"{len(split['speakers']):4} speakers   {counts.removeprefix('; ')}"
            )
        unknown = sum(
            split["utterances"] - split.get("texts", split["utterances"])
            for split in self.splits.values()
        )
        if self.split == "text" and unknown > 0:
            lines.append(
                f"  the text of {unknown} utterances is unknown: two splits may hold the same words"
                + "; --split=speaker avoids that" * (len(self.labels["speaker"]) >= 4)
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


def _way(spec):
    """The flags of `prepare` for a Spec, where it has one of the names that it knows."""
    fields = [field for field in CONDITIONING if field not in RECORDINGS]
    for name, other in SPECS.items():
        if not spec.differences(other, fields):
            values = " ".join(f"--{field}={getattr(spec, field):g}" for field in RECORDINGS)
            return f", with --spec={name} {values}"
    return ""
