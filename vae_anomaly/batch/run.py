"""Score a night's images or a day's rows: once, whole, and again only what has changed.

A run locks its folder, cleans up after killed ones, scores what is not done, writes it down, and
judges the whole last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import filterfalse
from pathlib import Path
from typing import Any
from uuid import uuid4

from vae_anomaly.batch.asked import AskedFor, images_asked_for, tables_asked_for
from vae_anomaly.batch.drift.night import drift_of, fresh_keys
from vae_anomaly.batch.drift.summary_file import summary_of, write_summary
from vae_anomaly.batch.engines.choice import EngineName, engine_of, require_engine
from vae_anomaly.batch.engines.local import (
    graceful_termination,
    one_process,
)
from vae_anomaly.batch.engines.partition import Outcome
from vae_anomaly.batch.guard import check_limits, require_guard
from vae_anomaly.batch.histories import HistoryChain
from vae_anomaly.batch.learning.night import of_same_night, write_kept_night
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.learning.told import NightLearning
from vae_anomaly.batch.output.done import (
    drop_orphans,
    input_path_of,
    is_done_already,
    orphans,
    refuse_lost_and_double,
)
from vae_anomaly.batch.output.earlier import as_cut_before
from vae_anomaly.batch.output.holding import held
from vae_anomaly.batch.output.ledger import Ledger, LedgerRow, PartitionResult
from vae_anomaly.batch.output.manifest import (
    MANIFEST,
    build_manifest,
    write_manifest,
)
from vae_anomaly.batch.output.remote import OutputPlace, Uploads, output_place
from vae_anomaly.batch.output.written import LEDGER, refuse_links
from vae_anomaly.batch.plan import (
    DrawnFor,
    Options,
    Output,
    Partition,
    ScoringModel,
    Source,
)
from vae_anomaly.batch.repeated_ids import repeats_of_run
from vae_anomaly.batch.review.models import keep_models
from vae_anomaly.batch.runs.command import RunCommand, learn_told
from vae_anomaly.batch.summary import RunSummary, require_good
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.devices import check_workers, device_name
from vae_anomaly.errors import ConfigError
from vae_anomaly.files import reach, remove_file, remove_stale
from vae_anomaly.monitoring.checks import Limits
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.storage.copies import copies_dropped
from vae_anomaly.tracking.nights import LEARN_FILE

logger = logging.getLogger(__name__)


Finished = Callable[[RunSummary], None]


@copies_dropped()
def score_tables(
    model_ref: str | Path,
    input: Source,  # noqa: A002 - the word for it
    out: str | Path,
    *,
    id_column: str | None = None,
    batch_rows: int = 8192,
    max_bad_fraction: float = 0.05,
    workers: int = 1,
    engine: EngineName = "local",
    uri: str | Path | None = None,
    use_cached: bool = False,
    state: str | Path | None = None,
    group_by: str | None = None,
    learn: Sequence[str] | None = None,
    night: date | str | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    finished: Finished | None = None,
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
    engine : {"local", "ray", "spark"}
        Where the workers are: on this machine, or on those of a cluster, see docs/scaling.md.
    uri : str or Path, optional
        MLflow store of the model.
    use_cached : bool
        When the registry is away, take the verified local copy.
    state : str or Path, optional
        Of a model with entities: another folder's ``state/<key>.npz``, or that folder, to go on
        from. Default: what ``out`` holds, else the end of the model's training.
    group_by : str, optional
        Column, such as the shop, whose values are watched one by one: each against all others.
    learn : sequence of str, optional
        Columns of entities, such as the terminal, to learn by from reviewers; ``()`` to learn from
        the evidence alone. Of a registered model only. Parts have the columns ``p_combined``,
        ``probability`` and ``why``, and what verdicts may come on is kept in ``learn.parquet``.
    night : date or str, optional
        The night that the items belong to, where ``learn`` is given; by default today, or that of
        the run which this one goes on with.
    limits : Limits, optional
        What is an alarm; see `vae_anomaly.monitoring.checks`.
    progress : callable, optional
        Called as ``progress("rows", done, 0)`` and ``progress("partitions", done, total)``.
    finished : callable, optional
        Takes the summary when all is written, also of a run that then ends with an error: too many
        bad items, or parts that could not be scored.

    Raises
    ------
    SchemaError
        If a table's columns are not the model's; nothing is written.
    DataError
        If no file can be read, or its rows are older than the histories that they would go on
        from; nothing is written.
    ModelRefusedError
        If there is no such model, it is damaged, or is no model of tables.
    TooManyBadItemsError
        After everything is written: too many rows are bad, or some of the files, which the
        manifest lists under ``failed``.
    LockedError
        If another run writes to ``out``.
    StorageError
        If the disk is full; earlier output is intact.
    """
    options = Options(
        id_column=id_column, batch_rows=batch_rows, group_by=group_by,
        learn=LearnOptions.of(learn, night),
    )  # fmt: skip
    place = output_place(out)
    asked = tables_asked_for(
        model_ref, input, place.root, options, uri=uri, use_cached=use_cached, state=state
    )
    command = RunCommand.of("table", model_ref, input, uri, {
        "id_column": id_column, "batch_rows": batch_rows, "max_bad_fraction": max_bad_fraction,
        "workers": workers, "engine": engine, "use_cached": use_cached, "state": state,
        "group_by": group_by, **learn_told(options.learn), **asdict(limits or Limits()),
    }, asked.model.version)  # fmt: skip
    return _run(
        asked, place, max_bad_fraction, workers, progress, finished=finished, engine=engine,
        limits=limits, command=command,
    )  # fmt: skip


@copies_dropped()
def score_images(
    model_ref: str | Path,
    input: Source,  # noqa: A002 - the word for it
    out: str | Path,
    *,
    heatmaps: DrawnFor = "flagged",
    masks: DrawnFor = "flagged",
    images_per_partition: int = 1000,
    max_bad_fraction: float = 0.05,
    workers: int = 1,
    engine: EngineName = "local",
    device: str = "cpu",
    reading: ImageReading | None = None,
    uri: str | Path | None = None,
    use_cached: bool = False,
    follow_links: bool = False,
    learn: Sequence[str] | None = None,
    night: date | str | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    finished: Finished | None = None,
) -> RunSummary:
    """Score images, one output file for each folder of up to a thousand, or for small folders.

    All images of the input are scored, whatever its folders are called, except masks of a data set
    and what this package or the system itself has put there: that is counted.

    Parameters
    ----------
    model_ref : str or Path
        A model folder, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``; resolved once.
    input : folder, manifest, image, pattern, or list of these
    out : str or Path
        Output folder, as for `score_tables`, with ``heatmaps/<key>/<name>.png`` and
        ``masks/<key>/<name>.png``: 255 where the image is too hot, 0 elsewhere, at its own size.
    heatmaps, masks : {"flagged", "all", "none"}
        Which images get one.
    images_per_partition : int
        Images in one output file.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where networks compute. Up to 8 workers may share a GPU: they prepare images for it. With
        "cuda" they take turns at all the GPUs there are.
    reading : ImageReading, optional
        How large files may be, and what is white in these images.
    follow_links : bool
        Follow links that lead out of a folder.
    learn, night
        As for `score_tables`; a column is "folder" or one of the manifest.
    max_bad_fraction, workers, engine, uri, use_cached, limits, progress
        As for `score_tables`; progress is called as ``progress("images", done, total)``.
    finished : callable, optional
        As for `score_tables`.

    Raises
    ------
    DataError, ModelRefusedError, TooManyBadItemsError, LockedError, StorageError
        As for `score_tables`.
    ConfigError
        If there is no such device here, too many workers would share a GPU, or a conditional
        model does not know where files tell their condition.
    """
    options = Options(
        heatmaps=heatmaps, masks=masks, images_per_partition=images_per_partition,
        reading=reading or ImageReading(), learn=LearnOptions.of(learn, night),
    )  # fmt: skip
    computes_on = device_name(device)
    check_workers(computes_on, workers)
    place = output_place(out)
    asked = images_asked_for(
        model_ref, input, place.root, options, device=computes_on, uri=uri, use_cached=use_cached,
        follow_links=follow_links, alone=workers == 1,
    )  # fmt: skip
    command = RunCommand.of("images", model_ref, input, uri, {
        "heatmaps": heatmaps, "masks": masks, "images_per_partition": images_per_partition,
        "max_bad_fraction": max_bad_fraction, "workers": workers, "engine": engine,
        "device": device, "use_cached": use_cached, "follow_links": follow_links,
        **learn_told(options.learn),
        **asdict(options.reading), **asdict(limits or Limits()),
    }, asked.model.version)  # fmt: skip
    return _run(
        asked, place, max_bad_fraction, workers, progress, finished=finished, engine=engine,
        limits=limits, command=command,
    )  # fmt: skip


# ------------------------------------------------------------------ one run


def _run(
    asked: AskedFor,
    place: OutputPlace,
    max_bad_fraction: float,
    workers: int,
    progress: Progress | None,
    finished: Finished | None = None,
    engine: EngineName = "local",
    limits: Limits | None = None,
    *,
    command: RunCommand,
) -> RunSummary:
    """Do what is not done yet, write it down, and judge the whole.

    With a chain each partition goes on from the one before, so one process does them all.
    """
    check_limits(max_bad_fraction, workers)
    require_engine(engine)
    plan, model, chain = asked.plan, asked.model, asked.chain
    if chain is not None and engine != "local":
        raise ConfigError(
            f"A model with entities scores one file after the other, each from the histories of "
            f"the one before: the engine {engine} has nothing to share out. Leave --engine out."
        )
    workers = min(workers, len(plan))
    if workers > 1 and engine == "local":
        require_guard(workers)
    start, root = time.perf_counter(), place.root
    output = Output(str(root), asked.options, run=uuid4().hex[:12])
    job = _Job(model, output, workers, progress or null_progress, chain, engine, limits or Limits())
    with (
        graceful_termination(),
        held(root, output.run),
        place.opened(output.run) as uploads,
        Ledger(root / LEDGER) as ledger,
    ):
        output = of_same_night(output, plan, model, ledger.rows(), ledger.runs())
        job = replace(job, output=output)
        plan = as_cut_before(plan, ledger.rows(), model, output)
        todo = _prepare(plan, ledger, job)
        command = command.of_night(output.options.learn)
        ledger.begin_run(output.run, command.written(), partitions=len(plan), todo=len(todo))
        uploads.begin(ledger)
        job.log("started", partitions=len(plan), skipped=len(plan) - len(todo))
        failed = _work(todo, ledger, job, uploads)
        drop_orphans(plan, ledger, root)
        rows = ledger.rows()
        repeats = repeats_of_run(plan, todo, rows, ledger, root)
        ledger.record_night(partition.key for partition in plan)
        models = keep_models(root, model, rows.values(), root / MANIFEST)
        nights = ledger.nights()
        manifest = build_manifest(
            rows.values(), failed, asked.left_out, nights, models, max_bad_fraction, repeats
        )
        ledger.end_run(output.run)
        write_manifest(root, manifest)
        uploads.commit(manifest, ledger)
        done = [rows[partition.key] for partition in plan if partition.key in rows]
        summary = RunSummary.of(
            done, model, root, skipped=len(plan) - len(todo), seconds=time.perf_counter() - start,
            left_out=asked.left_out, plan=tuple(plan), repeated_ids=repeats,
        )  # fmt: skip
        summary = _watched(summary, manifest, job, len(failed))
        summary = _learned(summary, manifest, job, ledger)
    job.log("finished", rows_in=summary.rows_in, flagged=summary.flagged,
            quarantined=summary.quarantined)  # fmt: skip
    if finished is not None:
        finished(summary)
    place.put_beside()
    require_good(summary, failed, max_bad_fraction)
    return summary


def _watched(
    summary: RunSummary, manifest: Mapping[str, Any], job: _Job, failed: int
) -> RunSummary:
    """Tell what has moved since the training, and write the summary of the night."""
    limits = job.limits
    if limits.max_quarantine_rate is None:
        limits = replace(limits, max_quarantine_rate=float(manifest["max_bad_fraction"]))
    fresh, past = _new_to_it(manifest["nights"], {part.key for part in summary.plan})
    drift = drift_of(summary.out, manifest, fresh, limits, past)
    kind = summary.plan[0].kind
    told = summary_of(
        summary, drift, summary.out, kind=kind, failed=failed, false_alarms=limits.false_alarms
    )
    write_summary(told, summary.out)
    return replace(summary, alarms=drift.alarms, moved=drift.moved)


def _learned(
    summary: RunSummary, manifest: Mapping[str, Any], job: _Job, ledger: Ledger
) -> RunSummary:
    """Put together what the night has kept to learn from, and tell by what it is ranked."""
    options = job.output.options.learn
    fresh, _ = _new_to_it(manifest["nights"], {part.key for part in summary.plan})
    kept = write_kept_night(summary.out, ledger.rows(), fresh, ledger.runs(), options)
    return replace(summary, learning=NightLearning.of(options, kept))


def _new_to_it(nights: list[list[str]], planned: set[str]) -> tuple[set[str], set[str]]:
    """Return which parts of a night no earlier one had, and those of earlier nights."""
    *_, (fresh, past) = fresh_keys(nights) if nights else ((list[str](), set[str]()),)
    return (set(fresh), past) if planned.issuperset(fresh) else (planned, set())


@dataclass(frozen=True)
class _Job:
    """What all steps of a run share."""

    model: ScoringModel
    output: Output
    workers: int
    progress: Progress
    chain: HistoryChain | None = None
    engine: EngineName = "local"
    limits: Limits = field(default_factory=Limits)

    def log(self, event: str, partition: str = "", **counts: int) -> None:
        """Write one line to the log: what happened and how many, never what was in a row."""
        text = " ".join(f"{name}={value}" for name, value in counts.items())
        extra: dict[str, object] = {"event": event, "run": self.output.run, "counts": counts}
        if partition:
            extra["partition"] = partition
        logger.info("%s %s %s", event, partition or "run", text, extra=extra)


def _prepare(plan: list[Partition], ledger: Ledger, job: _Job) -> list[Partition]:
    """Clean up after killed runs and strike out what is no longer true; return what is to do."""
    root = Path(job.output.root)
    stale = remove_stale(root)
    if stale:
        job.log("removed", temporary_files=stale)
    reach("stale-removed")
    rows = ledger.rows()
    refuse_links(root, {*rows, *(partition.key for partition in plan)})
    leaving = orphans(plan, rows, job.output.root)  # refuses another input, changes nothing
    refuse_lost_and_double(plan, rows, leaving, job.output.root)

    def is_done(partition: Partition) -> bool:
        return is_done_already(partition, rows, job.model, job.output)

    todo = job.chain.todo(plan, rows, is_done) if job.chain else list(filterfalse(is_done, plan))
    if todo:
        remove_file(root / LEARN_FILE)  # of another night, until this one is done
    changed = [partition.key for partition in todo if partition.key in rows]
    if changed:
        (root / MANIFEST).unlink(missing_ok=True)
        reach("manifest-withdrawn")
    for key in changed:
        ledger.forget(key)
    return todo


def _work(todo: list[Partition], ledger: Ledger, job: _Job, uploads: Uploads) -> dict[str, str]:
    """Score partitions and write each down when it is in place; return those that failed."""
    failed: dict[str, str] = {}
    for done, (partition, outcome) in enumerate(_engine(todo, ledger, job), start=1):
        if isinstance(outcome, PartitionResult):
            ledger.record(_ledger_row(partition, outcome, job))
            uploads.put_partition(outcome.files, ledger)
            job.log("scored", partition.key, rows_in=outcome.rows_in, flagged=outcome.rows_flagged,
                    quarantined=outcome.rows_quarantined)  # fmt: skip
        else:
            failed[partition.key] = outcome
            job.log("failed", partition.key)
        job.progress("partitions", done, len(todo))
    return failed


def _engine(
    todo: list[Partition], ledger: Ledger, job: _Job
) -> Iterator[tuple[Partition, Outcome]]:
    chain = job.chain
    if chain is not None:
        return one_process(todo, job.model, job.output, job.progress,
                           lambda partition: chain.start_of(partition, ledger.rows()))  # fmt: skip
    if not todo or (job.workers == 1 and job.engine == "local"):
        return one_process(todo, job.model, job.output, job.progress)
    return engine_of(job.engine)(todo, job.model, job.output, job.workers)


def _ledger_row(partition: Partition, result: PartitionResult, job: _Job) -> LedgerRow:
    return LedgerRow(
        **vars(result),
        kind=partition.kind,
        folder=partition.folder,
        input_path=input_path_of(partition),
        input_bytes=partition.size_bytes,
        output_sha256=result.files[result.output],
        model_version=job.model.version,
        model_digest=job.model.digest,
        threshold=job.model.threshold,
        config_sha256=job.output.options.digest(),
        folders=dict(partition.folders) if len(partition.folders) > 1 else {},
    )
