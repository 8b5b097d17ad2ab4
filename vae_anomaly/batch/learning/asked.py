"""Look up the second stage that a run ranks by, once, before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.plan import Options, Partition
from vae_anomaly.errors import ConfigError, SchemaError, did_you_mean
from vae_anomaly.tracking import ResolvedModel
from vae_anomaly.tracking.learned import resolve_stage


def with_stage(
    options: Options, model: ResolvedModel, uri: str | Path | None, *, use_cached: bool
) -> Options:
    """Return the options with the second stage in force, where a run is to learn.

    Raises
    ------
    ConfigError
        If the model is none of the registry, with which verdicts are kept.
    """
    learn = options.learn
    if learn is None:
        return options
    if model.name is None:
        raise ConfigError(
            f"Verdicts are kept with a registered model, and {model.ref} is a folder. Train with "
            "--name NAME and --alias champion, then score models:/NAME@champion."
        )
    stage = resolve_stage(model.name, uri, use_cached=use_cached)
    if stage is None:
        return options
    pinned = replace(learn, stage=str(stage.path), stage_digest=stage.digest)
    return replace(options, learn=pinned)


def require_entities(
    learn: LearnOptions, plan: Sequence[Partition], known: Collection[str]
) -> None:
    """Refuse columns that no image has: a SchemaError that names the nearest of the known ones."""
    for number, column in enumerate(learn.columns):
        if not any(file.entities[number] for part in plan for file in part.files):
            raise SchemaError(
                f"No image tells its {column!r}{did_you_mean(column, known)}, to learn by. "
                f"Give a manifest with the columns path and {column}, or --learn folder; "
                "or leave it out: what was learned of the evidence still counts."
            )
