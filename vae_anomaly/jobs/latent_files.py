"""Latent space to files: a grid of pictures as PNG, rows and latents as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats32
from vae_anomaly.data.images.folders import IMAGE_SUFFIXES, ImageItem, list_images
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.generated import mark_generated
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import ConfigError, DataError, ImageError
from vae_anomaly.evaluation.histories import with_past
from vae_anomaly.evaluation.inspection import find_rows
from vae_anomaly.files import replace_file
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.reports.grids import picture_grid, write_grid

TABLES: Final = (".parquet", ".pq", ".csv")
BLOCK_ROWS: Final = 8_192
BLOCK_PICTURES: Final = 32
Mode = Literal["linear", "spherical"]


@dataclass(frozen=True)
class Written:
    """A file that was written.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Rows and columns of a table; width and height in pixels of a picture.
    items : int
        Items in it.
    left_out : dict of str to int
        Items that could not be read, by reason.
    latents : tuple of int
        Latents that were moved.
    """

    path: Path
    shape: tuple[int, int]
    items: int
    left_out: dict[str, int] = field(default_factory=dict)
    latents: tuple[int, ...] = ()


def write_embedding(
    detector: Any, source: Any, out: str | Path, progress: Progress | None = None
) -> Written:
    """Write one row an item: its id and its latents z0, z1, ..., float32.

    Parameters
    ----------
    detector : TabularVAEDetector or ImageVAEDetector
    source : pictures or tables, as for scoring
        A row is named by the model's id column, else ``FILE#ROW``, counted from 1.
    out : path ending in .parquet, .pq or .csv
    progress : callable, optional

    Returns
    -------
    written : Written
        Items that cannot be read are left out and counted.

    Raises
    ------
    DataError
        If nothing can be read, or the input is not what the model takes.
    ConfigError
        If ``out`` is no table.
    """
    target, tell = _table(out), progress or null_progress
    embed = _embed_rows if detector.kind == "tabular" else _embed_pictures
    ids, latents, total = embed(detector, source, tell)
    if not ids:
        raise DataError(f"None of {total} items of {source} can be read. Check the input.")
    names = [f"z{i}" for i in range(latents.shape[1])]
    frame = pd.DataFrame(latents, columns=names)
    frame.insert(0, "id", ids)
    lost = total - len(ids)
    return _write_table(frame, target, left_out={"unreadable": lost} if lost else {})


def write_samples(
    detector: Any, n: int, out: str | Path, *, sampler: str = "prior", random_state: int = 0
) -> Written:
    """Write generated items.

    Parameters
    ----------
    detector : TabularVAEDetector or ImageVAEDetector
    n : int
    out : path
        A PNG of pictures in a square; or a table, in which ``synthetic`` is True for each row.
    sampler, random_state
        As `LatentSpaceMixin.sample`.
    """
    target = _target(detector, out)
    made = detector.sample(n, sampler=sampler, random_state=random_state)
    if detector.kind == "tabular":
        return _write_table(mark_generated(made), target)
    width = ceil(sqrt(n))
    empty = np.full((-n % width, *made.shape[1:]), np.nan, dtype=made.dtype)
    grid = np.concatenate([made, empty]).reshape(-1, width, *made.shape[1:])
    return _write_pictures(grid, target, n)


def write_path(
    detector: Any, a: str, b: str, out: str | Path, *, steps: int = 10, mode: Mode = "linear"
) -> Written:
    """Write the way from one item to another through latent space.

    Parameters
    ----------
    detector : TabularVAEDetector or ImageVAEDetector
    a, b : str
        Pictures; or rows, as ``FILE:17`` (counted from 1) or ``FILE:id=VALUE``.
    out : path
        A PNG with one row of pictures, labelled by the share of the way; or a table with the
        column ``step`` first.
    steps, mode
        As `LatentSpaceMixin.interpolate`.
    """
    target = _target(detector, out)
    ends = _item(detector, a), _item(detector, b)
    path = detector.interpolate(*ends, steps=steps, mode=mode)
    if detector.kind == "tabular":
        return _write_table(_keyed(mark_generated(path), {"step": range(steps)}), target)
    shares = [f"{share:.2g}" for share in np.linspace(0, 1, steps)]
    return _write_pictures(path[None], target, steps, columns=["A", *shares[1:-1], "B"])


def write_traversal(
    detector: Any,
    item: str | None,
    out: str | Path,
    *,
    latents: Sequence[int] | None = None,
    steps: int = 7,
    limit: float = 3.0,
) -> Written:
    """Write what each latent does, one a row, its values from -limit to +limit.

    Parameters
    ----------
    detector : TabularVAEDetector or ImageVAEDetector
    item : str, optional
        Where to start, as in `write_path`; the mean of training normals when left out.
    out : path
        A PNG; or a table with the columns ``latent`` and ``latent_value`` first.
    latents : sequence of int, optional
        The 8 that vary most between training normals when left out.
    steps : int
    limit : float
        In sd of the prior.
    """
    target = _target(detector, out)
    start = None if item is None else _item(detector, item)
    chosen = list(detector.leading_latents() if latents is None else latents)
    values = np.linspace(-limit, limit, steps)
    grid = detector.traverse(start, chosen, values)
    if detector.kind == "tabular":
        keys = {"latent": np.repeat(chosen, steps), "latent_value": np.tile(values, len(chosen))}
        rows = _keyed(mark_generated(grid.reset_index(drop=True)), keys)
        return _write_table(rows, target, latents=tuple(chosen))
    written = _write_pictures(
        grid,
        target,
        len(chosen) * steps,
        rows=[f"z{latent}" for latent in chosen],
        columns=[f"{value:+.2g}" if value else "0" for value in values],
    )
    return Written(written.path, written.shape, written.items, latents=tuple(chosen))


# ------------------------------------------------------------------ what comes in


def _item(detector: Any, name: str) -> Any:
    """Return the picture or the single row that a name stands for."""
    if detector.kind == "image":
        return _picture(name)
    file, _, place = name.rpartition(":")
    asked = place.removeprefix("id=")
    if Path(name).suffix.lower() in IMAGE_SUFFIXES or not file:
        raise ConfigError(
            f"This model reads rows of tables; got {name!r}. Name a row by its number or its id: "
            "days.csv:17 or days.csv:id=5000817."
        )
    if asked != place:
        rows, _ = find_rows(detector, file, identifier=asked)
    elif place.isdigit():
        rows, _ = find_rows(detector, file, row=int(place))
    else:
        raise ConfigError(
            f"{name!r} names no row: {place!r} is neither a number nor id=VALUE. Write for example "
            f"{file}:17 or {file}:id=5000817."
        )
    if len(rows) > 1:
        raise DataError(
            f"{len(rows)} rows of {file} have the id {asked!r}. Name one by its number."
        )
    return rows


def _picture(name: str) -> Path:
    if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
        raise ConfigError(
            f"This model looks at pictures; got {name!r}. Give a picture, such as part_0042.png."
        )
    return list_images([name])[0].path


def _embed_rows(detector: Any, source: Any, tell: Progress) -> tuple[list[str], Floats32, int]:
    column = detector.schema_.id_column
    ids: list[str] = []
    latents, total, files = [], 0, list_partitions(source)
    for done, file in enumerate(files, start=1):
        frame = with_past(detector, read_table(file))
        detector.schema_.check(frame)
        numbers = [f"{file.name}#{i + 1}" for i in range(len(frame))]
        named = read_text(frame[column]).tolist() if column in frame.columns else numbers
        good = np.flatnonzero(detector.schema_.bad_rows(frame).isna().to_numpy())
        ids += [str(named[i]) for i in good]
        for start in range(0, len(good), BLOCK_ROWS):
            block = frame.iloc[good[start : start + BLOCK_ROWS]]
            latents.append(np.asarray(detector.transform(block), dtype=np.float32))
        total += len(frame)
        tell("embed tables", done, len(files))
    return ids, np.concatenate(latents) if latents else np.empty((0, 0), np.float32), total


def _embed_pictures(detector: Any, source: Any, tell: Progress) -> tuple[list[str], Floats32, int]:
    listed = list_images(source)
    done: list[tuple[str, Floats32]] = []
    for start in range(0, len(listed), BLOCK_PICTURES):
        done += _embedded(detector, listed[start : start + BLOCK_PICTURES])
        tell("embed pictures", min(start + BLOCK_PICTURES, len(listed)), len(listed))
    latents = np.stack([z for _, z in done]) if done else np.empty((0, 0), np.float32)
    return [name for name, _ in done], latents, len(listed)


def _embedded(detector: Any, items: list[ImageItem]) -> list[tuple[str, Floats32]]:
    """Embed pictures at once, or one by one where one of them cannot be read."""
    try:
        latents = np.asarray(detector.transform([item.path for item in items]))
    except ImageError:
        if len(items) == 1:
            return []
        return [found for item in items for found in _embedded(detector, [item])]
    return list(zip([item.id for item in items], latents, strict=True))


# ------------------------------------------------------------------ what goes out


def _target(detector: Any, out: str | Path) -> Path:
    """Return where to write, if the file's ending suits the model."""
    return _table(out) if detector.kind == "tabular" else _png(out)


def _table(out: str | Path) -> Path:
    if Path(out).suffix.lower() not in TABLES:
        raise ConfigError(
            f"--out {out} does not say which kind of table to write. End it in .parquet or .csv."
        )
    return Path(out)


def _png(out: str | Path) -> Path:
    if Path(out).suffix.lower() != ".png":
        raise ConfigError(f"This model makes pictures, and --out is {out}. End it in .png.")
    return Path(out)


def _keyed(frame: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    """Put columns first that say what each row is; a name that is taken gets an underscore."""
    for place, (name, values) in enumerate(keys.items()):
        free = name
        while free in frame.columns:
            free += "_"
        frame.insert(place, free, list(values))
    return frame


def _write_table(
    frame: pd.DataFrame,
    target: Path,
    left_out: dict[str, int] | None = None,
    latents: tuple[int, ...] = (),
) -> Written:
    with replace_file(target) as temporary:
        if target.suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
    return Written(target, frame.shape, len(frame), left_out or {}, latents)


def _write_pictures(
    grid: Floats32,
    target: Path,
    items: int,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Written:
    image = picture_grid(grid, rows, columns)
    return Written(write_grid(image, target), image.size, items)
