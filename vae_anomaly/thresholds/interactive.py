"""Move a threshold by keys and see what it costs: the state behind ``tune --interactive``.

Nothing here draws or reads a terminal. A key goes in, a new state comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from vae_anomaly.arrays import AnyArray, Floats
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import checked_scores, is_flagged
from vae_anomaly.thresholds.batches import flagged_share
from vae_anomaly.thresholds.threshold import Threshold
from vae_anomaly.words import number_of

COARSE = 1.25  # an arrow up or down changes the number of flags by this factor
_NUMBER = re.compile(r"(?P<number>-?\d*\.?\d+)(?P<unit>[%d]?)")


@dataclass(frozen=True)
class ThresholdContext:
    """The scores on which a threshold is moved, and how to measure one."""

    scores: Floats  # (N,), of all items
    normals: Floats  # (M,), scores that count as normal
    measure: Callable[[Threshold], Threshold] | None = None  # fills in recall, precision and cost
    volume: float | None = None  # items a day
    groups: AnyArray | None = None  # (M,), of the normals
    levels: Floats = field(init=False)  # distinct scores, rising

    def __post_init__(self) -> None:
        levels = np.unique(checked_scores(self.scores))
        if levels.size < 2:
            raise CalibrationError(
                f"All {number_of(np.size(self.scores), 'score')} are equal ({levels[0]:g}): there "
                "is nothing to move between. Check the model and its input."
            )
        object.__setattr__(self, "levels", levels)

    def at(self, value: float) -> Threshold:
        """Return a threshold set by hand, with its figures on these scores."""
        rate, _ = flagged_share(self.normals > value, self.groups)
        point = Threshold(
            value=value,
            parameters={} if self.volume is None else {"volume": self.volume},
            expected_fpr=rate,
            n_normals=self.normals.size,
            note="Set by hand while looking at these items: on others expect a little worse.",
        )
        return point if self.measure is None else self.measure(point)

    def at_rate(self, fpr: float) -> Threshold:
        """Return the threshold that promises a false-positive rate (split conformal)."""
        point = Threshold.from_fpr(self.normals, fpr, groups=self.groups)
        if self.volume is not None:
            point = point.changed(parameters={**point.parameters, "volume": self.volume})
        return point if self.measure is None else self.measure(point)


@dataclass(frozen=True)
class InteractiveThreshold:
    """A threshold under somebody's fingers.

    Up and right are stricter, down and left looser: up and down by a quarter of the flags, right
    and left by a single item. A typed number is a bound on the score, ``1%`` a false-positive rate,
    ``20d`` false alarms a day; enter takes it. Enter with nothing typed keeps the threshold, q or
    escape leaves without.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.linspace(0.0, 3.0, 301)
    >>> session = InteractiveThreshold(ThresholdContext(scores, scores), Threshold(value=2.0))
    >>> [round(session.press(key).threshold.value, 3) for key in ("right", "left", "up", "down")]
    [2.01, 1.99, 2.2, 1.75]
    >>> session.typing("5%").press("enter").threshold.policy
    'fpr'
    """

    context: ThresholdContext
    threshold: Threshold  # with its figures; those of a policy stay until it moves
    typed: str = ""
    message: str = ""  # what went wrong with the last key
    outcome: str = ""  # while moving, then "kept" or "left"

    @property
    def flagged(self) -> int:
        """Items above the threshold."""
        return int(np.sum(is_flagged(self.context.scores, self.threshold.value)))

    def typing(self, text: str) -> InteractiveThreshold:
        """Type several characters."""
        session = self
        for character in text:
            session = session.press(character)
        return session

    def press(self, key: str) -> InteractiveThreshold:
        """Return what ``up, down, left, right, enter, backspace, escape`` or a character makes."""
        if self.outcome:
            return self
        if key in {"up", "down", "left", "right"}:
            return self._to(self._next(key))
        if key == "enter":
            return self._take() if self.typed else replace(self, outcome="kept", message="")
        if key == "backspace":
            return replace(self, typed=self.typed[:-1], message="")
        if key in {"q", "Q", "escape"}:
            if key == "escape" and self.typed:
                return replace(self, typed="", message="")
            return replace(self, outcome="left", message="")
        if key in set("0123456789.-%d"):
            return replace(self, typed=self.typed + key, message="")
        return replace(self, message="Arrows move, a number with enter jumps, q leaves.")

    def _next(self, key: str) -> float:
        """Return the bound that one key away changes the flags."""
        levels, flagged = self.context.levels, self.flagged
        here = int(np.searchsorted(levels, self.threshold.value, side="right")) - 1
        if key == "right":
            return float(levels[min(here + 1, levels.size - 1)])
        if key == "left":
            return float(levels[here - 1] if here > 0 else np.nextafter(levels[0], -np.inf))
        if key == "up":
            wanted = min(int(flagged / COARSE), flagged - 1)
        else:
            wanted = max(round(flagged * COARSE), flagged + 1)
        return self._with_flags(wanted, stricter=key == "up")

    def _with_flags(self, wanted: int, *, stricter: bool) -> float:
        """Return the bound with about so many flags; ties are passed as a whole."""
        rising = np.sort(self.context.scores)
        if wanted >= rising.size:
            return float(np.nextafter(rising[0], -np.inf))
        value = float(rising[rising.size - max(wanted, 0) - 1])
        if not stricter and value >= self.threshold.value:  # a tie as wide as the step
            return self._next("left")
        return value

    def _to(self, value: float) -> InteractiveThreshold:
        if value == self.threshold.value:
            return replace(self, message="That is as far as these scores go.")
        return replace(self, threshold=self.context.at(value), typed="", message="")

    def _take(self) -> InteractiveThreshold:
        """Go to what was typed."""
        match = _NUMBER.fullmatch(self.typed)
        if match is None:
            return replace(self, typed="", message=f"{self.typed!r} is no number; try 2.5 or 1%.")
        number, unit = float(match["number"]), match["unit"]
        try:
            if not unit and number != self.threshold.value:
                return self._to(number)
            point = self._rate(number, unit) if unit else self.threshold
            return replace(self, threshold=point, typed="", message="")
        except (CalibrationError, ConfigError) as err:
            return replace(self, typed="", message=str(err))

    def _rate(self, number: float, unit: str) -> Threshold:
        if unit == "%":
            return self.context.at_rate(number / 100)
        if self.context.volume is None:
            raise ConfigError("Alarms a day need to know how many items there are. Add --volume N.")
        return self.context.at_rate(number / self.context.volume)
