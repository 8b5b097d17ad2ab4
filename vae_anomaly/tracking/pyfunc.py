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
reads nothing but ``is_anomaly`` still looks at it. A row's answer does not depend on the other rows
of its request, and none of them keeps it from being answered.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vae_anomaly.data.images.decode import ImageReading, decode_image
from vae_anomaly.data.images.white import FULL_SCALE
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.detectors.judged import (
    N_REASONS,
    decoded_blocks,
    judge_images,
    judge_rows,
    row_faults,
)
from vae_anomaly.errors import ImageError, SchemaError
from vae_anomaly.scoring.judging import Verdicts
from vae_anomaly.tracking.network.requests import RequestError, request_table
from vae_anomaly.tracking.package import CONDITION_COLUMN, IMAGE_COLUMN, WHITE_COLUMN, image_columns
from vae_anomaly.tracking.served_cells import served_rows
from vae_anomaly.words import names_of, reason_of

if TYPE_CHECKING:
    from vae_anomaly.arrays import AnyArray
    from vae_anomaly.detectors.protocol import ImageDetector, TableDetector

logger = logging.getLogger(__name__)


class Answers(pd.DataFrame):
    """A table of answers whose records are JSON: null where there is no number."""

    @property
    def _constructor(self) -> type[Answers]:
        return Answers

    def to_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return what a DataFrame does, with None for each missing cell."""
        plain = pd.DataFrame(self).astype(object)
        return plain.where(plain.notna(), None).to_dict(*args, **kwargs)


class TablePredictor:
    """Score table rows for MLflow."""

    def __init__(self, detector: TableDetector) -> None:
        self.detector = detector

    def predict(self, model_input: object, params: dict[str, object] | None = None) -> Answers:
        """Return the module's table of answers for rows with the model's columns, index kept.

        Further columns are not looked at. There are no ``params``.

        Raises
        ------
        RequestError
            If the input is no table, or lacks a column.
        """
        schema = self.detector.schema_
        frame = request_table(model_input, [column.name for column in schema.features])
        self._require_columns(frame)
        rows, refused = served_rows(frame, schema, self.detector.known_values_)
        unread = row_faults(self.detector, rows)
        faults = [fault or other for fault, other in zip(refused, unread, strict=True)]
        judged = judge_rows(self.detector, rows, faults)
        answers, reasons = _answers(judged.verdicts, frame.index), judged.reasons(N_REASONS)
        texts = [[*reasons.get(i, []), *[""] * N_REASONS][:N_REASONS] for i in range(len(answers))]
        names = [f"reason_{k}" for k in range(1, N_REASONS + 1)]
        return Answers(pd.concat([answers, pd.DataFrame(texts, answers.index, names)], axis=1))

    def _require_columns(self, frame: pd.DataFrame) -> None:
        """Refuse a table that lacks a column, and say what may have become of it."""
        try:
            self.detector.schema_.check(frame.iloc[:0])
        except SchemaError as err:
            raise RequestError(f"{err}{self._why_columns_lack(frame)}") from None

    def _why_columns_lack(self, frame: pd.DataFrame) -> str:
        entities = self.detector.entities_
        own = [] if entities is None else [n for n in entities.names if n not in frame.columns]
        if own:
            return (
                f" {own[0]!r} comes from the past of its entity, and a server keeps none: send "
                "the column, or score with `vae-anomaly score table`."
            )
        if all(re.fullmatch(r"x?\d+", name) for name in map(str, frame.columns)):
            return (
                " The columns came without names: send dataframe_records, or a dataframe_split "
                "with columns; in Spark give one struct of the columns."
            )
        return ""


class ImagePredictor:
    """Score encoded images for MLflow."""

    def __init__(self, detector: ImageDetector) -> None:
        self.detector = detector

    def predict(self, model_input: object, params: dict[str, object] | None = None) -> Answers:
        """Return the module's table of answers for encoded images, one a row, index kept.

        A conditional model is told what each shows, in the column ``condition``. The column
        ``white`` may say what is white in an image, 4095 of a camera of 12 bits; where it is
        absent or null, the model's own white counts. There are no ``params``. A `RequestError`
        says that a column is missing.
        """
        wanted = image_columns(bool(self.detector.conditions_))
        frame = request_table(model_input, list(wanted))
        for name, meaning in wanted.items():
            if name not in frame.columns:
                raise RequestError(
                    f"The request has no column {name!r}: {meaning}. Columns: "
                    f"{names_of(frame.columns, 20)}."
                )
        whites = read_text(frame[WHITE_COLUMN]) if WHITE_COLUMN in frame.columns else [None]
        conditional = CONDITION_COLUMN in wanted
        told = read_text(frame[CONDITION_COLUMN]).tolist() if conditional else [None]
        cells = zip(frame[IMAGE_COLUMN].tolist(), cycle(whites), cycle(told), strict=False)
        answers = [_answers(judge_images(self.detector, []).verdicts)]  # to a request of none
        for block, images in decoded_blocks(cells, lambda cell: self._pixels(*cell[:2])):
            conditions = [shown for _, _, shown in block] if conditional else None
            answers.append(_answers(judge_images(self.detector, images, conditions).verdicts))
            del images  # before the next ones are decoded
        return Answers(pd.concat(answers).set_axis(frame.index))

    def _pixels(self, cell: object, white: str | None) -> AnyArray:
        """Return the pixels of one image; as shares of its white where that was told."""
        limits = ImageReading().limits(tiled=self.detector.tile_size is not None)
        pixels = decode_image(_file(cell), limits=limits)
        if white is None:
            return pixels
        if not (white.isascii() and white.isdigit() and 1 <= int(white) <= FULL_SCALE):
            raise ImageError(
                f"{white!r} is no white. Send a whole number from 1 to {FULL_SCALE}, or null.",
                code="white",
            )
        scaled = self.detector.on_scale(pixels, "the image", int(white))
        if scaled.dtype.kind != "u":
            return scaled
        return scaled.astype(np.float32) / np.float32(np.iinfo(scaled.dtype).max)


def load_predictor(data_path: str | Path) -> TablePredictor | ImagePredictor:
    """Load a verified model directory as the object that MLflow calls."""
    from vae_anomaly.detectors import load_detector

    _warn_of_types(Path(data_path).absolute().parent.parent)
    detector = load_detector(data_path)
    return ImagePredictor(detector) if detector.kind == "image" else TablePredictor(detector)


def _warn_of_types(package: Path) -> None:
    """Say so where MLflow checks types before the model sees them, as in packages of earlier."""
    from mlflow.models import Model

    if (package / "MLmodel").is_file() and Model.load(str(package)).get_input_schema() is not None:
        logger.warning(
            "This model was registered by an earlier version: MLflow's check of types refuses "
            "whole numbers and turns a null of a truth value to false before the model sees it. "
            "Register it again with vae_anomaly.tracking.register_directory (docs/serving.md)."
        )


def _file(cell: object) -> bytes:
    """Return the bytes of a file that may have come as base64 text."""
    if isinstance(cell, bytes | bytearray):
        return bytes(cell)
    if not isinstance(cell, str):
        raise ImageError(
            f"{type(cell).__name__} is no file. Send its bytes as base64 text.", code="not_a_file"
        )
    try:
        text = cell.rpartition("base64,")[2]  # of a data URL
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as err:
        raise ImageError(f"The text is no base64: {reason_of(err)}.", code="not_base64") from None


def _answers(verdicts: Verdicts, index: pd.Index | None = None) -> Answers:
    return Answers(
        {
            "score": verdicts.score,
            "p_value": verdicts.p_value,
            "is_anomaly": verdicts.is_anomaly,
            "status": ["scored" if fault is None else str(fault) for fault in verdicts.faults],
        },
        index=index,
    )
