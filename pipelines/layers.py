"""Where the value of a key comes from: the command line over the environment over the TOML file.

``--set workers=4``, ``VAE_ANOMALY_WORKERS=4``, ``workers = 4``; ``--set detector.preset=fast``,
``VAE_ANOMALY_DETECTOR__PRESET=fast``. Lists and tables are written as in TOML.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices, BaseModel

from vae_anomaly.errors import ConfigError

PREFIX: Final = "VAE_ANOMALY_"


@dataclass(frozen=True)
class Layered:
    """What a job is given, and where what is not in its file comes from, by dotted key."""

    content: dict[str, Any]
    sources: dict[str, str]


def read_layers(kind: type[BaseModel], path: Path, sets: Sequence[str] = ()) -> Layered:
    """Read a TOML file and what the environment and the command line put over it.

    ``sets`` are ``KEY=VALUE``. Variables that are empty or name no key of the job do not count.
    """
    content, sources = _in_file(path), dict[str, str]()
    for keys, text, source in [*_of_environment(kind), *_of_flags(sets)]:
        for other in set(_names(kind).get(keys[0], ())) - {keys[0]}:
            content.pop(other, None)
        section = content
        for key in keys[:-1]:
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                raise ConfigError(f"{source}: {key!r} is no section of {path}. Correct the name.")
        section[keys[-1]] = _value(text, is_nested=len(keys) > 1)
        sources[".".join(keys)] = source
    return Layered(content, sources)


def unused_variables(kind: type[BaseModel]) -> list[str]:
    """Return the variables that begin like keys of a job and are none."""
    used = [source for *_, source in _of_environment(kind)]
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in used)


def _in_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"{path} cannot be read: {err.strerror}. Check the path.") from None
    except ValueError as err:
        raise ConfigError(f"{path} is not valid TOML: {err}. Correct it there.") from None


def _of_environment(kind: type[BaseModel]) -> Iterator[tuple[list[str], str, str]]:
    known = _names(kind)
    for name, text in sorted(os.environ.items()):
        keys = name.removeprefix(PREFIX).lower().split("__")
        if name.startswith(PREFIX) and keys[0] in known and text:
            yield keys, text, name


def _of_flags(sets: Sequence[str]) -> Iterator[tuple[list[str], str, str]]:
    for one in sets:
        key, equals, text = one.partition("=")
        if not (key.strip() and equals):
            raise ConfigError(f"--set takes KEY=VALUE, such as workers=4; got {one!r}.")
        yield key.strip().split("."), text, f"--set {key.strip()}"


def names_of_key(kind: type[BaseModel], field: str) -> list[str]:
    """Return what a key may be called, its own name first."""
    alias = kind.model_fields[field].validation_alias
    others = alias.choices if isinstance(alias, AliasChoices) else []
    return list(dict.fromkeys([field, *(name for name in others if isinstance(name, str))]))


def _names(kind: type[BaseModel]) -> dict[str, list[str]]:
    """Return all names of a key, by each of them."""
    groups = [names_of_key(kind, field) for field in kind.model_fields]
    return {name: group for group in groups for name in group}


def _value(text: str, *, is_nested: bool) -> Any:
    """Read a list, a table and what a section holds as TOML has it, all else as text."""
    with suppress(ValueError):
        if is_nested or text.startswith(("[", "{")):
            return tomllib.loads(f"value = {text}")["value"]
    return text
