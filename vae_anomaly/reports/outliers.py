"""Images that training left out as outliers, side by side on one sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from vae_anomaly.arrays import AnyArray
from vae_anomaly.reports.cards import shown
from vae_anomaly.scoring.outliers import LeftOut

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SHOWN: Final = 12
_PER_ROW: Final = 4
_SIDE: Final = 3.2  # inches of one image with its words
_LETTERS: Final = 42  # of a line below an image


def outlier_sheet_figure(images: Sequence[AnyArray], items: Sequence[LeftOut]) -> Figure:
    """Draw the first twelve decoded images with name, reason and score, as the items have them."""
    from matplotlib.figure import Figure

    few = list(zip(images, items, strict=False))[:MOST_SHOWN]
    columns = min(_PER_ROW, len(few))
    rows = -(-len(few) // columns)
    size = (max(2, columns) * _SIDE, rows * _SIDE * 1.25 + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    for axes in (every := figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.set_axis_off()
    for axes, (image, item) in zip(every, few, strict=False):
        axes.imshow(shown(image), vmin=0, vmax=255)
        words = textwrap.fill(item.reason, _LETTERS)
        name = textwrap.fill(item.id, _LETTERS)
        axes.set_title(f"{name}\n{words}\nscore {item.score:.1f}", fontsize=7)
    more = f", the first {len(few)}" if len(items) > len(few) else ""
    figure.suptitle(f"Left out of training as outliers: {len(items)}{more}", fontsize=10)
    return figure
