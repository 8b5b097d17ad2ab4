"""Images as the image detector takes them: folders, manifests, paths, arrays, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch

from vae_anomaly.arrays import AnyArray, AnyInts, Floats32
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import ImageItem, condition_of, list_images
from vae_anomaly.data.images.resize import FULL_SCALE, prepare_image, stretch, white_level
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.conditions import read_conditions
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.errors import DataError, ImageError
from vae_anomaly.words import number_of, verb_for

CHUNK: Final = 8
"""Images that go through the network at once, always: the last chunk is filled up."""

GPU_CHUNK: Final = 32
"""The same on a GPU, which is idle with fewer."""

_PROBES: Final = 32
_COLOURFUL: Final = 2.0 / 255.0
_COLOUR_SHARE: Final = 0.2
_NAMED: Final = 5

Result = TypeVar("Result")


@dataclass(frozen=True)
class ImageList:
    """A list of images of which none is decoded yet.

    Parameters
    ----------
    sources : tuple of Path or ndarray
        Files, or decoded pixels of shape (H, W) or (H, W, C).
    groups : tuple of str or None
        What the source itself knows of parts, lots or cameras.
    conditions : tuple of str or None
        Product or camera that each image shows, for a conditional model; None = not told.
    placing : Placing
        What is done to each image as it is prepared; `pixels` asks it for the white.
    shifts : dict of int to (float, float)
        How far, down and right as shares of the side, each image prepared so far was moved.
    """

    ids: tuple[str, ...]
    sources: tuple[Path | AnyArray, ...]
    groups: tuple[str | None, ...]
    conditions: tuple[str | None, ...]
    placing: Placing = field(default_factory=Placing)
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
        source = self.sources[i]
        pixels = decode_image(source) if isinstance(source, Path) else source
        return stretch(pixels, self.placing.white)

    def prepared(self, i: int, size: int, channels: int) -> Floats32:
        """Return one image as (size, size, channels) float32 in [0, 1], where it should lie."""
        try:
            image = prepare_image(self.pixels(i), (size, size), channels)
        except ImageError:
            raise
        except DataError as err:
            raise ImageError(f"{self.ids[i]}: {err}", code="values") from err
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


def open_images(
    X: object, *, training: bool = False, condition: str | None = None, conditions: object = None
) -> ImageList:
    """List images without decoding them.

    Parameters
    ----------
    X : folder, manifest, path, list of paths, ndarray or list of ndarray
        Arrays are (N, H, W) or (N, H, W, C), uint8, uint16 or floating point in [0, 1]; a list may
        hold images of different sizes.
    training : bool
        Take only what the source calls good, and of a source with parts only ``train``.
    condition : str, optional
        Where files tell their condition: "folder" or a column of the manifest.
    conditions : array-like of shape (N,), optional
        Condition of each image, instead.

    Returns
    -------
    ImageList
        Every method of a detector that takes images takes it.

    Raises
    ------
    DataError
        If there is no image, or the array or the conditions have another shape.
    """
    images = _listed(X, training, condition)
    if conditions is None:
        return images
    return replace(images, conditions=read_conditions(conditions, len(images)))


def _listed(X: object, training: bool, condition: str | None) -> ImageList:
    if isinstance(X, ImageList):
        return X
    if isinstance(X, np.ndarray):
        return _from_arrays(_as_batch(X))
    if isinstance(X, Sequence) and not isinstance(X, str) and len(X):
        if isinstance(X[0], np.ndarray):
            return _from_arrays(list(X))
        if isinstance(X[0], ImageItem):
            return _from_items(X, training, condition)
    if isinstance(X, (str, Path, Sequence)):
        items = list_images(X, split="train" if training else None)
        return _from_items(items, training, condition)
    raise DataError(
        f"Images are a folder, a manifest, paths or arrays; got {type(X).__name__}. "
        "Give a path, or an array of shape (N, H, W) or (N, H, W, 3)."
    )


def decide_white(images: ImageList) -> int:
    """Return the white of images of more than 8 bits: no training image exceeds it.

    Only where one of 32 images has more than 8 bits are all of them decoded.
    """

    def peak(i: int) -> int:
        pixels = images.pixels(i)
        return int(pixels.max(initial=0)) if pixels.dtype == np.uint16 else 0

    if not any(look_at(images, peak, _PROBES)):
        return FULL_SCALE
    return white_level(max(look_at(images, peak, len(images))))


def decide_channels(images: ImageList) -> int:
    """Return 3 where a fifth or more of the images show colour, else 1; looks at 32 at most."""
    votes = look_at(images, lambda i: _is_colourful(images.pixels(i)), _PROBES)
    return 3 if votes and np.mean(votes) >= _COLOUR_SHARE else 1


def look_at(images: ImageList, look: Callable[[int], Result], most: int) -> list[Result]:
    """Return what is seen on at most so many images, at equal distances.

    Those that cannot be used are left out: they are named when all are read.
    """
    looks = []
    for i in evenly(len(images), most).tolist():
        with suppress(DataError):
            looks.append(look(i))
    return looks


def _is_colourful(pixels: AnyArray) -> bool:
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        return False
    sample = pixels[::4, ::4].astype(np.float32)
    unit = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    return bool(np.ptp(sample, axis=2).mean() / unit > _COLOURFUL)


def _as_batch(array: AnyArray) -> list[AnyArray]:
    looks_single = array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.shape[0] > 4
    if array.ndim not in (3, 4) or looks_single:
        raise DataError(
            f"An array of images has shape (N, H, W) or (N, H, W, C); got {array.shape}. "
            "Give a single image as image[None]."
        )
    return list(array)


def _from_arrays(arrays: Sequence[AnyArray]) -> ImageList:
    if not arrays:
        raise DataError("No images were given: the array is empty. Give at least one.")
    ids = tuple(f"{i}" for i in range(len(arrays)))
    nothing = (None,) * len(arrays)
    return ImageList(ids, tuple(np.asarray(a) for a in arrays), nothing, nothing)


def _from_items(items: Sequence[ImageItem], training: bool, condition: str | None) -> ImageList:
    chosen = [item for item in items if not (training and item.is_anomaly)]
    if not chosen:
        raise DataError(
            f"All of {number_of(len(items), 'image')} {verb_for(len(items))} labelled as "
            "defective. Train on images of good parts."
        )
    return ImageList(
        tuple(item.id for item in chosen),
        tuple(Path(item.path) for item in chosen),
        tuple(item.group for item in chosen),
        tuple(None if condition is None else condition_of(item, condition) for item in chosen),
    )


def refuse_faults(faults: Sequence[ImageError], total: int) -> None:
    """Raise one error that names the first of the images that cannot be used, if any."""
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    named = " ".join(str(fault) for fault in faults[:_NAMED])
    more = f" And {len(faults) - _NAMED:,} more." if len(faults) > _NAMED else ""
    raise ImageError(
        f"{len(faults)} of {total} images cannot be read. {named}{more} Repair them or take them "
        "out.",
        code=faults[0].code,
    )


def chunk_on(device: torch.device) -> int:
    """Return how many images a device is given at once."""
    return CHUNK if device.type == "cpu" else GPU_CHUNK


def padded(rows: AnyArray, n: int = CHUNK) -> torch.Tensor:
    """Repeat the last row until the chunk of n is full."""
    full = np.concatenate([rows, np.repeat(rows[-1:], n - len(rows), axis=0)])
    return torch.from_numpy(np.ascontiguousarray(full))
