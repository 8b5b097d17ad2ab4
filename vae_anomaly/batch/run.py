"""Score a night's pictures or a day's rows: once, whole, and again only what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vae_anomaly.batch.histories import HistoryChain, refuse_state
from vae_anomaly.batch.job import RunSummary, run_plan
from vae_anomaly.batch.plan import Partition, plan_images, plan_tables
from vae_anomaly.batch.settings import Options, ScoringModel, Which, loaded_detector
from vae_anomaly.batch.tables import check_table
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.devices import check_workers, device_name
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.persistence import read_model
from vae_anomaly.progress import Progress
from vae_anomaly.tracking import ResolvedModel, resolve

Source = str | Path | Sequence[str | Path]


def score_tables(
    model_ref: str | Path,
    input: Source,  # noqa: A002 - the word for it
    out: str | Path,
    *,
    id_column: str | None = None,
    batch_rows: int = 8192,
    max_bad_fraction: float = 0.05,
    workers: int = 1,
    uri: str | Path | None = None,
    use_cached: bool = False,
    state: str | Path | None = None,
    progress: Progress | None = None,
) -> RunSummary:
    """Score table files, one output file for each.

    Of a model with entities, the files are taken in the order of time, each goes on from the
    histories before it, and leaves ``state/<key>.npz`` for the next; see
    `vae_anomaly.batch.histories`.

    Parameters
    ----------
    model_ref : str or Path
        A model folder, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``; resolved once.
    input : path, glob, folder, or list of these
        CSV or parquet files.
    out : str or Path
        Output folder: ``part-<key>.parquet`` for each file, ``quarantine/``, ``ledger.sqlite`` and,
        last, ``manifest.json``. What is done there and unchanged is not done again.
    id_column : str, optional
        Column that names a row. Default: the model's, else file name and row number.
    batch_rows : int
        Rows in memory at a time.
    max_bad_fraction : float
        Largest share of rows in quarantine, in [0, 1], that is still a success.
    workers : int
        Processes; each loads the model.
    uri : str or Path, optional
        MLflow store of the model.
    use_cached : bool
        When the registry is away, take the verified local copy.
    state : str or Path, optional
        Of a model with entities: another folder's ``state/<key>.npz``, or that folder, to go on
        from. Default: what ``out`` holds, else the end of the model's training.
    progress : callable, optional
        Called as ``progress("rows", done, 0)`` and ``progress("partitions", done, total)``.

    Returns
    -------
    summary : RunSummary

    Raises
    ------
    SchemaError
        If a table's columns are not the model's; nothing is written.
    DataError
        If a file cannot be read; the others are scored first. If its rows are older than the
        histories that they would go on from; nothing is written.
    ModelRefusedError
        If there is no such model, it is damaged, or is no model of tables.
    TooManyBadItemsError
        After everything is written.
    LockedError
        If another run writes to ``out``.
    StorageError
        If the disk is full; earlier output is intact.
    """
    options = Options(id_column=id_column, batch_rows=batch_rows)
    model = _pinned(resolve(model_ref, uri, use_cached=use_cached), "tabular")
    plan = plan_tables(input)
    detector = loaded_detector(model)
    assert detector.kind == "tabular"  # noqa: S101 - pinned to it
    for partition in plan:
        check_table(partition, detector, id_column)
    chain = _chain(plan, detector.entities_, Path(out), state)
    return run_plan(plan, model, out, options, max_bad_fraction, workers, progress, chain)


def score_images(
    model_ref: str | Path,
    input: Source,  # noqa: A002 - the word for it
    out: str | Path,
    *,
    heatmaps: Which = "flagged",
    masks: Which = "flagged",
    images_per_partition: int = 1000,
    max_bad_fraction: float = 0.05,
    workers: int = 1,
    device: str = "cpu",
    uri: str | Path | None = None,
    use_cached: bool = False,
    progress: Progress | None = None,
) -> RunSummary:
    """Score pictures, one output file for each folder of up to a thousand.

    Parameters
    ----------
    model_ref : str or Path
        A model folder, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``; resolved once.
    input : folder, manifest, picture, or list of pictures
    out : str or Path
        Output folder, as for `score_tables`, with ``heatmaps/<key>/<name>.png`` and
        ``masks/<key>/<name>.png``: 255 where the picture is too hot, 0 elsewhere, at its own size.
    heatmaps, masks : {"flagged", "all", "none"}
        Which pictures get one.
    images_per_partition : int
        Pictures in one output file.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where networks compute. Up to 8 workers may share a GPU: they prepare pictures for it. With
        "cuda" they take turns at all the GPUs there are.
    max_bad_fraction, workers, uri, use_cached, progress
        As for `score_tables`; progress is called as ``progress("images", done, total)``.

    Returns
    -------
    summary : RunSummary

    Raises
    ------
    DataError, ModelRefusedError, TooManyBadItemsError, LockedError, StorageError
        As for `score_tables`.
    ConfigError
        If there is no such device here, or too many workers would share a GPU.
    """
    options = Options(heatmaps=heatmaps, masks=masks, images_per_partition=images_per_partition)
    place = device_name(device)
    check_workers(place, workers)
    model = _pinned(resolve(model_ref, uri, use_cached=use_cached), "image")
    model = replace(model, device=place)
    detector = loaded_detector(model)
    assert detector.kind == "image"  # noqa: S101 - pinned to it
    plan = plan_images(input, per_partition=images_per_partition, condition=detector.condition)
    return run_plan(plan, model, out, options, max_bad_fraction, workers, progress)


def _chain(
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


def _pinned(found: ResolvedModel, kind: str) -> ScoringModel:
    """Take the resolved version as the one model of this run, if it is of the right kind."""
    if found.kind != kind:
        thing, other = ("tables", "pictures") if kind == "tabular" else ("pictures", "tables")
        raise ModelRefusedError(
            f"{found.ref} is a model of {other} (kind {found.kind!r}); {thing} were to be scored. "
            f"Give a model of {thing}, or use the other `score` command."
        )
    threshold = read_model(found.path).threshold or {}
    return ScoringModel(
        str(found.path), found.digest, found.kind, found.label, float(threshold["value"])
    )
