"""Which of many images are over-exposed: much of them is white, and of the others almost nothing.

Light that is three times too strong is another exposure to whoever compares brightness, where parts
are lit unevenly by nature. But a camera can count no further than white, and what lies beyond is
clipped there.

**The rule.** At most two images are over-exposed, and at most one of every `ONE_IN`. They are, if
at least `LEAST_WHITE` of each one's pixels are white, all channels at the largest value that there
is, and that is at least `TIMES` the largest share of *nearly* white pixels in any other image. The
two may be alike: it is asked whether two are, and then whether one is.

It is slow to speak. A highlight rises to white over a rim of nearly white pixels, so natural ones
count more against other images than for their own. Where white is usual, nobody has `TIMES` as much
as the next. Of 180 solar cells one has 7.9 % of nearly white pixels, 2.4 % of white ones, and the
next 0.55 %: it stays.

**What it does to the promised rate.** No model confirms what was found, as with other outliers: it
does not see white. So a good image may be left out. If good images are exchangeable and one in m of
them has a large highlight, while all others have none, then one or two of n are found in up to 59 %
of all draws, most often where n is 1.4 m. Each one that is left out costs at most one false alarm
in as many normals as were held out: where d of n are, at a stated rate a expect at most a + d / n.
That is a + 0.02 where all are held out, since it is one of every `ONE_IN` at most, and the reason
why fewer images lose none. Where highlights come in all sizes, or a third image has one, all stay.
``python benchmarks/bad_frames.py DATA --white`` counts good images that are left out.

There is no such look for black. Frames that are black or half-read are found by what models see,
and little light clips nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats

LEAST_WHITE: Final = 0.03  # of the pixels; x 3 and stored as JPEG, 4 % of a dark tile are
TIMES: Final = 20.0
ONE_IN: Final = 50
"""Images of which one may be left out, so that a good one costs the rate 0.02 at most."""

_MOST: Final = 2  # a third one makes it a kind of light
_NEARLY: Final = 0.988  # 252 of 255


def white_shares(pixels: AnyArray, white: int | None = None) -> tuple[float, float]:
    """Return the shares of white and of nearly white pixels, in [0, 1].

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8, uint16 or floating point in [0, 1]
        All channels of a white pixel are.
    white : int, optional
        What is white; by default 255, 65535 or 1.

    Examples
    --------
    >>> white_shares(np.array([[255, 253], [200, 0]], np.uint8))
    (0.25, 0.5)
    """
    darkest = pixels if pixels.ndim == 2 else pixels.min(axis=2)
    full = white or (np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0)
    return float((darkest >= full).mean()), float((darkest >= _NEARLY * full).mean())


def over_exposed(shares: Floats) -> Bools:
    """Tell which of n images are over-exposed, by the rule above.

    Parameters
    ----------
    shares : ndarray of shape (n, 2)
        From `white_shares`.

    Returns
    -------
    ndarray of shape (n,), bool

    Examples
    --------
    >>> shares = np.full((180, 2), 0.001)
    >>> shares[[7, 90]] = 0.06, 0.07
    >>> np.flatnonzero(over_exposed(shares)).tolist()
    [7, 90]
    """
    found = np.zeros(len(shares), np.bool_)
    white, nearly = shares.T
    order = np.argsort(-white, kind="stable")
    for k in range(min(_MOST, len(shares) // ONE_IN), 0, -1):
        bright, others = order[:k], order[k:]
        if white[bright].min() >= max(LEAST_WHITE, TIMES * nearly[others].max()):
            found[bright] = True
            break
    return found


def over_exposed_words(white: float, largest_of_others: float) -> str:
    """Say how much of an over-exposed image is white, and how little of the others."""
    tenths = max(1, int(np.ceil(1000.0 * largest_of_others)))
    return (
        f"{round(100.0 * white, 1):g} % of its pixels are white, "
        f"at most {tenths / 10:g} % in the others"
    )
