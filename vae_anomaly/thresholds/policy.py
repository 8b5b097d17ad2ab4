"""How a threshold policy is declared: once, in a file of `vae_anomaly.thresholds.policies`.

The options of ``threshold tune``, what `tune` takes, the table of candidates and the names in
records are all made from these declarations. Neither this module nor those files import numpy at
their top, so that ``--help`` answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from vae_anomaly.metrics import RankingCurve
    from vae_anomaly.thresholds.basis import Basis
    from vae_anomaly.thresholds.items import ScoredItems
    from vae_anomaly.thresholds.record import ThresholdRecord


@dataclass(frozen=True)
class Range:
    """The numbers that an option takes; the ends belong to it or not."""

    low: float = 0
    high: float = math.inf
    with_low: bool = False
    with_high: bool = False
    example: float = 1

    def __contains__(self, number: float) -> bool:
        above = number > self.low or (self.with_low and number == self.low)
        return above and (number < self.high or (self.with_high and number == self.high))

    def __str__(self) -> str:
        if self.high < math.inf:
            left, right = "[" if self.with_low else "(", "]" if self.with_high else ")"
            return f"in {left}{self.low:g}, {self.high:g}{right}"
        if self.low == -math.inf:
            return "a number"
        return f"{self.low:g} or more" if self.with_low else f"greater than {self.low:g}"


RATE = Range(high=1, example=0.01)
SHARE = Range(high=1, with_high=True, example=0.9)
POSITIVE = Range()
NON_NEGATIVE = Range(with_low=True)
ANY_NUMBER = Range(low=-math.inf, example=2.3)


@dataclass(frozen=True)
class Option:
    """A number that the owner gives.

    ``target_fpr`` is ``--target-fpr``; without values there is no number to give, the name says it
    all. The record calls it ``parameter``, or as it is named.
    """

    name: str
    values: Range | None
    help: str
    parameter: str = ""

    @property
    def flag(self) -> str:
        """How it is written on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def recorded(self) -> str:
        """Key of the number in the parameters of a record."""
        return self.parameter or self.name


@dataclass(frozen=True)
class Request:
    """What the owner asks for: numbers by the names of options, and how many items a day come."""

    numbers: Mapping[str, float]
    volume: float | None = None

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]

    def daily(self, flag: str) -> float:
        """Return the items a day, for an option that cannot do without."""
        if self.volume is None:
            raise ConfigError(
                f"{flag} needs to know how many items there are a day. Add --volume N."
            )
        return self.volume


@dataclass(frozen=True)
class _Policy:
    """A way to choose a threshold."""

    name: str  # in records, and in tables before its numbers
    options: tuple[Option, ...]  # what the owner gives, all of them together

    def check(self, request: Request) -> None:
        """Refuse a request that lacks one of the numbers, or has one that means nothing."""
        flags = [option.flag for option in self.options]
        given = [option.flag for option in self.options if option.name in request.numbers]
        if len(given) < len(flags):
            missing = " and ".join(flag for flag in flags if flag not in given)
            raise ConfigError(
                f"{' and '.join(flags)} go together; got {' and '.join(given)} alone. "
                f"Give {missing} as well."
            )
        for option in self.options:
            number = request[option.name]
            if option.values is not None and number not in option.values:
                raise ConfigError(
                    f"{option.flag} must be {option.values}; got {number:g}. "
                    f"Try {option.values.example:g}."
                )

    def asked(self, request: Request) -> dict[str, int | float | str | None]:
        """Return the numbers of a request by the names that the record gives them."""
        return {o.recorded: request[o.name] for o in self.options if o.values is not None}

    def title(self, parameters: Mapping[str, object]) -> str:
        """Return the name with what was asked for, for example ``max_alarms 20``."""
        values = [parameters.get(o.recorded) for o in self.options if o.values is not None]
        shown = ":".join(f"{number:g}" for number in values if isinstance(number, int | float))
        return f"{self.name} {shown}".strip()


@dataclass(frozen=True)
class ScorePolicy(_Policy):
    """A policy that needs scores only.

    Parameters
    ----------
    make : callable
        Takes scores, the numbers of the options and ``groups``; becomes `Threshold.from_NAME`.
    of_batch : bool
        The scores are those of all items as they come; else of normals only.
    read : callable, optional
        Calls ``make`` where it needs more of the items or of the request than that.
    combined : callable, optional
        Does the same on what verdicts have taught; without it that cannot be asked for.
    combined_on : str
        The basis that this then is on.
    """

    make: Callable[..., ThresholdRecord]
    of_batch: bool = False
    read: Callable[[ScoredItems, Request], ThresholdRecord] | None = None
    combined: Callable[[ScoredItems, Request], ThresholdRecord] | None = None
    combined_on: Basis = "p_combined"

    def choose(self, items: ScoredItems, request: Request) -> ThresholdRecord:
        """Return the threshold for a request on these items."""
        if items.basis != "score":
            if self.combined is None or items.basis != self.combined_on:
                raise ConfigError(f"The policy {self.name} chooses no bound on {items.basis}.")
            return self.combined(items, request)
        if self.read is not None:
            return self.read(items, request)
        numbers = self.asked(request).values()
        if self.of_batch:
            return self.make(items.scores, *numbers, groups=items.groups)
        return self.make(items.normals, *numbers, groups=items.normal_groups)


@dataclass(frozen=True)
class LabelPolicy(_Policy):
    """A policy that weighs anomalies against normals: labelled or reviewed items are needed.

    Parameters
    ----------
    rule : callable
        The index of the point of a curve that a request asks for; the fewest flags of equal ones.
    priced : bool
        Its numbers are ``cost_fp`` and ``cost_fn``, and the curve weighs each item by its cost.
    needs_misses : bool
        It says nothing where nobody looked for missed anomalies.
    short : str
        Prefix of names that hold the number, as in ``f2``.
    """

    rule: Callable[[RankingCurve, Request], int]
    priced: bool = False
    needs_misses: bool = True
    short: str = ""

    def rule_for(self, request: Request) -> Callable[[RankingCurve], int]:
        """Return the rule of a request."""
        return lambda curve: self.rule(curve, request)


Policy = ScorePolicy | LabelPolicy
