"""Labels as people keep them: 0/1, words, or the kind of each item; beside the items or apart.

::

    read         a column of words as labels
    match        the label of each item, from a column or from a file of labels
    strangers    names that no item has, with the nearest that one has
"""

from vae_anomaly.data.tables.label_words import GOOD_NAMES
from vae_anomaly.data.tables.labels.match import (
    MatchedLabels,
    PieceLabels,
    column_of,
    find_labels,
    match_labels,
)
from vae_anomaly.data.tables.labels.read import read_answers, read_labels
from vae_anomaly.data.tables.labels.strangers import listed_strangers

__all__ = [
    "GOOD_NAMES",
    "MatchedLabels",
    "PieceLabels",
    "column_of",
    "find_labels",
    "listed_strangers",
    "match_labels",
    "read_answers",
    "read_labels",
]
