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
from vae_anomaly.reports.plots import add_legend, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vae_anomaly.scoring.probability import ScoreProbability
    from vae_anomaly.vae.training import History

NORMAL, ANOMALY, POINT = LIGHT_COLOURS.normal, LIGHT_COLOURS.anomalous, LIGHT_COLOURS.accent
CURVE, GUIDE = LIGHT_COLOURS.text, LIGHT_COLOURS.normal
SCORE_AXIS = "anomaly score, -log10 p (higher = more anomalous)"
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
    """Draw reconstruction, KL and validation ELBO over the steps of training, in nats.

    Parameters
    ----------
    history : History
        Of the networks, as ``detector.history_``; the vertical line marks the weights kept.

    Returns
    -------
    figure : matplotlib Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [record["step"] for record in history.records]
    for axes, term, title in (
        (upper, "nll", "Training: reconstruction and bound"),
        (lower, "kl", "Training: KL to the prior"),
    ):
        for part, colour, style in (("train", GUIDE, "-"), ("val", CURVE, "-")):
            values = [one.get(f"{part}_{term}", np.nan) for one in history.records]
            axes.plot(steps, values, style, color=colour, label=f"{part}_{term}")
        axes.axvline(history.best_step, color=POINT, linestyle=":", linewidth=1.2,
                     label="weights that were kept")  # fmt: skip
        axes.set_ylabel("nats an item, lower = better" if term == "nll" else "nats an item")
        dress(axes, title)
    bound = [-record.get("val_elbo", np.nan) for record in history.records]
    upper.plot(steps, bound, "--", color=CURVE, label="-val_elbo")
    for axes in (upper, lower):
        add_legend(axes)
    figure.align_ylabels()
    lower.set_xlabel("step of training")
    return figure


def score_histogram_figure(
    scores: ArrayLike, labels: ArrayLike | None, threshold: float, items: str = "items"
) -> Figure:
    """Draw how scores are spread, by label where there are labels, counts on a log axis.

    Parameters
    ----------
    scores : array-like of shape (N,), -log10 p, higher = more anomalous
        For example the column ``score`` of `read_results`.
    labels : array-like of shape (N,), 1 = anomaly, or None
    threshold : float
        Flagged when ``score > threshold``.
    items : str
        What they are called.

    Returns
    -------
    figure : matplotlib Figure
    """
    s = checked_scores(scores)
    figure, axes = new_figure(8.0, 3.8, f"Scores of {s.size:,} {items}")
    edges = np.linspace(min(s.min(), threshold), max(s.max(), threshold) + 1e-9, 61).tolist()
    if labels is None:
        axes.hist(s, bins=edges, log=True, color=NORMAL, label=items)
    else:
        y = checked_labels(labels, s.size, one_class=True)
        for part, colour, name in ((s[~y], NORMAL, "normal"), (s[y], ANOMALY, "anomaly")):
            axes.hist(
                part, bins=edges, log=True, color=colour, alpha=0.7,
                hatch="///" * (name == "anomaly"), edgecolor="white", linewidth=0.0,
                label=f"{name} ({part.size:,})",
            )  # fmt: skip
    axes.axvline(threshold, color=POINT, linestyle="--", label=f"threshold {threshold:.3g}")
    axes.set_xlabel(SCORE_AXIS)
    axes.set_ylabel(f"{items} in each bin")
    add_legend(axes)
    return figure


def roc_figure(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Figure:
    """Draw recall over false-positive rate, the rate on a log axis where few alarms matter.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
    labels : array-like of shape (N,), 1 = anomaly
    threshold : float
        The operating point: flagged when ``score > threshold``.

    Returns
    -------
    figure : matplotlib Figure
    """
    s, y, curve = _curve(scores, labels)
    figure, axes = new_figure(5.2, 4.6, "Found over false alarms (ROC)")
    floor = 0.5 / np.sum(~y)
    axes.step(np.maximum(curve.fpr, floor), curve.tpr, where="post", color=CURVE,
              label=f"AUROC {curve.auroc():.3f}")  # fmt: skip
    chance = np.geomspace(floor, 1.0, 200)
    axes.plot(chance, chance, color=GUIDE, linestyle=":", label="chance")
    fpr, tpr = float(np.mean(s[~y] > threshold)), float(np.mean(s[y] > threshold))
    axes.plot(max(fpr, floor), tpr, "o", color=POINT, label=f"threshold: {tpr:.0%} at {fpr:.2%}")
    axes.set(xscale="log", xlabel="false-positive rate, share of normals (log axis)",
             ylabel="recall, share of anomalies", ylim=(0.0, 1.02))  # fmt: skip
    add_legend(axes)
    return figure


def precision_recall_figure(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Figure:
    """Draw precision over recall, with what chance would reach.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
    labels : array-like of shape (N,), 1 = anomaly
    threshold : float
        The operating point: flagged when ``score > threshold``.

    Returns
    -------
    figure : matplotlib Figure
    """
    s, y, curve = _curve(scores, labels)
    figure, axes = new_figure(5.2, 4.6, "Precision over recall")
    axes.step(curve.tpr[1:], curve.precision[1:], where="pre", color=CURVE,
              label=f"average precision {curve.average_precision():.3f}")  # fmt: skip
    axes.axhline(y.mean(), color=GUIDE, linestyle=":", label=f"chance {y.mean():.2g}")
    flags = s > threshold
    if flags.any():
        recall, precision = float(np.mean(flags[y])), float(np.mean(y[flags]))
        axes.plot(recall, precision, "o", color=POINT,
                  label=f"threshold: {precision:.0%} right, {recall:.0%} found")  # fmt: skip
    axes.set(xlabel="recall, share of anomalies", ylabel="precision, share of flags",
             xlim=(0.0, 1.02), ylim=(0.0, 1.05))  # fmt: skip
    add_legend(axes)
    return figure


def reliability_figure(probability: ScoreProbability) -> Figure:
    """Draw how often items were anomalies over how likely that was said to be.

    Points on the diagonal are honest; bars are 95 % intervals. All items were left out of fitting
    the map that spoke of them, at the base rate of the labelled set. Log axes: anomalies are rare.

    Parameters
    ----------
    probability : ScoreProbability
        The map of scores, as ``detector.probability_``.

    Returns
    -------
    figure : matplotlib Figure
    """
    brier = probability.brier
    figure, axes = new_figure(
        5.4, 5.0,
        f"Predicted against found\nBrier score {brier.estimate:.4f} ({brier.low:.4f} - "
        f"{brier.high:.4f}); always the base rate: {probability.brier_of_base_rate:.4f}",
    )  # fmt: skip
    bins = probability.reliability
    predicted = np.array([one.predicted for one in bins])
    floor = 0.5 * min(predicted.min(), *(max(one.observed.low, 1e-4) for one in bins))
    low, observed, high = (
        np.maximum([getattr(one.observed, end) for one in bins], floor)
        for end in ("low", "estimate", "high")
    )
    axes.plot([floor, 1.0], [floor, 1.0], color=GUIDE, linestyle=":", label="honest")
    bars = [observed - low, high - observed]
    axes.errorbar(predicted, observed, yerr=bars, fmt="o", color=CURVE, capsize=2,
                  label="items left out, with 95 % intervals")  # fmt: skip
    for one, x, y in zip(bins, predicted, high, strict=True):
        axes.annotate(f"{one.n:,}", (x, y), textcoords="offset points", xytext=(0, 3),
                      ha="center", fontsize=7, color=LIGHT_COLOURS.muted)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("probability of an anomaly, as predicted")
    axes.set_ylabel("share of anomalies, as found")
    axes.title.set_fontsize(9)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
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
