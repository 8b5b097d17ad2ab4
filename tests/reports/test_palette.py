"""Colours mean the same everywhere, and are told apart in grey and by the colour-blind."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest

from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, render
from vae_anomaly.reports.palette import DARK_COLOURS, LIGHT_COLOURS, OUTLINE

BOTH = pytest.mark.parametrize("palette", [LIGHT_COLOURS, DARK_COLOURS], ids=["light", "dark"])
MARKS = ("normal", "anomalous", "accent")  # lie beside each other in charts
# what is seen without one kind of cones: Machado, Oliveira and Fernandes, 2009, of linear RGB
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip


def linear(colour):
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Return L*, a*, b* of linear RGB."""
    white = XYZ.sum(axis=1)
    x, y, z = np.cbrt(XYZ @ np.clip(rgb, 0.0, 1.0) / white)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    """Return the contrast of two colours as the Web Content Accessibility Guidelines count it."""
    low, high = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@BOTH
def test_what_lies_beside_each_other_differs_in_grey(palette):
    for one, other in combinations(MARKS, 2):
        lightness = [lab(linear(getattr(palette, name)))[0] for name in (one, other)]
        assert abs(lightness[0] - lightness[1]) >= 14, (one, other)


@BOTH
@pytest.mark.parametrize("kind", BLIND)
def test_the_colour_blind_tell_all_marks_apart(palette, kind):
    for one, other in combinations(MARKS, 2):
        seen = [lab(BLIND[kind] @ linear(getattr(palette, name))) for name in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) >= 20, (one, other)


@BOTH
@pytest.mark.parametrize("behind", ["page", "surface"])
def test_words_and_marks_stand_out_from_what_lies_behind(palette, behind):
    ground = getattr(palette, behind)
    for name in ("text", "muted", "accent", "anomalous"):
        assert contrast(getattr(palette, name), ground) >= 4.5, name
    assert contrast(palette.normal, ground) >= 2.8  # bars: large, and never alone in saying it


def test_the_outline_is_no_colour_of_heat():
    heat = render(np.linspace(*HEAT_RANGE, 256, dtype=np.float32)[None])[0]
    outline = [int(OUTLINE[i : i + 2], 16) for i in (1, 3, 5)]
    assert np.abs(heat.astype(int) - outline).sum(axis=1).min() > 200


@BOTH
def test_every_colour_has_a_name_in_css(palette):
    assert set(palette.tokens().values()) == set(asdict(palette).values())
    assert all(name.startswith("--") for name in palette.tokens())
