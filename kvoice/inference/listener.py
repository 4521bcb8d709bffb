"""Classifies the items of a generator, whichever domain the classifier takes."""

import dataclasses
import typing

import numpy as np

from kvoice import audio
from kvoice.inference import render


class Roles(typing.NamedTuple):
    """What takes part in a maximisation, runs or models; flags and JSON files have these names.

    Args:
        generator: Makes the items.
        classifier: Is maximised.
        judge: Another classifier, which is not maximised, or None.
        vocoder: Renders mels; None = Griffin-Lim.
    """

    generator: object
    classifier: object
    judge: object = None
    vocoder: object = None


MAXIMISED, JUDGE = Roles._fields[1:3]  # whose probabilities are written down


@dataclasses.dataclass(frozen=True)
class Listener:
    """A classifier for items of a generator's domain.

    A classifier of waves is given mels as the sound of the files that are made of them, without
    fades.

    Args:
        model: A model that classifies.
        domain: The domain of the items.
        spec: The Spec of both.
        vocoder: A `vocode.Vocoder`; None = Griffin-Lim.
    """

    model: object
    domain: str
    spec: audio.Spec
    vocoder: object = None

    def __call__(self, items: np.ndarray) -> np.ndarray:
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


def listeners_of(
    classifier: object, judge: object, domain: str, spec: audio.Spec, vocoder: object = None
) -> dict[str, Listener]:
    """Returns role -> `Listener`: the classifier that is maximised, then the judge if there is one.

    Args:
        classifier: The model that is maximised.
        judge: Another one, or None.
        domain: See `Listener`.
        spec: See `Listener`.
        vocoder: See `Listener`.
    """
    models = {MAXIMISED: classifier} | ({JUDGE: judge} if judge is not None else {})
    return {role: Listener(model, domain, spec, vocoder) for role, model in models.items()}
