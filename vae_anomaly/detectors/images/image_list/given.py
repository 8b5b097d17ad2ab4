"""What may be given for images: a folder, a manifest, files, their bytes, decoded images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image

from vae_anomaly.arrays import AnyArray
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import ImageItem, condition_of, list_images
from vae_anomaly.detectors.images.conditions import read_conditions
from vae_anomaly.detectors.images.image_list.images import GivenImage, ImageList
from vae_anomaly.errors import DataError
from vae_anomaly.words import number_of, verb_for

_CHANNELS: Final = (1, 3)
_ACCEPTED: Final = (
    "Give a folder, a manifest, or a list of paths, PIL images, encoded bytes, arrays (H, W) or "
    "(H, W, 3), or tensors (H, W) or (C, H, W); or one array (N, H, W) or (N, H, W, 3), or tensor "
    "(N, C, H, W)."
)


def open_images(
    X: object,
    *,
    training: bool = False,
    condition: str | None = None,
    conditions: object = None,
    reading: ImageReading | None = None,
) -> ImageList:
    """List images without decoding them.

    Parameters
    ----------
    X : folder, manifest, path, or a list of images, or a single one, or an array or tensor of many
        In a list each may be a path, a PIL image, the bytes of a file, an ndarray (H, W) or
        (H, W, C), or a tensor (H, W) or (C, H, W), of any size. Many in one are an ndarray
        (N, H, W) or (N, H, W, C), or a tensor (N, C, H, W) or (N, H, W). Pixels are uint8, uint16
        or floating point in [0, 1].
    training : bool
        Take only what the source calls good, and of a source with parts only ``train``.
    condition : str, optional
        Where files tell their condition: "folder" or a column of the manifest.
    conditions : array-like of shape (N,), optional
        Condition of each image, instead.
    reading : ImageReading, optional
        How large files may be, and what is white in these images.

    Returns
    -------
    ImageList
        Every method of a detector that takes images takes it.

    Raises
    ------
    DataError
        If there is no image, something given is none, or the conditions have another shape.
    """
    images = _listed(X, training, condition)
    if reading is not None:
        images = replace(images, reading=reading)
    if conditions is None:
        return images
    return replace(images, conditions=read_conditions(conditions, len(images)))


def _listed(X: object, training: bool, condition: str | None) -> ImageList:
    if isinstance(X, ImageList):
        return X
    if isinstance(X, (str, Path)):
        listed = list_images(X, split="train" if training else None, products=condition == "folder")
        return _from_items(listed, training, condition)
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUS":
        return _from_sources(_as_batch(X))
    if isinstance(X, torch.Tensor):
        return _from_sources(_tensor_batch(X))
    if isinstance(X, (Image.Image, bytes, bytearray, memoryview)):
        return _listed([X], training, condition)
    if isinstance(X, Sequence) or hasattr(X, "tolist"):  # a Series, an array of paths
        return _from_list(list(X) if isinstance(X, Sequence) else X.tolist(), training, condition)
    raise DataError(f"Images cannot be read from {_named(X)}. {_ACCEPTED}")


def _from_list(given: Sequence[object], training: bool, condition: str | None) -> ImageList:
    """List what is given one by one; what each is, its own type tells."""
    items = [one for one in given if isinstance(one, ImageItem)]
    if items and len(items) == len(given):
        return _from_items(items, training, condition)
    paths = [one for one in given if isinstance(one, (str, Path))]
    if len(paths) == len(given):
        listed = list_images(
            paths, split="train" if training else None, products=condition == "folder"
        )
        return _from_items(listed, training, condition)
    return _from_sources([_source(i, one) for i, one in enumerate(given)])


def _source(i: int, one: object) -> GivenImage:
    """Return what an image of a list is read from."""
    if isinstance(one, (Image.Image, np.ndarray)):
        return one
    if isinstance(one, torch.Tensor):
        return _from_tensor(i, one)
    if isinstance(one, (bytes, bytearray, memoryview)):
        return bytes(one)
    if isinstance(one, ImageItem):
        return Path(one.path)
    if isinstance(one, (str, Path)):
        return _file(i, one)
    raise DataError(f"Image {i} of the list is {_named(one)}. {_ACCEPTED}")


def _named(given: object) -> str:
    kind = type(given)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return "None" if given is None else f"a {module}{kind.__qualname__}"


def _file(i: int, one: str | Path) -> Path:
    path = Path(one)
    if path.is_dir():
        raise DataError(
            f"Image {i} of the list, {path}, is a folder among other images. Give folders alone."
        )
    return path


def _from_tensor(i: int, one: torch.Tensor) -> AnyArray:
    """Return the pixels of one tensor (H, W), (C, H, W) or (H, W, C) as (H, W) or (H, W, C)."""
    array = _as_array(one)
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        first, last = array.shape[0] in _CHANNELS, array.shape[2] in _CHANNELS
        if first and not last:
            return _channels_last(array)
        if last and not first:
            return array
    raise DataError(
        f"Image {i} of the list is a tensor of shape {array.shape}, of which no axis is clearly "
        "that of 1 or 3 channels. Give it as an array (H, W) or (H, W, 3)."
    )


def _as_array(tensor: torch.Tensor) -> AnyArray:
    plain = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return np.asarray(plain.numpy(force=True))


def _channels_last(array: AnyArray) -> AnyArray:
    moved = np.ascontiguousarray(np.moveaxis(array, 0, -1))
    return moved[..., 0] if moved.shape[2] == 1 else moved


def _tensor_batch(tensor: torch.Tensor) -> list[AnyArray]:
    """Return the images of a tensor (N, C, H, W), (N, H, W) or (H, W)."""
    array = _as_array(tensor)
    if array.ndim == 2:
        return [array]
    if array.ndim == 3 and array.shape[0] not in _CHANNELS:
        return list(array)
    if array.ndim == 4:
        return [_from_tensor(i, one) for i, one in enumerate(tensor)]
    raise DataError(
        f"A tensor of images has shape (N, C, H, W) or (N, H, W); got {array.shape}, which could "
        "be one image or several. Give one as [tensor], several as tensor[:, None]."
    )


def _as_batch(array: AnyArray) -> list[AnyArray]:
    looks_single = array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.shape[0] > 4
    if array.ndim not in (3, 4) or looks_single:
        raise DataError(
            f"An array of images has shape (N, H, W) or (N, H, W, C); got {array.shape}. "
            "Give a single image as image[None]."
        )
    return list(array)


def _from_sources(sources: Sequence[GivenImage]) -> ImageList:
    if not sources:
        raise DataError("No images were given: the array is empty. Give at least one.")
    ids = tuple(str(one) if isinstance(one, Path) else f"{i}" for i, one in enumerate(sources))
    nothing = (None,) * len(sources)
    return ImageList(ids, tuple(sources), nothing, nothing)


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
