"""What people look at: figures of saved results, cards of single images, pages.

::

    score_histogram_figure(read_results("flags/")["score"], None, threshold)
    roc_figure(scores, labels, threshold), precision_recall_figure(scores, labels, threshold)
    reliability_figure(detector.probability_)
    loss_curves_figure(detector.history_)
    latent_map_figure(detector.transform(rows), labels)
    heatmap_panel_figure(images, detector.heatmap(paths), level=detector.heat_level_)
    traversal_figure(detector.traverse(dims=[0, 3], values=at), [0, 3], at)
    write_figure(figure, "figure.png")

All are matplotlib figures with title, axis names and units, in the colours of the pages; they can
be read in grey. A module is loaded with the first use of a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.lazy import lazy_names

if TYPE_CHECKING:
    from vae_anomaly.files import write_json
    from vae_anomaly.reports.cards import inspection_card
    from vae_anomaly.reports.figures import (
        evaluation_figures,
        loss_curves_figure,
        precision_recall_figure,
        reliability_figure,
        roc_figure,
        score_histogram_figure,
        training_figures,
        write_evaluation,
        write_figure,
        write_figures,
    )
    from vae_anomaly.reports.grids import image_grid, write_grid
    from vae_anomaly.reports.latent_map import latent_map_figure
    from vae_anomaly.reports.outliers import outlier_sheet_figure
    from vae_anomaly.reports.panels import heatmap_panel_figure, traversal_figure

__all__ = [
    "evaluation_figures",
    "heatmap_panel_figure",
    "image_grid",
    "inspection_card",
    "latent_map_figure",
    "loss_curves_figure",
    "outlier_sheet_figure",
    "precision_recall_figure",
    "reliability_figure",
    "roc_figure",
    "score_histogram_figure",
    "training_figures",
    "traversal_figure",
    "write_evaluation",
    "write_figure",
    "write_figures",
    "write_grid",
    "write_json",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "vae_anomaly.files": ("write_json",),
        ".cards": ("inspection_card",),
        ".figures": (
            "evaluation_figures",
            "loss_curves_figure",
            "precision_recall_figure",
            "reliability_figure",
            "roc_figure",
            "score_histogram_figure",
            "training_figures",
            "write_evaluation",
            "write_figure",
            "write_figures",
        ),
        ".grids": ("image_grid", "write_grid"),
        ".latent_map": ("latent_map_figure",),
        ".outliers": ("outlier_sheet_figure",),
        ".panels": ("heatmap_panel_figure", "traversal_figure"),
    },
)
