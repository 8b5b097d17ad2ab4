"""What batch, tracking, evaluation and jobs know of a fitted detector. Types only: nothing runs.

::

    Detector            calibration, threshold and words that tables and images share
    ├── TableDetector   rows: schema and histories
    └── ImageDetector   images: maps and placing
    AnyDetector         one of the two; ``detector.kind == "tabular"`` tells a type checker which
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from vae_anomaly.arrays import AnyArray, Floats, Floats32, Ints
    from vae_anomaly.data.tables.entity_histories import EntityHistories
    from vae_anomaly.data.tables.schema import Schema
    from vae_anomaly.detectors.images.examination import ImageExamination
    from vae_anomaly.detectors.images.fit.prediction import FoundShare
    from vae_anomaly.detectors.images.image_list import ImageList
    from vae_anomaly.detectors.images.onnx.export import OnnxExport
    from vae_anomaly.detectors.images.reasons import Regions
    from vae_anomaly.detectors.recalibration import Recalibration
    from vae_anomaly.detectors.tabular.examination import TableExamination
    from vae_anomaly.monitoring.baseline import Baseline
    from vae_anomaly.progress import Progress
    from vae_anomaly.scoring.conformal import ConformalCalibration
    from vae_anomaly.scoring.outliers import LeftOut
    from vae_anomaly.scoring.probability import ScoreProbability
    from vae_anomaly.state import Json
    from vae_anomaly.thresholds import Threshold
    from vae_anomaly.vae.training import History

Decoded_co = TypeVar("Decoded_co", covariant=True)


class Detector(Protocol):
    """What every fitted detector offers; see `BaseVAEDetector` for signs and ranges."""

    calibration_: ConformalCalibration
    calibration_groups_: Ints | None
    threshold_: Threshold
    probability_: ScoreProbability | None
    history_: History
    metrics_: dict[str, float]
    fingerprint_: dict[str, Any]
    left_out_: tuple[LeftOut, ...]
    left_out_confirmed_: tuple[str, ...]
    training_: Json | None
    recalibrated_: tuple[Recalibration, ...]
    target_fpr: float
    baseline_: Baseline | None

    def anomaly_score(self, X: object) -> Floats:
        """Return -log10 p, shape (N,), higher = more anomalous."""

    def p_value(self, X: object) -> Floats:
        """Return the share of held-out normals at least as anomalous, shape (N,), in (0, 1]."""

    def assess(self, X: object) -> pd.DataFrame:
        """Return scores, p-values and flags, one row an item."""

    def evidence(self, X: object) -> pd.DataFrame:
        """Return one column per kind of evidence, in nats, higher = more anomalous."""

    def reasons(self, X: object, top: int = 3) -> list[list[str]]:
        """Say in words what is unusual about each item, the most important first."""

    def transform(self, X: object) -> Floats32:
        """Return the posterior means of items, shape (N, Z)."""

    def training_means(self) -> Floats32 | None:
        """Return posterior means of training normals, (M, Z); None of a model that kept none."""

    def leading_latents(self, n: int = 8) -> list[int]:
        """Return the latents that vary most between training normals."""

    def set_threshold(self, threshold: Threshold) -> Self:
        """Use another operating point from now on."""

    def set_probability(self, probability: ScoreProbability | None) -> Self:
        """Turn scores into probabilities from now on; None takes them away."""

    def recalibrate(
        self, raw_score: ArrayLike, groups: Ints | None = None, *, record: Recalibration
    ) -> Self:
        """Make p-values and threshold anew of other normals."""

    def save(self, path: str | Path) -> Path:
        """Write the model directory."""


class LatentSpace(Protocol[Decoded_co]):
    """What a detector makes of latents: a table of rows, or an array of images."""

    def sample(
        self,
        n: int = 1,
        *,
        sampler: Literal["prior", "normal", "gmm"] = "prior",
        random_state: int | None = None,
    ) -> Decoded_co:
        """Generate items that resemble the training normals."""

    def interpolate(
        self,
        a: object,
        b: object,
        steps: int = 10,
        mode: Literal["linear", "spherical"] = "linear",
    ) -> Decoded_co:
        """Walk from one item to another through latent space."""

    def traverse(
        self,
        item: object = None,
        dims: Sequence[int] | None = None,
        values: ArrayLike | None = None,
    ) -> Decoded_co:
        """Move one latent at a time and see what it does."""


class TableDetector(Detector, LatentSpace["pd.DataFrame"], Protocol):
    """A detector of rows."""

    kind: Literal["tabular"]
    entities_: EntityHistories | None

    @property
    def schema_(self) -> Schema:
        """Columns that the model reads, and their kinds."""

    @property
    def known_values_(self) -> dict[str, tuple[str, ...]]:
        """The values that training had of each categorical column, the most frequent first."""

    def examine(self, X: object) -> TableExamination:
        """Look at rows once; its ``raw_score`` and ``take(places)`` cost nothing twice."""

    def reasons_of(self, examination: TableExamination, top: int = 3) -> list[list[str]]:
        """Say what is unusual about each row of an examination."""

    def explain(self, X: object) -> pd.DataFrame:
        """Return what each column adds to the raw score of each row, nats."""


class ImageDetector(Detector, LatentSpace["Floats32"], Protocol):
    """A detector of images."""

    kind: Literal["image"]
    model: str
    condition: str | None
    tile_size: int | None
    white_: int
    heat_level_: float
    latents_: Floats32 | None

    def set_heat_level(self, hottest: Floats) -> None:
        """Show regions from another heat on."""

    def opened(self, X: object, conditions: object = None) -> ImageList:
        """List images as the model reads and places them."""

    def on_scale(self, pixels: AnyArray, name: str, white: int | None = None) -> AnyArray:
        """Return decoded pixels as the model sees them, uint16 spread to all 16 bits."""

    @property
    def conditions_(self) -> tuple[str, ...]:
        """What an image can show, of a conditional model; else none."""

    def predicted_recall(self, threshold: float | None = None) -> tuple[FoundShare, ...]:
        """Count the synthetic defects of the self-test that are found, by kind and size."""

    def examine(
        self, X: object, *, conditions: object = None, progress: Progress | None = None
    ) -> ImageExamination:
        """Score images and keep map and evidence, in one pass."""

    def reasons_of(
        self, examination: ImageExamination, top: int = 3, regions: Regions | None = None
    ) -> list[list[str]]:
        """Say in words what is unusual about each image."""

    def reconstruct(self, X: object) -> Floats32:
        """Return what the VAE expects in place of each image, (N, s, s[, 3]) in [0, 1]."""

    def export_onnx(self, path: str | Path, *, image_channels: int | None = None) -> OnnxExport:
        """Write all that follows decoding as one ONNX file."""


AnyDetector = TableDetector | ImageDetector
