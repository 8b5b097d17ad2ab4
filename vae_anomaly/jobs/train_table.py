"""Train on the normal rows of tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vae_anomaly.data.tables.entity_histories import EntityColumns
from vae_anomaly.data.tables.families import listed_columns
from vae_anomaly.data.tables.files import doubtful_header, list_partitions
from vae_anomaly.data.tables.generated import SYNTHETIC, is_marked, synthetic_rows, synthetic_words
from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors import TabularVAEDetector
from vae_anomaly.errors import DataError, NotEnoughDataError, SchemaError
from vae_anomaly.jobs.baselines import keep_table_baseline
from vae_anomaly.jobs.confirmed import ConfirmedAnomalies, ConfirmedRows, keep_confirmed
from vae_anomaly.jobs.label_warnings import label_warnings
from vae_anomaly.jobs.report.training_card import keep_table_card, labelled_evaluation
from vae_anomaly.jobs.said_once import collapse_said_once, left_out_is_reported
from vae_anomaly.jobs.training_report import (
    Destination,
    Reading,
    TrainingReport,
    finish,
    shown_table,
)
from vae_anomaly.jobs.training_rows import (
    AS_INFERRED,
    ROWS_TO_INFER,
    SAMPLE_ROWS,
    TableColumns,
    TrainingHistories,
    TrainingRows,
    read_training_rows,
)
from vae_anomaly.metrics import RankingCurve, is_flagged
from vae_anomaly.names import typed
from vae_anomaly.progress import Progress
from vae_anomaly.reports.facts.training import EvaluationFacts
from vae_anomaly.reports.figures import evaluation_figures
from vae_anomaly.words import names_of, number_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)


def train_table_job(
    detector: TabularVAEDetector,
    source: str | Path | Sequence[str | Path],
    destination: Destination,
    columns: TableColumns = AS_INFERRED,
    *,
    sample_rows: int = SAMPLE_ROWS,
    entities: EntityColumns | None = None,
    leave_out: ConfirmedAnomalies | None = None,
    hold_back: Callable[[TrainingRows], TrainingRows] | None = None,
    progress: Progress | None = None,
) -> TrainingReport:
    """Train a detector on the normal rows of tables, save and register it.

    The tables may be longer than memory: of more than ``sample_rows`` rows a uniform sample is
    held, and schema, fit and calibration see that alone. Rows labelled as anomalies are left out
    of training; with the held-out normals they measure the ranking. A row without a label counts
    as normal.

    Parameters
    ----------
    detector : TabularVAEDetector
        With its parameters, not fitted; it gets the schema and is fitted here.
    source : path, folder, glob, or list of these
    columns : TableColumns
        What is known of the columns; the rest is inferred.
    sample_rows : int
        Most rows held in memory; a shorter table is used whole. The random state draws them.
    entities : EntityColumns, optional
        Columns of entities (card, customer, machine), time and amount. Each row then gets features
        that are relative to its entity's own past; the histories are saved with the model.
    leave_out : ConfirmedAnomalies, optional
        Rows that reviewers confirmed as anomalies: left out by their ids, counted and named.
    hold_back : callable, optional
        Told the rows, returns those that are trained on.

    Raises
    ------
    DataError
        If the tables cannot be used; the message names file, column or row.
    NotEnoughDataError
        If there are fewer than 10 normal rows.
    ConfigError
        If an option names no column, or the destination cannot be used.
    RegistryUnavailableError
        If the store does not answer.
    """
    started = time.perf_counter()
    destination.check()
    files, columns = list_partitions(source), columns.completed()
    histories = _histories(files, columns, entities)
    confirmed = ConfirmedRows(leave_out, source, columns.id_column) if leave_out else None
    rows = read_training_rows(
        files, columns, sample_rows=sample_rows, seed=detector.random_state,
        histories=histories, confirmed=confirmed, progress=progress,
    )  # fmt: skip
    out = confirmed.left_out(rows.confirmed) if confirmed else None
    rows = rows if hold_back is None else hold_back(rows)
    normal, notes = _normal_rows(rows, columns)
    schema = _schema_of_rows(normal, rows, columns, histories)
    _require_features(schema)
    destination.check_store()
    named = normal if columns.id_column is None else normal.set_index(columns.id_column, drop=False)
    with collapse_said_once(), left_out_is_reported():
        detector.set_params(schema=schema).fit(named, groups=columns.groups, progress=progress)
    detector.entities_ = histories.histories if histories else None
    keep_table_baseline(detector, normal)
    _note_sample(detector, rows)
    keep_confirmed(detector, out)
    figures, evaluation = _measure_ranking(detector, rows)
    doubt = doubtful_header(files[0])
    notes += () if doubt is None else (doubt,)
    notes += (histories.notes if histories else ()) + _notes(normal, schema)
    notes += out.notes() if out else ()
    warnings = label_warnings(schema, normal, columns) + _of_many_anomalies(rows, columns)
    warnings += out.warnings() if out else ()
    n_read = histories.n_read if histories else rows.n_read
    reading = Reading(
        source=shown_table(n_read, normal.shape[1], files),
        n_read=n_read,
        n_left_out=rows.n_anomalous,
        n_confirmed=len(rows.confirmed),
        n_confirmed_elsewhere=out.n_elsewhere if out else 0,
        notes=notes + _sample_notes(detector, rows),
        warnings=warnings,
    )
    if destination.report:
        n_groups = 0 if columns.groups is None else normal[columns.groups].nunique(dropna=False)
        keep_table_card(
            detector, normal, reading,
            n_normals=rows.n_normal, n_groups=n_groups, evaluation=evaluation,
        )  # fmt: skip
    return finish(detector, reading, destination, started, detector.schema_.columns, figures)


def schema_of_tables(
    source: str | Path | Sequence[str | Path],
    columns: TableColumns = AS_INFERRED,
    *,
    entities: EntityColumns | None = None,
    progress: Progress | None = None,
) -> Schema:
    """Infer the schema of tables as `train_table_job` does: of their normal rows.

    Parameters and errors are those of the job; of a long table a uniform sample is looked at.
    """
    files, columns = list_partitions(source), columns.completed()
    histories = _histories(files, columns, entities)
    rows = read_training_rows(files, columns, seed=0, histories=histories, progress=progress)
    normal, _ = _normal_rows(rows, columns)
    if doubt := doubtful_header(files[0]):
        logger.warning(doubt)
    return _schema_of_rows(normal, rows, columns, histories)


def _histories(
    files: Sequence[Path], columns: TableColumns, entities: EntityColumns | None
) -> TrainingHistories | None:
    """Return histories to fill, where entities are named; times are read as the columns say."""
    entities = columns.with_times(entities)
    return TrainingHistories(files, columns.of_entities(entities)) if entities else None


def _schema_of_rows(
    normal: pd.DataFrame,
    rows: TrainingRows,
    columns: TableColumns,
    histories: TrainingHistories | None,
) -> Schema:
    """Infer the schema of rows as they were read, with the entities' features where there are."""
    if histories is None:
        return schema_of_training(normal, columns, anomalous=rows.anomalous)
    own = histories.histories
    return schema_of_training(normal, columns, own.columns.entities, rows.anomalous, own.names)


def infer_schema_of(
    frame: pd.DataFrame, columns: TableColumns, known: Sequence[Column] = ()
) -> Schema:
    """Infer the schema of a table, or fit a given one to what was declared beside it.

    ``known`` are columns of which it is certain what they are, unless the given schema says else.

    Of a long table, rows at equal distances are looked at. Kinds and notes of a given schema
    stand, unless `TableColumns.kinds` says otherwise.

    Raises
    ------
    ConfigError
        If an option names no column or no kind.
    SchemaError
        If the given schema lists a column that the table does not have.
    """
    declared = () if columns.schema is None else columns.schema.columns
    lost = [column.name for column in declared if column.name not in frame.columns]
    if lost:
        raise SchemaError(
            f"The schema lists {names_of(map(repr, lost), 10)}, which the table does not have. "
            "Correct the schema, or make one from this table with `vae-anomaly data schema`."
        )
    every = -(-len(frame) // ROWS_TO_INFER) or 1
    return Schema.infer(
        frame.iloc[::every],
        overrides=columns.kinds,
        said=[*known, *declared],
        time_formats=columns.time_formats,
        label=columns.label,
        id_column=columns.id_column,
        number_formats=columns.number_formats,
        missing=columns.missing,
    )


def read_schema(file: str | Path) -> Schema:
    """Read a schema that a person has edited.

    Raises
    ------
    SchemaError
        If it cannot be read or is no schema; names every mistake.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as err:
        raise SchemaError(
            f"The schema {file} cannot be read: {getattr(err, 'strerror', None) or err}. "
            f"Make one with `vae-anomaly data schema PATH --out {typed(file)}`."
        ) from None
    return Schema.from_json(text)


def real_rows(frame: pd.DataFrame, columns: TableColumns) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out generated rows and their mark, unless the column was declared as data."""
    known = () if columns.schema is None else columns.schema.features
    if not is_marked(frame, {*(column.name for column in known), *columns.kinds}):
        return frame, ()
    generated = synthetic_rows(frame)
    real = frame[~generated].drop(columns=SYNTHETIC)
    return real, (synthetic_words(int(generated.sum()), len(generated)),) if generated.any() else ()


def schema_of_training(
    normal: pd.DataFrame,
    columns: TableColumns,
    entities: Sequence[str] = (),
    anomalous: pd.DataFrame | None = None,
    relative: Sequence[str] = (),
) -> Schema:
    """Infer a schema in which groups and entities are no features, unless they were declared.

    ``relative`` features, of rows beside their entity's past, are numbers whatever they look like.
    Labelled anomalies, where there are, tell which columns repeat the label: these are left out.
    """
    label = columns.label if columns.label in normal.columns else None  # or in a file of its own
    named = dict.fromkeys([*filter(None, [columns.groups]), *entities], "identifier")
    columns = replace(columns, label=label, kinds={**named, **columns.kinds})
    schema = infer_schema_of(normal, columns, [_relative(name) for name in relative])
    if anomalous is None or anomalous.empty:
        return schema
    known = pd.concat([normal, anomalous], ignore_index=True)
    is_anomaly = np.arange(len(known)) >= len(normal)
    return schema.without_copies(known, is_anomaly, columns.declared)


def _relative(name: str) -> Column:
    return Column(
        name=name, kind=ColumnKind.NUMERIC, note="a row beside its entity's past", stored="number"
    )


def _normal_rows(rows: TrainingRows, columns: TableColumns) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the normal rows that were not generated, at least one, and a note on the others."""
    normal, notes = real_rows(rows.normal, columns)
    if normal.empty and rows.n_anomalous:
        raise NotEnoughDataError(
            f"No normal row is left: {columns.label} labels all of {number_of(rows.n_read, 'row')} "
            "as anomalies. Check the labels; 1 is an anomaly."
        )
    if normal.empty:
        why = "; ".join(["the tables hold no row" if not rows.n_read else "", *notes]).strip("; ")
        raise NotEnoughDataError(f"No row is left to train on: {why}. Give more tables.")
    return normal, notes


def _require_features(schema: Schema) -> None:
    """Refuse a table of which nothing is left for the model, and say why for each column."""
    if not schema.features:
        why = "; ".join(f"{c.name!r} is {c.kind.value} ({c.note})" for c in schema.columns)
        raise DataError(
            f"No column is left for the model to learn from: {why or 'there is none'}. Give a "
            "column another kind with --kind COLUMN=KIND, or train on a table with more columns."
        )


def _note_sample(detector: TabularVAEDetector, rows: TrainingRows) -> None:
    """Let the model say how many rows it stands for, and which data they are."""
    if rows.fingerprint is None:
        return
    detector.fingerprint_ = rows.fingerprint
    detector.metrics_ = detector.metrics_ | {
        "rows": float(rows.n_normal),
        "sampled_rows": float(len(rows.normal)),
    }


def _sample_notes(detector: TabularVAEDetector, rows: TrainingRows) -> tuple[str, ...]:
    """Say of a long table how little of it was held."""
    if not rows.is_sample:
        return ()
    names = ("fit_rows", "memory_rows", "remembered_rows", "held_out_rows")
    fit, in_memory, behind, held_out = (int(detector.metrics_[name]) for name in names)
    return (
        f"a uniform sample of {len(rows.normal):,} of {number_of(rows.n_normal, 'normal row')} was "
        f"kept in memory (--sample-rows); of these {fit:,} trained the networks, the model "
        f"compares with {in_memory:,} that stand for {behind:,}, and {held_out:,} others "
        "calibrated it",
    )


def _measure_ranking(
    detector: TabularVAEDetector, rows: TrainingRows
) -> tuple[dict[str, Figure], EvaluationFacts | None]:
    """Rank labelled anomalies among held-out normals; add the metrics and return what is drawn.

    Who was drawn stands for all of its kind, so it weighs as many as it represents.
    """
    fine = [fault is None for fault in detector.schema_.bad_rows(rows.anomalous)]
    usable = rows.anomalous[np.array(fine, dtype=bool)]
    if usable.empty:
        return {}, None
    normal_scores = detector.calibration_.reference_scores()
    scores = np.concatenate([normal_scores, detector.anomaly_score(usable)])
    labels = np.repeat([False, True], [normal_scores.size, len(usable)])
    stands_for = rows.n_anomalous / len(rows.anomalous)
    weights = np.where(labels, stands_for, rows.n_normal / normal_scores.size)
    curve = RankingCurve.of(labels, scores, weights)
    bound = detector.threshold_.value
    detector.metrics_ = detector.metrics_ | {
        "auroc": float(curve.auroc()),
        "average_precision": float(curve.average_precision()),
        "recall_at_threshold": float(np.mean(is_flagged(scores[labels], bound))),
        "labelled_anomalies": float(round(stands_for * len(usable))),
    }
    facts = labelled_evaluation(scores, labels, weights, bound, detector.metrics_)
    return evaluation_figures(scores, labels, bound), facts


def _of_many_anomalies(rows: TrainingRows, columns: TableColumns) -> tuple[str, ...]:
    """Say where most rows are labelled as anomalies, as they are if a label says what is fine."""
    if rows.n_anomalous <= rows.n_normal:
        return ()
    share = rows.n_anomalous / (rows.n_anomalous + rows.n_normal)
    return (
        f"{share:.0%} of the rows are labelled as anomalies by {columns.label!r} and left out; 1 "
        "is an anomaly, 0 is normal. If it is the other way round, the model has learned the wrong "
        "side",
    )


def _notes(frame: pd.DataFrame, schema: Schema) -> tuple[str, ...]:
    """Name what carries nothing, or nothing certain."""
    constant = [column.name for column in schema.features if _is_constant(frame, column)]
    notes = [column.doubt for column in schema.columns if column.doubt]
    notes += _of_constants(constant)
    notes += _unread_parts(schema)
    ignored = [c.name for c in schema.columns if c not in schema.features]
    if ignored:
        notes.append(f"not read by the model: {listed_columns(ignored)}")
    return tuple(notes)


def _of_constants(names: Sequence[str]) -> list[str]:
    if len(names) < 2:
        return [f"column {name!r} holds one value only: another value is strange" for name in names]
    return [
        f"columns that hold one value only, where another value is strange: {listed_columns(names)}"
    ]


def _unread_parts(schema: Schema) -> list[str]:
    """Name the timestamps of which a model does not read all, and why."""
    return [
        f"column {column.name!r} is read without its {' and '.join(unread)} ({column.note})"
        for column in schema.features
        if column.parts is not None
        and column.time_format != "time_of_day"
        and (unread := [part for part in ("hour", "weekday") if part not in column.parts])
    ]


def _is_constant(frame: pd.DataFrame, column: Column) -> bool:
    values: pd.Series = frame[column.name]
    return bool(values.eq(values.iloc[0]).all())
