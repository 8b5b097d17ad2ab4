"""What a check found: findings with a remedy each, and numbers about the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

ITEMS_KEPT: Final = 20


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_ORDER: Final = [Severity.ERROR, Severity.WARNING, Severity.INFO]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Parameters
    ----------
    severity : Severity
        "error": training or scoring will refuse these items; "warning": the result would mislead;
        "info": worth knowing.
    code : str
        Stable name of the check, such as "near_duplicates".
    message : str
        What was found, with numbers.
    remedy : str
        What to do about it.
    items : tuple of str
        Files, columns or rows, the first 20.
    n_items : int
        How many there are.
    """

    severity: Severity
    code: str
    message: str
    remedy: str
    items: tuple[str, ...] = ()
    n_items: int = 0


def finding(
    severity: Severity, code: str, message: str, remedy: str, items: Sequence[str] = ()
) -> Finding:
    """Make a finding that keeps the first items and counts them all."""
    return Finding(severity, code, message, remedy, tuple(items[:ITEMS_KEPT]), len(items))


@dataclass(frozen=True)
class Report:
    """All findings about one source.

    Parameters
    ----------
    kind : {"images", "table"}
    summary : dict
        Numbers and names: how many items, sizes, columns with their kinds.
    findings : tuple of Finding
        The worst first.
    groups : dict of str to str
        Group of each image, where names or images suggest some and none are given.
    """

    source: str
    kind: Literal["images", "table"]
    summary: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    groups: dict[str, str] = field(default_factory=dict)

    @property
    def has_errors(self) -> bool:
        """Whether anything would be refused."""
        return any(found.severity is Severity.ERROR for found in self.findings)

    def codes(self) -> set[str]:
        """Return the codes of all findings."""
        return {found.code for found in self.findings}

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dictionaries, numbers and strings."""
        return asdict(self)


def sorted_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the worst first, else in the order of the checks."""
    return tuple(sorted(findings, key=lambda found: _ORDER.index(found.severity)))
