"""Sweep beta and latent size on the normal rows of tables, or on images of good parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import AnyArray, Bools, Floats32
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import ClassNames, scan_labelled, select
from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.folds import assign_folds
from vae_anomaly.detectors.images.fit.training_set import group_names
from vae_anomaly.detectors.images.image_list import (
    ImageList,
    look_at_storage,
    open_images,
)
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.views import StandardView
from vae_anomaly.errors import NotEnoughDataError
from vae_anomaly.jobs.taken_images import what_was_taken
from vae_anomaly.jobs.train_images import groups_of
from vae_anomaly.jobs.train_table import real_rows, schema_of_training
from vae_anomaly.jobs.training_report import shown_table
from vae_anomaly.jobs.training_rows import (
    AS_INFERRED,
    TableColumns,
    check_column,
    read_training_rows,
)
from vae_anomaly.names import shown_source
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.vae.sweep import SweepGrid, SweepReport, SweepSettings, sweep
from vae_anomaly.words import number_of

BETAS = (0.5, 1.0, 4.0)
TABLE_LATENTS, IMAGE_LATENTS = (2, 8), (8, 32)
CHANNELS = (16, 32, 64)
MIN_ITEMS = 10
MAX_ROWS, MAX_IMAGES = 50_000, 5_000  # a fixed number of steps sees no more of them
HELD_OUT_FOLDS = 5  # one of them is held out


def sweep_table_job(
    source: str | Path | Sequence[str | Path],
    columns: TableColumns = AS_INFERRED,
    *,
    betas: Sequence[float] = BETAS,
    latent_dims: Sequence[int] | None = None,
    autoencoder: bool = True,
    settings: SweepSettings | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Sweep dense networks on the normal rows of tables.

    Numbers and times are standardised by the training rows; categories are coded as for
    `TabularVAEDetector`. A fifth of the rows, whole groups, is held out. Rows labelled as
    anomalies are left out.

    Parameters
    ----------
    source : path, folder, glob, or list of these
    columns : TableColumns
        What is known of the columns, as for `train_table_job`.
    betas : sequence of float
        Weights of the KL.
    latent_dims : sequence of int, optional
        2 and 8 where the table has that many features.

    Raises
    ------
    DataError
        If the tables cannot be used; the message names file, column or row.
    NotEnoughDataError
        If there are fewer than 10 normal rows, or one group only.
    ConfigError
        If an option names no column, or the grid does not fit the table.
    """
    wanted = TABLE_LATENTS if latent_dims is None else tuple(latent_dims)
    grid = SweepGrid(tuple(betas), wanted, autoencoder)  # refused before anything is read
    settings, files = settings or SweepSettings(), list_partitions(source)
    columns = columns.completed()
    rows = read_training_rows(files, columns, seed=settings.random_state)
    real, marked = real_rows(rows.normal, columns)
    drawn, notes = _kept(len(real), MAX_ROWS, settings.random_state, "normal rows")
    normal = real.iloc[drawn].reset_index(drop=True)
    _check_count(len(normal), "normal rows")
    schema = schema_of_training(normal, columns, anomalous=rows.anomalous)
    held_out = _held_out(_row_groups(normal, columns.groups), settings.random_state)
    train, test, fields = _encode(schema.cast(normal), schema, held_out)
    if latent_dims is None:
        fitting = tuple(size for size in TABLE_LATENTS if size <= train.shape[1])
        grid = replace(grid, latent_dims=fitting or (1,))
    left = f"; {rows.n_anomalous:,} labelled as anomalies, left out" * bool(rows.n_anomalous)
    return sweep(
        torch.from_numpy(train),
        torch.from_numpy(test),
        grid,
        settings,
        progress=progress,
        source=f"{shown_table(rows.n_read, normal.shape[1], files)}{left}",
        unit="standard deviations of a column over the training rows",
        notes=(
            f"{number_of(train.shape[1], 'feature')} from {number_of(len(fields), 'column')}: "
            f"{', '.join(fields)}",
            *marked,
            *notes,
        ),
    )


def sweep_images_job(
    source: str | Path | Sequence[str | Path],
    *,
    betas: Sequence[float] = BETAS,
    latent_dims: Sequence[int] | None = None,
    autoencoder: bool = True,
    settings: SweepSettings | None = None,
    size: int = 32,
    groups: str | Path | None = None,
    classes: ClassNames | None = None,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Sweep convolutional networks on images of good parts.

    Images are resized to a square and each channel is standardised by the training images. A
    fifth of them, whole groups, is held out.

    Parameters
    ----------
    source : folder, manifest, or list of images
    betas : sequence of float
        Weights of the KL.
    latent_dims : sequence of int, optional
        8 and 32 unless given.
    settings : SweepSettings, optional
        Without ``channels``, those of the default network are taken.
    size : int, pixels
    groups, classes, follow_links, reading
        As `train_images_job`; a white in ``reading`` is that of all images.

    Raises
    ------
    DataError, ImageError
        If there is no image of a good part, or one cannot be read; it is named.
    NotEnoughDataError
        If there are fewer than 10 images, or one group only.
    ConfigError
        If the grid does not fit the images.
    """
    wanted = IMAGE_LATENTS if latent_dims is None else tuple(latent_dims)
    grid = SweepGrid(tuple(betas), wanted, autoencoder)
    settings = settings or SweepSettings(max_steps=600, batch_size=64)
    settings = settings if settings.channels else replace(settings, channels=CHANNELS)
    listing = scan_labelled(source, classes, follow_links=follow_links)
    chosen = select(listing, "train", source)
    good = list(chosen.items)
    members = None if groups is None else groups_of(good, Path(groups))
    images = open_images(good, training=True, reading=reading)
    stored = look_at_storage(images, white=images.reading.white)
    images = replace(images, placing=Placing(stored.depth))
    _check_count(len(images), "images of good parts")
    drawn, notes = _kept(len(images), MAX_IMAGES, settings.random_state, "images")
    pixels = _pixels(images.take(drawn), size, stored.channels, progress or null_progress)
    names = group_names(members, images)[drawn]
    train, test = _standardised(pixels, _held_out(names, settings.random_state))
    n_defective = sum(bool(item.is_anomaly) for item in listing.items)
    left = f"; {n_defective:,} labelled as defective, left out"
    return sweep(
        torch.from_numpy(train),
        torch.from_numpy(test),
        grid,
        settings,
        progress=progress,
        source=f"{number_of(len(listing.items), 'image')} from {shown_source(source)}"
        + left * bool(n_defective),
        unit="standard deviations of a channel over the training images",
        notes=(
            *what_was_taken(chosen),
            f"{size} x {size} pixels, {train.shape[1]} channel(s)",
            *notes,
        ),
    )


def _check_count(n: int, what: str) -> None:
    if n < MIN_ITEMS:
        raise NotEnoughDataError(
            f"A sweep needs at least {MIN_ITEMS} {what}; got {n}. Collect more of them."
        )


def _kept(n: int, most: int, random_state: int, what: str) -> tuple[AnyArray, tuple[str, ...]]:
    """Draw which items to use where there are too many, and say so."""
    if n <= most:
        return np.arange(n), ()
    chosen = np.sort(np.random.default_rng(random_state).choice(n, most, replace=False))
    return chosen, (f"{most:,} of {n:,} {what}, drawn at random",)


def _held_out(groups: AnyArray, random_state: int) -> Bools:
    """Return which items are held out, shape (N,); a group never is split."""
    return np.asarray(assign_folds(groups, HELD_OUT_FOLDS, random_state) == 0, dtype=np.bool_)


def _row_groups(frame: pd.DataFrame, groups: str | None) -> AnyArray:
    """Return a group for each row; without groups each row is its own."""
    if groups is None:
        return np.arange(len(frame))
    check_column(frame, groups, "group")
    return frame[groups].astype(str).to_numpy(dtype=str)


def _encode(
    frame: pd.DataFrame, schema: Schema, held_out: Bools
) -> tuple[Floats32, Floats32, tuple[str, ...]]:
    """Return training and held-out rows as the training rows standardise them, and the columns."""
    encoder = TableEncoder.fit(frame[~held_out], schema.features)
    numbers = encoder.transform(frame).numbers
    view = StandardView.fit(numbers[~held_out], encoder.fixed)
    viewed = view.transform(numbers)
    return viewed[~held_out], viewed[held_out], encoder.names


def _pixels(images: ImageList, size: int, channels: int, progress: Progress) -> Floats32:
    """Return the images as (N, C, size, size), in [0, 1]."""
    parts = []
    for where, pixels in images.chunks(size, channels):
        parts.append(pixels.transpose(0, 3, 1, 2))
        progress("read", where.stop, len(images))
    return np.ascontiguousarray(np.concatenate(parts))


def _standardised(pixels: Floats32, held_out: Bools) -> tuple[Floats32, Floats32]:
    """Split, and standardise each channel by the training images."""
    train = pixels[~held_out]
    center = train.mean(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
    scale = train.std(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
    viewed = ((pixels - center) / np.where(scale > 0, scale, 1.0)).astype(np.float32)
    return viewed[~held_out], viewed[held_out]
