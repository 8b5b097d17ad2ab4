"""What speaks against a row: evidence in nats, the parts of its columns, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.tabular.entity_reasons import entity_phrases
from vae_anomaly.detectors.tabular.explain import contributions
from vae_anomaly.detectors.tabular.members import MEMBERS
from vae_anomaly.detectors.tabular.reasons import reasons_for
from vae_anomaly.scoring.fusion import fuse

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
    from vae_anomaly.detectors.tabular.encode.table import EncodedTable

IW_DRAWS: Final = 64


class TabularEvidenceMixin:
    """Why a row is strange, for programs and for people."""

    def evidence(self, X: Any) -> pd.DataFrame:
        """Return what each kind of evidence says, in nats; higher = more anomalous.

        Returns
        -------
        evidence : DataFrame of N rows
            ``reconstruction_nll`` and ``kl``, and their sum ``negative_elbo``; ``iw_nll``, the
            importance-weighted estimate of -log p (64 draws, the same for every row); and the
            surprise -log p of each term of the fused score, with ``fused`` itself. The KL is that
            to the model's own prior. An autoencoder has no prior, hence none of ``kl``,
            ``negative_elbo`` and ``iw_nll``.
        """
        detector = cast("TabularVAEDetector", self)
        frame, table = detector._encoded(X)
        has_prior = MEMBERS[detector.model].has_prior
        evidence = detector._scorer.evidence(table, iw_draws=IW_DRAWS if has_prior else 0)
        terms = detector._scorer.terms(table)
        columns = {"reconstruction_nll": evidence.reconstruction_nll}
        if evidence.iw_nll is not None:
            columns |= {
                "kl": evidence.kl,
                "negative_elbo": -evidence.elbo,
                "iw_nll": evidence.iw_nll,
            }
        columns |= {f"{name}_surprise": surprise for name, surprise in terms.items()}
        columns["fused"] = fuse(terms, detector._scorer.weights, detector._scorer.power)
        return pd.DataFrame(columns, index=frame.index)

    def explain(self, X: Any) -> pd.DataFrame:
        """Return what each column adds to the raw score of each row.

        Returns
        -------
        contributions : DataFrame of shape (N, columns), nats
            One column per column that the model reads; they sum to ``assess(X)["raw_score"]``.
            Negative parts speak for the row.
        """
        detector = cast("TabularVAEDetector", self)
        frame, table = detector._encoded(X)
        parts = self._contributions(table)
        return pd.DataFrame(parts, index=frame.index, columns=list(detector._scorer.encoder.names))

    def reasons(self, X: Any, top: int = 3) -> list[list[str]]:
        """Say in words what is unusual about each row, the most important first.

        Parameters
        ----------
        X : table of N rows
        top : int
            Most reasons per row.

        Returns
        -------
        reasons : list of N lists of str
            Such as ``"amount 4,310 where 20-180 is typical"``.
        """
        detector = cast("TabularVAEDetector", self)
        frame, table = detector._encoded(X)
        if len(frame) == 0:
            return []
        parts = self._contributions(table)
        return reasons_for(
            detector._scorer, frame, table, parts, top, entity_phrases(detector.entities_)
        )

    def missing_cells(self, X: Any) -> Ints:
        """Return how many cells of each row were empty and had to be filled, shape (N,)."""
        detector = cast("TabularVAEDetector", self)
        _, table = detector._encoded(X)
        return np.asarray(table.missing.sum(axis=1), dtype=np.int64)

    def _contributions(self, table: EncodedTable) -> Floats:
        detector = cast("TabularVAEDetector", self)
        raw = detector._score_table(detector._scorer, table)
        parts = contributions(detector._scorer, table, detector.score, raw)
        if detector._scale is None:
            return parts
        scaled = detector._scaled_score(table)
        rate = np.divide(scaled, raw, out=np.ones_like(raw), where=raw != 0.0)
        return np.asarray(parts * rate[:, None])
