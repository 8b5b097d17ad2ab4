"""What a person has said of columns: what they are, and how their cells are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.errors import ConfigError, did_you_mean
from vae_anomaly.words import names_of, reason_of


def declared_columns(
    overrides: Mapping[str, str],
    said: Sequence[Column],
    names: Sequence[str],
    number_formats: Mapping[str, str],
) -> dict[str, Column]:
    """Check overrides: every column exists, every kind exists; put them over what was said."""
    kinds = [kind.value for kind in ColumnKind]
    declared = {column.name: column for column in said}
    for name, form in number_formats.items():
        refuse_unknown("number_formats", name, names)
        declared[name] = _with_format(declared.get(name), name, form)
    for name, kind in overrides.items():
        refuse_unknown("a kind (--kind, --ignore, --groups)", name, names)
        if kind not in kinds:
            raise ConfigError(
                f"Kind {kind!r} of column {name!r} does not exist{did_you_mean(str(kind), kinds)}. "
                f"Kinds: {', '.join(kinds)}."
            )
        declared[name] = as_kind(declared.get(name), name, ColumnKind(kind))
    return declared


def with_times(
    said: Sequence[Column], time_formats: Mapping[str, str], names: Sequence[str]
) -> list[Column]:
    """Return what was said of columns, with how times are written, which makes them timestamps."""
    columns = {column.name: column for column in said}
    for name, form in time_formats.items():
        refuse_unknown("time_formats", name, names)
        try:
            known = cells.check_time_format(form)
        except ValueError as err:
            raise ConfigError(f"Column {name!r}: {reason_of(err)}.") from None
        column = columns.get(name, Column(name=name, kind=ColumnKind.TIMESTAMP))
        told = {"kind": ColumnKind.TIMESTAMP, "time_format": known}
        columns[name] = column.model_copy(update=told)
    return [*columns.values()]


def as_kind(said: Column | None, name: str, kind: ColumnKind) -> Column:
    """Give a column another kind; how its times and numbers are written stands."""
    if said is None:
        return Column(name=name, kind=kind)
    return Column(
        name=name,
        kind=kind,
        time_format=said.time_format,
        parts=said.parts,
        number_format=said.number_format,
        missing=said.missing,
    )


def _with_format(said: Column | None, name: str, form: str) -> Column:
    """Say how a column writes its numbers, which makes it numeric."""
    try:
        known = str(cells.NumberFormat.parse(form))
    except ValueError as err:
        raise ConfigError(f"The number format of column {name!r}: {reason_of(err)}.") from None
    words = () if said is None else said.missing
    return Column(name=name, kind=ColumnKind.NUMERIC, number_format=known, missing=words)


def missing_words(
    missing: Mapping[str, Sequence[str]], names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the words of every column, those of all columns included."""
    for name in missing:
        refuse_unknown("missing", name or None, names)
    everywhere = missing.get("", ())
    return {name: (*everywhere, *missing.get(name, ())) for name in names}


def refuse_unknown(role: str, name: str | None, names: Sequence[str]) -> None:
    """Refuse a column that the table does not have; the ConfigError names who asked for it."""
    if name is not None and name not in names:
        raise ConfigError(
            f"{role} names column {name!r}, which the table does not "
            f"have{did_you_mean(name, names)}. Columns: {names_of(names, 20)}."
        )
