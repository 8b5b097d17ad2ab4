"""What a run tells of what was learned: by how many verdicts it ranks, and what comes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from vae_anomaly.batch.learning.judging import loaded_stage, threshold_of
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.thresholds.basis import MEASURED
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
    flagged_by : str, optional
        What flagged the items, such as ``p_combined <= 0.01``; None where the model's own threshold
        did.
    threshold_of_another : str, optional
        The same of a threshold that was not used, as it is of another model's scores.
    """

    night: str
    verdicts: int = 0
    confirmed: int = 0
    learned_for: str | None = None
    is_of_model: bool = True
    likeliest: tuple[tuple[str, float | None], ...] = ()
    flagged_by: str | None = None
    threshold_of_another: str | None = None

    @classmethod
    def of(cls, options: LearnOptions | None, kept: KeptItems | None) -> NightLearning | None:
        """Say it of what a night has kept; None of a run that does not learn."""
        if options is None:
            return None
        if not options.stage:
            return cls(options.night)
        stage = loaded_stage(options.stage, options.stage_digest)
        own = None if kept is None else (kept.facts.scorer, kept.items.names)
        is_of_model = own is None or own == (stage.model, stage.names)
        threshold = threshold_of(stage)
        bound = None if threshold is None else threshold.bound_text
        return cls(
            options.night, stage.verdicts, stage.confirmed,
            date.fromordinal(stage.night).isoformat(), is_of_model,
            () if kept is None or not stage.verdicts else _likeliest(kept),
            bound if is_of_model else None, None if is_of_model else bound,
        )  # fmt: skip

    def told(self) -> list[str]:
        """Say it in a few lines."""
        if not self.verdicts:
            return [f"Nothing is learned yet: the night {self.night} is ranked by the score alone."]
        first = ", ".join(
            name if share is None else f"{name} ({share:.2f})" for name, share in self.likeliest
        )
        likeliest = f"; the likeliest {len(self.likeliest)}: {first}" if first else ""
        verdicts = number_of(self.verdicts, "verdict")
        lines = [f"The night {self.night} is ranked by {verdicts}{self._ago()}{likeliest}."]
        if not self.is_of_model:
            lines.append(
                "These verdicts are on scores of another model: what they say of entities counts, "
                "the evidence is judged by its score until verdicts on this model come."
            )
        if self.flagged_by is not None:
            proof = f" ({MEASURED})" if self.flagged_by.startswith("p_combined") else ""
            lines.append(
                f"Flagged by what verdicts have taught, {self.flagged_by}{proof}, not by the "
                "model's threshold."
            )
        elif self.threshold_of_another is not None:
            lines.append(
                f"Their threshold, {self.threshold_of_another}, is of the other model's scores: "
                "this model's threshold has flagged."
            )
        return lines

    def _ago(self) -> str:
        learned = date.fromisoformat(self.learned_for or self.night)
        nights = (date.fromisoformat(self.night) - learned).days
        return f" (learned {number_of(nights, 'night')} ago)" if nights > 0 else ""


def _likeliest(kept: KeptItems) -> tuple[tuple[str, float | None], ...]:
    order = kept.order[:_FIRST].tolist()
    shares = kept.probability if kept.facts.has_head else None
    return tuple(
        (str(kept.items.ids[i]), None if shares is None else float(shares[i])) for i in order
    )
