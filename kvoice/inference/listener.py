"""A classifier that is asked about what a generator makes."""

import dataclasses

import numpy as np

from kvoice import audio
from kvoice.inference import render


@dataclasses.dataclass(frozen=True)
class Listener:
    """A classifier as a listener to items of a generator's domain.

    One of waves hears mels as it would hear the files that are made of them, without their fades.

    Args:
        model: A `models.classifier.Classifier`.
        domain: Of the items.
        spec: Of both.
        vocoder: A `vocode.Vocoder`; None = Griffin-Lim.
    """

    model: object
    domain: str
    spec: audio.Spec
    vocoder: object = None

    def __call__(self, items):
        """The probabilities of its labels: [n, ...] -> [n, labels]."""
        if self.domain != self.model.domain:
            items = (
                audio.as_mels(items, "wave", self.spec)
                if self.domain == "wave"
                else np.stack(
                    [
                        audio.condition(wave, self.spec, trim=False)
                        for wave in render.waves(items, self.spec, vocoder=self.vocoder)
                    ]
                )
            )
        return self.model.probabilities(items)
