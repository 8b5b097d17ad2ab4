"""All threshold policies, as their files declare them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError
from vae_anomaly.thresholds import policies
from vae_anomaly.thresholds.policy import LabelPolicy, Policy, Request, ScorePolicy

if TYPE_CHECKING:
    from vae_anomaly.thresholds.basis import Basis

DEFAULT: Mapping[str, float] = {"target_fpr": 0.01}
"""What is asked for where nothing is."""


def _collected() -> dict[str, Policy]:
    """Read every file of the folder; policies that need least of the owner come first."""
    files = sorted(module.name for module in iter_modules(policies.__path__))
    collected: list[Policy] = []
    for name in files:
        collected += import_module(f"{policies.__name__}.{name}").POLICIES
    return {policy.name: policy for policy in sorted(collected, key=_demands)}


def _demands(policy: Policy) -> int:
    return int(policy.of_batch) if isinstance(policy, ScorePolicy) else 2


POLICIES: Mapping[str, Policy] = _collected()
"""The policies by their names in records."""


def policy_of(request: Request) -> Policy:
    """Return the policy that a request follows; refuse what names none, or more than one."""
    matching = [p for p in POLICIES.values() if any(o.name in request.numbers for o in p.options)]
    known = {option.name for policy in matching for option in policy.options}
    unknown = [name for name in request.numbers if name not in known]
    if unknown or not matching:
        options = (option.name for policy in POLICIES.values() for option in policy.options)
        raise ConfigError(
            f"No threshold can be asked for by {', '.join(unknown) or 'nothing'}. "
            f"Choose one of: {', '.join(options)}."
        )
    if len(matching) > 1:
        flags = [o.flag for p in matching for o in p.options[:1]]
        raise ConfigError(
            f"A threshold follows one request; got {len(flags)}: {', '.join(flags)}. "
            "Keep one of them."
        )
    matching[0].check(request)
    return matching[0]


def combined_basis(policy: Policy) -> Basis:
    """Return what a policy bounds where it follows what verdicts have taught.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    if isinstance(policy, LabelPolicy):
        return "probability"
    if policy.combined is None:
        able = [p for p in POLICIES.values() if isinstance(p, LabelPolicy) or p.combined]
        raise ConfigError(
            f"{policy.options[0].flag} bounds the model's own scores, not what verdicts have "
            f"taught. With --by combined ask for {', '.join(p.options[0].flag for p in able)}; or "
            "leave out --by combined."
        )
    return policy.combined_on


def policy_title(name: str, parameters: Mapping[str, object]) -> str:
    """Return the name of a policy with what it was asked for, for example ``max_alarms 20``."""
    policy = POLICIES.get(name)
    return name if policy is None else policy.title(parameters)


def needs_labels(name: str) -> bool:
    """Tell whether a policy of this name weighs anomalies against normals."""
    return isinstance(POLICIES.get(name), LabelPolicy)


def label_policy(name: str, target: float | None = None) -> tuple[LabelPolicy, Request]:
    """Read the name of a policy with labels, and the one number that it needs.

    The number is in the short name, such as ``f2``, or it is the target.
    """
    single = [p for p in POLICIES.values() if isinstance(p, LabelPolicy) and len(p.options) == 1]
    for policy in single:
        number = _number_in(name, policy.short) if policy.short else None
        if policy.name != name and number is None:
            continue
        option, number = policy.options[0], target if number is None else number
        if option.values is None:
            return policy, Request({option.name: 1.0})
        if number is None or number not in option.values:
            raise ConfigError(
                f"Policy {name!r} needs a target {option.values}; got {number}. "
                f"Try {option.values.example:g}."
            )
        return policy, Request({option.name: number})
    short = (f"{p.short}{number}" for p in single if p.short for number in (1, 2, 0.5))
    known = ", ".join([*short, *(policy.name for policy in single if not policy.short)])
    raise ConfigError(f"There is no policy {name!r}. Choose one of: {known}.")


def cost_policy(cost_fp: float, cost_fn: float) -> tuple[LabelPolicy, Request]:
    """Return the policy that weighs what mistakes cost, asked for these costs."""
    priced = next(p for p in POLICIES.values() if isinstance(p, LabelPolicy) and p.priced)
    return priced, Request({"cost_fp": cost_fp, "cost_fn": cost_fn})


def _number_in(name: str, prefix: str) -> float | None:
    try:
        return float(name.removeprefix(prefix)) if name.startswith(prefix) else None
    except ValueError:
        return None
