"""Say what is strange about a cell beside all other cells of its row.

The column is hidden from the encoder, and the decoder predicts it: that is what the VAE expects.
Where that is too wide to tell, the cell is compared with those of the 20 normal rows that are most
alike in all other columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.tabular.encode.columns import CategoricalColumn, NumericColumn
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.reasons.lone import (
    MUCH_FURTHER,
    excess_over,
    excess_over_usual,
    name_cell,
    name_level,
    scale_of,
)
from vae_anomaly.detectors.tabular.reasons.wording import name_of
from vae_anomaly.detectors.tabular.remembered import RememberedCells

_MIDDLE_90, _UNUSUAL = 1.645, 3.0  # standard deviations either side of what is expected
_UNLIKELY, _LIKELY = 0.01, 0.5  # probability of the value, and of the one that is expected
_COMMON = 0.2  # share of a value that none of 20 similar rows would have by chance in 1 %
_NOT_RARE = 0.05  # share of a value that is unlikely by what the VAE expects
_ALIKE = 20  # normal rows that a row is compared with
_NARROWEST = 0.02  # width of what they have, in the width of the column's usual range
_ROUNDING = 1e-3
_EXPECTED = "expected from the other columns is"
_SIMILAR = "similar training rows have"


@dataclass(frozen=True)
class UsualRange:
    """Numbers that would be usual, in each of N rows."""

    words: str
    low: Floats  # (N,)
    high: Floats
    reach: Floats  # how far beyond them a number is strange


@dataclass(frozen=True)
class UsualCodes:
    """How likely each code of a discrete column would be, in each of N rows."""

    words: str
    chance: Floats  # (N, codes)
    common: float  # share of training cells, from which a value may be unlikely: others always are


def strange_beside_all(cells: RememberedCells, column: int, rows: Ints) -> list[str | None]:
    """Say of some rows why a cell is strange beside all others; None where it is not."""
    examination = cells.examination.take(rows)
    described = examination.model.encoder.columns[column]
    if isinstance(described, NumericColumn) and not described.n_codes:
        ranges = (expected_range(examination, column), range_alike(cells, rows, column))
        texts = [_beside_range(examination, described, one) for one in ranges if one is not None]
    elif described.n_codes:
        chances = (expected_codes(examination, column), codes_alike(cells, rows, column))
        texts = [_beside_chances(cells, column, one, rows) for one in chances if one is not None]
    else:
        texts = []
    if not texts:
        return [None] * len(rows)
    return [next(filter(None, said), None) for said in zip(*texts, strict=True)]


def _beside_range(
    examination: TableExamination, described: NumericColumn, usual: UsualRange
) -> list[str | None]:
    name, scale = name_of(described.name), scale_of(described)
    low, high = readable(usual, described)
    values = np.asarray(examination.frame[described.name], dtype=np.float64)
    excess = excess_over(low, high, values, _NARROWEST * scale.width)
    strange = (values < low - usual.reach) | (values > high + usual.reach)
    strange &= excess > MUCH_FURTHER * excess_over_usual(described, values)
    rows = zip(values.tolist(), low.tolist(), high.tolist(), strange.tolist(), strict=True)
    return [
        f"{name} {scale.number(value, low, high)}, {usual.words} {scale.between(low, high, value)}"
        if is_strange
        else None
        for value, low, high, is_strange in rows
    ]


def readable(usual: UsualRange, described: NumericColumn) -> tuple[Floats, Floats]:
    """Return the bounds, read back from float32: whole where the column is, else a little wider."""
    if described.integer:
        return np.floor(usual.low + _ROUNDING), np.ceil(usual.high - _ROUNDING)
    slack = _ROUNDING * (usual.high - usual.low)
    return usual.low - slack, usual.high + slack


def _beside_chances(
    cells: RememberedCells, column: int, usual: UsualCodes, rows: Ints
) -> list[str | None]:
    described, groups = cells.model.encoder.columns[column], cells.groups(column)
    assert isinstance(described, CategoricalColumn | NumericColumn)  # noqa: S101 - it has codes
    assert groups is not None  # noqa: S101 - likewise
    codes = groups.asked[rows]
    is_common = np.bincount(groups.remembered, minlength=groups.n) >= usual.common * len(
        groups.remembered
    )
    best = usual.chance[:, : len(described.levels)].argmax(axis=1)
    each = np.arange(len(codes))
    odd = is_common[codes] & (usual.chance[each, codes] < _UNLIKELY)
    odd &= usual.chance[each, best] >= _LIKELY
    asked = cells.examination.frame[described.name].iloc[rows]
    return [
        f"{name_cell(described, cell)}, {usual.words} {name_level(described, code)}"
        if is_odd
        else None
        for cell, code, is_odd in zip(asked, best.tolist(), odd.tolist(), strict=True)
    ]


@torch.inference_mode()
def expected_range(examination: TableExamination, column: int) -> UsualRange | None:
    """Return what the VAE expects of a continuous column; None where it predicts none."""
    main = examination.main.model
    params, feature = _predicted(examination, column)
    layout = main.network.layout
    if params is None or feature not in layout.gaussian:
        return None
    target = layout.gaussian.index(feature)
    center = params[:, target].double().numpy()
    sigma = float(main.network.sigma()[target])
    low, high, least, most = (
        main.invert(feature, center + n * sigma, examination.main.viewed)
        for n in (-_MIDDLE_90, _MIDDLE_90, -_UNUSUAL, _UNUSUAL)
    )
    return UsualRange(_EXPECTED, low, high, np.maximum(low - least, most - high))


@torch.inference_mode()
def expected_codes(examination: TableExamination, column: int) -> UsualCodes | None:
    """Return what the VAE expects of a discrete column; None where it predicts none."""
    network = examination.main.model.network
    params, _ = _predicted(examination, column)
    classes = network.layout.classes
    if params is None or not classes:
        return None
    place = examination.model.encoder.discrete.index(column)
    start = sum(classes[:place])
    p = network.probabilities(params)[:, start : start + classes[place]]
    return UsualCodes(_EXPECTED, p.double().numpy(), _NOT_RARE)


def _predicted(examination: TableExamination, column: int) -> tuple[torch.Tensor | None, int]:
    """Hide a column from the encoder; return what the decoder says, and the column's feature."""
    network = examination.main.model.network
    in_column = np.asarray(examination.model.encoder.ownership()[:, column] > 0.0)
    feature = int(np.flatnonzero(in_column)[0])
    if not network.predicts_hidden:
        return None, feature
    viewed = torch.from_numpy(examination.main.viewed)
    latents = network.encode(viewed, torch.from_numpy(in_column))[0]
    return network.decode(latents, viewed), feature


def range_alike(cells: RememberedCells, rows: Ints, column: int) -> UsualRange:
    """Return what similar rows have in a continuous column; as far again beyond is strange."""
    described = cells.model.encoder.columns[column]
    assert isinstance(described, NumericColumn)  # noqa: S101 - it is continuous
    near = cells.numbers(column)[most_alike(cells, rows, column)]
    low, high = near.min(axis=1), near.max(axis=1)
    reach = np.maximum(high - low, _NARROWEST * scale_of(described).width)
    return UsualRange(_SIMILAR, low, high, reach)


def codes_alike(cells: RememberedCells, rows: Ints, column: int) -> UsualCodes:
    """Return how many of the similar rows have each code of a discrete column."""
    groups = cells.groups(column)
    assert groups is not None  # noqa: S101 - it has codes
    near = groups.remembered[most_alike(cells, rows, column)]
    chance = [np.bincount(row, minlength=groups.n) / len(row) for row in near]
    return UsualCodes(_SIMILAR, np.array(chance), _COMMON)


def most_alike(cells: RememberedCells, rows: Ints, column: int) -> Ints:
    """Return the remembered rows most alike in all other columns than one, (N, at most 20)."""
    squared = cells.squared_apart(rows, column)
    nearest = min(_ALIKE, squared.shape[1])
    return np.argpartition(squared, nearest - 1, axis=1)[:, :nearest]
