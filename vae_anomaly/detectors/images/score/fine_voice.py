"""How surprising the fine detail of an image is: of each channel, each group, and all together.

The peak of each channel becomes a surprise among the peaks of held-out normals; the largest of a
group, spots, lines or tints, is judged again among those of normals, and so is the largest of the
groups. So it does not matter how many channels there are, and a channel that good images are
restless in needs a higher peak to be heard. The parts of held-out normals are always those among
other normals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, Floats
from vae_anomaly.detectors.images.fine.channels import channel_groups
from vae_anomaly.detectors.images.score.surprise import PoolSurprise, among_others

FINE_FROM: Final = 2.3
"""Surprise, in nats, from which fine detail counts: p = 10 %. Below it would add noise."""

FINE_VOTES: Final = 3.0
"""Vote of the fine detail beyond that; each pooling of the score map has one."""

FINE_KNEE: Final = 2.0
"""Nats beyond `FINE_FROM` from which the vote grows as a logarithm: of a few hundred normals nobody
knows how far out the peaks of good images go, and one natural spot is not to outvote the map."""

_PARTS: Final = 20  # of held-out normals, each judged among the others


@dataclass(frozen=True)
class FineEvidence:
    """What is said of fine detail, nats.

    Attributes
    ----------
    channels : ndarray of shape (N, C), float64
        How surprising the peak of each channel would be alone, on the scale of ``surprise``.
    groups : mapping of str to ndarray of shape (N,), float64
        Surprise of the largest of each group.
    surprise : ndarray of shape (N,), float64
        Of all together.
    """

    channels: Floats
    groups: Mapping[str, Floats]
    surprise: Floats

    @property
    def vote(self) -> Floats:
        """What is added to the sum of the poolings of the map, (N,), nats."""
        beyond = np.maximum(self.surprise - FINE_FROM, 0.0)
        return np.asarray(FINE_VOTES * FINE_KNEE * np.log1p(beyond / FINE_KNEE), np.float64)

    def columns(self) -> dict[str, Floats]:
        """Return the parts by name, for a table."""
        return {**self.groups, "fine": self.surprise}


class FineVoice:
    """Judge the peaks of channels among ``peaks`` (m, C) of held-out normals."""

    def __init__(self, peaks: AnyFloats) -> None:
        self.peaks = np.asarray(peaks, np.float64)
        self.parts = channel_groups(self.peaks.shape[1])
        self.channels = [PoolSurprise(column) for column in self.peaks.T]
        among = np.stack([_among_others(column) for column in self.peaks.T], axis=1)
        largest = {name: among[:, part].max(axis=1) for name, part in self.parts.items()}
        self.groups = {name: PoolSurprise(values) for name, values in largest.items()}
        judged = {name: _among_others(values) for name, values in largest.items()}
        of_all = np.max(list(judged.values()), axis=0)
        self.total = PoolSurprise(of_all)
        self.of_normals = FineEvidence(among, judged, _among_others(of_all))
        """Of the held-out normals, each among others."""

    def __call__(self, peaks: AnyFloats) -> FineEvidence:
        """Judge the peaks (N, C) of images."""
        columns = np.asarray(peaks, np.float64).T
        single = np.stack([s(c) for s, c in zip(self.channels, columns, strict=True)], axis=1)
        groups = {
            name: self.groups[name](single[:, part].max(axis=1))
            for name, part in self.parts.items()
        }
        alone = np.hstack(
            [self.total(self.groups[name](single[:, part])) for name, part in self.parts.items()]
        )
        return FineEvidence(alone, groups, alone.max(axis=1))


def _among_others(values: Floats) -> Floats:
    return among_others(PoolSurprise, values, _PARTS)
