"""Places in a TOML file: paths, patterns, URIs and models."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from vae_anomaly.files import in_home
from vae_anomaly.jobs.nights.dates import dated


def placed(value: str, info: ValidationInfo) -> str:
    """Put the day in and resolve a relative path against the TOML file's folder."""
    folder, day = info.context or (Path(), "")
    text = dated(value, date.fromisoformat(day)) if day else value
    if "://" in text or text.startswith(("models:/", "databricks")):
        return text
    return str(Path(folder, in_home(text)).resolve())


def _dated(value: str, info: ValidationInfo) -> str:
    _, day = info.context or (Path(), "")
    return dated(value, date.fromisoformat(day)) if day else value


Place = Annotated[str, AfterValidator(placed)]
"""A path, pattern, URI or model: relative paths begin at the TOML file; {date} is filled in."""

Day = Annotated[str, AfterValidator(_dated)]
"""A date; {date} is filled in."""

_AS_LIST = BeforeValidator(lambda one: [one] if isinstance(one, str) else one)
Names = Annotated[list[str], _AS_LIST]
"""One name or a list of them."""

Places = Annotated[list[Place], _AS_LIST]
"""One such text or a list of them."""


def one_or_all(places: list[str]) -> str | list[str]:
    """Return one place as itself: the ids of several begin with the names of their folders."""
    return places[0] if len(places) == 1 else places
