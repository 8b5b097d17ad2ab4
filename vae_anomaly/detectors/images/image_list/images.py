"""A list of images of which none is decoded before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from PIL import Image

from vae_anomaly.arrays import AnyArray, AnyInts, Floats32
from vae_anomaly.data.images.decode import (
    ImageReading,
    Pixels,
    decode_image,
    upright_pixels,
    within_memory,
)
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.errors import DataError, ImageError

CHUNK: Final = 8
"""Images that go through the network at once, always: the last chunk is filled up."""

GPU_CHUNK: Final = 32
"""The same on a GPU, which is idle with fewer."""

_NAMED: Final = 5

GivenImage = Path | bytes | Image.Image | AnyArray
Result = TypeVar("Result")


@dataclass(frozen=True)
class ImageList:
    """A list of images of which none is decoded yet.

    Parameters
    ----------
    sources : tuple of Path, bytes, PIL.Image.Image or ndarray
        Files, their contents, or decoded pixels of shape (H, W) or (H, W, C).
    groups : tuple of str or None
        What the source itself knows of parts, lots or cameras.
    conditions : tuple of str or None
        Product or camera that each image shows, for a conditional model; None = not told.
    placing : Placing
        What is done to each image as it is prepared; `pixels` asks it for the white.
    reading : ImageReading
        How large a file may be, and what is white in these images where that was told.
    tiled : bool
        Whether they are cut into tiles, and may be larger.
    shifts : dict of int to (float, float)
        How far, down and right as shares of the side, each image prepared so far was moved.
    """

    ids: tuple[str, ...]
    sources: tuple[GivenImage, ...]
    groups: tuple[str | None, ...]
    conditions: tuple[str | None, ...]
    placing: Placing = field(default_factory=Placing)
    reading: ImageReading = field(default_factory=ImageReading)
    tiled: bool = False
    shifts: dict[int, tuple[float, float]] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: AnyInts) -> ImageList:
        """Return some of the images, in the order of ``rows``."""
        chosen = rows.tolist()
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            sources=tuple(self.sources[i] for i in chosen),
            groups=tuple(self.groups[i] for i in chosen),
            conditions=tuple(self.conditions[i] for i in chosen),
            shifts={},
        )

    def pixels(self, i: int) -> AnyArray:
        """Return the decoded pixels of one image; uint16 spreads from 0 to white over 16 bits.

        An `ImageError` names the file.
        """
        with within_memory(self._name(i)):
            return self.placing.depth.scaled(self.decoded(i), self._name(i), self.reading.white)

    def decoded(self, i: int) -> Pixels | AnyArray:
        """Return the pixels of one image as they are stored; an `ImageError` names the file."""
        source, name = self.sources[i], self._name(i)
        if isinstance(source, np.ndarray):
            return source
        limits = self.reading.limits(tiled=self.tiled)
        if isinstance(source, Image.Image):
            return upright_pixels(source, name, limits=limits)
        return decode_image(source, limits=limits, name=name)

    def _name(self, i: int) -> str:
        """Return what an image is called in messages: a file by its path."""
        source = self.sources[i]
        return str(source) if isinstance(source, Path) else f"image {self.ids[i]}"

    def prepared(self, i: int, size: int, channels: int) -> Floats32:
        """Return one image as (size, size, channels) float32 in [0, 1], where it should lie."""
        try:
            with within_memory(self._name(i)):
                image = prepare_image(self.pixels(i), (size, size), channels)
        except ImageError:
            raise
        except DataError as err:
            raise ImageError(f"{self._name(i)}: {err}", code="values") from err
        image, (down, right) = self.placing(image)
        self.shifts[i] = (down / size, right / size)
        return image

    def shape(self, i: int) -> tuple[int, int]:
        """Return height and width of one image as it lies in its file, in pixels."""
        height, width = self.pixels(i).shape[:2]
        return height, width

    def chunks(
        self,
        size: int,
        channels: int,
        read: Callable[[bytes], object] | None = None,
        n_at_once: int = CHUNK,
    ) -> Iterator[tuple[slice, Floats32]]:
        """Yield which images, and their pixels (n, size, size, channels), n up to ``n_at_once``.

        ``read`` is given ids and pixels as bytes, as the ``update`` of a digest. After all were
        tried, an `ImageError` names the first images that cannot be read.
        """
        faults: list[ImageError] = []
        for start in range(0, len(self), n_at_once):
            where = slice(start, min(start + n_at_once, len(self)))
            rows = []
            for i in range(where.start, where.stop):
                try:
                    rows.append(self.prepared(i, size, channels))
                except ImageError as err:
                    faults.append(err)
                    continue
                if read is not None:
                    read(self.ids[i].encode() + b"\0" + rows[-1].tobytes())
            if not faults:
                yield where, np.stack(rows)
        refuse_faults(faults, len(self))

    def fingerprint(self, sha256: str) -> dict[str, int | str]:
        """Return number and SHA-256 of the images as the model saw them."""
        return {"images": len(self), "sha256": sha256}


def look_at(images: ImageList, look: Callable[[int], Result], most: int) -> list[Result]:
    """Return what is seen on at most so many images, at equal distances.

    Those that cannot be used are left out: they are named when all are read.
    """
    looks = []
    for i in evenly(len(images), most).tolist():
        with suppress(DataError):
            looks.append(look(i))
    return looks


def refuse_faults(faults: Sequence[ImageError], total: int) -> None:
    """Raise one error that names the first of the images that cannot be used, if any."""
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    named = " ".join(_each_remedy_once(faults[:_NAMED]))
    more = f" And {len(faults) - _NAMED:,} more." if len(faults) > _NAMED else ""
    raise ImageError(
        f"{len(faults)} of {total} images cannot be read. {named}{more} Repair them or take them "
        "out.",
        code=faults[0].code,
    )


def _each_remedy_once(faults: Sequence[ImageError]) -> Iterator[str]:
    """Yield messages; those of a kind that was told before, only up to their reason."""
    told: set[str] = set()
    for fault in faults:
        text = str(fault)
        yield text if fault.code not in told else f"{text.split(': ')[0].removesuffix('.')}."
        told.add(fault.code)


def chunk_on(device: torch.device) -> int:
    """Return how many images a device is given at once."""
    return CHUNK if device.type == "cpu" else GPU_CHUNK


def padded(rows: AnyArray, n: int = CHUNK) -> torch.Tensor:
    """Repeat the last row until the chunk of n is full."""
    short = n - len(rows)
    full = np.concatenate([rows, np.repeat(rows[-1:], short, axis=0)]) if short else rows
    return torch.from_numpy(np.ascontiguousarray(full))
