"""The colours of every figure and every page: the same in PNG, SVG and CSS, light and dark.

Each pair that must be told apart differs in lightness, so that a page printed in grey says the
same, and no pair is lost to the colour-blind. Heat has its own scale, that of
`detectors.images.heatmaps.render`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean, each as ``#rrggbb``.

    Parameters
    ----------
    page, surface : str
        Behind everything; of what lies on it: cards, charts, tables.
    text, muted : str
        What is read first, and what is read second: axis names, units, notes.
    grid : str
        Lines that only guide the eye.
    normal, anomalous : str
        Items of each side, in every chart.
    accent : str
        The threshold, and whatever is chosen or can be clicked.
    """

    page: str
    surface: str
    text: str
    muted: str
    grid: str
    normal: str
    anomalous: str
    accent: str

    def tokens(self) -> dict[str, str]:
        """Return the colours by the names of their custom properties in CSS.

        Examples
        --------
        >>> LIGHT_COLOURS.tokens()["--accent"] == LIGHT_COLOURS.accent
        True
        """
        return {f"--{name}": colour for name, colour in asdict(self).items()}


LIGHT_COLOURS: Final = Palette(
    page="#f6f7f9",
    surface="#ffffff",
    text="#161b22",
    muted="#576271",
    grid="#dfe4ea",
    normal="#8a95a2",
    anomalous="#c4401a",
    accent="#1b3a9e",
)

DARK_COLOURS: Final = Palette(
    page="#0e1217",
    surface="#161b22",
    text="#e9edf2",
    muted="#a2adba",
    grid="#2b333d",
    normal="#5f6b79",
    anomalous="#f4713f",
    accent="#a9c0ff",
)

OUTLINE: Final = "#00e5ff"
"""Of regions and boxes on images and maps: a colour that the scale of heat does not contain."""
