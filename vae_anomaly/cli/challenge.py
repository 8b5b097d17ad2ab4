"""Champion against challenger: the options, and the table that a threshold owner reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import print_table, print_words
from vae_anomaly.cli.options import Decorator, at_store, bundle, one_or_all
from vae_anomaly.names import typed

if TYPE_CHECKING:
    from pathlib import Path

    from vae_anomaly.evaluation.challenge import Challenge, ComparedFigure
    from vae_anomaly.jobs import Asked, ChallengePlan, Destination
    from vae_anomaly.metrics import Interval

margin_option: Decorator = click.option(
    "--margin", "margins", multiple=True, metavar="FIGURE=NUMBER",
    help="By how much fpr, recall or auroc may be worse; repeatable.",
)  # fmt: skip


@dataclass(frozen=True)
class Challenging:
    """What the options say of a comparison with the champion."""

    holdout: tuple[str, ...]
    margins: tuple[str, ...]

    def plan(self, asked: Asked, destination: Destination) -> ChallengePlan:
        """Return on what is compared, with the labels and groups of the training."""
        from vae_anomaly.evaluation.challenge import read_margins
        from vae_anomaly.jobs import ChallengePlan

        held = replace(asked, source=one_or_all(self.holdout)) if self.holdout else None
        plan = ChallengePlan(holdout=held, margins=read_margins(self.margins))
        alias = destination.alias
        return plan if alias in (None, "champion") else replace(plan, alias=alias)


def _challenging(
    challenger: bool, holdout: tuple[str, ...], margins: tuple[str, ...]
) -> Challenging | None:
    if challenger:
        return Challenging(holdout, margins)
    if holdout or margins:
        raise click.UsageError("--holdout and --margin belong to --challenger: add it.")
    return None


challenger_options = bundle(
    "challenging",
    _challenging,
    click.option("--challenger", is_flag=True,
                 help="Compare with the champion, which stays; alias challenger."),
    click.option("--holdout", multiple=True, metavar="PATH",
                 help="Compare on these; new to both.  [default: a part of the input]"),
    margin_option,
)  # fmt: skip


def print_challenge(found: Challenge, uri: str | Path | None, *, hint: bool = True) -> None:
    """Print both beside each other, what is allowed, the verdict, and what follows."""
    rows = [_row(one) for one in found.figures]
    header = ["", found.champion, found.challenger, "difference (95 %)", "allowed", ""]
    print_table(rows, header, f"Champion {found.champion}, challenger {found.challenger}")
    click.echo(
        f"On {found.n_normals:,} normal and {found.n_anomalies:,} anomalous items of "
        f"{found.source}, the same for both."
    )
    for flagged, by in (
        (found.only_champion, found.champion),
        (found.only_challenger, found.challenger),
    ):
        click.echo(f"Flagged by {by} alone: {flagged[0]:,} normal, {flagged[1]:,} anomalous.")
    for note in found.notes:
        click.echo(f"Note: {note}.")
    print_words(f"\n{found.in_words()}.")
    for words in found.missing():
        click.echo(f"  {words}")
    if hint:
        _print_hint(found, uri)


def _print_hint(found: Challenge, uri: str | Path | None) -> None:
    name, _, version = found.challenger.rpartition("/")
    promote = typed("vae-anomaly", "models", "promote", name, version, *at_store(uri))
    if found.passed:
        click.echo(f"  put it in force:      {promote}")
        return
    click.echo(f"  compare on others:    {promote} --not-worse --input PATH")
    click.echo(f"  promote it anyway:    {promote} --anyway")


def _row(figure: ComparedFigure) -> list[str]:
    from vae_anomaly.evaluation.challenge import figure_name

    allowed = ""
    if figure.margin is not None:
        sign = "-" if figure.higher_is_better else "+"
        allowed = f"{sign}{_number(figure.margin, figure.name)}"
    if not figure.is_measured:
        return [figure_name(figure.name), "-", "-", "-", allowed, figure.verdict and "not measured"]
    change = figure.difference
    low, high = (_number(end, figure.name, signed=True) for end in (change.low, change.high))
    return [
        figure_name(figure.name),
        _with_interval(figure.champion, figure.name),
        _with_interval(figure.challenger, figure.name),
        f"{_number(change.estimate, figure.name, signed=True)} ({low} to {high})",
        allowed,
        {"": "", "not worse": "holds", "worse": "WORSE"}.get(figure.verdict, "not shown"),
    ]


def _with_interval(value: Interval, name: str) -> str:
    return _number(value.estimate, name)


def _number(value: float, name: str, *, signed: bool = False) -> str:
    plus = "+" if signed else ""
    if name in ("fpr", "recall"):
        return f"{100 * value:{plus}.1f} %"
    return f"{value:{plus}.3f}"
