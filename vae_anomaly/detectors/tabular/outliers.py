"""Training rows that were left out as outliers, as the model that was fitted without sees them."""

from __future__ import annotations

import pandas as pd

from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.model import TabularModel
from vae_anomaly.detectors.tabular.reasons import reasons
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.scoring.judging import judge
from vae_anomaly.scoring.outliers import FAR_FROM_OTHERS, LeftOut


def described_rows(
    rows: pd.DataFrame,
    labels: pd.Index,
    model: TabularModel,
    calibration: ConformalCalibration,
    threshold: float,
) -> list[LeftOut]:
    """Name rows by their labels in the training table, and say why they are strange."""
    if rows.empty:
        return []
    examination = TableExamination(model, model.schema.cast(rows))
    verdicts = judge(examination.raw_score, calibration, threshold)
    said = reasons(examination, verdicts.is_anomaly, 1)
    called, named = labels.name or "row", {}
    for label, score, some in zip(labels, verdicts.score, said, strict=True):
        reason = some[0] if some else FAR_FROM_OTHERS
        named[label] = LeftOut(f"{called} {label}", float(score), reason)
    return list(named.values())  # a row that counts twice is named once
