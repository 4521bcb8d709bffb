"""Classifies the items of a generator, whichever domain the classifier takes."""

import dataclasses

import numpy as np

from kvoice import audio
from kvoice.inference import render


@dataclasses.dataclass(frozen=True)
class Listener:
    """A classifier for items of a generator's domain.

    A classifier of waves is given mels as the sound of the files that are made of them, without
    fades.

    Args:
        model: A `models.classifier.Classifier`.
        domain: The domain of the items.
        spec: The Spec of both.
        vocoder: A `vocode.Vocoder`; None = Griffin-Lim.
    """

    model: object
    domain: str
    spec: audio.Spec
    vocoder: object = None

    def __call__(self, items):
        """Computes the probabilities of its labels: [n, ...] -> [n, labels]."""
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
