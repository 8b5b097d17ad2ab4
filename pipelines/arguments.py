"""What a job is called with: a TOML file, and a day or a range of days."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NoReturn

from vae_anomaly.errors import ConfigError
from vae_anomaly.jobs.nights.backfill import Redo
from vae_anomaly.jobs.nights.dates import days_from_to

_USAGE = (
    "Write: python -m pipelines.JOB FILE.toml [YYYY-MM-DD] [--set KEY=VALUE] [--dry-run], or of a "
    "nightly job FILE.toml --from YYYY-MM-DD --to YYYY-MM-DD [--redo none|failed|completed] "
    "[--dry-run]."
)


@dataclass(frozen=True)
class Arguments:
    """A TOML file, the days, and what is to be done with them."""

    file: Path
    days: tuple[date, ...]
    is_range: bool
    redo: Redo
    dry_run: bool
    sets: tuple[str, ...] = ()


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message[:1].upper()}{message[1:]}. {_USAGE}")


def arguments(argv: Sequence[str]) -> Arguments:
    """Read what a job was called with; a ConfigError says how it is called."""
    parser = _Parser(add_help=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("day", nargs="?")
    parser.add_argument("--from", dest="first")
    parser.add_argument("--to", dest="last")
    parser.add_argument("--redo", choices=["none", "failed", "completed"])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--set", dest="sets", action="append", default=[])
    given = parser.parse_args(argv[1:])
    ends = [_date(text) for text in (given.first, given.last) if text is not None]
    if len(ends) == 1 or (ends and given.day) or (given.redo and not ends):
        raise ConfigError(_USAGE)
    day = date.today() if given.day is None else _date(given.day)
    days = days_from_to(*ends) if ends else [day]
    return Arguments(
        given.file, tuple(days), bool(ends), given.redo or "none", given.dry_run, tuple(given.sets)
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no date. {_USAGE}") from None
