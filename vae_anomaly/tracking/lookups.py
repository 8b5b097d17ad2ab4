"""The few questions to the registry that everything else here asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.tracking.store import artifact_root, displayed

TAG = "vae_anomaly."
"""Prefix of every tag that this package writes."""

ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's codes for a name, version or alias that is not there."""


def experiment_id(client: Any, store: str, name: str) -> str:
    """Return the id of an experiment, created with our artifact folder if it is new."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_root(store, name)))
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise ConfigError(
            f"The experiment {name!r} is deleted in {displayed(store)}. "
            "Restore it there or choose another --experiment."
        )
    return str(found.experiment_id)


def model_aliases(client: Any, name: str, store: str) -> dict[str, int]:
    """Return the aliases of a registered model; ModelRefusedError where there is no such model."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as err:
        if err.error_code not in ABSENT:
            raise
        found = client.search_registered_models(max_results=20)
        known = ", ".join(sorted(model.name for model in found))
        raise ModelRefusedError(
            f"There is no model {name!r} in {displayed(store)}; it holds {known or 'no model'}. "
            "Check the name and the store, or train one with `vae-anomaly train`."
        ) from None
    return {alias: int(version) for alias, version in sorted(model.aliases.items())}


def all_versions(client: Any, name: str) -> list[Any]:
    """Return every version of a registered model."""
    quoted = name.replace("'", "''")
    return all_pages(
        lambda token: client.search_model_versions(f"name='{quoted}'", page_token=token)
    )


def all_pages(search: Any) -> list[Any]:
    """Collect what ``search(page_token)`` finds over all pages."""
    found = search(None)
    items = list(found)
    while found.token:
        found = search(found.token)
        items += found
    return items


def as_time(milliseconds: int) -> datetime:
    """Read MLflow's time stamps."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
