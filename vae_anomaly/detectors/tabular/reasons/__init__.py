"""Why a row is strange, in words that can be read aloud."""

from vae_anomaly.detectors.tabular.reasons.parts import ColumnPart
from vae_anomaly.detectors.tabular.reasons.rows import ExplainedRow, explained, reasons

__all__ = ["ColumnPart", "ExplainedRow", "explained", "reasons"]
