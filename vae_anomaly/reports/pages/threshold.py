"""The threshold in force, as the page of a night says it, and where it stands on the slider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vae_anomaly.reports.facts.night import NightFacts, ThresholdStep
from vae_anomaly.thresholds.record import ThresholdRecord

_POLICIES: Final = {
    "fpr": "false-alarm rate of at most {fpr}",
    "max_alarms": "at most {max_alarms_per_day} false alarms a day",
    "quantile": "quantile {quantile} of normal scores",
    "tail": "false-alarm rate of {fpr}, by a fitted tail",
    "manual": "set by hand",
    "fdr": "at most {fdr} of the flags false",
    "capacity": "as many as can be reviewed",
    "youden": "largest recall minus false-alarm rate",
    "cost": "least cost",
    "min_precision": "most recall at precision {min_precision}",
    "min_recall": "fewest flags at recall {min_recall}",
}
"""Policies of the catalogue in words, with the numbers that they were asked for."""


@dataclass(frozen=True)
class InForce:
    """A threshold and what it does to a night.

    Parameters
    ----------
    record : ThresholdRecord
    step : ThresholdStep, optional
        Its position on the slider; none where there is no slider.
    index : int
        Of the step.
    """

    record: ThresholdRecord
    step: ThresholdStep | None
    index: int

    @property
    def policy(self) -> str:
        """What the policy that made it aims at."""
        known = {name: _number(value) for name, value in self.record.parameters.items()}
        words = _POLICIES.get(self.record.policy)
        try:
            return words.format(**known) if words else self.record.policy
        except KeyError:  # a record of another version, which asked for other numbers
            return self.record.policy


def _number(value: float | str | None) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def in_force(night: NightFacts) -> InForce:
    """Return the threshold of a night."""
    record = ThresholdRecord.from_dict(night.scoring.threshold)
    if not night.steps:
        return InForce(record, None, 0)
    steps = range(len(night.steps))
    index = min(steps, key=lambda k: abs(night.steps[k].value - record.value))
    return InForce(record, night.steps[index], index)
