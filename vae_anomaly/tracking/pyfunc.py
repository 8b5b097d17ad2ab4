"""What MLflow gets when it loads a model: a table or images in, one row of answers for each out.

==============  ========  ====================================================================
output column   type      meaning
==============  ========  ====================================================================
score           double    -log10 p, higher = more anomalous; NaN where the row was not scored
p_value         double    share of held-out normals at least as anomalous; NaN likewise
is_anomaly      boolean   score above the threshold, **and true for what was not scored**
status          string    "scored", or why not: "infinite: column 'amount' ..."
reason_1..3     string    tables only: what made a flagged row anomalous, "" otherwise
==============  ========  ====================================================================

A missing cell of a table is data. A row that cannot be scored never comes out as normal: whoever
reads nothing but ``is_anomaly`` still looks at it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.detectors.judged import N_REASONS, judge_images, judge_rows, row_faults
from vae_anomaly.scoring.judging import Verdicts, one_by_one
from vae_anomaly.tracking.package import IMAGE_COLUMN

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import ImageDetector, TableDetector


class TablePredictor:
    """Score table rows for MLflow."""

    def __init__(self, detector: TableDetector) -> None:
        self.detector = detector

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> pd.DataFrame:
        """Return the module's table of answers for rows with the model's columns, index kept.

        Missing cells are allowed; a column that is missing or of another kind is a SchemaError.
        There are no ``params``.
        """
        self.detector.schema_.check(model_input)
        faults = row_faults(self.detector, model_input)
        judged = judge_rows(self.detector, model_input, faults)
        answers, reasons = _answers(judged.verdicts, model_input.index), judged.reasons(N_REASONS)
        texts = [[*reasons.get(i, []), *[""] * N_REASONS][:N_REASONS] for i in range(len(answers))]
        names = [f"reason_{k}" for k in range(1, N_REASONS + 1)]
        return pd.concat([answers, pd.DataFrame(texts, answers.index, names)], axis=1)


class ImagePredictor:
    """Score encoded images for MLflow."""

    def __init__(self, detector: ImageDetector) -> None:
        self.detector = detector

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> pd.DataFrame:
        """Score images, one a row, in the column ``image`` (bytes of a PNG, JPEG, ... file)."""
        contents = [bytes(content) for content in model_input[IMAGE_COLUMN]]
        judged = judge_images(self.detector, one_by_one(contents, decode_image))
        return _answers(judged.verdicts, model_input.index)


def load_predictor(data_path: str | Path) -> TablePredictor | ImagePredictor:
    """Load a verified model directory as the object that MLflow calls."""
    from vae_anomaly.detectors import load_detector

    detector = load_detector(data_path)
    return ImagePredictor(detector) if detector.kind == "image" else TablePredictor(detector)


def _answers(verdicts: Verdicts, index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "score": verdicts.score,
            "p_value": verdicts.p_value,
            "is_anomaly": verdicts.is_anomaly,
            "status": ["scored" if fault is None else str(fault) for fault in verdicts.faults],
        },
        index=index,
    )
