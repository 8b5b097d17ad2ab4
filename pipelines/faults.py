"""Say in words what is wrong with a key of a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from vae_anomaly.errors import did_you_mean


def fault_of(kind: type[BaseModel], error: Any, sources: Mapping[str, str]) -> str:
    """Say in words what is wrong with one key, with the nearest that is known.

    ``sources`` say where keys come from that are not in the file.
    """
    key = ".".join(map(str, error["loc"]))
    source = next((sources[name] for name in sources if f"{key}.".startswith(f"{name}.")), "")
    return _fault(kind, error) + (f" (from {source})" if source else "")


def _fault(kind: type[BaseModel], error: Any) -> str:
    *parents, name = error["loc"]
    for parent in parents:
        field = kind.model_fields.get(str(parent))
        options = () if field is None else (field.annotation, *get_args(field.annotation))
        kind = next((option for option in options if isinstance(option, type(BaseModel))), kind)
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "value_error":  # of a check of ours, which says it whole
        return str(error["ctx"]["error"])
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'{did_you_mean(str(name), list(kind.model_fields))}"
    if error["type"] == "missing":
        return f"the key '{key}' is missing"
    return f"'{key}' is {error['input']!r}: {error['msg'].lower()}"
