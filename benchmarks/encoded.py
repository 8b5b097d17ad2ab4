"""The numbers that neighbour methods and forests get of a mixed table: our own encoding."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.views import StandardView


def encoded_numbers(
    schema: Schema, train: pd.DataFrame, others: list[pd.DataFrame]
) -> tuple[Floats, list[Floats]]:
    """Return training rows and other tables as standardised features."""
    encoder = TableEncoder.fit(schema.cast(train), schema.features)
    rows = encoder.transform(schema.cast(train)).numbers
    view = StandardView.fit(rows, encoder.fixed)
    later = [view.transform(encoder.transform(schema.cast(frame)).numbers) for frame in others]
    return view.transform(rows).astype(np.float64), [x.astype(np.float64) for x in later]
