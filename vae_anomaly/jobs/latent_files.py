"""Latent space to files: a grid of images as PNG, rows and latents as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats32
from vae_anomaly.batch.histories import with_past
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import IMAGE_SUFFIXES, ImageItem, list_images
from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.generated import mark_generated
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.data.tables.sheets import write_sheet
from vae_anomaly.detectors.images.image_list import ImageList, open_images
from vae_anomaly.detectors.judged import columns_as_text, row_faults
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.evaluation.inspection import find_rows
from vae_anomaly.evaluation.items import BLOCK_IMAGES, BLOCK_ROWS
from vae_anomaly.files import replace_file
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.reports.grids import image_grid, write_grid
from vae_anomaly.scoring.judging import Fault, all_at_once
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.batch.plan import Source
    from vae_anomaly.detectors.latent_space import SamplerName
    from vae_anomaly.detectors.protocol import AnyDetector, ImageDetector, TableDetector

TABLES: Final = (".parquet", ".pq", ".csv")
Mode = Literal["linear", "spherical"]


@dataclass(frozen=True)
class Written:
    """A file that was written."""

    path: Path
    shape: tuple[int, int]  # rows and columns of a table; width and height of an image, pixels
    items: int
    left_out: dict[str, int] = field(default_factory=dict)  # what could not be read, by reason
    latents: tuple[int, ...] = ()  # those that were moved


def write_embedding(
    detector: AnyDetector,
    source: Source,
    out: str | Path,
    progress: Progress | None = None,
    *,
    follow_links: bool = False,
    reading: ImageReading | None = None,
) -> Written:
    """Write a table with one row an item: its id and its latents z0, z1, ..., float32.

    A row is named by the model's id column, else ``FILE#ROW``, counted from 1. Items that cannot
    be read are left out and counted; DataError where none can be. Images are read as ``reading``
    says; links out of a folder are followed where that is asked for.
    """
    target, tell = _table(out), progress or null_progress
    if detector.kind == "tabular":
        ids, latents, total = _embed_rows(detector, source, tell)
    else:
        ids, latents, total = _embed_images(
            detector, list_images(source, follow_links=follow_links), reading, tell
        )
    if not ids:
        raise DataError(
            f"None of {number_of(total, 'item')} of {source} can be read. Check the input."
        )
    names = [f"z{i}" for i in range(latents.shape[1])]
    frame = pd.DataFrame(latents, columns=names)
    frame.insert(0, "id", ids)
    lost = total - len(ids)
    return _write_table(frame, target, left_out={"unreadable": lost} if lost else {})


def write_samples(
    detector: AnyDetector,
    n: int,
    out: str | Path,
    *,
    sampler: SamplerName = "prior",
    random_state: int = 0,
) -> Written:
    """Write generated items: images in a square as PNG, or a table marked as ``synthetic``."""
    if detector.kind == "tabular":
        target = _table(out)
        rows = detector.sample(n, sampler=sampler, random_state=random_state)
        return _write_table(mark_generated(rows), target)
    target, width = _png(out), ceil(sqrt(n))
    images = detector.sample(n, sampler=sampler, random_state=random_state)
    empty = np.full((-n % width, *images.shape[1:]), np.nan, dtype=images.dtype)
    grid = np.concatenate([images, empty]).reshape(-1, width, *images.shape[1:])
    return _write_images(grid, target, n)


def write_path(
    detector: AnyDetector,
    a: str,
    b: str,
    out: str | Path,
    *,
    steps: int = 10,
    mode: Mode = "linear",
    reading: ImageReading | None = None,
) -> Written:
    """Write the way from one item to another through latent space.

    An item is an image; or a row, as ``FILE:17`` (counted from 1) or ``FILE:id=VALUE``. Images
    become one row of a PNG, labelled by the share of the way; rows a table with the column
    ``step`` first.
    """
    if detector.kind == "tabular":
        target = _table(out)
        rows = detector.interpolate(_row(detector, a), _row(detector, b), steps, mode)
        return _write_table(_keyed(mark_generated(rows), {"step": range(steps)}), target)
    target = _png(out)
    images = detector.interpolate(_image(a, reading), _image(b, reading), steps, mode)
    shares = [f"{share:.2g}" for share in np.linspace(0, 1, steps)]
    return _write_images(images[None], target, steps, columns=["A", *shares[1:-1], "B"])


def write_traversal(
    detector: AnyDetector,
    item: str | None,
    out: str | Path,
    *,
    latents: Sequence[int] | None = None,
    steps: int = 7,
    limit: float = 3.0,
    reading: ImageReading | None = None,
) -> Written:
    """Write what each latent does, its values from -limit to +limit in sd of the prior.

    The start is an item as in `write_path`, or the mean of training normals; the latents are those
    asked for, or the 8 that vary most between training normals. Images become a PNG with a row for
    each latent; rows a table with the columns ``latent`` and ``latent_value`` first.
    """
    values = np.linspace(-limit, limit, steps)
    if detector.kind == "tabular":
        target = _table(out)
        row = None if item is None else _row(detector, item)
        chosen = list(detector.leading_latents() if latents is None else latents)
        rows = detector.traverse(row, chosen, values).reset_index(drop=True)
        keys = {"latent": np.repeat(chosen, steps), "latent_value": np.tile(values, len(chosen))}
        return _write_table(_keyed(mark_generated(rows), keys), target, latents=tuple(chosen))
    target = _png(out)
    image = None if item is None else _image(item, reading)
    chosen = list(detector.leading_latents() if latents is None else latents)
    written = _write_images(
        detector.traverse(image, chosen, values),
        target,
        len(chosen) * steps,
        rows=[f"z{latent}" for latent in chosen],
        columns=[f"{value:+.2g}" if value else "0" for value in values],
    )
    return replace(written, latents=tuple(chosen))


# ------------------------------------------------------------------ what comes in


def _row(detector: TableDetector, name: str) -> pd.DataFrame:
    """Return the single row that a name stands for."""
    file, _, place = name.rpartition(":")
    wanted = place.removeprefix("id=")
    if Path(name).suffix.lower() in IMAGE_SUFFIXES or not file:
        raise ConfigError(
            f"This model reads rows of tables; got {name!r}. Name a row by its number or its id: "
            "days.csv:17 or days.csv:id=5000817."
        )
    if wanted != place:
        rows = find_rows(detector, file, identifier=wanted).frame
    elif place.isdigit():
        rows = find_rows(detector, file, row=int(place)).frame
    else:
        raise ConfigError(
            f"{name!r} names no row: {place!r} is neither a number nor id=VALUE. Write for example "
            f"{file}:17 or {file}:id=5000817."
        )
    if len(rows) > 1:
        raise DataError(
            f"{number_of(len(rows), 'row')} of {file} have the id {wanted!r}. Name one by its "
            "number."
        )
    return rows


def _image(name: str, reading: ImageReading | None) -> ImageList:
    if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
        raise ConfigError(
            f"This model looks at images; got {name!r}. Give an image, such as part_0042.png."
        )
    return open_images([list_images([name])[0].path], reading=reading)


def _embed_rows(
    detector: TableDetector, source: Source, tell: Progress
) -> tuple[list[str], Floats32, int]:
    """Return ids and latents of the rows that can be read, and how many there are in all."""
    column = detector.schema_.id_column
    ids: list[str] = []
    latents, total, files = [], 0, list_partitions(source)
    for done, file in enumerate(files, start=1):
        rows = read_table(file, as_text=columns_as_text(detector))
        frame = with_past(detector.entities_, rows)
        detector.schema_.check(frame)
        numbers = [f"{file.name}#{i + 1}" for i in range(len(frame))]
        named = read_keys(frame[column]).tolist() if column in frame.columns else numbers
        sound = np.flatnonzero([fault is None for fault in row_faults(detector, frame)])
        ids += [str(named[i]) for i in sound]
        for start in range(0, len(sound), BLOCK_ROWS):
            block = frame.iloc[sound[start : start + BLOCK_ROWS]]
            latents.append(np.asarray(detector.transform(block), dtype=np.float32))
        total += len(frame)
        tell("embed tables", done, len(files))
    return ids, np.concatenate(latents) if latents else np.empty((0, 0), np.float32), total


def _embed_images(
    detector: ImageDetector, listed: list[ImageItem], reading: ImageReading | None, tell: Progress
) -> tuple[list[str], Floats32, int]:
    """Return ids and latents of the images that can be used, and how many there are in all."""
    latents: list[Floats32 | Fault] = []

    def embed(some: Sequence[Path]) -> list[Floats32]:
        return list(detector.transform(open_images(some, reading=reading)))

    for start in range(0, len(listed), BLOCK_IMAGES):
        paths = [item.path for item in listed[start : start + BLOCK_IMAGES]]
        latents += all_at_once(paths, embed)
        tell("embed images", len(latents), len(listed))
    sound = [z for z in latents if not isinstance(z, Fault)]
    faults = [z for z in latents if isinstance(z, Fault)]
    if faults and not sound:
        raise DataError(
            f"None of {number_of(len(faults), 'image')} can be read. {faults[0].message}"
        )
    ids = [item.id for item, z in zip(listed, latents, strict=True) if not isinstance(z, Fault)]
    return ids, np.stack(sound) if sound else np.empty((0, 0), np.float32), len(listed)


# ------------------------------------------------------------------ what goes out


def _table(out: str | Path) -> Path:
    if Path(out).suffix.lower() not in TABLES:
        raise ConfigError(
            f"--out {out} does not say which kind of table to write. End it in .parquet or .csv."
        )
    return Path(out)


def _png(out: str | Path) -> Path:
    if Path(out).suffix.lower() != ".png":
        raise ConfigError(f"This model makes images, and --out is {out}. End it in .png.")
    return Path(out)


def _keyed(frame: pd.DataFrame, keys: Mapping[str, Iterable[object]]) -> pd.DataFrame:
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
            write_sheet(frame, temporary)
        else:
            with temporary.open("wb") as file:  # Arrow opens no name that is not UTF-8
                frame.to_parquet(file, index=False)
    return Written(target, frame.shape, len(frame), left_out or {}, latents)


def _write_images(
    grid: Floats32,
    target: Path,
    items: int,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Written:
    image = image_grid(grid, rows, columns)
    return Written(write_grid(image, target), image.size, items)
