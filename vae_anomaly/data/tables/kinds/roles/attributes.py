"""Find columns that tell who it is by what they do: one text for each key, and few keys a text.

The job of a card holder, the town, the name: with the key left out they are the key by another
name. A text that many keys share, such as a country, tells a group and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Ints
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import Column, ColumnKind

_MIN_KEYS: Final = 50
_MIN_ROWS_A_KEY: Final = 3  # fewer, and every column looks as if the key told it
_SAME: Final = 0.99  # of the rows have the text that is their key's commonest
_KEYS_A_TEXT: Final = 4  # and more, and a text tells a group


def attributes_of_keys(
    columns: Mapping[str, Column], series: Mapping[str, pd.Series], said: Collection[str]
) -> dict[str, Column]:
    """Return, as left out, the text features that tell which key of a person a row has."""
    keys = {
        name: _codes(series[name])
        for name, column in columns.items()
        if column.role == "person" and column.kind is ColumnKind.IDENTIFIER
    }
    keys = {name: codes for name, codes in keys.items() if _repeats(codes)}
    out = {}
    for name, column in columns.items():
        if not keys or name in said or column.kind is not ColumnKind.CATEGORICAL:
            continue
        texts = _codes(series[name])
        key = next((key for key, codes in keys.items() if _tells(texts, codes)), None)
        if key is not None:
            note = f"one of {texts.max() + 1:,} for each {key!r}, so it tells who it is"
            out[name] = column.model_copy(
                update={"kind": ColumnKind.IGNORED, "role": "person", "note": note}
            )
    return out


def _codes(series: pd.Series) -> Ints:
    """Return the number of each cell's text, shape (N,); -1 where missing."""
    return np.asarray(pd.factorize(cells.read_text(series))[0], dtype=np.int64)


def _repeats(codes: Ints) -> bool:
    n_keys = int(codes.max(initial=-1)) + 1
    return n_keys >= _MIN_KEYS and int(np.sum(codes >= 0)) >= _MIN_ROWS_A_KEY * n_keys


def _tells(texts: Ints, keys: Ints) -> bool:
    """Tell whether each key has one text, and each text is that of few keys."""
    known = (texts >= 0) & (keys >= 0)
    texts, keys = texts[known], keys[known]
    n_keys = len(np.unique(keys))
    if n_keys == 0 or len(np.unique(texts)) * _KEYS_A_TEXT < n_keys:
        return False
    pairs, counts = np.unique(np.stack([keys, texts], axis=1), axis=0, return_counts=True)
    commonest = np.zeros(int(keys.max()) + 1, dtype=np.int64)
    np.maximum.at(commonest, pairs[:, 0], counts)
    return bool(commonest.sum() >= _SAME * len(keys))
