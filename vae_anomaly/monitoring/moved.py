"""Say how a variable has moved, in words that a person can act on."""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats
from vae_anomaly.monitoring.baseline import Variable
from vae_anomaly.monitoring.tally import VariableCounts

_COMPARED: Final = {
    "brightness": ("darker", "brighter"),
    "contrast": ("flatter", "richer in contrast"),
    "sharpness": ("more blurred", "sharper"),
    "colour": ("less colourful", "more colourful"),
    "width": ("narrower", "wider"),
    "height": ("lower", "higher"),
}
_SEEN: Final = {"brightness": 0.02, "contrast": 0.01, "sharpness": 0.1, "colour": 0.01}
"""By how much the median of a measure of images has to move before anybody would see it."""
_CLEARLY: Final = 0.05  # share of items that has moved, from which it is told


def moved_words(variable: Variable, now: VariableCounts, psi: float, group: str = "") -> str:
    """Say what has moved in a column, or in a measure of images (of a group).

    Examples
    --------
    >>> amount = Variable("amount", "number", (0, 50, 50, 0), edges=(0.0, 10.0, 20.0))
    >>> moved_words(amount, VariableCounts((0, 0, 40, 60)), 1.2)
    "column 'amount': PSI 1.20, median above 20, was 10"
    """
    if variable.shape == "measure" and variable.name in _COMPARED and variable.edges:
        return _of_images(variable, now, psi, group)
    subject = f"column {variable.name!r}" + (f" of {group!r}" if group else "")
    return f"{subject}: PSI {psi:.2f}, {_change(variable, now)}"


def has_hardly_moved(variable: Variable, now: VariableCounts) -> bool:
    """Tell whether a measure of images has moved by less than can be seen, however surely."""
    least = _SEEN.get(variable.name) if variable.shape == "measure" else None
    if least is None:
        return False
    before, after = (_quantile(variable, c, 0.5)[0] for c in (variable.counts, now.counts))
    return abs(after - before) < least


def median_of(variable: Variable, counts: tuple[int, ...]) -> str:
    """Return the median of counts as text; "above" or "below" where it lies beyond the bins."""
    value, beyond = _quantile(variable, counts, 0.5)
    return f"{beyond}{value:.3g}"


def _of_images(variable: Variable, now: VariableCounts, psi: float, group: str) -> str:
    whose = f"images of {group!r} are" if group else "images are"
    before, after = (_quantile(variable, c, 0.5)[0] for c in (variable.counts, now.counts))
    above = _quantile(variable, now.counts, 0.5)[1] == "above "
    lower, higher = _COMPARED[variable.name]
    medians = (
        f"median {variable.name} {median_of(variable, now.counts)}, was "
        f"{median_of(variable, variable.counts)} (PSI {psi:.2f})"
    )
    if before == after and not above:
        return f"{whose} spread otherwise in {variable.name} than in training: {medians}"
    return f"{whose} {higher if after > before or above else lower} than in training: {medians}"


def _change(variable: Variable, now: VariableCounts) -> str:
    empty = [_share(one.missing, one) for one in (variable, now)]
    if abs(empty[1] - empty[0]) >= _CLEARLY:
        return f"empty {_percent(empty[0])} -> {_percent(empty[1])}"
    if variable.shape == "category":
        return _values(variable, now)
    medians = [median_of(variable, counts) for counts in (variable.counts, now.counts)]
    if medians[0] != medians[1]:
        return f"median {medians[1]}, was {medians[0]}"
    ranges = [
        " to ".join(f"{_quantile(variable, counts, q)[0]:.3g}" for q in (0.1, 0.9))
        for counts in (variable.counts, now.counts)
    ]
    return f"its middle four fifths {ranges[1]}, was {ranges[0]}"


def _values(variable: Variable, now: VariableCounts) -> str:
    before, after = (
        np.array(one.counts, np.float64) / max(sum(one.counts), 1) for one in (variable, now)
    )
    place = int(np.argmax(np.abs(after - before)))
    shares = f"{_percent(before[place])} -> {_percent(after[place])}"
    if place == len(variable.levels):
        return f"values that are rare or unknown in training {shares}"
    if variable.is_private:
        return f"one of its values {shares}"
    return f"{variable.levels[place]!r} {shares}"


def _quantile(variable: Variable, counts: tuple[int, ...], q: float) -> tuple[float, str]:
    """Return a quantile, interpolated in its bin, and "above " where only a bound is known."""
    edges: Floats = np.asarray(variable.edges, np.float64)
    total, upto = sum(counts), np.cumsum(counts)
    if not total or not edges.size:
        return float("nan"), ""
    place = int(np.searchsorted(upto, q * total))
    if place >= edges.size:
        return float(edges[-1]), "above "
    if place == 0 or _is_whole(edges):
        return float(edges[place]), ""
    inside = (q * total - float(upto[place - 1])) / max(counts[place], 1)
    low, high = float(edges[place - 1]), float(edges[place])
    return low + inside * (high - low), ""


def _is_whole(edges: Floats) -> bool:
    return bool(np.all(edges == np.round(edges)))


def _share(missing: int, one: Variable | VariableCounts) -> float:
    return missing / max(sum(one.counts) + one.missing, 1)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}"
