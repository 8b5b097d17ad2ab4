"""What a partition is scored with: the model and the options; small, frozen and picklable."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.files import sha256_of
from vae_anomaly.persistence import model_digest

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import AnyDetector

Which = Literal["flagged", "all", "none"]
"""Which pictures something is drawn for."""

LAYOUT_VERSION = 2
"""Goes up when the same model and input would give other output files."""


@dataclass(frozen=True)
class ScoringModel:
    """The one model of a run, pinned.

    Parameters
    ----------
    path : str
        Verified model directory on this machine.
    digest : str
        SHA-256 of its list of digests.
    kind : str
        ``"tabular"`` or ``"image"``.
    version : str
        What to write into the results: ``cards/3``, or ``folder:`` and the digest's beginning.
    threshold : float
        Flag when the anomaly score is above.
    device : str
        Where it computes. No part of what makes a result out of date: scores agree.
    """

    path: str
    digest: str
    kind: str
    version: str
    threshold: float
    device: str = "cpu"


@dataclass(frozen=True)
class Options:
    """What else shapes the output files.

    Parameters
    ----------
    id_column : str, optional
        Column of a table that names a row; by default the schema's, else file and row number.
    heatmaps, masks : {"flagged", "all", "none"}
        Which pictures get one.
    batch_rows : int
        Rows read and scored at a time; it bounds the memory.
    images_per_partition : int
    """

    id_column: str | None = None
    heatmaps: Which = "flagged"
    masks: Which = "flagged"
    batch_rows: int = 8192
    images_per_partition: int = 1000

    def __post_init__(self) -> None:
        for name in ("heatmaps", "masks"):
            if getattr(self, name) not in ("flagged", "all", "none"):
                raise ConfigError(
                    f"{name} is flagged, all or none; got {getattr(self, name)!r}. "
                    "Choose one of them."
                )
        for name in ("batch_rows", "images_per_partition"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}.")

    def digest(self) -> str:
        """Return a SHA-256 of everything here and of the layout of the output."""
        values = {**asdict(self), "layout": LAYOUT_VERSION}
        return sha256_of(json.dumps(values, sort_keys=True))


@dataclass(frozen=True)
class Output:
    """Where a partition's files go.

    Parameters
    ----------
    root : str
        The output folder.
    options : Options
    """

    root: str
    options: Options = Options()

    def part(self, key: str) -> str:
        """Return the name of the output file of a partition, below the root."""
        return f"part-{key}.parquet"


@lru_cache(maxsize=1)
def loaded_detector(model: ScoringModel) -> AnyDetector:
    """Load the model once a process, and make sure that it is the pinned one.

    Raises
    ------
    ModelRefusedError
        If the directory has changed since the run began.
    """
    from vae_anomaly.detectors import load_detector

    found = model_digest(Path(model.path))
    if found != model.digest:
        raise ModelRefusedError(
            f"The model in {model.path} was replaced while it was used: digest {found[:12]}, was "
            f"{model.digest[:12]}. Start again."
        )
    return load_detector(model.path, device=model.device)
