"""Why a row is strange, in words that can be read aloud."""

from vae_anomaly.detectors.tabular.reasons.rows import reasons

__all__ = ["reasons"]
