"""Check tables: unreadable cells, columns that say nothing, too much, or the label itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.data.doctor.numbers import sentinels, unclear_numbers
from vae_anomaly.data.doctor.report import Finding, Report, Severity, finding, sorted_findings
from vae_anomaly.data.doctor.times import time_findings
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.files import doubtful_header, list_partitions
from vae_anomaly.data.tables.kinds import (
    FEATURE_KINDS,
    ID_NAME,
    Column,
    ColumnKind,
    likeliest_label,
)
from vae_anomaly.data.tables.labels import read_labels
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import DataError
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.words import number_of

FEW_ROWS, TOO_FEW_ROWS = 1000, 50
MANY_MISSING: Final = 0.5
MANY_CATEGORIES: Final = 1000
LEAK_AUROC: Final = 0.99


def check_table_files(
    source: object,
    *,
    label: str | None = None,
    progress: Progress | None = None,
    number_formats: Mapping[str, str] | None = None,
    time_formats: Mapping[str, str] | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Read table files one by one, report those that cannot be read, and check the rest.

    Parameters
    ----------
    source : path, folder, glob or list of these
    label : str, optional
        The column that says which rows are anomalous.
    progress : callable, optional
    number_formats, time_formats, missing : mapping, optional
        How cells are written, as `Schema.infer` takes it.

    Returns
    -------
    Report
        Codes of `check_table`, and: unreadable_files, differing_columns, doubtful_header.

    Raises
    ------
    DataError
        If there is no table, or none can be read.
    """
    tell = progress or null_progress
    files = list_partitions(source)
    frames: list[pd.DataFrame] = []
    read: list[Path] = []
    faults: list[str] = []
    for done, file in enumerate(files, start=1):
        try:
            frames.append(read_table(file, as_text=number_formats or ()))
            read.append(file)
        except DataError as err:
            faults.append(str(err))
        tell("read tables", done, len(files))
    if not frames:
        several = f"None of {len(files)} tables can be read. The first: "
        raise DataError(f"{several if len(files) > 1 else ''}{faults[0]}")
    findings = [*_unreadable_files(faults, len(files)), *_differing_columns(read, frames)]
    findings += _doubtful_headers(read)
    table = pd.concat(frames, ignore_index=True)
    report = check_table(
        table, label=label, number_formats=number_formats, time_formats=time_formats,
        missing=missing,
    )  # fmt: skip
    summary = {"files": len(files), **report.summary}
    return Report(str(source), "table", summary, sorted_findings([*findings, *report.findings]))


def check_table(
    frame: pd.DataFrame,
    *,
    label: str | None = None,
    number_formats: Mapping[str, str] | None = None,
    time_formats: Mapping[str, str] | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Report what in a table would spoil a detector.

    Parameters
    ----------
    frame : DataFrame of shape (N, D)
    label : str, optional
        The column that says which rows are anomalous.
    number_formats, time_formats, missing : mapping, optional
        How cells are written, as `Schema.infer` takes it.

    Returns
    -------
    Report
        Codes: few_rows, unreadable_cells, mixed_types, unclear_numbers, sentinels, constant,
        all_missing, many_missing, identifiers, persons, elapsed_time, possible_clock,
        ambiguous_dates, placeholder_dates, repeated_ids, duplicate_rows, many_categories,
        label_like, label_named, label_leak, label_values.

    Raises
    ------
    ConfigError
        If the label names no column.
    DataError
        If two columns have one name.
    """
    schema = Schema.infer(
        frame, label=label, number_formats=number_formats, time_formats=time_formats,
        missing=missing,
    )  # fmt: skip
    findings = [
        *_few_rows(frame),
        *_unreadable_cells(schema, frame),
        *unclear_numbers(schema, frame),
        *sentinels(schema, frame),
        *_constant(schema, frame),
        *_missing(schema, frame),
        *_identifiers(schema),
        *_persons(schema),
        *time_findings(schema, frame),
        *_repeated_ids(schema, frame),
        *_duplicate_rows(schema, frame),
        *_many_categories(schema, frame),
        *_label_like(schema, frame),
        *_label_leaks(schema, frame),
    ]
    summary = {
        "rows": len(frame),
        "columns": {column.name: column.kind.value for column in schema.columns},
        "missing_share": {
            column.name: round(share, 4)
            for column in schema.features
            if (share := _missing_share(frame[column.name])) > 0
        },
    }
    return Report("table", "table", summary, sorted_findings(findings))


def _unreadable_files(faults: list[str], total: int) -> Iterator[Finding]:
    if faults:
        yield finding(
            Severity.ERROR,
            "unreadable_files",
            f"Files that cannot be read: {len(faults)} of {total}.",
            "Write them again, or leave them out.",
            faults,
        )


def _differing_columns(files: list[Path], frames: list[pd.DataFrame]) -> Iterator[Finding]:
    """Report files whose columns are not those of the first."""
    first = set(frames[0].columns)
    other = [
        f"{file.name}: {', '.join(map(str, sorted(first ^ set(frame.columns), key=str)))}"
        for file, frame in zip(files, frames, strict=True)
        if first != set(frame.columns)
    ]
    if other:
        yield finding(
            Severity.ERROR,
            "differing_columns",
            f"Files with other columns than {files[0].name}: {len(other)} of {len(files)}.",
            "Write all files with the same columns.",
            other,
        )


def _doubtful_headers(files: list[Path]) -> Iterator[Finding]:
    """Report files whose first line looks like a row."""
    doubts = [doubt for file in files if (doubt := doubtful_header(file))]
    if doubts:
        yield finding(
            Severity.WARNING,
            "doubtful_header",
            f"Files whose first line looks like a row: {len(doubts)} of {len(files)}.",
            "If they have no header, write the names of the columns in a line above the rows.",
            doubts,
        )


def _few_rows(frame: pd.DataFrame) -> Iterator[Finding]:
    if len(frame) < FEW_ROWS:
        yield finding(
            Severity.ERROR if len(frame) < TOO_FEW_ROWS else Severity.WARNING,
            "few_rows",
            f"Rows: {len(frame)}; false-alarm rates below 1 in {len(frame) + 1} cannot be measured "
            "with them.",
            f"Collect at least {FEW_ROWS} rows of normal operation.",
        )


def _unreadable_cells(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report rows that a batch would put in quarantine."""
    bad = schema.bad_rows(frame).set_axis(range(1, len(frame) + 1)).dropna()
    if len(bad):
        codes = bad.map(lambda fault: fault[0]).value_counts()
        shown = ", ".join(f"{count} {code}" for code, count in codes.items())
        yield finding(
            Severity.ERROR,
            "unreadable_cells",
            f"Rows with cells that cannot be read: {len(bad)} of {len(frame)} ({shown}).",
            "Correct them at the source, or give `train table` what stands for an empty cell: "
            "--missing Infinity, or COLUMN=WORD. Empty cells are fine.",
            [f"row {row}: {fault[1]}" for row, fault in bad.items()],
        )


def _constant(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    names = [
        column.name for column in schema.features if len(frame[column.name].dropna().unique()) == 1
    ]
    if names:
        yield finding(
            Severity.WARNING,
            "constant",
            f"Columns that never change: {len(names)}. Any other value will be an alarm by itself.",
            "Keep those of which that is right; declare the others ignored.",
            names,
        )


def _missing(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report columns with nothing or little in them."""
    shares = {column.name: _missing_share(frame[column.name]) for column in schema.columns}
    empty = [name for name, share in shares.items() if share == 1]
    sparse = [f"{name}: {share:.1%}" for name, share in shares.items() if MANY_MISSING < share < 1]
    if empty:
        yield finding(
            Severity.WARNING,
            "all_missing",
            f"Columns without any value, which are ignored: {len(empty)}.",
            "Check the export, or drop them.",
            empty,
        )
    if sparse:
        yield finding(
            Severity.INFO,
            "many_missing",
            f"Columns of which more than half of the cells are missing: {len(sparse)}.",
            "Nothing, if they are missing for a reason: that they are missing is learned.",
            sparse,
        )


def _missing_share(series: pd.Series) -> float:
    """Return the share of cells that are empty, blank text included."""
    if series.empty:
        return 0.0
    if cells.storage_of(series) != "text":
        return float(series.isna().mean())
    return float(pd.isna(cells.read_text(series)).mean())


def _identifiers(schema: Schema) -> Iterator[Finding]:
    names = [
        f"{c.name}: {c.note}"
        for c in schema.columns
        if c.kind is ColumnKind.IDENTIFIER and c.role not in {"person", "place"}
    ]
    if names:
        yield finding(
            Severity.INFO,
            "identifiers",
            f"Columns taken for identifiers, which are no features: {len(names)}.",
            "Declare them numeric or categorical if they mean something to a model.",
            names,
        )


def _repeated_ids(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report columns that number the rows but for a few repetitions."""
    repeated = []
    for column in schema.columns:
        if column.kind is ColumnKind.IDENTIFIER and ID_NAME.search(column.name):
            distinct = frame[column.name].nunique()
            present = int(frame[column.name].notna().sum())
            if 0.9 * present < distinct < present:
                repeated.append(f"{column.name}: {present - distinct} repetitions")
    if repeated:
        yield finding(
            Severity.WARNING,
            "repeated_ids",
            "Identifiers that should be unique repeat.",
            "Look whether days overlap or an export ran twice.",
            repeated,
        )


def _duplicate_rows(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report rows that are the same in every column, identifiers included."""
    hashable = frame[[c.name for c in schema.columns if c.note != "nested or binary values"]]
    copies = _copies(hashable)
    if copies:
        share = copies / len(frame)
        yield finding(
            Severity.WARNING if share > 0.01 else Severity.INFO,
            "duplicate_rows",
            f"Rows that repeat an earlier row exactly: {copies} of {len(frame)} ({share:.1%}).",
            "Drop the copies, unless equal rows are different events; copies on both sides of a "
            "split flatter the figures.",
        )


def _copies(frame: pd.DataFrame) -> int:
    """Count the rows that are the same as an earlier one."""
    if frame.shape[1] == 0:
        return 0
    try:
        return int(frame.duplicated().sum())
    except TypeError:  # cells of types that cannot be hashed together
        return int(frame.astype(str).duplicated().sum())


def _many_categories(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    names = [
        f"{column.name}: {number_of(count, 'value')}"
        for column in schema.features
        if column.kind is ColumnKind.CATEGORICAL
        and (count := frame[column.name].nunique()) > MANY_CATEGORIES
    ]
    if names:
        yield finding(
            Severity.INFO,
            "many_categories",
            f"Categorical columns with more than {MANY_CATEGORIES} values: {len(names)}.",
            "Rare values are treated together; add a coarser column if there is one.",
            names,
        )


def _label_like(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report columns that hold the answer, by their values or at least by their name."""
    suspects = [column for column in schema.columns if column.role == "label"]
    left_out = [c for c in suspects if c.kind is ColumnKind.IGNORED]
    doubtful = [c.name for c in suspects if c.kind is not ColumnKind.IGNORED]
    if left_out:
        likely = likeliest_label(left_out, {c.name: frame[c.name] for c in left_out})
        yield finding(
            Severity.WARNING,
            "label_like",
            f"Columns that look like the label, which training leaves out: {len(left_out)}.",
            (
                f"Name the label with --labels {shlex.quote(likely.name)}: else anomalies count as "
                "normal in training. "
                if schema.label is None
                else ""
            )
            + "Keep one that is no label with --kind NAME=boolean.",
            [f"{column.name}: {column.note}" for column in left_out],
        )
    if doubtful:
        yield finding(
            Severity.WARNING,
            "label_named",
            f"Columns that may be a label, and would be features: {len(doubtful)}.",
            "Name the label with --labels, and leave the others out with --ignore, or state what "
            "they are with --kind.",
            doubtful,
        )


def _persons(schema: Schema) -> Iterator[Finding]:
    """Report columns that say who or where, which a model learns by heart and cannot use."""
    names = [
        f"{column.name}: {column.note}"
        for column in schema.columns
        if column.role in {"person", "place"} and column.kind not in FEATURE_KINDS
    ]
    if names:
        yield finding(
            Severity.INFO,
            "persons",
            f"Columns that say who it was or where someone lives, which are no features: "
            f"{len(names)}.",
            "Nothing. Keep one with --kind NAME=categorical if its values come back; compare a "
            "customer or card with its own past with --entity.",
            names,
        )


def _label_leaks(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report columns that alone tell anomalous from normal."""
    if schema.label is None:
        return
    try:
        labels = read_labels(frame[schema.label])[0]
    except DataError as err:
        message, _, remedy = str(err).rpartition(". ")
        yield finding(Severity.ERROR, "label_values", f"{message}.", remedy)
        return
    known = ~np.isnan(labels)
    if not (0 < np.nansum(labels) < known.sum()):
        yield finding(
            Severity.WARNING,
            "label_values",
            f"The label {schema.label!r} does not have both 0 and 1.",
            "Write 1 for anomalous and 0 for normal.",
        )
        return
    leaks = []
    for column in schema.columns:
        is_left_out = column.kind not in FEATURE_KINDS
        if is_left_out and column.role != "label":
            continue
        auroc = _separation(column, frame[column.name][known], labels[known])
        if auroc > LEAK_AUROC:
            leaks.append(f"{column.name}: AUROC {auroc:.4f}" + ", left out" * is_left_out)
    if leaks:
        yield finding(
            Severity.WARNING,
            "label_leak",
            f"Columns that alone tell anomalous rows from normal ones: {len(leaks)}.",
            "Ask whether they are known before the event; if not, declare them ignored.",
            leaks,
        )


def _separation(column: Column, series: pd.Series, labels: Floats) -> float:
    """Return how well one column alone separates, by half of the rows judged on the other half."""
    values = _ranked(column, series, labels == 1)
    fit = np.arange(len(labels)) % 2 == 0
    return max(_held_out_auroc(values, labels, half) for half in (fit, ~fit))


def _ranked(column: Column, series: pd.Series, anomalous: Bools) -> Ints:
    """Return the number of each cell's category or, for numbers, of its interval."""
    if column.kind in {ColumnKind.CATEGORICAL, ColumnKind.IGNORED}:
        return pd.factorize(pd.Series(cells.read_text(series), dtype=object))[0].astype(np.int64)
    if column.kind is ColumnKind.TIMESTAMP:
        times = cells.read_times(series)[0]
        numbers = np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))
    else:
        numbers = column.numbers_in(series)
        if column.kind is ColumnKind.BOOLEAN:
            numbers = cells.read_booleans(series)[0]
    if np.isnan(numbers).all():
        return np.full(len(numbers), -1, dtype=np.int64)
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, 51)))
    if not np.isnan(numbers[anomalous]).all():
        inner = np.nanquantile(numbers[anomalous], np.linspace(0, 1, 21))
        edges = np.union1d(edges, np.concatenate([inner, [np.nextafter(inner[0], -np.inf)]]))
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers)).astype(np.int64)


def _held_out_auroc(
    values: Ints,
    labels: Floats,
    fit: Bools,
) -> float:
    """Score each value by its share of anomalies in one half, and judge on the other half."""
    if len(np.unique(labels[~fit])) < 2 or len(np.unique(labels[fit])) < 2:
        return 0.5
    rates = pd.Series(labels[fit]).groupby(values[fit]).mean()
    scores = pd.Series(values[~fit]).map(rates).fillna(float(labels[fit].mean()))
    return float(roc_auc_score(labels[~fit], scores))
