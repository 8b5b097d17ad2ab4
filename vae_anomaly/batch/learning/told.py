"""What a run tells of what was learned: by how many verdicts it ranks, and what comes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from vae_anomaly.batch.learning.judging import loaded_stage
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.verdicts.kept import KeptItems
from vae_anomaly.words import number_of

_FIRST = 5


@dataclass(frozen=True)
class NightLearning:
    """By what the items of a night are ranked.

    Parameters
    ----------
    night : str
        That they belong to: an ISO date.
    verdicts, confirmed : int
        How many the second stage has learned from; 0 where nothing is learned.
    learned_for : str, optional
        The night for which that was learned.
    is_of_model : bool
        Whether it understands the scores of this model; else only the states of entities count.
    likeliest : tuple of (str, float)
        Ids and probabilities of the likeliest anomalies, where something is learned.
    """

    night: str
    verdicts: int = 0
    confirmed: int = 0
    learned_for: str | None = None
    is_of_model: bool = True
    likeliest: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, options: LearnOptions | None, kept: KeptItems | None) -> NightLearning | None:
        """Say it of what a night has kept; None of a run that does not learn."""
        if options is None:
            return None
        if not options.stage:
            return cls(options.night)
        stage = loaded_stage(options.stage, options.stage_digest)
        own = None if kept is None else (kept.facts.scorer, kept.items.names)
        return cls(
            options.night, stage.verdicts, stage.confirmed,
            date.fromordinal(stage.night).isoformat(),
            own is None or own == (stage.model, stage.names),
            () if kept is None or not stage.verdicts else _likeliest(kept),
        )  # fmt: skip

    def told(self) -> list[str]:
        """Say it in a few lines."""
        if not self.verdicts:
            return ["Nothing is learned yet: items are ranked by their score alone."]
        first = ", ".join(f"{name} ({share:.2f})" for name, share in self.likeliest)
        likeliest = f"; the likeliest {len(self.likeliest)}: {first}" if first else ""
        lines = [f"Ranked by {number_of(self.verdicts, 'verdict')}{self._ago()}{likeliest}."]
        if not self.is_of_model:
            lines.append(
                "These verdicts are on scores of another model: what they say of entities counts, "
                "the evidence is judged by its score until verdicts on this model come."
            )
        return lines

    def _ago(self) -> str:
        learned = date.fromisoformat(self.learned_for or self.night)
        nights = (date.fromisoformat(self.night) - learned).days
        return f" (learned {number_of(nights, 'night')} ago)" if nights > 0 else ""


def _likeliest(kept: KeptItems) -> tuple[tuple[str, float], ...]:
    order = np.lexsort((-kept.items.features[:, 0], -kept.surprise))[:_FIRST].tolist()
    return tuple((str(kept.items.ids[i]), float(kept.probability[i])) for i in order)
