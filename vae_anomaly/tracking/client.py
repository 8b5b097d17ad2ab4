"""What everything else here asks of MLflow's client: ids, pages, numbers, a run of its own."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.files import parsed_json
from vae_anomaly.state import first_fault
from vae_anomaly.tracking.databases.moved import found_here, refuse_moved
from vae_anomaly.tracking.store import (
    artifact_root,
    displayed,
    is_server,
    session,
    store_folder,
    tracking_uri,
)
from vae_anomaly.version import __version__
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.entities import PagedList

TAG = "vae_anomaly."
"""Prefix of every tag that this package writes."""

STAGE_DIGEST = f"{TAG}stage_digest"
"""Tag of a version that is no detector but what verdicts have taught: the digest of that."""

ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's codes for a name, version or alias that is not there."""

METRICS_PER_CALL = 1000  # MLflow's limits
PARAMS_PER_CALL = 100
MAX_PARAM = 500  # characters that every store accepts
T = TypeVar("T")
logger = logging.getLogger(__name__)


def experiment_id(client: MlflowClient, store: str, name: str) -> str:
    """Return the id of an experiment, created with our artifact folder if it is new.

    Every run begins here, so a store that was moved is refused here before anything is written.
    """
    from mlflow.exceptions import MlflowException

    refuse_moved(store)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_root(store, name)))
        except MlflowException:  # another process was faster
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        raise ConfigError(
            f"The experiment {name!r} is deleted in {displayed(store)}. "
            "Restore it there or choose another --experiment."
        )
    return str(experiment.experiment_id)


def check_writable(
    uri: str | Path | None, experiments: Iterable[str], name: str | None = None
) -> None:
    """Refuse, before long work, a store that will not take its result.

    Of a server, experiments and registered name are made where they are new, and get a tag: who
    may not do that may not log runs or versions there either. A name that is new goes again, lest
    a training that fails leaves one without a version.

    Raises
    ------
    RegistryUnavailableError
        If the store does not answer, or was moved and not put right since.
    RegistryDeniedError
        If it does not let us in, or not write there.
    """
    store = tracking_uri(uri)
    refuse_moved(store)
    if store_folder(store) is not None:  # a folder is made when there is something to keep
        return
    with session(store) as client:
        if not is_server(store):
            return
        for experiment in experiments:
            made = experiment_id(client, store, experiment)
            client.set_experiment_tag(made, f"{TAG}package_version", __version__)
        if name is not None:
            _check_name_writable(client, name)


def _check_name_writable(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    is_new = ensure_name(client, name)
    client.set_registered_model_tag(name, f"{TAG}package_version", __version__)
    if is_new:
        with suppress(MlflowException):  # who may make it and not remove it keeps it
            client.delete_registered_model(name)


def ensure_name(client: MlflowClient, name: str) -> bool:
    """Make a registered name if it is new, and tell whether it was."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as err:
        if err.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def check_alias(alias: str) -> None:
    """Refuse an alias that MLflow would, or that it keeps for itself."""
    reserved = alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias)
    if reserved or not re.fullmatch(r"[\w-]{1,255}", alias, re.ASCII):
        raise ConfigError(
            "An alias has letters, digits, '_' and '-', and is not 'latest' or 'v' with a number; "
            f"got {alias!r}. Choose another --alias, such as champion."
        )


@contextmanager
def own_run(
    client: MlflowClient, store: str, experiment: str, name: str, tags: Mapping[str, object]
) -> Iterator[Run]:
    """Open a run for one thing that happened; it ends as failed if the block raises."""
    run = client.create_run(
        experiment_id(client, store, experiment),
        run_name=name,
        tags={key: str(value) for key, value in tags.items()},
    )
    try:
        yield run
    except Exception:
        client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED")


def close_runs(client: MlflowClient, run_ids: Iterable[str]) -> None:
    """Mark runs that broke off as failed."""
    from mlflow.exceptions import MlflowException

    for run_id in run_ids:
        try:
            client.set_terminated(run_id, "FAILED")
        except MlflowException as err:
            logger.warning("run %s could not be closed: %s", run_id, err)


def finished_runs(client: MlflowClient, experiment: str, tag: str, value: str) -> list[Run]:
    """Return the finished runs of an experiment with this tag, latest first."""
    stored = client.get_experiment_by_name(experiment)
    if stored is None:
        return []
    quoted = value.replace("'", "\\'")
    condition = f"tags.`{tag}` = '{quoted}' and attributes.status = 'FINISHED'"
    return all_pages(
        lambda token: client.search_runs(
            [stored.experiment_id],
            condition,
            page_token=token,
            order_by=["attributes.start_time DESC"],
        )
    )


def stored_file(client: MlflowClient, store: str, run: Run, file: str, scratch: str) -> str:
    """Return a path to a file of a run, fetched into ``scratch`` where it is not on this disk."""
    here = found_here(store, f"{run.info.artifact_uri}/{file}")
    return str(here or client.download_artifacts(run.info.run_id, file, scratch))


def log_metrics(client: MlflowClient, run_id: str, values: Mapping[str, float]) -> None:
    """Log finite values, as of now."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    log_numbers(
        client, run_id, [Metric(k, float(v), now, 0) for k, v in values.items() if math.isfinite(v)]
    )


def log_numbers(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[Metric] = (),
    params: Mapping[str, object] | None = None,
) -> None:
    """Log metrics and parameters in as few calls as MLflow allows."""
    from mlflow.entities import Param

    for start in range(0, len(metrics), METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL])
    texts = [Param(key, str(value)[:MAX_PARAM]) for key, value in (params or {}).items()]
    for start in range(0, len(texts), PARAMS_PER_CALL):
        client.log_batch(run_id, params=texts[start : start + PARAMS_PER_CALL])


def model_aliases(client: MlflowClient, name: str, store: str) -> dict[str, int]:
    """Return the aliases of a registered model; ModelRefusedError where there is no such model."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as err:
        if err.error_code not in ABSENT:
            raise
        models = client.search_registered_models(max_results=20)
        known = ", ".join(sorted(model.name for model in models))
        raise ModelRefusedError(
            f"There is no model {name!r} in {displayed(store)}; it holds {known or 'no model'}. "
            "Check the name and the store, or train one with `vae-anomaly train`."
        ) from None
    return {alias: int(version) for alias, version in sorted(model.aliases.items())}


def all_versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Return every version of a registered model."""
    quoted = name.replace("'", "''")
    return all_pages(
        lambda token: client.search_model_versions(f"name='{quoted}'", page_token=token)
    )


def all_pages(search: Callable[[str | None], PagedList[T]]) -> list[T]:
    """Collect what ``search(page_token)`` finds over all pages."""
    page = search(None)
    items = list(page)
    while page.token:
        page = search(page.token)
        items += page
    return items


def read_tag(kind: TypeAdapter[T], text: str, where: str) -> T:
    """Read a tag of ours that holds JSON.

    Raises
    ------
    ModelRefusedError
        If somebody has changed it to something else; ``where`` says which tag of what it is.
    """
    try:
        return kind.validate_python(parsed_json(text))
    except ValueError as err:
        reason = first_fault(err) if isinstance(err, ValidationError) else reason_of(err)
        raise ModelRefusedError(
            f"The tag {where} is not as it was written: {reason}. Remove the tag in MLflow, or "
            "give it its value again."
        ) from None


def as_time(milliseconds: int) -> datetime:
    """Read MLflow's time stamps."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
