"""The corpus of a run: its splits, with the arrays that the model of the run learns from."""

import dataclasses

from kvoice import audio
from kvoice.data.factors import FactorSource
from kvoice.data.manifest import Manifest
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.models import MODELS


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A prepared corpus, or one of images, as a model reads it.

    Args:
        directory: Where `prepare` wrote it; of images, what `--data` says.
        spec: The `audio.Spec` of the mels.
        group: The group `data` of a config.
        arrays: The named arrays that a batch holds; ("image",) for a corpus of images.
        condition: The label without which an utterance is left out; "" = none.
    """

    directory: str
    spec: audio.Spec
    group: dict
    arrays: tuple
    condition: str = ""

    @classmethod
    def of(cls, directory, spec, config):
        """The corpus of a directory for a model: `config` has its "model_name", "model" and "data"."""
        values = config["model"]
        arrays = MODELS[config["model_name"]].arrays(values)
        if "phone" in arrays and not Manifest.load(directory).labels["phone"]:
            arrays.remove("phone")  # a corpus that knows none: the model does without
        return cls(directory, spec, config["data"], tuple(arrays), values.get("condition", ""))

    @property
    def images(self):
        """Whether it holds images rather than utterances."""
        return self.arrays == ("image",)

    @property
    def manifest(self):
        """What `prepare` wrote down; None for images."""
        return None if self.images else Manifest.load(self.directory)

    def sources(self, splits, more=()):
        """Split -> source of its items, with `more` arrays than the model learns from."""
        if self.images:
            return {split: FactorSource(self.directory, **self.group | {"split": split}) for split in splits}
        arrays = list(dict.fromkeys([*self.arrays, *more]))
        return {split: Source(self.directory, spec=self.spec, condition=self.condition, arrays=arrays,
                              **self._fitting(split)) for split in splits}

    def waves(self, splits):
        """Split -> source of whole waves."""
        whole = {"crop_frames": self.group["crop_frames"], "batch": 1, "arrays": ("wave",)}
        return {split: Source(self.directory, split, self.spec, **whole) for split in splits}

    def of_mels(self):
        """The same corpus, of whose data only the mels are wanted."""
        return dataclasses.replace(self, arrays=("mel",))

    def _fitting(self, split):
        """The group `data` for a split, which may have fewer speakers than a batch has."""
        each = self.group.get("per_speaker", 0)
        if not each or split == self.group["split"]:
            return self.group | {"split": split}
        there = len(self.manifest.splits[split]["speakers"])
        return self.group | {"split": split, "batch": each * max(2, min(self.group["batch"] // each, there))}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a model may have to know of its data; `StepModel.from_data` takes from it.

    Args:
        domains: Named array -> {"shape" of a crop, "low" and "high", the values that become 0 and 1}.
        mels: Bands of the mel.
        hop: Samples between its frames.
        bands: What `audio.band_powers` says of it.
        crop_frames: Frames of a crop.
        per_speaker: Utterances of each speaker in a batch; 0 = whoever comes.
        labels: How many labels there are of the condition.
        phones: How many phones the corpus knows.
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
    def of(cls, source, spec, condition=""):
        """Those of a source of training data."""
        crop = getattr(source, "crop_frames", 0)
        domains = {"mel": {"shape": [crop, spec.mels], "low": spec.low, "high": spec.high},
                   "wave": {"shape": [spec.samples(crop)], "low": -1.0, "high": 1.0}}
        if hasattr(source, "shape"):
            domains = {"image": {"shape": list(source.shape), "low": 0.0, "high": 1.0}}
        return cls(domains, spec.mels, spec.hop, audio.band_powers(spec), crop, getattr(source, "per_speaker", 0),
                   len(source.labels[condition]) if condition else 0, len(source.labels.get("phone", ())))


def refuse_one_class(source, data, condition):
    """Refuses a source of which all utterances have the same label.

    Args:
        source: Of what is learned from.
        data: What `--data` says, for the message.
        condition: The label; "" = none.

    Raises:
        KvoiceError: If there is nothing to tell apart.
    """
    if not condition:
        return
    counts = source.manifest.splits[source.split]["counts"].get(condition)
    names = source.labels[condition]
    present = [name for name in names if counts is None or counts.get(name)]
    if len(present) == 1:
        where = "" if len(names) == 1 else f" in the split {source.split}"
        raise KvoiceError(f"{data}: {condition} is {present[0]} everywhere{where}, nothing to tell "
                          "apart; use another --config.model.condition, or more speakers")
