"""``vae-anomaly threshold show|apply|history``: the threshold that a model has, gets or had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table, print_words
from vae_anomaly.cli.options import json_option, tracking_option
from vae_anomaly.thresholds.catalogue import policy_title

if TYPE_CHECKING:
    from vae_anomaly.tracking import ThresholdHistory
    from vae_anomaly.tracking.apply import Application
    from vae_anomaly.tracking.registry import ThresholdChange


_OWN = "by the model"


@click.command()
@click.argument("model")
@tracking_option
@json_option
def show(model: str, uri: str | None, as_json: bool) -> None:
    """Show the threshold of MODEL, and what it means.

    \b
    Example:
      vae-anomaly threshold show models:/cards@champion
    """
    from vae_anomaly.detectors.images.fit.self_test import found_words
    from vae_anomaly.tracking import load
    from vae_anomaly.tracking.apply import learned_threshold

    detector, resolved = load(model, uri)
    current = detector.threshold_
    words = current.in_words()
    learned = learned_threshold(resolved, uri)
    document: dict[str, Any] = {
        "model": resolved.label,
        "threshold": current.to_dict(),
        "words": words,
    }
    if learned is not None:
        document |= {"learned": {"threshold": learned.to_dict(), "words": learned.in_words()}}
    found = detector.predicted_recall() if detector.kind == "image" else ()
    if found:
        document |= {"self_test": [asdict(one) for one in found]}
    if emit(document, as_json=as_json):
        return
    if learned is not None:
        print_words(f"{resolved.name}, in runs with --learn: {learned.in_words()}\n")
    print_words(f"{resolved.label}: {words}")
    facts: dict[str, object] = {
        "policy": current.policy,
        "normals behind it": f"{current.n_normals:,}",
        "made": current.created,
        "made for": current.model_version or "this model, in training",
    }
    facts |= {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in current.parameters.items()}
    print_table([[k, str(v)] for k, v in facts.items() if v is not None], ["fact", "value"])
    if found:
        print_words(f"Self-test. {found_words(found)}")


@click.command()
@click.argument("model")
@click.argument("file", type=click.Path(), required=False)
@click.option("--no-combined", is_flag=True,
              help="Instead of FILE: the model's own threshold flags again.")  # fmt: skip
@click.option("--alias", metavar="NAME", help="Alias to move.  [default: the one in MODEL]")
@click.option("--who", metavar="NAME", help="Who decided; kept with the version.")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the version.")
@click.option("--dry-run", is_flag=True, help="Check and say what would change; change nothing.")
@tracking_option
@json_option
def apply(model: str, file: str | None, no_combined: bool, alias: str | None, who: str | None,
          reason: str, dry_run: bool, uri: str | None, as_json: bool) -> None:  # fmt: skip
    """Store the threshold in FILE with MODEL.

    A registered model gets a new version, and the alias moves to it, on the record; a model folder
    is changed in place. A threshold made for another model is refused (exit code 5).

    One of `tune --by combined` is stored with what verdicts have taught, as a new version of
    NAME.learned, and flags in runs with --learn; the model's own stays, and --no-combined goes back
    to it.

    \b
    Examples:
      vae-anomaly threshold apply models:/cards@champion threshold.json --reason "20 alarms a day"
      vae-anomaly threshold apply models:/cards@champion --no-combined --reason "too many flags"
    """
    from vae_anomaly.evaluation import apply_threshold
    from vae_anomaly.thresholds import Threshold
    from vae_anomaly.tracking.apply import withdraw_learned_threshold

    if (file is None) != no_combined:
        raise click.UsageError("Give the FILE of a threshold, or --no-combined instead of one.")
    if file is None:
        done = withdraw_learned_threshold(model, uri=uri, who=who, reason=reason, dry_run=dry_run)
    else:
        done = apply_threshold(
            model, Threshold.load(file), uri=uri, alias=alias, who=who, reason=reason,
            dry_run=dry_run,
        )  # fmt: skip
    document = {"model": done.model, "version": done.version, "alias": done.alias,
                "from": done.old.value, "to": done.new.value, "dry_run": dry_run}  # fmt: skip
    if done.old.basis != "score" or done.new.basis != "score":
        document |= {"flagged_before": done.old.bound_text, "flagged": done.new.bound_text}
    if not emit(document, as_json=as_json):
        click.echo(f"{done.model} {_change_text(done, dry_run=dry_run)}")
        if done.version:
            click.echo(f"registered as version {done.version}"
                       + (f", alias {done.alias} moved to it" if done.alias else ""))  # fmt: skip


def _change_text(done: Application, *, dry_run: bool) -> str:
    would = "would flag" if dry_run else "now flags"
    if done.old.basis == done.new.basis == "score":
        return f"{would} scores above {done.new.value:.4g} (before: {done.old.value:.4g})"
    return (
        f"{would} {done.new.bound_text} in runs with --learn (before: {done.old.bound_text}); the "
        "model's own threshold stays"
    )


@click.command()
@click.argument("name")
@tracking_option
@json_option
def history(name: str, uri: str | None, as_json: bool) -> None:
    """Show how the thresholds of model NAME came about: who, when, from, to, on what evidence.

    The first table has one line a version; the second says which of them was in force under which
    alias, going back included. A third one has changes of what runs with --learn flag.

    \b
    Examples:
      vae-anomaly threshold history cards
      vae-anomaly threshold history models:/cards@champion --json
    """
    from vae_anomaly.tracking import registered_name, threshold_history

    changes = threshold_history(registered_name(name), uri)
    if not emit(asdict(changes), as_json=as_json):
        _print_history(changes)


def _print_history(history: ThresholdHistory) -> None:
    rows = [_row(change) for change in history.changes]
    header = ["version", "when (UTC)", "by", "score above", "policy", "alarms", "network", "why"]
    print_table(rows, header, f"Thresholds of {history.name}, newest first")
    if history.moves:
        moved = [
            [f"{m.when:%Y-%m-%d %H:%M}", f"@{m.alias}", m.who,
             f"{m.old_version or '-'} -> {m.new_version}", f"{_bound(m.old)} -> {_bound(m.new)}"]
            for m in history.moves
        ]  # fmt: skip
        header = ["when (UTC)", "alias", "by", "version", "score above"]
        print_table(moved, header, "In force, latest first")
    if history.learned:
        changed = [
            [f"{c.when:%Y-%m-%d %H:%M}", c.who, f"{c.old_version or '-'} -> {c.new_version or '-'}",
             f"{c.old or _OWN} -> {c.new or _OWN}", c.evidence]
            for c in history.learned
        ]  # fmt: skip
        header = ["when (UTC)", "by", "version", "flagged when", "why"]
        print_table(changed, header, "In runs with --learn, latest first")


def _row(change: ThresholdChange) -> list[str]:
    network = "its own" if change.how == "trained" else "-"
    return [
        str(change.version),
        f"{change.when:%Y-%m-%d %H:%M}",
        change.who or "-",
        f"{_bound(change.old)} -> {_bound(change.new)}",
        policy_title(change.policy or "-", change.asked),
        _alarms(change.evidence),
        f"of {change.made_on}" if change.made_on else network,
        change.reason or "-",
    ]


def _bound(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _alarms(evidence: Mapping[str, Any]) -> str:
    """Say what was expected: alarms a day where a volume was known, else of 1,000 good items."""
    daily, rate = evidence.get("alarms_per_day"), evidence.get("fpr")
    if daily:
        return f"{daily['estimate']:.3g} a day ({daily['low']:.3g}-{daily['high']:.3g})"
    if rate:
        return f"{1000 * rate['estimate']:.3g} in 1,000"
    return "-"
