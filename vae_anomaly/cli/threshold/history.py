"""``vae-anomaly threshold history``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table
from vae_anomaly.cli.options import json_option, tracking_option

if TYPE_CHECKING:
    from vae_anomaly.tracking import ThresholdHistory
    from vae_anomaly.tracking.threshold_changes import ThresholdChange


@click.command()
@click.argument("name")
@tracking_option
@json_option
def history(name: str, uri: str | None, as_json: bool) -> None:
    """Show how the thresholds of model NAME came about: who, when, from, to, on what evidence.

    The first table has one line a version; the second says which of them was in force under which
    alias, going back included.

    \b
    Examples:
      vae-anomaly threshold history cards
      vae-anomaly threshold history models:/cards@champion --json
    """
    from vae_anomaly.tracking import registered_name, threshold_history

    found = threshold_history(registered_name(name), uri)
    if not emit(asdict(found), as_json=as_json):
        _print(found)


def _print(found: ThresholdHistory) -> None:
    rows = [_row(change) for change in found.changes]
    header = ["version", "when (UTC)", "by", "score above", "policy", "alarms", "network", "why"]
    print_table(rows, header, f"Thresholds of {found.name}, newest first")
    if found.moves:
        moved = [
            [f"{m.when:%Y-%m-%d %H:%M}", f"@{m.alias}", m.who,
             f"{m.old_version or '-'} -> {m.new_version}", f"{_bound(m.old)} -> {_bound(m.new)}"]
            for m in found.moves
        ]  # fmt: skip
        header = ["when (UTC)", "alias", "by", "version", "score above"]
        print_table(moved, header, "In force, latest first")


def _row(change: ThresholdChange) -> list[str]:
    return [
        str(change.version),
        f"{change.when:%Y-%m-%d %H:%M}",
        change.who or "-",
        f"{_bound(change.old)} -> {_bound(change.new)}",
        _asked(change.policy, change.asked),
        _alarms(change.evidence),
        _made(change.how, change.made_on),
        change.reason or "-",
    ]


def _bound(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _asked(policy: str, asked: Mapping[str, object]) -> str:
    from vae_anomaly.thresholds.catalogue import policy_title

    return policy_title(policy or "-", asked)


def _alarms(evidence: Mapping[str, Any]) -> str:
    """Say what was expected: alarms a day where a volume was known, else of 1,000 good items."""
    daily, rate = evidence.get("alarms_per_day"), evidence.get("fpr")
    if daily:
        return f"{daily['estimate']:.3g} a day ({daily['low']:.3g}-{daily['high']:.3g})"
    if rate:
        return f"{1000 * rate['estimate']:.3g} in 1,000"
    return "-"


def _made(how: str, made_on: str) -> str:
    return f"of {made_on}" if made_on else ("its own" if how == "trained" else "-")
