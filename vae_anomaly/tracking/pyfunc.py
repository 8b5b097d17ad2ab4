"""What MLflow gets when it loads a model: a table or pictures in, one row of answers for each out.

==============  ========  ====================================================================
output column   type      meaning
==============  ========  ====================================================================
score           double    -log10 p, higher = more anomalous; NaN where the row was not scored
p_value         double    share of held-out normals at least as strange; NaN likewise
is_anomaly      boolean   score above the threshold, **and true for what was not scored**
status          string    "scored", or why not: "infinite: column 'amount' ..."
reason_1..3     string    tables only: what made a flagged row strange, "" otherwise
==============  ========  ====================================================================

A missing cell of a table is data. A row that cannot be scored never comes out as normal: whoever
reads nothing but ``is_anomaly`` still looks at it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.errors import DataError, ImageError

IMAGE_COLUMN = "image"
"""Encoded files (PNG, JPEG, ...) as bytes; over HTTP as base64 text."""
SCORED = "scored"
N_REASONS = 3


class TablePredictor:
    """Score table rows for MLflow.

    Parameters
    ----------
    detector : TabularVAEDetector
        Fitted.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score rows.

        Parameters
        ----------
        model_input : DataFrame of N rows
            The model's columns; missing cells are allowed.
        params : dict, optional
            MLflow's; there are none.

        Returns
        -------
        answers : DataFrame of N rows, index kept
            See the module's docstring.

        Raises
        ------
        SchemaError
            If a column is missing or of another kind.
        """
        frame = model_input
        schema = self.detector.schema_
        schema.check(frame)
        faults = schema.bad_rows(frame)
        status = [SCORED if fault is None else f"{fault[0]}: {fault[1]}" for fault in faults]
        good = np.array([fault is None for fault in faults], dtype=bool)
        raw = np.full(len(frame), np.nan)
        if good.any():
            raw[good] = self.detector._raw_score(frame[good])
        answers = _answers(self.detector, raw, status, frame.index)
        return answers.join(self._reasons(frame, answers))

    def _reasons(self, frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        names = [f"reason_{k}" for k in range(1, N_REASONS + 1)]
        reasons = pd.DataFrame("", index=frame.index, columns=names)
        flagged = np.asarray(answers["is_anomaly"] & np.isfinite(answers["score"]))
        if flagged.any():
            texts = self.detector.reasons(frame[flagged], top=N_REASONS)
            reasons.loc[flagged] = [(*row, "", "", "")[:N_REASONS] for row in texts]
        return reasons


class ImagePredictor:
    """Score encoded pictures for MLflow.

    Parameters
    ----------
    detector : ImageVAEDetector
        Fitted.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score pictures, one a row, in the column ``image`` (bytes of a PNG, JPEG, ... file)."""
        contents = [bytes(content) for content in model_input[IMAGE_COLUMN]]
        raw = np.full(len(contents), np.nan)
        status = [SCORED] * len(contents)
        pictures = {}
        for place, content in enumerate(contents):
            try:
                pictures[place] = decode_image(content)
            except ImageError as err:
                status[place] = f"{err.code}: {err}"
        for place, scored in self._scored(pictures).items():
            raw[place], status[place] = scored
        return _answers(self.detector, raw, status, model_input.index)

    def _scored(self, pictures: dict[int, Any]) -> dict[int, tuple[float, str]]:
        """Score all at once; when the detector refuses one of them, one by one to find it."""
        if not pictures:
            return {}
        try:
            raw = self.detector._raw_score(list(pictures.values()))
            return {
                place: (float(score), SCORED) for place, score in zip(pictures, raw, strict=True)
            }
        except DataError as err:
            if len(pictures) == 1:
                return dict.fromkeys(pictures, (math.nan, f"refused: {err}"))
        found = [self._scored({place: picture}) for place, picture in pictures.items()]
        return {place: scored for one in found for place, scored in one.items()}


def load_predictor(data_path: str | Path) -> TablePredictor | ImagePredictor:
    """Load a verified model directory as the object that MLflow calls."""
    from vae_anomaly.detectors import load_detector

    detector = load_detector(data_path)
    return ImagePredictor(detector) if detector.kind == "image" else TablePredictor(detector)


def _answers(
    detector: Any, raw: np.ndarray[Any, Any], status: list[str], index: pd.Index[Any]
) -> pd.DataFrame:
    finite = np.isfinite(raw)
    score, p_value = np.full(raw.size, np.nan), np.full(raw.size, np.nan)
    if finite.any():
        score[finite] = detector.calibration_.anomaly_score(raw[finite])
        p_value[finite] = detector.calibration_.p_value(raw[finite])
    finite &= np.isfinite(score)
    said = [
        "nonfinite_score: the model gave no number" if text == SCORED and not ok else text
        for text, ok in zip(status, finite, strict=True)
    ]
    flagged = ~(score <= detector.threshold_.value)  # NaN is not <=, so it is flagged
    return pd.DataFrame(
        {"score": score, "p_value": p_value, "is_anomaly": flagged, "status": said}, index=index
    )
