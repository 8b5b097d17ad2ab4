"""Go on with a run that was stopped or lacks parts, with the very input and options it had."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from vae_anomaly.batch.run import Finished, score_images, score_tables
from vae_anomaly.batch.runs.command import RunCommand
from vae_anomaly.batch.runs.found import read_state
from vae_anomaly.batch.summary import RunSummary
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.errors import ConfigError, LockedError, StorageError
from vae_anomaly.monitoring.checks import Limits
from vae_anomaly.names import unspelled
from vae_anomaly.progress import Progress


def command_of(path: str | Path) -> RunCommand:
    """Return what the last run over an output folder was asked for.

    Raises
    ------
    DataError
        If there is no output folder.
    LockedError
        If a run is writing to it.
    StorageError
        If its ledger cannot be followed.
    ConfigError
        If it is not known what the run was asked for, as of earlier versions.
    """
    found = read_state(path)
    if found.state == "running":
        raise LockedError(f"A run is writing to {found.path}. Wait for it.")
    if found.state == "damaged":
        raise StorageError(found.why)
    command = found.command
    if command is None:
        raise ConfigError(
            f"{found.path} does not say what its run was asked for: an earlier version has written "
            "it. Give the whole command again; what is done is not done twice."
        )
    return command


def resume(
    command: RunCommand,
    out: str | Path,
    *,
    uri: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    finished: Finished | None = None,
) -> RunSummary:
    """Score what is not done, not right or new of what a run was asked for.

    Parameters
    ----------
    command : RunCommand
        As `command_of` returned it.
    out : str or Path
        The output folder.
    uri : str or Path, optional
        The store, where its address had credentials.
    workers : int, optional
        Instead of as many as before.

    Raises
    ------
    VaeAnomalyError
        As `score_tables` and `score_images`.
    """
    options = _options(command, workers)
    limits = Limits(**{f.name: options.pop(f.name) for f in fields(Limits) if f.name in options})
    given: dict[str, Any] = {
        **options, "limits": limits, "uri": command.store(uri), "progress": progress,
        "finished": finished,
    }  # fmt: skip
    model = command.version or unspelled(command.model)
    if command.kind == "table":
        return score_tables(model, command.source, out, **given)
    reading = ImageReading(**{f.name: given.pop(f.name, None) for f in fields(ImageReading)})
    return score_images(model, command.source, out, reading=reading, **given)


def _options(command: RunCommand, workers: int | None) -> dict[str, Any]:
    options: dict[str, Any] = dict(command.options)
    if options.get("state") is not None:
        options["state"] = unspelled(str(options["state"]))
    return options if workers is None else options | {"workers": workers}
