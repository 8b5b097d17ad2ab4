"""What a threshold bounds: the model's own score, or what verdicts have taught of an item."""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np

from vae_anomaly.arrays import Floats
from vae_anomaly.verdicts.learner import REFERENCE_NIGHTS

Basis = Literal["score", "p_combined", "probability"]
"""``score`` is -log10 of the model's p-value, ``p_combined`` is compared as its -log10, and
``probability`` P as -ln(1 - P), in nats: a probability near 1 has no digits left."""

MEASURED: Final = f"measured on the last {REFERENCE_NIGHTS} nights, not proven"
"""What every statement on combined p-values rests on."""

_LARGEST: Final = -math.log(2.0**-54)  # nats, of a probability that is written as 1


def p_bound(p_combined: float) -> float:
    """Return the value of a threshold that flags combined p-values of at most this.

    Examples
    --------
    >>> -math.log10(0.01) > p_bound(0.01) > -math.log10(0.010001)
    True
    """
    return float(np.nextafter(-math.log10(p_combined), -math.inf))


def surprise_of(probability: Floats) -> Floats:
    """Return -ln(1 - P) of N probabilities, as far as they have digits."""
    with np.errstate(divide="ignore"):
        return np.minimum(-np.log1p(-probability), _LARGEST)


def bound_text(basis: Basis, value: float) -> str:
    """Say what a threshold flags, such as ``score > 2.31``.

    Examples
    --------
    >>> bound_text("p_combined", p_bound(0.002)), bound_text("probability", math.log(4))
    ('p_combined <= 0.002', 'probability > 0.75')
    """
    if basis == "p_combined":
        return f"p_combined <= {10.0**-value:.3g}"
    if basis == "probability":
        return f"probability > {-math.expm1(-value):.4g}"
    return f"score > {value:.3f}"


def flags_in_words(basis: Basis, value: float) -> str:
    """Say what is flagged by what verdicts have taught, and what that rests on."""
    if basis == "p_combined":
        return (
            f"An item is flagged when its combined p-value is at most {10.0**-value:.3g}, as that "
            f"of at most {100 * 10.0**-value:.3g} % of normal items is: {MEASURED}."
        )
    return (
        "An item is flagged when verdicts give it a probability of more than "
        f"{-math.expm1(-value):.4g} of being an anomaly. What is learned changes with every "
        "night of verdicts: choose it anew now and then."
    )
