"""What a training says of earlier models: which one it challenges, and which it begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field

from pipelines.places import Place, Places, one_or_all
from pipelines.training import Training, outcome
from vae_anomaly.errors import ConfigError
from vae_anomaly.evaluation.challenge import read_margins
from vae_anomaly.jobs import Asked, ChallengePlan, ChallengeReport


class Challenger(Training):
    """Whether it is compared with the champion, on what; and whose weights it begins with."""

    challenger: bool = False
    holdout: Places | None = None
    margins: dict[str, float] = Field(default_factory=dict)
    warm_start: Place | None = None

    def plan(self, asked: Asked) -> ChallengePlan | None:
        """Return how the model is compared with the champion; None where it is not to be."""
        if not self.challenger:
            if self.holdout is not None or self.margins:
                raise ConfigError("holdout and margins belong to challenger = true. Add it.")
            return None
        margins = read_margins(f"{name}={value:g}" for name, value in self.margins.items())
        held = None if self.holdout is None else one_or_all(self.holdout)
        plan = ChallengePlan(None if held is None else replace(asked, source=held), margins)
        return plan if self.alias in (None, "champion") else replace(plan, alias=str(self.alias))


def challenged(done: ChallengeReport) -> dict[str, Any]:
    """Return where a challenger went, and how it did beside the champion."""
    return outcome(done.training) | {"challenge": done.challenge.to_dict()}
