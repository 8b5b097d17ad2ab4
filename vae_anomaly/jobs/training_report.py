"""Where a trained model goes, and what is told of its training."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.data.images.folders import LeftOutImages
from vae_anomaly.data.tables.kinds import Column
from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.begin import begin_with
from vae_anomaly.detectors.images.fit.prediction import FoundShare
from vae_anomaly.errors import ConfigError
from vae_anomaly.persistence import ALL_FILES, holds_something_else
from vae_anomaly.reports import write_figure
from vae_anomaly.scoring.outliers import LeftOut
from vae_anomaly.storage.addresses import is_remote, with_addresses
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.storage.models import refuse_other_folder, save_model
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking import RegisteredModel, load, log_training
from vae_anomaly.tracking.client import check_alias, check_writable
from vae_anomaly.tracking.events import PROMOTIONS
from vae_anomaly.tracking.runs import check_name
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MODEL_PAGE = "report.html"
"""What the model's page is called among the artifacts of its run."""

OUTLIER_SHEET = "outliers"
"""Name of the figure that shows images that were left out."""


@dataclass(frozen=True)
class Destination:
    """Where a trained model goes: the registry, a folder, or both.

    Parameters
    ----------
    name : str, optional
        Registered name; left out, nothing is registered.
    alias : str, optional
        Alias to move to the new version.
    folder : path, optional
        Model folder to write; an older model there is replaced.
    uri : str or Path, optional
        The MLflow store, as in `vae_anomaly.tracking.tracking_uri`.
    experiment : str
        MLflow experiment of the run.
    evidence : str
        Why the alias moves, for its record.
    report : bool
        Keep in the model what its page shows of training items, and log the page with the run.
    """

    name: str | None = None
    alias: str | None = "champion"
    folder: str | Path | None = None
    uri: str | Path | None = None
    experiment: str = "vae-anomaly"
    evidence: str = "trained"
    report: bool = True

    def check(self) -> None:
        """Refuse, before a long training, a place that cannot take its result.

        Raises
        ------
        ConfigError
            If there is neither a name nor a folder, name or alias cannot be one, or the folder
            holds something else than a model.
        """
        if self.name is None and self.folder is None:
            raise ConfigError(
                "A trained model needs a place; got neither a name nor a folder. "
                "Give --name NAME to register it, or --out DIR to save it."
            )
        if self.name is not None:
            check_name(self.name)
            if self.alias is not None:
                check_alias(self.alias)
        if self.folder is not None and is_remote(self.folder):
            refuse_other_folder(str(self.folder), ALL_FILES)
        elif self.folder is not None and holds_something_else(Path(on_disk(self.folder))):
            raise ConfigError(
                f"{self.folder} holds something else than a model, and is not written over. "
                "Choose another --out."
            )

    def begin(self, detector: ImageVAEDetector | TabularVAEDetector, ref: str | None) -> None:
        """Let a training begin with the weights of a model: a folder, or one of the store.

        Raises
        ------
        ModelRefusedError
            As `vae_anomaly.detectors.begin.begin_with`; nothing happens where there is no model.
        """
        if ref is not None:
            earlier, model = load(ref, self.uri)
            begin_with(detector, earlier, model.label)

    def check_store(self) -> None:
        """Refuse, before a long training, a store that does not answer or will not take it."""
        if self.name is not None:
            moves = [] if self.alias is None else [PROMOTIONS]
            check_writable(self.uri, [self.experiment, *moves], self.name)


@dataclass(frozen=True)
class Reading:
    """What a training read."""

    source: str  # in words: how much, from where
    n_read: int  # rows or images in the input
    n_left_out: int = 0  # those labelled as anomalies, which no training sees
    n_confirmed: int = 0  # others that reviewers confirmed as anomalies, left out as well
    n_confirmed_elsewhere: int = 0  # confirmed items that are not in the input
    left_out: tuple[
        LeftOutImages, ...
    ] = ()  # images that were not trained on, by reason and folder
    notes: tuple[str, ...] = ()  # what its owner should know
    warnings: tuple[str, ...] = ()  # what its owner should look at before the model is used


@dataclass(frozen=True)
class TrainingReport:
    """What was read, learned and stored.

    Parameters
    ----------
    columns : tuple of Column
        How the columns of a table were understood; empty for images.
    steps, best_step : int
        Optimisation steps done, and the one whose weights were kept; 0 for a closed-form model.
    n_held_out : int
        Normals that nothing was fitted on, behind the p-values and the threshold.
    metrics : dict of str to float
        What was measured at the end of training.
    model : str
        What to call the model by: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or a folder.
    seconds : float
        Wall time.
    registered : RegisteredModel, optional
        Name, version, run and store.
    folder : Path or str, optional
        Model folder that was written; of one in an object store its address.
    outliers : tuple of LeftOut
        Training items that stood far apart from all others, and were not trained on.
    outlier_sheet : Path or str, optional
        Where they can be looked at: a PNG beside the folder, or the artefact of the run.
    self_test : tuple of FoundShare
        Synthetic defects that are found at the threshold, by kind and size; of images.
    """

    kind: str  # "tabular" or "image"
    reading: Reading
    columns: tuple[Column, ...]
    steps: int
    best_step: int
    n_held_out: int
    threshold: Threshold
    metrics: dict[str, float]
    model: str
    seconds: float
    registered: RegisteredModel | None = None
    folder: Path | str | None = None
    outliers: tuple[LeftOut, ...] = ()
    outlier_sheet: Path | str | None = None
    self_test: tuple[FoundShare, ...] = ()


def finish(
    detector: BaseVAEDetector,
    reading: Reading,
    to: Destination,
    started: float,
    columns: tuple[Column, ...] = (),
    figures: Mapping[str, Figure] | None = None,
) -> TrainingReport:
    """Save and register a fitted detector, and say what came of its training.

    The folder is written first, so that an outage of the registry does not cost the training.
    ``started`` is `time.perf_counter` at the beginning; the figures are for the run.
    """
    figures = dict(figures or {})
    folder = None if to.folder is None else save_model(detector.save, to.folder, ALL_FILES)
    sheet = figures.get(OUTLIER_SHEET)
    looked_at: Path | str | None = None
    if sheet is not None and folder is not None:
        looked_at = write_figure(sheet, _beside(folder, "-outliers.png"))
    registered = None
    if to.name is not None:
        registered = log_training(
            detector,
            name=to.name,
            experiment=to.experiment,
            figures=figures,
            pages=_pages(detector, to.name) if to.report else None,
            uri=to.uri,
            alias=to.alias,
            evidence=to.evidence,
        )
        if sheet is not None and looked_at is None:
            looked_at = f"figures/{OUTLIER_SHEET}.png of run {registered.run_id}"
    records = detector.history_.records
    return TrainingReport(
        kind=detector.kind,
        reading=reading,
        columns=columns,
        steps=int(records[-1]["step"]) if records else 0,
        best_step=int(detector.history_.best_step),
        n_held_out=detector.calibration_.n,
        threshold=detector.threshold_,
        metrics=dict(detector.metrics_),
        model=_called(registered, to, folder),
        seconds=time.perf_counter() - started,
        registered=registered,
        folder=folder,
        outliers=detector.left_out_,
        outlier_sheet=looked_at,
        self_test=detector.predicted_recall() if isinstance(detector, ImageVAEDetector) else (),
    )


def _beside(folder: Path | str, ending: str) -> Path:
    """Return a path beside a folder; of one in an object store, in the folder here."""
    if isinstance(folder, str):
        return Path(f"{folder.rpartition('/')[2]}{ending}")
    return folder.with_name(f"{folder.name}{ending}")


def _pages(detector: BaseVAEDetector, name: str) -> dict[str, str]:
    """Return the page of a model that is about to be registered, by file name."""
    from vae_anomaly.jobs.report.model import facts_of_saved
    from vae_anomaly.reports.pages.model import model_page

    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        saved = detector.save(Path(scratch) / "model")
        return {MODEL_PAGE: model_page(facts_of_saved(saved, name))}


def _called(registered: RegisteredModel | None, to: Destination, folder: Path | str | None) -> str:
    if registered is None:
        return str(folder)
    return f"models:/{registered.name}@{to.alias}" if to.alias else registered.uri


def shown_table(n_rows: int, n_columns: int, files: Sequence[Path]) -> str:
    """Say how much was read, and from which files."""
    names = str(files[0])
    if len(files) > 1:
        names = f"{len(files)} files, {files[0]} to {files[-1].name}"
    shown = with_addresses(names)
    return f"{number_of(n_rows, 'row')} of {number_of(n_columns, 'column')} from {shown}"
