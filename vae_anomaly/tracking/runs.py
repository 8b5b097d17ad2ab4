"""Log a training as an MLflow run and its model as a registered version; lose neither to an outage.

Everything of a training is first written to a record on the local disk, of the `spool`:

::

    record/
      run.json      parameters, metrics, history, tags, names
      package/      the MLflow model directory
      artifacts/    figures, data fingerprint, schema, environment

When the server is away, the record stays; `register_directory` logs it later.
"""

from __future__ import annotations

import json
import logging
import math
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.files import parsed_json, write_json
from vae_anomaly.persistence import DetectorState, model_digest, read_model
from vae_anomaly.state import from_json
from vae_anomaly.tracking.client import (
    TAG,
    all_versions,
    check_alias,
    ensure_name,
    experiment_id,
    log_numbers,
)
from vae_anomaly.tracking.events import MAX_TAG, move_alias
from vae_anomaly.tracking.network.once import once
from vae_anomaly.tracking.package import (
    INNER,
    environment,
    file_digests,
    listing_digest,
    write_package,
)
from vae_anomaly.tracking.spool import Upload, new_record, send
from vae_anomaly.tracking.store import displayed, quiet, tracking_uri
from vae_anomaly.version import __version__
from vae_anomaly.words import names_of, reason_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.entities.model_registry import ModelVersion

    from vae_anomaly.detectors.protocol import Detector

EXPERIMENT = "vae-anomaly"
RUN = "run.json"
MOST_NAMED = 10
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """Say where a training went.

    Parameters
    ----------
    name, version : str, int
        Registered name and version.
    run_id : str
        MLflow run.
    uri : str
        ``models:/NAME/VERSION``, to be given to `resolve` or the command line.
    digest : str
        SHA-256 of the model's list of digests.
    store : str
        The tracking URI, without a password.
    """

    name: str
    version: int
    run_id: str
    uri: str
    digest: str
    store: str


_Figure = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300)]
_MOST_STEPS: Final = 2**53
_Milliseconds = Annotated[int, Field(ge=0, lt=2**45)]  # a thousand years


@dataclass
class _Run:
    """What ``run.json`` holds."""

    name: str
    experiment: str
    alias: str | None
    evidence: str
    kind: str
    started_ms: _Milliseconds
    ended_ms: _Milliseconds
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, _Figure] = field(default_factory=dict)
    history: list[dict[str, _Figure]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    version_tags: dict[str, str] = field(default_factory=dict)
    description: str = ""
    who: str = ""


def log_training(
    detector: Detector,
    *,
    name: str,
    experiment: str = EXPERIMENT,
    figures: Mapping[str, Figure] | None = None,
    pages: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    uri: str | Path | None = None,
    alias: str | None = None,
    evidence: str = "",
    input_example: pd.DataFrame | None = None,
) -> RegisteredModel:
    """Log a fitted detector as a run and register it as a new version.

    Parameters
    ----------
    name : str
        Registered name; letters, digits, ``.``, ``_``, ``-`` and spaces.
    experiment : str
        MLflow experiment of the run.
    figures : mapping of str to Figure, optional
        More figures, beside loss curves and the histogram of held-out scores; by file name.
    pages : mapping of str to str, optional
        Texts to keep with the run, by file name, such as a page.
    tags : mapping of str to str, optional
        More tags of the run.
    uri : str or Path, optional
        The store, as in `tracking_uri`.
    alias : str, optional
        Alias to move to the new version, for example ``champion``; recorded as by `promote`.
    evidence : str
        Why the alias moves.
    input_example : DataFrame, optional
        Rows to show in the registry. The default is made up: real rows may be private.

    Raises
    ------
    ConfigError
        If the name cannot be one.
    RegistryUnavailableError
        If the store does not answer. The training is not lost: the message says where its record
        lies and how to log it later.
    """
    from vae_anomaly.reports import training_figures
    from vae_anomaly.vae.training import History

    store = tracking_uri(uri)
    _check_names(name, alias)
    history = getattr(detector, "history_", History())  # one that was loaded has none
    drawn = training_figures(
        detector.calibration_.reference_scores(), detector.threshold_.value, history
    )
    with new_record(store, name) as record:
        state = _write_model(detector, record, input_example)
        run = _describe(state, name, experiment, alias, evidence, tags)
        run.history = [_finite(row) for row in history.records]
        seconds = max((row.get("seconds", 0.0) for row in run.history), default=0)
        run.started_ms -= int(1000 * seconds)
        _write_artifacts(record, state, {**drawn, **(figures or {})})
        for file, text in (pages or {}).items():
            (record / "artifacts" / file).write_text(text, encoding="utf-8")
        _write_run(record, run)
    return _finish(record, run, store)


def register_directory(
    path: str | Path,
    *,
    name: str | None = None,
    experiment: str = EXPERIMENT,
    alias: str | None = None,
    evidence: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
    version_tags: Mapping[str, str] | None = None,
    who: str | None = None,
    uri: str | Path | None = None,
) -> RegisteredModel:
    """Register a model folder as a new version, or log a record that an outage left behind.

    Parameters
    ----------
    path : str or Path
        A folder that ``detector.save`` wrote, or a record of a training.
    name : str, optional
        Registered name. Needed for a folder; a record knows its own.
    experiment, alias, evidence, tags, uri
        As in `log_training`.
    description : str
        What is new in this version, for example its threshold.
    version_tags : mapping of str to str, optional
        More tags of the version.
    who : str, optional
        Who moves the alias. Default: the user of this process.

    Raises
    ------
    ConfigError
        If a folder comes without a name.
    ModelRefusedError
        If the folder is no sound model or record.
    RegistryUnavailableError
        If the store does not answer.
    """
    folder, store = Path(path), tracking_uri(uri)
    if (folder / RUN).is_file():
        run = _read_run(folder)
        run.alias, run.evidence = alias or run.alias, evidence or run.evidence
        run.tags |= _texts(tags)
        read_model(folder / "package" / INNER)
        _write_run(folder, run)
        return _finish(folder, run, store)
    state = read_model(folder)
    if name is None:
        raise ConfigError(f"{folder} has no registered name of its own. Give one with --name.")
    _check_names(name, alias)
    run = _describe(
        state, name, experiment, alias, evidence, {f"{TAG}source": "directory", **(tags or {})}
    )
    run.description, run.who = description, who or ""
    run.version_tags |= dict(version_tags or {})
    with new_record(store, name) as record:
        with quiet():
            write_package(folder, state, record / "package")
        _write_artifacts(record, state, {})
        _write_run(record, run)
    return _finish(record, run, store)


def check_name(name: str) -> None:
    """Refuse a registered name that MLflow would; worth asking before a long training."""
    if not re.fullmatch(r"[A-Za-z0-9][\w. -]{0,199}", name):
        raise ConfigError(
            f"A model's name has letters, digits, '.', '_', '-' and spaces, and begins with a "
            f"letter or digit; got {name!r}. Choose another --name."
        )
    if name.endswith(".learned"):
        raise ConfigError(
            f"Names that end in .learned are kept for what verdicts teach; got {name!r}. Choose "
            "another --name."
        )


def _check_names(name: str, alias: str | None) -> None:
    check_name(name)
    if alias is not None:
        check_alias(alias)


def _write_model(detector: Detector, record: Path, example: pd.DataFrame | None) -> DetectorState:
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        saved = detector.save(Path(scratch) / "model")
        state = read_model(saved)
        with quiet():
            write_package(saved, state, record / "package", example=example)
    return state


def _describe(
    state: DetectorState,
    name: str,
    experiment: str,
    alias: str | None,
    evidence: str,
    tags: Mapping[str, str] | None,
) -> _Run:
    now = int(time.time() * 1000)
    run = _Run(name, experiment, alias, evidence, state.kind, now, now)
    run.params = _texts(_flat(state.config))
    run.metrics = {f"final_{key}": value for key, value in _finite(state.metrics).items()}
    threshold = state.threshold or {}
    run.version_tags = {
        f"{TAG}kind": state.kind,
        f"{TAG}package_version": __version__,
        f"{TAG}threshold": str(threshold.get("value", "")),
        f"{TAG}threshold_policy": str(threshold.get("policy", "")),
        f"{TAG}data_sha256": str(state.fingerprint.get("sha256", "")),
    }
    if state.left_out:  # names alone: why is in left_out.json, as reasons of rows quote cells
        names = names_of((item["id"] for item in state.left_out), MOST_NAMED)
        run.version_tags[f"{TAG}left_out"] = names[:MAX_TAG]
    if state.left_out_confirmed:
        names = names_of(state.left_out_confirmed, MOST_NAMED)
        run.version_tags[f"{TAG}left_out_confirmed"] = names[:MAX_TAG]
    run.tags = run.version_tags | _texts(tags)
    return run


def _write_artifacts(record: Path, state: DetectorState, figures: Mapping[str, Figure]) -> None:
    from vae_anomaly.reports import write_figure

    folder = record / "artifacts"
    folder.mkdir(exist_ok=True)
    documents: dict[str, object] = {
        "data_fingerprint.json": state.fingerprint,
        "environment.json": environment(),
        "threshold.json": state.threshold,
    }
    if state.left_out:
        documents["left_out.json"] = state.left_out
    if state.schema is not None:
        documents["schema.json"] = state.schema
    for file, content in documents.items():
        write_json(content, folder / file)
    for title, figure in figures.items():
        write_figure(figure, folder / "figures" / f"{title}.png")


def _write_run(record: Path, run: _Run) -> None:
    run.ended_ms = run.ended_ms or int(time.time() * 1000)
    write_json(asdict(run), record / RUN)


def _finish(record: Path, run: _Run, store: str) -> RegisteredModel:
    """Send a record to the store; an outage leaves it for later."""
    return send(
        record,
        store,
        lambda sending: _upload(sending, run, store),
        what=f"the run and the model ({Path('package') / INNER} alone) are",
    )


def _upload(sending: Upload, run: _Run, store: str) -> RegisteredModel:
    client, record = sending.client, sending.record
    experiment = experiment_id(client, store, run.experiment)
    digest = model_digest(record / "package" / INNER)
    made = made_version(client, run.name, digest, sending.earlier)
    if made is None:
        run_id = sending.open_run(experiment, run.name, run.tags, run.started_ms)
        log_numbers(client, run_id, _metrics(run), run.params)
        client.log_artifacts(run_id, str(record / "artifacts"))
        made = _register(client, experiment, run_id, record / "package", run, digest)
    version, run_id = int(made.version), str(made.run_id)
    client.set_terminated(run_id, "FINISHED", run.ended_ms)
    sending.opened.clear()  # an alias that cannot move does not undo the version
    if run.alias:
        move_alias(client, store, run.name, version, run.alias, who=run.who, evidence=run.evidence)
    uri = f"models:/{run.name}/{version}"
    logger.info("%s is registered in %s", uri, displayed(store))
    return RegisteredModel(run.name, version, run_id, uri, digest, displayed(store))


def _metrics(run: _Run) -> list[Metric]:
    """Return the last figures, and the history at the times of its steps."""
    from mlflow.entities import Metric

    metrics = [Metric(key, value, run.ended_ms, 0) for key, value in run.metrics.items()]
    for row in run.history:
        when, step = run.started_ms + int(1000 * row.get("seconds", 0.0)), int(row["step"])
        metrics += [Metric(k, value, when, step) for k, value in row.items() if k != "step"]
    return metrics


def _register(
    client: MlflowClient, experiment: str, run_id: str, package: Path, run: _Run, digest: str
) -> ModelVersion:
    """Store the package as a logged model and register it, digests and all, in one call."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    logged = client.create_logged_model(
        experiment, name="model", source_run_id=run_id, model_type=f"{TAG}{run.kind}"
    )
    _stamp(package, logged.model_id, run_id)
    files = file_digests(package)
    client.log_model_artifacts(logged.model_id, str(package))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    ensure_name(client, run.name)
    return once(
        lambda: client.create_model_version(
            run.name,
            source=f"models:/{logged.model_id}",
            run_id=run_id,
            model_id=logged.model_id,
            description=run.description,
            tags={
                **run.version_tags,
                f"{TAG}model_digest": digest,
                f"{TAG}digest": listing_digest(files),
                f"{TAG}files": json.dumps(files, sort_keys=True),
            },
        ),
        lambda: made_version(client, run.name, digest, [run_id]),
    )


def made_version(
    client: MlflowClient, name: str, digest: str, run_ids: Sequence[str]
) -> ModelVersion | None:
    """Return the version of a model that one of these runs has registered, where one has."""
    versions = all_versions(client, name) if run_ids else []
    of_runs = (one for one in versions if one.run_id in run_ids)
    return next((one for one in of_runs if one.tags.get(f"{TAG}model_digest") == digest), None)


def _stamp(package: Path, model_id: str, run_id: str) -> None:
    """Write into ``MLmodel`` which logged model and run it belongs to."""
    from mlflow.models import Model

    path = str(package / "MLmodel")
    model = Model.load(path)
    model.model_id, model.run_id = model_id, run_id
    model.flavors["python_function"].pop("code", None)
    model.save(path)


def _read_run(record: Path) -> _Run:
    try:
        fields = parsed_json((record / RUN).read_text())
        fields.pop("interrupted_run", None)  # stood here before `interrupted.json`
        run = from_json(_Run, fields)
        if not all(0 <= row.get("step", -1) < _MOST_STEPS for row in run.history):
            raise ValueError("a line of its history has no step")
        return run
    except (AttributeError, TypeError, ValueError) as err:
        raise ModelRefusedError(
            f"{record / RUN} is not the record of a training: {reason_of(err)}. Register the model "
            f"alone: {record / 'package' / INNER}."
        ) from err


def _texts(values: Mapping[str, object] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}


def _finite(values: Mapping[str, object]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _flat(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
