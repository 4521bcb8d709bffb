"""The corpus of a run: its splits, with the arrays that the model is trained on."""

import dataclasses
import os
from collections.abc import Iterable

from kvoice import audio
from kvoice.data.factors import FactorSource
from kvoice.data.manifest import Manifest
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.models import MODELS


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A prepared corpus of speech or a corpus of images, with the arrays that a model needs.

    Args:
        directory: The folder that `prepare` wrote; for images, the value of `--data`.
        spec: The `audio.Spec` of the mels.
        group: The group `data` of a config.
        arrays: The names of the arrays in a batch; ("image",) for a corpus of images.
        condition: The label that an utterance must have to be included; "" = none.
        tested: The split that stands for "test" in `sources`: "valid" in an evaluation by which
            runs are chosen, so that the split test stays unused until the choice is made.
        judges: The folder of a prepared corpus whose training speakers the judges learn from; "" =
            the split judge of this one.
    """

    directory: str | os.PathLike
    spec: audio.Spec
    group: dict
    arrays: tuple
    condition: str = ""
    tested: str = "test"
    judges: str = ""

    @classmethod
    def of(cls, directory: str | os.PathLike, spec: audio.Spec, config: dict) -> "Corpus":
        """Returns the corpus for a model: `config` has its "model_name", "model" and "data"."""
        values = config["model"]
        arrays = MODELS[config["model_name"]].arrays(values)
        if "phone" in arrays and not Manifest.load(directory).labels["phone"]:
            arrays.remove("phone")  # a corpus without phones: the model is not conditioned on them
        return cls(directory, spec, config["data"], tuple(arrays), values.get("condition", ""))

    @property
    def images(self) -> bool:
        """Whether the corpus holds images rather than utterances."""
        return self.arrays == ("image",)

    @property
    def manifest(self) -> Manifest | None:
        """The manifest that `prepare` wrote; None for images."""
        return None if self.images else Manifest.load(self.directory)

    def sources(
        self,
        splits: Iterable[str],
        more: Iterable[str] = (),
        least_frames: int = 0,
        copies: bool = True,
    ) -> dict:
        """Returns a dict from split to source, with `more` arrays than the model is trained on.

        Utterances with fewer than `least_frames` are left out, and without `copies` those at
        another speed than they were recorded. Where the corpus assigns none to the
        split "judge", its source is of the validation speakers who are in no other split; with
        `judges`, it is of the speakers of that corpus who are not in this one.

        Raises:
            KvoiceError: If a split holds no such utterance.
        """
        if self.images:
            return {
                split: FactorSource(self.directory, **self.group | {"split": split})
                for split in splits
            }
        arrays = list(dict.fromkeys([*self.arrays, *more]))
        return {
            split: Source(
                spec=self.spec,
                condition=self.condition,
                least_frames=least_frames,
                **{"directory": self.directory, "arrays": arrays}
                | ({} if copies else {"without": self.manifest.copies})
                | (self._of_judges(arrays) if split == "judge" else self._of(split)),
            )
            for split in splits
        }

    def waves(self, splits: Iterable[str]) -> dict:
        """Returns a dict from split to a source of whole waves."""
        whole = {"crop_frames": self.group["crop_frames"], "batch": 1, "arrays": ("wave",)}
        return {split: Source(self.directory, split, self.spec, **whole) for split in splits}

    def of_mels(self) -> "Corpus":
        """Returns the same corpus with mels as the only array."""
        return dataclasses.replace(self, arrays=("mel",))

    def _of(self, split):
        """Returns the arguments of the source of a split."""
        return self._fitting(self.tested if split == "test" else split)

    def _of_judges(self, arrays):
        """Returns the arguments of the source that the judges learn from."""
        own = self.manifest
        if self.judges:
            other = Manifest.load(self.judges)
            known = {name for split in own.splits.values() for name in split["speakers"]}
            if known.issuperset(other.splits["train"]["speakers"]):
                raise KvoiceError(
                    f"--judge_data: {other.data} has no training speaker who is not in {own.data} "
                    "too; name a corpus of other speakers"
                )
            same_phones = other.labels["phone"] == own.labels["phone"]
            return self._fitting("train") | {
                "directory": self.judges,
                "arrays": [name for name in arrays if name != "phone" or same_phones],
                "without": known.union(other.copies),
                "numbered": {label: own.labels[label] for label in ("gender", "emotion")},
            }
        if own.splits["judge"]["utterances"]:
            return self._fitting("judge")
        if self.tested == "valid":
            raise KvoiceError(
                f"{self.directory}: the corpus has no split judge, so that its validation speakers "
                "train the judges, and cannot be measured by them: evaluate it on the split test, "
                "or name a corpus for the judges with --judge_data"
            )
        heard = {*own.splits["train"]["speakers"], *own.splits["test"]["speakers"]}
        if heard.issuperset(own.splits["valid"]["speakers"]):
            raise KvoiceError(
                f"{self.directory}: the corpus has no split judge, and no validation speakers of "
                "its own to train judges on: name a corpus for them with --judge_data, or prepare "
                "this one with --split=speaker into another directory"
            )
        return self._fitting("valid") | {"without": heard}

    def _fitting(self, split):
        """Returns the group `data` for a split, which may have fewer speakers than a batch has."""
        each = self.group.get("per_speaker", 0)
        if not each or split == self.group["split"]:
            return self.group | {"split": split}
        there = len(self.manifest.splits[split]["speakers"])
        return self.group | {
            "split": split,
            "batch": each * max(2, min(self.group["batch"] // each, there)),
        }


@dataclasses.dataclass(frozen=True)
class Facts:
    """Properties of the training data, from which `StepModel.from_data` derives model arguments.

    Args:
        domains: Name of an array -> {"shape" of a crop, "low" and "high", the values scaled to 0
            and 1}.
        mels: Number of mel bands.
        hop: Samples from one frame to the next.
        bands: The return value of `audio.band_powers` for the mels.
        crop_frames: Length of a crop, in frames.
        per_speaker: Number of utterances of each speaker in a batch; 0 = not grouped by speaker.
        labels: Number of labels of the condition.
        phones: Number of phones of the corpus.
    """

    domains: dict
    mels: int
    hop: int
    bands: dict
    crop_frames: int
    per_speaker: int
    labels: int
    phones: int

    @classmethod
    def of(cls, source: Source | FactorSource, spec: audio.Spec, condition: str = "") -> "Facts":
        """Returns the facts of a source of training data."""
        crop = getattr(source, "crop_frames", 0)
        domains = {
            "mel": {"shape": [crop, spec.mels], "low": spec.low, "high": spec.high},
            "wave": {"shape": [spec.samples(crop)], "low": -1.0, "high": 1.0},
        }
        if hasattr(source, "shape"):
            domains = {"image": {"shape": list(source.shape), "low": 0.0, "high": 1.0}}
        return cls(
            domains,
            spec.mels,
            spec.hop,
            audio.band_powers(spec),
            crop,
            getattr(source, "per_speaker", 0),
            len(source.labels[condition]) if condition else 0,
            len(source.labels.get("phone", ())),
        )


def refuse_one_class(source: Source | FactorSource, data: str, condition: str) -> None:
    """Checks that the utterances of a source have at least two different labels.

    Args:
        source: Source of the training data.
        data: The value of `--data`, for the message.
        condition: The name of the label; "" = none.

    Raises:
        KvoiceError: If all utterances have the same label.
    """
    if not condition:
        return
    counts = source.manifest.splits[source.split]["counts"].get(condition)
    names = source.labels[condition]
    present = [name for name in names if counts is None or counts.get(name)]
    if len(present) == 1:
        where = "" if len(names) == 1 else f" in the split {source.split}"
        raise KvoiceError(
            f"{data}: {condition} is {present[0]} everywhere{where}, so there is "
            "nothing to classify; use another --config.model.condition, or more "
            "speakers"
        )


def refuse_crop(built: object, group: dict) -> None:
    """Refuses crops that are too short for a model, or no multiple of the frames of its steps.

    Args:
        built: The model.
        group: The group `data` of its config.

    Raises:
        KvoiceError: If the crops do not fit.
    """
    least, crop = getattr(built, "minimum_frames", 1), group.get("crop_frames", 1)
    if crop < least:
        raise KvoiceError(f"data.crop_frames: {crop} must be at least {least} for this model")
    if crop % (step := getattr(built, "frames_step", 1)):
        raise KvoiceError(f"data.crop_frames: {crop} must be a multiple of {step} for this model")
