"""Many small images on one, in rows and columns that say what they show."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, Bytes
from vae_anomaly.data.images.marked import save_marked
from vae_anomaly.errors import ConfigError
from vae_anomaly.files import replace_file
from vae_anomaly.reports.palette import LIGHT_COLOURS

if TYPE_CHECKING:
    from PIL import Image

_CELL: Final = 96  # pixels; smaller images are enlarged to this side or a little more
GAP: Final = 4  # pixels between images and around them
LABEL_HEIGHT: Final = 20  # pixels above the images, where columns have labels
LABEL_WIDTH: Final = 44  # pixels left of the images, where rows have labels
FONT_SIZE: Final = 13
PAPER, INK = LIGHT_COLOURS.surface, LIGHT_COLOURS.text


def image_grid(
    images: AnyFloats,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Image.Image:
    """Arrange images (R, C, h, w) or (R, C, h, w, 3), in [0, 1], in labelled rows and columns.

    Each is enlarged by a whole number, each pixel a square, until the longer side has 96 pixels or
    more; one of NaN leaves its place empty. For enlarged images of h' x w' the grid is
    ``C * (w' + 4) + 4`` wide and ``R * (h' + 4) + 4`` high, and 44 wider with row labels, 20 higher
    with column labels.
    """
    from PIL import Image

    _check(images, rows, columns)
    factor = enlargement(images.shape[2], images.shape[3])
    n_rows, n_columns, height, width = images.shape[:4]
    left, top = LABEL_WIDTH * bool(rows), LABEL_HEIGHT * bool(columns)
    step_x, step_y = width * factor + GAP, height * factor + GAP
    canvas = Image.new("RGB", (left + n_columns * step_x + GAP, top + n_rows * step_y + GAP), PAPER)
    for row in range(n_rows):
        for column in range(n_columns):
            if not np.isnan(images[row, column]).any():
                corner = (left + GAP + column * step_x, top + GAP + row * step_y)
                canvas.paste(Image.fromarray(_enlarged(images[row, column], factor)), corner)
    centres_x = [left + GAP + i * step_x + (step_x - GAP) // 2 for i in range(n_columns)]
    centres_y = [top + GAP + i * step_y + (step_y - GAP) // 2 for i in range(n_rows)]
    _write(canvas, columns, [(x, GAP // 2 + LABEL_HEIGHT // 2) for x in centres_x])
    _write(canvas, rows, [(LABEL_WIDTH // 2, y) for y in centres_y])
    return canvas


def write_grid(image: Image.Image, path: str | Path) -> Path:
    """Write a grid as PNG, whole or not at all, and return its path."""
    target = Path(path)
    with replace_file(target) as temporary:
        save_marked(image, temporary)
    return target


def enlargement(height: int, width: int) -> int:
    """Return the smallest whole number that makes the longer side 96 pixels or more."""
    return ceil(_CELL / max(height, width))


def _check(images: AnyFloats, rows: Sequence[str], columns: Sequence[str]) -> None:
    colour = images.ndim == 5 and images.shape[4] == 3
    if not (images.ndim == 4 or colour) or 0 in images.shape:
        raise ConfigError(
            "A grid takes images of shape (rows, columns, h, w) or (rows, columns, h, w, 3); got "
            f"{images.shape}. Reshape them."
        )
    for labels, n, name in (
        (rows, images.shape[0], "rows"),
        (columns, images.shape[1], "columns"),
    ):
        if labels and len(labels) != n:
            raise ConfigError(
                f"The grid has {n} {name}; got {len(labels)} labels. Give {n} or none."
            )


def _enlarged(image: AnyFloats, factor: int) -> Bytes:
    """Return an image as RGB of 8 bits, each pixel a square of ``factor``."""
    eight = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    colour = np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight
    return np.ascontiguousarray(colour.repeat(factor, axis=0).repeat(factor, axis=1))


def _write(canvas: Image.Image, labels: Sequence[str], centres: Sequence[tuple[int, int]]) -> None:
    from PIL import ImageDraw, ImageFont

    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT_SIZE)
    for label, centre in zip(labels, centres, strict=False):
        draw.text(centre, label, fill=INK, font=font, anchor="mm")
