"""How `same_scores.py` compares files: what may differ, what does, and by how much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load as load_tensors

TEXT: Final = {".txt", ".json", ".jsonl", ".csv"}
# Words that the redesign changes. Where a text differs, both sides are read with these words
# changed, and the line says so; numbers are never touched, and neither are saved models.
RENAMED: Final = {
    "a picture": "an image",
    "A picture": "An image",
    "picture": "image",
    "Picture": "Image",
    "PICTURE": "IMAGE",
    "heat map": "heatmap",
    "Heat map": "Heatmap",
    '"heat":': '"heatmap":',
    '"scored":': '"score_map":',
}
# What may differ, by name, and why.
LEFT_OUT: Final = {
    "ledger.sqlite": "holds times and durations of a run",
    "ledger.sqlite-wal": "as the ledger",
    "ledger.sqlite-shm": "as the ledger",
}
# What is put in the place of what may differ in a text, and why.
BLANKED: Final = (
    (rb'"package_version": "[^"]*"', b'"package_version": ""', "a new version may say the same"),
    (rb'"seconds": [0-9.e+-]+', b'"seconds": 0', "durations"),
    (rb"\bin [0-9.,]+ (s|min)\b", b"in time", "durations in words"),
    (rb"/[^ \"']*/same-scores-[a-z0-9_]+/", b"", "the folder in which the configuration ran"),
    (rb'(?<=\.jsonl": )"[0-9a-f]{64}"', b'""', "digest of a text with that folder"),
)


# ---------------------------------------------------------------------- comparing


def files_of(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by their relative names, less what may differ."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in LEFT_OUT)
    return {in_new_words(path.relative_to(folder).as_posix()): path for path in sorted(found)}


def compare(old: Path, new: Path) -> tuple[list[str], list[str]]:
    """Return what differs between the files of a configuration, and which were renamed."""
    differs, renamed = [], []
    ours, theirs = files_of(old), files_of(new)
    if not ours or not theirs:
        return [f"missing on the {'new' if ours else 'old'} side"], []
    for name in sorted({*ours, *theirs}):
        if name == "FAILED.txt":
            sides = [side for side, files in (("old", ours), ("new", theirs)) if name in files]
            text = (theirs if name in theirs else ours)[name].read_text().strip().splitlines()[-1]
            differs.append(f"failed ({' and '.join(sides)}: {text[:200]})")
        elif name not in ours or name not in theirs:
            differs.append(f"{name} ({'new' if name in theirs else 'old'} side only)")
        elif read(ours[name]) != read(theirs[name]):
            if same_words(ours[name], theirs[name]):
                renamed.append(name)
            else:
                differs.append(f"{name} ({difference(ours[name], theirs[name])})")
    return differs, renamed


def read(path: Path) -> bytes:
    """Return the bytes of a file, less what `BLANKED` says."""
    content = path.read_bytes()
    if path.name == "SHA256SUMS":  # the header is compared itself, less its version
        return b"\n".join(line for line in content.splitlines() if b"detector.json" not in line)
    if path.suffix in TEXT:
        for pattern, instead, _ in BLANKED:
            content = re.sub(pattern, instead, content)
    return content


def in_new_words(text: str) -> str:
    for word, other in RENAMED.items():
        text = text.replace(word, other)
    return text


def same_words(old: Path, new: Path) -> bool:
    """Tell whether two texts or tables are the same but for `RENAMED`; models are never asked."""
    if old.parent.name == "model":
        return False
    if old.suffix in TEXT:
        return meaning(old) == meaning(new)
    if old.suffix == ".parquet":
        one, other = (in_new_words(repr(cells(path))) for path in (old, new))
        return one == other
    return False


def meaning(path: Path) -> Any:
    """Return a text in the new words, as a document or without its alignment."""
    text = in_new_words(read(path).decode())
    if path.suffix == ".json":
        document = json.loads(text)
        if path.name == "manifest.json":  # the files whose digests it holds are compared themselves
            for partition in document["partitions"]:
                partition["files"] = sorted(partition["files"])
                del partition["output_sha256"]
        return document
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return re.sub(r"[-─━]{3,}", "", text).split()


def cells(path: Path) -> list[tuple[str, str, list[Any]]]:
    """Return name, type and exact values of each column of a parquet file."""
    table = pq.read_table(path)
    columns = zip(table.column_names, table.columns, strict=True)
    return [
        (name, str(column.type), [exact(value) for value in column.to_pylist()])
        for name, column in columns
    ]


def exact(value: Any) -> Any:
    return value.hex() if isinstance(value, float) else value


# ---------------------------------------------------------------------- saying what differs


def difference(old: Path, new: Path) -> str:
    """Say in a few words how two files differ."""
    if old.suffix == ".npy":
        return arrays_differ(np.load(old), np.load(new))
    if old.suffix == ".safetensors":
        ours, theirs = load_tensors(old.read_bytes()), load_tensors(new.read_bytes())
        return few(list(named_differences(ours, theirs)))
    if old.suffix == ".parquet":
        return few(list(named_differences(*(columns_of(path) for path in (old, new)))))
    if old.suffix == ".json" and old.parent.name == "model":
        return few(list(json_differences(json.loads(read(old)), json.loads(read(new)), "")))
    if old.suffix == ".json":
        return few(list(json_differences(meaning(old), meaning(new), "")))
    if old.suffix in TEXT:
        return lines_differ(*(in_new_words(read(path).decode()) for path in (old, new)))
    return f"{old.stat().st_size} and {new.stat().st_size} bytes"


def arrays_differ(one: Any, other: Any) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype}{list(one.shape)} -> {other.dtype}{list(other.shape)}"
    if one.dtype.kind not in "fiub":
        return f"{int((one != other).sum())} of {one.size} differ"
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return f"max |diff| {np.nanmax(apart, initial=0.0):.3g}"


def same_array(one: Any, other: Any) -> bool:
    if one.dtype == object:
        return list(one) == list(other)
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def columns_of(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def named_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """Say which arrays of two dictionaries differ, and by how much."""
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in ours or name not in theirs:
            yield f"{name}: {'new' if name in theirs else 'old'} side only"
        elif not same_array(ours[name], theirs[name]):
            yield f"{name}: {arrays_differ(ours[name], theirs[name])}"
    if list(ours) != list(theirs):
        yield "other order"


def json_differences(one: Any, other: Any, at: str) -> Iterator[str]:
    """Yield each place where two documents differ; floats are there as hexadecimal text."""
    if is_column(one) and is_column(other):
        if one != other:
            yield f"{at}: {columns_differ(one, other)}"
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                yield f"{at}/{key}: {'new' if key in other else 'old'} side only"
            else:
                yield from json_differences(one[key], other[key], f"{at}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from json_differences(a, b, f"{at}[{number}]")
    elif one != other:
        yield f"{at}: {readable(one)} -> {readable(other)}"


def is_column(value: Any) -> bool:
    return isinstance(value, dict) and {"dtype", "values"} <= value.keys()


def columns_differ(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Say how two columns or arrays differ that were written as text."""
    pairs = list(zip(one["values"], other["values"], strict=False))
    if one["dtype"] != other["dtype"] or len(one["values"]) != len(other["values"]):
        return f"{one['dtype']}[{len(one['values'])}] -> {other['dtype']}[{len(other['values'])}]"
    unlike = [(a, b) for a, b in pairs if a != b]
    try:
        apart = max(abs(float.fromhex(a) - float.fromhex(b)) for a, b in unlike)
    except (TypeError, ValueError):
        return (
            f"{len(unlike)} of {len(pairs)}, {readable(unlike[0][0])} -> {readable(unlike[0][1])}"
        )
    return f"max |diff| {apart:.3g} in {len(unlike)} of {len(pairs)}"


def readable(value: Any) -> str:
    if isinstance(value, str) and value.lstrip("-").startswith("0x"):
        return repr(float.fromhex(value))
    return repr(value)[:60]


def lines_differ(one: str, other: str) -> str:
    pairs = zip(one.splitlines(), other.splitlines(), strict=False)
    first = next(((a, b) for a, b in pairs if a != b), ("", "other length"))
    return f"{first[0][:70]!r} -> {first[1][:70]!r}"


def few(said: list[str], most: int = 3) -> str:
    more = f"; and {len(said) - most} more" if len(said) > most else ""
    return "; ".join(said[:most]) + more or "order or form of the file"
