"""What a run was asked to learn by, and the second stage that it ranks by, pinned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from vae_anomaly.errors import ConfigError
from vae_anomaly.words import names_of


@dataclass(frozen=True)
class LearnOptions:
    """What is kept to learn from, and by what items are ranked.

    Parameters
    ----------
    columns : tuple of str
        Columns of entities; none where only the evidence is learned from.
    night : str
        The night that the items belong to: an ISO date.
    stage : str
        Folder of the second stage in force, on this machine; empty where nothing is learned.
    stage_digest : str
        Its digest.
    is_chosen : bool
        Whether the night was given by its date, and is not just today.
    """

    columns: tuple[str, ...] = ()
    night: str = ""
    stage: str = ""
    stage_digest: str = ""
    is_chosen: bool = False

    @classmethod
    def of(cls, columns: Iterable[str] | None, night: date | str | None) -> LearnOptions | None:
        """Return what is asked for, before a stage is looked up; None where nothing is.

        ``night`` is by default today.

        Raises
        ------
        ConfigError
            If a column has no name or comes twice, or the night is no date.
        """
        if columns is None:
            if night is not None:
                raise ConfigError("A night is named for learning. Give columns to learn by, too.")
            return None
        names = [columns] if isinstance(columns, str) else list(columns)
        if not all(name.strip() for name in names):
            raise ConfigError(
                "A column to learn by has no name. Name one, such as the terminal; to learn from "
                "the evidence alone, give --learn-evidence (in Python learn=())."
            )
        if len(set(names)) < len(names):
            raise ConfigError(f"Columns to learn by come twice: {names_of(names)}. Name each once.")
        return cls(tuple(names), _iso(night), is_chosen=night is not None)

    @property
    def ordinal(self) -> int:
        """The night as `NightItems.night` has it."""
        return date.fromisoformat(self.night).toordinal()

    def facts(self) -> dict[str, object]:
        """Return what of it shapes the output: where the stage lies on this machine does not."""
        return {"columns": self.columns, "night": self.night, "stage": self.stage_digest}

    def of_night(self, night: str) -> LearnOptions:
        """Return the same for another night."""
        return replace(self, night=night)


def _iso(night: date | str | None) -> str:
    if night is None:
        return date.today().isoformat()
    try:
        return date.fromisoformat(str(night)).isoformat()
    except ValueError:
        raise ConfigError(f"{night!r} is no date. Write a night as YYYY-MM-DD.") from None
