"""What an image shows, told beforehand: products whose change is no alarm.

A condition is a name in a folder or a manifest. The network knows codes, a model directory names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Bools, Ints
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.errors import DataError
from vae_anomaly.words import number_of, verb_for

UNKNOWN: Final = -1
"""Code of a condition that training has not seen, or that nobody told."""

_ENOUGH_HELD_OUT: Final = 5
"""Held-out images of a condition that are enough to put its heat on a scale."""


def read_conditions(values: object, n_images: int) -> tuple[str | None, ...]:
    """Return a user's array, one condition for each image, as names; None where a cell is empty."""
    cells = pd.Series(np.asarray(values, dtype=object).reshape(-1), dtype=object)
    if len(cells) != n_images:
        raise DataError(
            f"conditions must name one condition for each image: got {len(cells)} for "
            f"{number_of(n_images, 'image')}. Give them in the order of the images (a folder is "
            "sorted by name)."
        )
    return tuple(read_text(cells))


def learn_conditions(conditions: Sequence[str | None], ids: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the training images' conditions, sorted; their places are the codes.

    An image without any is refused, and so is a set that has only one.
    """
    lost = [name for name, condition in zip(ids, conditions, strict=True) if condition is None]
    if lost:
        raise DataError(
            f"{len(lost)} of {number_of(len(ids), 'training image')} "
            f"{verb_for(len(lost), 'has', 'have')} no condition, the first is {lost[0]!r}. Fill in "
            "the manifest's column that condition= names, or give condition='folder'."
        )
    names = sorted({condition for condition in conditions if condition is not None})
    if len(names) < 2:
        raise DataError(
            f"A conditional model needs images of at least 2 conditions; all {len(ids)} have "
            f"{names[0]!r}. Put each product into a folder of its own, name another column with "
            "condition=, or take model='conv'."
        )
    return tuple(names)


def few_images(names: Sequence[str], codes: Ints, held_out: Bools) -> list[str]:
    """Name the conditions of which too few images are held out, with how many there are."""
    held = np.bincount(codes[held_out], minlength=len(names))
    total = np.bincount(codes, minlength=len(names))
    few = np.flatnonzero(held < _ENOUGH_HELD_OUT).tolist()
    return [f"{names[code]} ({total[code]})" for code in few]


def condition_codes(names: Sequence[str], conditions: Sequence[str | None]) -> Ints:
    """Return the code of each condition, `UNKNOWN` for one that training has not seen, (N,)."""
    place = {name: code for code, name in enumerate(names)}
    return np.array([place.get(name or "", UNKNOWN) for name in conditions], dtype=np.int64)


def known_codes(names: Sequence[str], values: object, n: int) -> Ints:
    """Return the code of each of n conditions that a user names, all seen in training, (n,)."""
    conditions = read_conditions(values, n)
    codes = condition_codes(names, conditions)
    if (codes < 0).any():
        unknown = conditions[int(codes.argmin())]
        raise DataError(
            f"The condition {unknown!r} was never seen in training; known are "
            f"{', '.join(names) or 'none'}. Name one of these."
        )
    return codes


def unseen_reason(product: str | None, judged_as: str) -> str:
    """Say why an image could not be judged as what it is."""
    if product is None:
        return f"its product is not told; judged as {judged_as!r}, which fits best"
    unseen = f"product {product!r} was never seen in training"
    return f"{unseen}; judged as {judged_as!r}, which fits best"


def keep_each_condition(held: Bools, codes: Ints | None, groups: AnyArray) -> Bools:
    """Take back from what is held out (n,) the groups without which a condition would have nothing.

    At least one image of every condition stays outside of what is returned.
    """
    if codes is None:
        return held
    lone = ~np.isin(codes, codes[~held])
    return held & ~np.isin(groups, groups[lone])


def scale_rows(codes: Ints, held_out: Bools, code: int) -> Ints:
    """Return the images by which the heat of a condition is put on its scale.

    Held-out ones where there are five; else all of the condition, although the network has seen
    most of them: still nearer to the truth than the scale of other products.
    """
    rows = np.flatnonzero((codes == code) & held_out)
    return rows if len(rows) >= _ENOUGH_HELD_OUT else np.flatnonzero(codes == code)


def spared_conditions(odd: Ints, codes: Ints) -> Ints:
    """Return which of the images ``odd`` may be left out without taking a condition away."""
    left = np.delete(codes, odd)
    return odd[np.isin(codes[odd], left)]
