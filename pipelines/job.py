"""What the jobs share: read a TOML file strictly, run, print the result, end in good order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.arguments import Arguments, arguments
from pipelines.faults import fault_of
from pipelines.layers import read_layers
from pipelines.places import Place
from vae_anomaly.errors import ConfigError, VaeAnomalyError
from vae_anomaly.logs import json_lines, log_to_stderr, tell_error, told_as_json
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.threads import thread_policy


class Job(BaseModel):
    """What every job has: the MLflow store, whether logs are JSON lines, threads a process."""

    model_config = ConfigDict(extra="forbid", frozen=True)  # a key that is not known is an error

    tracking_uri: Place | None = None
    log_json: bool = False
    threads: int | None = None

    def check(self, result: Mapping[str, object]) -> None:
        """Refuse a result, after it was printed, that this job is not to end well with."""

    @classmethod
    def over_days(cls, asked: Arguments, run: Callable[..., Any]) -> tuple[dict[str, Any], int]:
        """Run over a range of days, or say what that would do; return what came of it, and how."""
        raise ConfigError("Only nightly jobs have days. Leave out --from, --to and --dry-run.")


J = TypeVar("J", bound=Job)


def read_job(kind: type[J], path: Path, day: str, sets: Sequence[str] = ()) -> J:
    """Read a job; ConfigError names the TOML file and every key that is wrong."""
    layers = read_layers(kind, path, sets)
    try:
        return kind.model_validate(layers.content, context=(path.absolute().parent, day))
    except ValidationError as err:
        faults = "; ".join(fault_of(kind, error, layers.sources) for error in err.errors())
        raise ConfigError(f"{path}: {faults}. Correct the file.") from None


def run_job(kind: type[J], run: Callable[[J], dict[str, Any]]) -> None:
    """Run a job from the command line, see `pipelines.arguments`; the result goes to stdout."""
    with json_lines(_asks_for_json(kind, sys.argv)):
        code = _run(kind, run)
    if code:
        sys.exit(code)


def _run(kind: type[J], run: Callable[[J], dict[str, Any]]) -> int:
    """Run a job, tell its error, and return the exit code."""
    try:
        asked = arguments(sys.argv)
        job = read_job(kind, asked.file, f"{asked.days[0]}", asked.sets)
        log_to_stderr(as_json=job.log_json)
        with thread_policy(job.threads):
            many = asked.is_range or asked.dry_run
            result, code = kind.over_days(asked, run) if many else (run(job), 0)
        print(json.dumps(result, indent=2, default=str))  # noqa: T201 - the result
        if not many:
            job.check(result)
    except VaeAnomalyError as err:
        return tell_error(with_addresses(str(err)), err.exit_code)
    except KeyboardInterrupt:
        return tell_error("Interrupted.", 130, label="")
    except Exception as err:
        if not told_as_json(err):
            raise
        return 1
    return code


def _asks_for_json(kind: type[Job], argv: list[str]) -> bool:
    """Tell whether a job wants JSON lines, also where its file has faults elsewhere."""
    try:
        asked = arguments(argv)
        told = read_layers(kind, asked.file, asked.sets).content.get("log_json")
    except VaeAnomalyError:
        return False
    return str(told).lower() in ("true", "1", "yes", "on")
