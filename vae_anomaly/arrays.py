"""Names for the arrays that pass between rooms: the type of their elements, in one place.

A shape is no part of a name; docstrings and comments tell it, as in ``(N, D)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Indices = NDArray[np.intp]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Times = NDArray[np.datetime64]
Objects = NDArray[np.object_]
"""Texts, ids and groups as the files have them."""

AnyFloats = NDArray[np.floating]
AnyInts = NDArray[np.integer]
AnyArray = NDArray[Any]
"""Numbers, truths or texts: what a caller may hand in."""

Arrays = dict[str, AnyArray]
"""The arrays of a saved state, by name."""
