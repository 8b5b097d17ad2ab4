"""In words: how a whole image differs from good ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats
from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT, STILL_UNIT
from vae_anomaly.detectors.images.score.evidence import CERTAIN

UNSPECIFIC: Final = "brightness, contrast, texture or colour of the whole image is unusual"
"""What is said where no word fits: places on the image say more."""

_OFFSET: Final = 0.05  # of `FilterBank`, added to intensities before the logarithm
_BLACK: Final = 0.03
_WHITE: Final = 0.95
_FLAT: Final = 0.02  # sd of log brightness of an image without structure
_STILL: Final = 0.10  # share of still lines beyond the usual that is worth a word
_INVERTED: Final = 0.2  # layout: -atanh of a correlation that is clearly negative


def whole_image_words(
    statistics: Floats, usual: Floats, judged: Mapping[str, Floats], unlike: Floats
) -> list[str]:
    """Say what is the matter with each of N whole images.

    Parameters
    ----------
    statistics : ndarray of shape (N, S)
    usual : ndarray of shape (S - `N_LAYOUT`,)
        Mean over normals of all but the layout.
    judged : mapping of str to ndarray of shape (N,), nats
        Surprise of each judge.
    unlike : ndarray of shape (N,)
        Distance of the layout from that of normals: above 0 it is more like the inverted one.
    """
    return [
        _light(row, usual) or _still(row[:-N_LAYOUT], usual) or _by_judge(row, usual, own, far)
        for row, far, own in zip(
            statistics, unlike, _by_image(judged, len(statistics)), strict=True
        )
    ]


def _by_image(judged: Mapping[str, Floats], n: int) -> list[dict[str, float]]:
    return [{name: float(column[i]) for name, column in judged.items()} for i in range(n)]


def _light(row: Floats, usual: Floats) -> str:
    """Say whether the image is blank, black or white; nothing where it is none of these."""
    light, usually = _brightness(row), _brightness(usual)
    extreme = "almost black" if light < _BLACK else "over-exposed" if light > _WHITE else ""
    if row[1] < _FLAT < usual[1]:
        tone = extreme or f"all of it near {100 * light:.0f} % of white"
        return f"no structure: the image is blank, {tone}"
    if extreme and _BLACK < usually < _WHITE:
        return f"{extreme}: {_compared(light, usually)}"
    return ""


def _still(row: Floats, usual: Floats) -> str:
    """Say whether lines repeat the one before; nothing where no more do than in good images."""
    beyond = (row[-2:] - usual[-2:]) / STILL_UNIT
    if beyond.max() < _STILL:
        return ""
    share, lines = row[-2:].max() / STILL_UNIT, ("rows", "columns")[int(beyond.argmax())]
    return f"{100 * share:.0f} % of its {lines} repeat the one before: half-read, or partly blank"


def _by_judge(row: Floats, usual: Floats, judged: Mapping[str, float], unlike: float) -> str:
    """Say what the judge sees that is the most surprised."""
    decisive = max(judged, key=lambda name: judged[name])
    if judged["layout"] >= CERTAIN and unlike > _INVERTED:
        return "bright and dark lie the other way round: inverted, or of another lighting"
    if decisive == "layout":
        return "bright and dark do not lie where they do in good images"
    if decisive == "exposure" or judged["exposure"] >= CERTAIN:
        light, usually = _brightness(row), _brightness(usual)
        return f"{'darker' if light < usually else 'brighter'}: {_compared(light, usually)}"
    return UNSPECIFIC


def _brightness(row: Floats) -> float:
    """Return the share of white that the mean log brightness stands for."""
    return float(np.clip(np.exp(row[0]) - _OFFSET, 0.0, 1.0))


def _compared(light: float, usually: float) -> str:
    return f"{100 * light:.0f} % of white on average, good images {100 * usually:.0f} %"
