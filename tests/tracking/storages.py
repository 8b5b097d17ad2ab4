"""One table written in many ways: CSV dialects, parquet typings, tables in memory."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

Cell = float | int | bool | str | pd.Timestamp | None
Row = tuple[Cell, ...]
NAMES = ("amount", "count", "online", "shop", "code", "at")
ARROW = pa.schema(
    [
        ("amount", pa.float64()),
        ("count", pa.int64()),
        ("online", pa.bool_()),
        ("shop", pa.string()),
        ("code", pa.string()),
        ("at", pa.timestamp("ns")),
    ]
)


def table_of(rows: list[Row]) -> pa.Table:
    """The table as Arrow holds it; every other storage is made of it."""
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(NAMES)}, schema=ARROW)


def plain(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def comma(cell: Cell) -> str:
    return plain(cell).replace(".", ",") if isinstance(cell, float) else plain(cell)


def thousands(cell: Cell) -> str:
    return f"{cell:,.2f}" if isinstance(cell, float) else plain(cell)


def text_of(table: pa.Table, write: Callable[[Cell], str] = plain, **dialect: object) -> str:
    out = io.StringIO()
    writer = csv.writer(out, **{"lineterminator": "\n", **dialect})
    writer.writerow(table.column_names)
    writer.writerows([[write(cell) for cell in row.values()] for row in table.to_pylist()])
    return out.getvalue()


def zipped(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", text)
    return out.getvalue()


def zstd(text: str) -> bytes:
    return pa.compress(text.encode(), codec="zstd", asbytes=True)


TEXTS: dict[str, Callable[[pa.Table], tuple[str, bytes]]] = {
    "comma": lambda t: (".csv", text_of(t).encode()),
    "semicolon": lambda t: (".csv", text_of(t, delimiter=";").encode()),
    "tab": lambda t: (".tsv", text_of(t, delimiter="\t").encode()),
    "bar": lambda t: (".txt", text_of(t, delimiter="|").encode()),
    "crlf": lambda t: (".csv", text_of(t, lineterminator="\r\n").encode()),
    "all cells quoted": lambda t: (".csv", text_of(t, quoting=csv.QUOTE_ALL).encode()),
    "byte order mark": lambda t: (".csv", b"\xef\xbb\xbf" + text_of(t).encode()),
    "utf-16": lambda t: (".csv", text_of(t).encode("utf-16")),
    "utf-16 without a mark": lambda t: (".csv", text_of(t).encode("utf-16-le")),
    "sep line": lambda t: (".csv", b"sep=;\n" + text_of(t, delimiter=";").encode()),
    "no last line end": lambda t: (".csv", text_of(t).rstrip("\n").encode()),
    "upper case name": lambda t: (".CSV", text_of(t).encode()),
    "gzip": lambda t: (".csv.gz", gzip.compress(text_of(t).encode())),
    "bzip2": lambda t: (".csv.bz2", bz2.compress(text_of(t).encode())),
    "zstandard": lambda t: (".csv.zst", zstd(text_of(t))),
    "zip": lambda t: (".csv.zip", zipped(text_of(t))),
}
OTHER_NUMBERS: dict[str, Callable[[pa.Table], tuple[str, bytes]]] = {
    "decimal comma": lambda t: (".csv", text_of(t, comma, delimiter=";").encode()),
    "thousands": lambda t: (".csv", text_of(t, thousands).encode()),
}


def cast(**types: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def retyped(table: pa.Table) -> pa.Table:
        for name, kind in types.items():
            place = table.column_names.index(name)
            table = table.set_column(place, name, table[name].cast(kind))
        return table

    return retyped


def in_zone(table: pa.Table) -> pa.Table:
    """The same instants, told in Berlin."""
    utc = table["at"].cast(pa.timestamp("us", "UTC"))
    return table.set_column(5, "at", utc.cast(pa.timestamp("us", "Europe/Berlin")))


PARQUETS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "as it is": lambda t: t,
    "small integers": cast(count=pa.int16(), online=pa.int8()),
    "integers as floats": cast(count=pa.float64(), online=pa.float64()),
    "decimal": cast(amount=pa.decimal128(18, 2)),
    "dictionaries": cast(
        shop=pa.dictionary(pa.int32(), pa.string()), code=pa.dictionary(pa.int8(), pa.string())
    ),
    "large text": cast(shop=pa.large_string(), code=pa.large_string()),
    "milliseconds": cast(at=pa.timestamp("ms")),
    "seconds in UTC": cast(at=pa.timestamp("s", "UTC")),
    "another zone": in_zone,
    "all text": lambda t: cast(**dict.fromkeys(NAMES, pa.string()))(t),
}


def records(table: pa.Table) -> list[dict[str, Cell]]:
    return table.to_pandas(types_mapper=nullable).astype(object).to_dict("records")


def nullable(kind: pa.DataType) -> object:
    return {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get(kind)


def zoned(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas()
    return frame.assign(at=frame["at"].dt.tz_localize(UTC).dt.tz_convert("Asia/Tokyo"))


IN_MEMORY: dict[str, Callable[[pa.Table], object]] = {
    "arrow": lambda t: t,
    "arrow in chunks": lambda t: pa.concat_tables([t.slice(0, 3), t.slice(3)]),
    "pandas": lambda t: t.to_pandas(),
    "pandas nullable": lambda t: t.to_pandas().convert_dtypes(),
    "pandas nullable integers": lambda t: t.to_pandas(types_mapper=nullable),
    "pandas on arrow": lambda t: t.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas objects": lambda t: t.to_pandas().astype(object),
    "pandas categories": lambda t: t.to_pandas().astype({"shop": "category", "code": "category"}),
    "pandas zoned": zoned,
    "polars": pl.from_arrow,
    "polars categories": lambda t: pl.from_arrow(t).with_columns(
        pl.col("shop").cast(pl.Categorical)
    ),
    "columns": lambda t: t.to_pandas().to_dict("list"),
    "records": records,
    "records, their keys turned": lambda t: [dict(reversed(row.items())) for row in records(t)],
}


def json_records(table: pa.Table) -> list[dict[str, object]]:
    """Rows as JSON has them: null where a cell is missing, times as ISO 8601 text."""
    return [
        {
            name: cell.isoformat() if isinstance(cell, pd.Timestamp) else cell
            for name, cell in row.items()
        }
        for row in table.to_pylist()
    ]


REQUESTS: dict[str, Callable[[pa.Table], dict[str, object]]] = {
    "dataframe_split": lambda t: {
        "dataframe_split": {
            "columns": list(NAMES), "data": [list(row.values()) for row in json_records(t)],
        }
    },
    "dataframe_records": lambda t: {"dataframe_records": json_records(t)},
    "inputs, columns": lambda t: {
        "inputs": {name: [row[name] for row in json_records(t)] for name in NAMES}
    },
    "inputs, records": lambda t: {"inputs": json_records(t)},
}  # fmt: skip


def write_text(table: pa.Table, name: str, folder: Path) -> Path:
    suffix, content = (TEXTS | OTHER_NUMBERS)[name](table)
    file = folder / f"{name}{suffix}"
    file.write_bytes(content)
    return file


def write_parquet(table: pa.Table, name: str, folder: Path) -> Path:
    file = folder / f"{name}.parquet"
    pq.write_table(PARQUETS[name](table), file)
    return file
