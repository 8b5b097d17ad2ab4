"""The last nights as their page shows them: how each went, and what had moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vae_anomaly.metrics import Interval

NightState = Literal["quiet", "moved", "alarm"]


@dataclass(frozen=True)
class NightPoint:
    """One night.

    Parameters
    ----------
    name, model : str
    when : str, optional
        The latest time of its data, else when it was scored; ISO 8601.
    n_read, n_flagged : int
    flag_rate, quarantine_rate : Interval
    normal_rate : tuple of (float, float), optional
        Shares of flags that 99 % of nights of normal items have.
    age_days : float, optional
        Of the model, against the data.
    alarms, moved : tuple of str
        In words.
    stability : dict of str to float
        Population stability index of each column or measure.
    """

    name: str
    model: str
    when: str | None
    n_read: int
    n_flagged: int
    flag_rate: Interval
    quarantine_rate: Interval
    normal_rate: tuple[float, float] | None
    age_days: float | None
    alarms: tuple[str, ...]
    moved: tuple[str, ...]
    stability: dict[str, float]

    @property
    def state(self) -> NightState:
        """The loudest of what was found."""
        if self.alarms:
            return "alarm"
        return "moved" if self.moved else "quiet"


@dataclass(frozen=True)
class MonitorFacts:
    """Everything on the page of the last nights.

    Parameters
    ----------
    source : str
        What was looked at.
    nights : tuple of NightPoint
        The oldest first.
    notes : tuple of str
        What could not be compared, and what to do.
    """

    source: str
    nights: tuple[NightPoint, ...]
    notes: tuple[str, ...] = ()
