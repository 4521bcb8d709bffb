"""A classifier that is asked about what a generator makes."""

import dataclasses

from kvoice import audio


@dataclasses.dataclass(frozen=True)
class Listener:
    """A classifier as a listener to items of a generator's domain.

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
            items = (audio.as_mels(items, self.domain, self.spec) if self.model.domain == "mel" else
                     audio.as_waves(items, self.domain, self.spec, self.vocoder))
        return self.model.probabilities(items)
