"""What the jobs share: read a TOML file strictly, run, print the result, end in good order."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from vae_anomaly.batch import log_to_stderr
from vae_anomaly.data.kinds import did_you_mean
from vae_anomaly.errors import ConfigError, VaeAnomalyError

__all__ = ["Job", "Place", "Section", "read_job", "run_job"]


def _placed(value: str, info: ValidationInfo) -> str:
    """Put today's date in and resolve a relative path against the TOML file's folder."""
    context: Mapping[str, Any] = info.context or {}
    text = value.replace("{date}", str(context.get("date", "{date}")))
    is_uri = "://" in text or text.startswith(("models:/", "databricks"))
    return text if is_uri else str(context.get("folder", Path()) / Path(text).expanduser())


Place = Annotated[str, AfterValidator(_placed)]
"""A path, pattern, URI or model: relative paths begin at the TOML file; {date} is filled in."""


class Section(BaseModel):
    """A table of a TOML file; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(Section):
    """What every job has: the MLflow store, and whether logs are JSON lines."""

    tracking_uri: Place | None = None
    log_json: bool = False


J = TypeVar("J", bound=Job)


def read_job(kind: type[J], path: Path, day: str) -> J:
    """Read a job from its TOML file; ConfigError names the file and every key that is wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"{path} cannot be read: {err.strerror}. Check the path.") from None
    except ValueError as err:
        raise ConfigError(f"{path} is not valid TOML: {err}. Correct it there.") from None
    try:
        context = {"folder": path.absolute().parent, "date": day}
        return kind.model_validate(content, context=context)
    except ValidationError as err:
        faults = "; ".join(_fault(kind, error) for error in err.errors())
        raise ConfigError(f"{path}: {faults}. Correct the file.") from None


def run_job(kind: type[J], run: Callable[[J], dict[str, Any]]) -> None:
    """Run a job from the command line: MODULE FILE.toml [YYYY-MM-DD]; the result goes to stdout."""
    if len(sys.argv) not in (2, 3):
        sys.exit(f"usage: python -m pipelines.{Path(sys.argv[0]).stem} FILE.toml [YYYY-MM-DD]")
    try:
        day = date.fromisoformat(sys.argv[2]) if len(sys.argv) == 3 else date.today()
        job = read_job(kind, Path(sys.argv[1]), day.isoformat())
        log_to_stderr(as_json=job.log_json)
        print(json.dumps(run(job), indent=2, default=str))  # noqa: T201 - the result
    except VaeAnomalyError as err:
        sys.stderr.write(f"error: {err}\n")
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _fault(kind: type[BaseModel], error: Any) -> str:
    """Say in words what is wrong with one key, with the nearest that is known."""
    *parents, name = error["loc"]
    for parent in parents:
        field = kind.model_fields.get(str(parent))
        annotation = field.annotation if field else None
        kind = (
            annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel)
            else kind
        )
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'{did_you_mean(str(name), list(kind.model_fields))}"
    if error["type"] == "missing":
        return f"the key '{key}' is missing"
    return f"'{key}' is {error['input']!r}: {error['msg'].lower()}"
