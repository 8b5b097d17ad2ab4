"""What speaks against each image: its parts, and the raw score that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.detectors.images.score.fine_voice import FineEvidence
from vae_anomaly.detectors.images.score.pooling import POOL_SHARES, local_sum

JUDGE_SHARE: Final = 0.05
"""Share of the false alarms that each of the three judges of the whole image may cause."""

LOCAL_SHARE: Final = 0.85
"""Share of the false alarms that is left to the map."""

WHOLE_FROM: Final = 3.0
"""What the whole image says, in nats, from which it counts: p = 5 %."""

WHOLE_FALL: Final = 10.0
"""How fast it falls below that; without a jump, which would make much of rounding."""

GLOBAL_FROM: Final = 4.6
"""Surprise, in nats, from which a judge of the whole image has something to say: p = 1 %."""

CERTAIN: Final = 6.9
"""Surprise, in nats, of a judge who is certain: p = 0.1 %."""


@dataclass(frozen=True)
class PoolEvidence:
    """The parts of what is read from the map.

    Attributes
    ----------
    pools : ndarray of shape (N, P), float64, nats
        Surprise of each pooling of the score map.
    shown : ndarray of shape (N, 0 or 1), float64, nats
        Surprise of the hottest cells of the shown map, where that is another one.
    """

    pools: Floats
    shown: Floats

    @classmethod
    def of(cls, surprises: Floats) -> PoolEvidence:
        """Divide the surprises of `pool_maps_of_images` by the map that they are of."""
        return cls(*np.split(surprises, [len(POOL_SHARES)], axis=1))

    @property
    def total(self) -> Floats:
        """Sum of the parts, (N,), nats, see `local_sum`."""
        return local_sum(np.hstack([self.pools, self.shown]))

    def columns(self) -> dict[str, Floats]:
        """Return the parts by name, for a table."""
        names = [f"heat_top_{100 * share:g}pct" for share in POOL_SHARES]
        shown = {f"shown_top_{100 * POOL_SHARES[0]:g}pct": column for column in self.shown.T}
        return {**dict(zip(names, self.pools.T, strict=True)), **shown}


@dataclass(frozen=True)
class ImageEvidence:
    """The parts of the raw score.

    Attributes
    ----------
    pools : PoolEvidence
    surprise : ndarray of shape (N,), float64, nats
        Of the sum of the poolings, and of what fine detail adds.
    judged : mapping of str to ndarray of shape (N,), float64, nats
        Surprise of each judge of the whole image.
    fine : FineEvidence, optional
        None of models that do not look for fine detail.
    """

    pools: PoolEvidence
    surprise: Floats
    judged: Mapping[str, Floats]
    fine: FineEvidence | None = None

    @property
    def local(self) -> Floats:
        """What the map says, (N,), nats: its surprise where it has `LOCAL_SHARE` of all alarms."""
        return self.surprise + log(LOCAL_SHARE)

    @property
    def whole(self) -> Floats:
        """What the strongest judge says, (N,), nats, where each has `JUDGE_SHARE` of all alarms.

        Below `WHOLE_FROM` it falls steeply: it would add the noise of good images.
        """
        said = self.strongest + log(JUDGE_SHARE)
        return said - (WHOLE_FALL - 1.0) * np.maximum(WHOLE_FROM - said, 0.0)

    @property
    def raw_score(self) -> Floats:
        """The larger of the two, (N,), nats, higher = more anomalous."""
        return np.maximum(self.local, self.whole)

    @property
    def strongest(self) -> Floats:
        """Surprise of the strongest judge, (N,), nats."""
        return np.asarray(np.max(list(self.judged.values()), axis=0))

    @property
    def is_whole_alone(self) -> Bools:
        """Whether the whole image has made the raw score, (N,)."""
        return np.asarray(self.whole > self.local)

    @property
    def whole_leads(self) -> Bools:
        """Whether the whole image is named before all places: it is alone, or certain, (N,)."""
        return np.asarray(self.is_whole_alone | (self.strongest >= CERTAIN))

    @property
    def is_whole_notable(self) -> Bools:
        """Whether a judge has something to say, (N,)."""
        return np.asarray(self.strongest >= GLOBAL_FROM)

    def columns(self) -> dict[str, Floats]:
        """Return the parts by name, for a table."""
        parts = {"local": self.local, "whole_image": self.whole}
        fine = {} if self.fine is None else self.fine.columns()
        return {**self.pools.columns(), **fine, **self.judged, **parts}
