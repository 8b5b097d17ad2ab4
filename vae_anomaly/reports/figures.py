"""Figures of scores, with the operating point, and of how a network learned; written to disk."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.data.images.marked import SOFTWARE
from vae_anomaly.files import replace_file, write_json
from vae_anomaly.metrics import RankingCurve, checked_labels, checked_scores
from vae_anomaly.reports.palette import LIGHT_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vae_anomaly.scoring.probability import ScoreProbability
    from vae_anomaly.vae.training import History

NORMAL, ANOMALY, POINT = LIGHT_COLOURS.normal, LIGHT_COLOURS.anomalous, LIGHT_COLOURS.accent
DPI = 110


def evaluation_figures(
    scores: ArrayLike, labels: ArrayLike | None, threshold: float
) -> dict[str, Figure]:
    """Return all figures that these scores allow, by file name without its ending.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
    labels : array-like of shape (N,), 1 = anomaly, or None
        Without them, or with one class, only the histogram is drawn.
    threshold : float
        Flagged when ``score > threshold``.
    """
    figures = {"score_histogram": score_histogram_figure(scores, labels, threshold)}
    if labels is not None and len(np.unique(np.asarray(labels))) > 1:
        figures["roc"] = roc_figure(scores, labels, threshold)
        figures["precision_recall"] = precision_recall_figure(scores, labels, threshold)
    return figures


def training_figures(scores: ArrayLike, threshold: float, history: History) -> dict[str, Figure]:
    """Return the figures that every training run gets, by file name without its ending.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
        Of held-out normals.
    threshold : float
        Flagged when ``score > threshold``.
    history : History
        Of the networks; without records there are no loss curves.
    """
    figures = {
        "score_histogram": score_histogram_figure(scores, None, threshold, "held-out normals")
    }
    if history.records:
        figures["loss_curves"] = loss_curves_figure(history)
    return figures


def loss_curves_figure(history: History) -> Figure:
    """Draw reconstruction, KL and validation ELBO over the steps of training, in nats."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [record["step"] for record in history.records]
    for axes, names, label in (
        (upper, ("train_nll", "val_nll"), "nats, lower = better"),
        (lower, ("train_kl", "val_kl"), "KL, nats"),
    ):
        for name in names:
            axes.plot(steps, [one.get(name, np.nan) for one in history.records], label=name)
        axes.axvline(history.best_step, color="0.6", linewidth=1.0)
        axes.set_ylabel(label)
    bound = [-record.get("val_elbo", np.nan) for record in history.records]
    upper.plot(steps, bound, "k--", label="-val_elbo")
    for axes in (upper, lower):
        axes.legend(frameon=False)
    figure.align_ylabels()
    lower.set_xlabel("step (the grey line marks the weights that were kept)")
    return figure


def score_histogram_figure(
    scores: ArrayLike, labels: ArrayLike | None, threshold: float, items: str = "items"
) -> Figure:
    """Draw how scores are spread, by label where there are labels, counts on a log axis."""
    s = checked_scores(scores)
    figure, axes = _figure(8.0, 3.8)
    edges = np.linspace(min(s.min(), threshold), max(s.max(), threshold) + 1e-9, 61).tolist()
    if labels is None:
        axes.hist(s, bins=edges, log=True, color=NORMAL, label=f"{items} ({s.size:,})")
    else:
        y = checked_labels(labels, s.size, one_class=True)
        for part, colour, name in ((s[~y], NORMAL, "normal"), (s[y], ANOMALY, "anomaly")):
            axes.hist(
                part, bins=edges, log=True, color=colour, alpha=0.65,
                label=f"{name} ({part.size:,})",
            )  # fmt: skip
    axes.axvline(threshold, color=POINT, linestyle="--", label=f"threshold {threshold:.3g}")
    axes.set_xlabel("anomaly score, -log10 p (higher = more anomalous)")
    axes.set_ylabel("items")
    axes.legend(frameon=False)
    return figure


def roc_figure(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Figure:
    """Draw recall over false-positive rate, the rate on a log axis where few alarms matter."""
    s, y, curve = _curve(scores, labels)
    figure, axes = _figure(5.2, 4.6)
    floor = 0.5 / np.sum(~y)
    axes.step(np.maximum(curve.fpr, floor), curve.tpr, where="post", color="black",
              label=f"AUROC {curve.auroc():.3f}")  # fmt: skip
    chance = np.geomspace(floor, 1.0, 200)
    axes.plot(chance, chance, color="0.8", linestyle=":", label="chance")
    fpr, tpr = float(np.mean(s[~y] > threshold)), float(np.mean(s[y] > threshold))
    axes.plot(max(fpr, floor), tpr, "o", color=POINT, label=f"threshold: {tpr:.0%} at {fpr:.2%}")
    axes.set(xscale="log", xlabel="false-positive rate", ylabel="recall", ylim=(0.0, 1.02))
    axes.legend(frameon=False, loc="best")
    return figure


def precision_recall_figure(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Figure:
    """Draw precision over recall, with what chance would reach."""
    s, y, curve = _curve(scores, labels)
    figure, axes = _figure(5.2, 4.6)
    axes.step(curve.tpr[1:], curve.precision[1:], where="pre", color="black",
              label=f"average precision {curve.average_precision():.3f}")  # fmt: skip
    axes.axhline(y.mean(), color="0.8", linestyle=":", label=f"chance {y.mean():.2g}")
    flags = s > threshold
    if flags.any():
        recall, precision = float(np.mean(flags[y])), float(np.mean(y[flags]))
        axes.plot(recall, precision, "o", color=POINT,
                  label=f"threshold: {precision:.0%} right, {recall:.0%} found")  # fmt: skip
    axes.set(xlabel="recall", ylabel="precision", xlim=(0.0, 1.02), ylim=(0.0, 1.05))
    axes.legend(frameon=False, loc="best")
    return figure


def reliability_figure(probability: ScoreProbability) -> Figure:
    """Draw how often items were anomalies over how likely that was said to be.

    Points on the diagonal are honest; bars are 95 % intervals. All items were left out of fitting
    the map that spoke of them, at the base rate of the labelled set. Log axes: anomalies are rare.
    """
    figure, axes = _figure(5.2, 4.8)
    bins = probability.reliability
    predicted = np.array([one.predicted for one in bins])
    floor = 0.5 * min(predicted.min(), *(max(one.observed.low, 1e-4) for one in bins))
    low, observed, high = (
        np.maximum([getattr(one.observed, end) for one in bins], floor)
        for end in ("low", "estimate", "high")
    )
    axes.plot([floor, 1.0], [floor, 1.0], color="0.8", linestyle=":", label="honest")
    bars = [observed - low, high - observed]
    axes.errorbar(predicted, observed, yerr=bars, fmt="o", color="black", capsize=2,
                  label="items left out")  # fmt: skip
    for one, x, y in zip(bins, predicted, high, strict=True):
        axes.annotate(f"{one.n:,}", (x, y), textcoords="offset points", xytext=(0, 3),
                      ha="center", fontsize=7, color="0.4")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("probability of an anomaly, as predicted")
    axes.set_ylabel("share of anomalies, as found")
    brier = probability.brier
    axes.set_title(
        f"Brier score {brier.estimate:.4f} ({brier.low:.4f} - {brier.high:.4f}); "
        f"always the base rate: {probability.brier_of_base_rate:.4f}",
        fontsize=9,
    )
    axes.legend(frameon=False, loc="upper left")
    return figure


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG and return its path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    target = Path(path)
    with replace_file(target) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a name in the title: a box
        figure.savefig(temporary, dpi=DPI, format="png", metadata=SOFTWARE)
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


def _curve(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Bools, RankingCurve]:
    s = checked_scores(scores)
    y = checked_labels(labels, s.size)
    return s, y, RankingCurve.of(y, s)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
