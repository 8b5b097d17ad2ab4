"""Say of each key of a TOML file what it is in the end, and where that comes from.

python -m pipelines.check FILE.toml [YYYY-MM-DD] [--job JOB] [--set KEY=VALUE]
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from pipelines.job import Job, read_job
from pipelines.layers import PREFIX, Layered, names_of_key, read_layers, unused_variables
from vae_anomaly.errors import ConfigError, VaeAnomalyError
from vae_anomaly.logs import tell_error
from vae_anomaly.tracking.network.answers import masked

JOBS: Final = sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))
OTHERS = {PREFIX + n for n in ["BACKBONE", "CACHE", "FAILPOINT", "JOBS", "PYTHON", "WEBHOOK"]}


def checked(
    file: str | Path, job: str | None = None, day: str | None = None, sets: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the values of a job's file with their sources; a ConfigError names what is wrong.

    The job is called like the file, or as ``job`` says. Credentials in addresses are masked.
    """
    path, name = Path(file), job or Path(file).stem
    if name not in JOBS:
        known = ", ".join(JOBS)
        raise ConfigError(f"{path} is called like no job ({known}). Say which with --job.")
    module = import_module(f"pipelines.{name}")
    kind: type[Job] = getattr(module, name.title().replace("_", ""))
    values = read_job(kind, path, day or date.today().isoformat(), sets)
    layers = read_layers(kind, path, sets)
    told = [
        {"key": key, "value": _shown(value), "source": _source(kind, key, layers)}
        for key, value in _flat(values, "")
    ]
    unused = [name for name in unused_variables(kind) if name not in OTHERS]
    return {"file": str(path), "job": name, "values": told, "unused": unused}


def _flat(values: BaseModel, start: str) -> Iterator[tuple[str, Any]]:
    for key, value in values:
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{start}{key}.")
        elif isinstance(value, dict) and value:
            yield from ((f"{start}{key}.{name}", inner) for name, inner in value.items())
        else:
            yield f"{start}{key}", value


def _source(kind: type[Job], key: str, layers: Layered) -> str:
    """Say where the value of a key comes from."""
    first, *rest = key.split(".")
    for name in names_of_key(kind, first):
        dotted = ".".join([name, *rest])
        if dotted in layers.sources or name in layers.sources:
            return layers.sources.get(dotted) or layers.sources[name]
        content: Any = layers.content
        for part in (name, *rest):
            content = content.get(part, ...) if isinstance(content, dict) else ...
        if content is not ...:
            return "file"
    return "default"


def _shown(value: object) -> Any:
    """Return a value as JSON has it, without credentials."""
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else masked(str(value))


def main() -> int:
    """Check a file from the command line; the result goes to stdout."""
    parser = ArgumentParser(prog="python -m pipelines.check")
    parser.add_argument("file")
    parser.add_argument("day", nargs="?")
    parser.add_argument("--job", choices=JOBS)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    try:
        result = checked(**vars(parser.parse_args()))
    except VaeAnomalyError as err:
        return tell_error(str(err), err.exit_code)
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    return 0


if __name__ == "__main__":
    sys.exit(main())
