"""Write figures and reports to disk, or say why that failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from vae_anomaly.files import replace_file, write_json
from vae_anomaly.reports.figures import evaluation_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG and return its path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    target = Path(path)
    with replace_file(target) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png")
    return target


def write_figures(
    scores: ArrayLike, labels: ArrayLike | None, threshold: float, out: str | Path
) -> list[Path]:
    """Draw the figures that these scores allow into a folder and return their paths.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
    labels : array-like of shape (N,), 1 = anomaly, or None
    threshold : float
        Flagged when ``score > threshold``.
    out : path

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    figures = evaluation_figures(scores, labels, threshold)
    return [write_figure(figure, Path(out) / f"{name}.png") for name, figure in figures.items()]


def write_evaluation(
    report: Mapping[str, Any], scores: ArrayLike, labels: ArrayLike | None, out: str | Path
) -> list[Path]:
    """Write ``evaluation.json`` and the figures of a report and return their paths.

    Parameters
    ----------
    report : mapping
        As `EvaluationReport.to_dict` gives it.
    scores, labels, out
        As `write_figures`.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    written = write_json(report, Path(out) / "evaluation.json")
    return [written, *write_figures(scores, labels, report["threshold"]["value"], out)]
