"""Looks at images that were never files: what the checks see is all that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vae_anomaly.data.doctor.looks import THUMBNAIL, Look
from vae_anomaly.data.doctor.report import Finding
from vae_anomaly.data.images.decode import ImageInfo
from vae_anomaly.data.images.folders import ImageItem

Grey = npt.NDArray[np.float16]


def texture(seed: int, level: float = 0.5) -> Grey:
    """Return a patch of cloth; every seed another one."""
    noise = np.random.default_rng(seed).normal(size=(THUMBNAIL, THUMBNAIL))
    return (level + 0.1 * ndimage.gaussian_filter(noise, 1.0)).astype(np.float16)


def look(name: str, grey: Grey, *, size_bytes: int = 9000, **known: object) -> Look:
    """Return a look at a square image; a name such as "test/good/1.png" says split and kind."""
    split, kind, *_ = name.split("/")
    item = ImageItem(name, Path(name), kind=kind, is_anomaly=kind != "good", split=split)
    info = ImageInfo(width=96, height=96, format="PNG", mode="L", size_bytes=size_bytes)
    values = {"info": info, "digest": str(hash(grey.tobytes())), "shape": (96, 96)} | known
    return Look(item, thumbnail=grey, **values)


def codes(findings: Iterator[Finding]) -> dict[str, Finding]:
    """Return findings by their code."""
    return {found.code: found for found in findings}
