"""What is asked of a fit: the parameters of `TabularVAEDetector`, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.members import MEMBERS, Member, Score

MAX_LATENTS = 32


class Preset(NamedTuple):
    """Which views a detector has of a table, and how many exemplars it keeps."""

    views: tuple[str, ...]
    n_latents: int
    n_rows: int


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(("arg",), 4_096, 8_960),
    "default": Preset(("std", "arg"), 4_096, 8_960),
    "thorough": Preset(("std", "arg"), 10_000, 10_000),
}


@dataclass(frozen=True)
class TableSettings:
    """The parameters of `TabularVAEDetector`, which says what they mean.

    Parameters
    ----------
    seed : int
        Of the training; drawn from ``random_state``.
    """

    score: Score = "fused"
    preset: str = "default"
    model: str = "vae"
    condition: str | None = None
    schema: Schema | None = None
    column_kinds: Mapping[str, str] | None = None
    latent_dim: int | None = None
    hidden: int = 64
    beta: float | None = None
    max_steps: int | None = None
    memory: int | None = None
    contamination: float = 0.0
    target_fpr: float = 0.01
    random_state: int | None = None
    seed: int = 0

    @property
    def member(self) -> Member:
        """How the chosen member is built and trained."""
        return MEMBERS[self.model]

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views; the last one is the one whose likelihood is reported."""
        return PRESETS[self.preset].views

    @property
    def memory_sizes(self) -> tuple[int, int]:
        """Exemplars in latent and in data space."""
        _, n_latents, n_rows = PRESETS[self.preset]
        if self.memory is None:
            return n_latents, n_rows
        return int(self.memory * n_latents / n_rows), int(self.memory)

    @property
    def kl_weight(self) -> float:
        """Weight of the KL in training: what was given, else the member's own."""
        return self._own_weight if self.beta is None else self.beta

    @property
    def has_heavy_kl(self) -> bool:
        """Whether the weight of the KL is above the member's own."""
        return self.kl_weight > self._own_weight

    @property
    def _own_weight(self) -> float:
        return 1.0 if self.member.beta is None else self.member.beta

    @property
    def declared(self) -> set[str]:
        """Columns of which the user said what they are."""
        known = () if self.schema is None else [column.name for column in self.schema.features]
        return {*known, *(self.column_kinds or {})}

    def latents(self, n_features: int) -> int:
        """Return the number of latents for a number of features."""
        return self.latent_dim or max(2, min(n_features, MAX_LATENTS))
