"""Find the mask that belongs to an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vae_anomaly.data.images.folders.walk import refuse_escape

MASK_ENDINGS: Final = ("_mask", "")


def masks_beside(root: Path) -> Path | None:
    """Return the masks that belong to the folder ``test`` of the MVTec layout."""
    masks = root.parent / "ground_truth"
    return masks if root.name == "test" and masks.is_dir() else None


def find_mask(masks: Path | None, parts: Sequence[str]) -> Path | None:
    """Find the mask of <kind>/.../<stem>.* as <stem>_mask.* or <stem>.* in the same folders."""
    if masks is None:
        return None
    folder, stem = masks.joinpath(*parts[:-1]), Path(parts[-1]).stem
    for ending in MASK_ENDINGS:
        for suffix in (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"):
            candidate = folder / f"{stem}{ending}{suffix}"
            if candidate.is_file():
                refuse_escape(candidate, masks.resolve())
                return candidate
    return None
