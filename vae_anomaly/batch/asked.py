"""What a run is asked for, before a folder is touched: the one model, the plan, where it begins."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from vae_anomaly.batch.histories import HistoryChain, refuse_state
from vae_anomaly.batch.learning.asked import require_entities, with_stage
from vae_anomaly.batch.plan import (
    Options,
    Partition,
    ScoringModel,
    Source,
    loaded_detector,
    plan_images,
    plan_tables,
)
from vae_anomaly.batch.tables import check_plan
from vae_anomaly.data.images.folders import IMAGE_SUFFIXES, LeftOutImages, scan_images, tell_skipped
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.data.tables.files.suffixes import TABLE_SUFFIXES
from vae_anomaly.detectors.judged import require_told_conditions
from vae_anomaly.errors import ModelRefusedError, StorageError
from vae_anomaly.persistence import read_model
from vae_anomaly.storage.later import fetched_later
from vae_anomaly.tracking import ResolvedModel, resolve

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AskedFor:
    """What would be scored, and with what.

    Parameters
    ----------
    plan : list of Partition
    model : ScoringModel
    options : Options
    chain : HistoryChain, optional
        Of a model with entities.
    left_out : tuple of LeftOutImages
        Images below the input that are none of parts.
    """

    plan: list[Partition]
    model: ScoringModel
    options: Options
    chain: HistoryChain | None = None
    left_out: tuple[LeftOutImages, ...] = ()


def tables_asked_for(
    model_ref: str | Path,
    source: Source,
    out: Path,
    options: Options,
    *,
    uri: str | Path | None = None,
    use_cached: bool = False,
    state: str | Path | None = None,
) -> AskedFor:
    """Return what `score_tables` would score; raises what that raises before it writes."""
    resolved = resolve(model_ref, uri, use_cached=use_cached)
    model = pinned(resolved, "tabular")
    options = with_stage(options, resolved, uri, use_cached=use_cached)
    plan = _planned(source)
    detector = loaded_detector(model)
    assert detector.kind == "tabular"  # noqa: S101 - pinned to it
    learn_by = () if options.learn is None else options.learn.columns
    check_plan(plan, detector, options.id_column, options.group_by, learn_by)
    return AskedFor(plan, model, options, chain_of(plan, detector.entities_, out, state))


def _planned(source: Source) -> list[Partition]:
    """Plan tables; those of a store for which there is no room at once are fetched one by one.

    Each is then fetched twice: its first rows are looked at before any is scored.
    """
    try:
        return plan_tables(source)
    except StorageError as err:
        logger.info("tables are fetched when their turn comes: %s", err)
        return tables_in(source)


def tables_in(source: Source) -> list[Partition]:
    """Return the partitions of some tables as `score_tables` calls them; none is fetched."""
    with fetched_later(TABLE_SUFFIXES, alone=True):
        return plan_tables(source)


def images_asked_for(
    model_ref: str | Path,
    source: Source,
    out: Path,
    options: Options,
    *,
    device: str = "cpu",
    uri: str | Path | None = None,
    use_cached: bool = False,
    follow_links: bool = False,
    alone: bool = True,
) -> AskedFor:
    """Return what `score_images` would score; raises what that raises before it writes.

    ``alone`` where one process reads the images.
    """
    resolved = resolve(model_ref, uri, use_cached=use_cached)
    model = replace(pinned(resolved, "image"), device=device)
    options = with_stage(options, resolved, uri, use_cached=use_cached)
    detector = loaded_detector(model)
    assert detector.kind == "image"  # noqa: S101 - pinned to it
    with fetched_later(IMAGE_SUFFIXES, alone=alone):
        listing = scan_images(source, out=out, follow_links=follow_links)
    tell_skipped(listing)
    plan = plan_images(
        listing,
        per_partition=options.images_per_partition,
        condition=detector.condition,
        entities=() if options.learn is None else options.learn.columns,
    )
    require_told_conditions(detector, [file.condition for part in plan for file in part.files])
    if options.learn is not None:
        known = {name for item in listing.items for name in item.columns}
        require_entities(options.learn, plan, known - {"path"})
    return AskedFor(plan, model, options, left_out=listing.left_out)


def images_in(source: Source, out: Path, *, follow_links: bool = False) -> list[Partition]:
    """Return the partitions of some images as `score_images` calls them; no model is asked."""
    with fetched_later(IMAGE_SUFFIXES, alone=True):
        return plan_images(scan_images(source, out=out, follow_links=follow_links))


def chain_of(
    plan: list[Partition],
    entities: EntityHistories | None,
    out: Path,
    state: str | Path | None,
) -> HistoryChain | None:
    """Return how histories go from file to file; None for a model that has none."""
    if entities is not None:
        return HistoryChain.of(plan, entities, out, state)
    if state is not None:
        refuse_state(state)
    return None


def pinned(resolved: ResolvedModel, kind: str) -> ScoringModel:
    """Take the resolved version as the one model of this run, if it is of the right kind."""
    if resolved.kind != kind:
        thing, other = ("tables", "images") if kind == "tabular" else ("images", "tables")
        raise ModelRefusedError(
            f"{resolved.ref} is a model of {other} (kind {resolved.kind!r}); {thing} were to be "
            f"scored. Give a model of {thing}, or use the other `score` command."
        )
    threshold = read_model(resolved.path).threshold or {}
    bound = float(threshold["value"])
    return ScoringModel(str(resolved.path), resolved.digest, kind, resolved.label, bound)
