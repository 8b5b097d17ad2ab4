"""A value of a saved model that was changed, its digest made anew, is refused or changes nothing.

The digests tell a damaged file; they cannot tell what a faulty tool wrote and listed. What is no
legal value of its field is a refusal with exit code 5, never an exception of another package, and
never a score that is not finite.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    surface,
    table_model,
    transactions,
)

from vae_anomaly import load_detector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.files import sha256_of
from vae_anomaly.persistence import MODEL_FILES, SUMS

GONE = object()
Place = tuple[str | int, ...]

FREE = {
    ("threshold.json", "value"),
    ("detector.json", "preprocessing", "power"),
    ("detector.json", "preprocessing", "term_weights", "elbo"),
}
"""Numbers that have several legal values, which scores or flags follow."""

ENCODER = ("preprocessing", "encoder", "columns")
"""What training saw of each column: names of categories and numbers, which scores follow too."""


def items_of(kind: str) -> Any:
    if kind == "table":
        return transactions(12, seed=9)
    return np.stack([np.asarray(surface(3000 + i, hole=i == 0)) for i in range(3)])


def places_in(value: object, here: Place = ()) -> list[Place]:
    """Return the place of every value, objects and lists among them; of a list the first two."""
    if isinstance(value, dict):
        inner = [places_in(v, (*here, k)) for k, v in value.items()]
    else:
        first = value[:2] if isinstance(value, list) else []
        inner = [places_in(v, (*here, i)) for i, v in enumerate(first)]
    return [here, *(place for places in inner for place in places)]


def changed(document: object, place: Place, new: object) -> object:
    if not place:
        return new
    whole: Any = copy.deepcopy(document)
    inside = whole
    for key in place[:-1]:
        inside = inside[key]
    if new is GONE:
        del inside[place[-1]]
    else:
        inside[place[-1]] = new
    return whole


class Changed:
    """A copy of a model in which one value at a time is another."""

    def __init__(self, kind: str, model: Path, folder: Path) -> None:
        self.folder = Path(shutil.copytree(model, folder))
        self.items = items_of(kind)
        self.documents = {
            name: json.loads((model / name).read_text()) for name in MODEL_FILES if "json" in name
        }
        self.places = [
            (name, *place)
            for name, document in self.documents.items()
            for place in places_in(document)
            if place[:1] != ("training",)  # facts of the model's page
        ]
        self.before = self.answers()

    def answers(self) -> pd.DataFrame:
        return load_detector(self.folder).assess(self.items)

    def write(self, place: Place, new: object) -> None:
        """Change the value at a place, and list the files as they are now."""
        for name, document in self.documents.items():
            now = changed(document, place[1:], new) if name == place[0] else document
            (self.folder / name).write_text(json.dumps(now))
        sums = [f"{sha256_of(self.folder / name)}  {name}\n" for name in sorted(MODEL_FILES)]
        (self.folder / SUMS).write_text("".join(sums))


@pytest.fixture(scope="module", params=["table", "image"])
def model(request, tmp_path_factory) -> Changed:
    saved = request.getfixturevalue(f"{request.param}_model")
    return Changed(request.param, saved, tmp_path_factory.mktemp("changed") / "model")


values = st.sampled_from(
    ["nonsense", float("nan"), float("inf"), 1e300, -1e300, -1, 0, 10**9, None, [], {}, True, GONE]
)


@given(data=st.data())
def test_one_changed_value_is_refused_or_leaves_the_scores(model, data):
    place, new = data.draw(st.sampled_from(model.places)), data.draw(values)
    if new is GONE and len(place) == 1:
        return
    model.write(place, new)
    try:
        after = model.answers()
    except ModelRefusedError:
        return
    assert np.isfinite(after.select_dtypes("number").to_numpy()).all()
    if place not in FREE and place[1:4] != ENCODER:
        pd.testing.assert_frame_equal(after, model.before)


BOTH = [
    ("threshold.json", "value", 1e300),
    ("threshold.json", "value", True),
    ("threshold.json", "value", "2"),
    ("threshold.json", "n_normals", -1),
    ("detector.json", "preprocessing", [1]),
    ("detector.json", "metrics", {"auroc": "high"}),
    ("detector.json", "config", "target_fpr", -1),
]
IMAGE = [
    ("detector.json", "config", "image_size", -1),
    ("detector.json", "preprocessing", "network", "n_networks", 10**9),
    ("detector.json", "preprocessing", "network", "scored", "nonsense"),
    ("detector.json", "preprocessing", "network", "extra", 1),
]
TABLE = [
    ("detector.json", "config", "score", "nonsense"),
    ("detector.json", "preprocessing", "power", -1),
    ("detector.json", "preprocessing", "power", 10.0),
    ("detector.json", "preprocessing", "term_weights", GONE),
    ("detector.json", "preprocessing", "term_weights", "data", 5.0),
    ("detector.json", "preprocessing", "term_weights", "elbo", 1e300),
    ("detector.json", "preprocessing", "term_weights", "latent", "1.0"),
    ("detector.json", "preprocessing", "views", []),
    ("detector.json", "preprocessing", "views", 0, "vae", "hidden", 10**9),
    ("detector.json", "preprocessing", "views", 0, "vae", "gaussian", 0, 1),
    ("detector.json", "preprocessing", "encoder", "columns", 0, GONE),
    ("detector.json", "preprocessing", "encoder", "columns", 0, "indicator", True),
    ("detector.json", "preprocessing", "encoder", "columns", 0, "fill", 1e9),
    ("detector.json", "preprocessing", "encoder", "columns", 1, "counts", 0, 137),
    ("detector.json", "preprocessing", "encoder", "columns", 1, "levels", 0, 7),
    ("detector.json", "preprocessing", "encoder", "columns", 2, "levels", 0, 1.0),
    ("detector.json", "schema", "columns", []),
]
WRONG = [
    *[pytest.param(kind, case) for kind in ("table", "image") for case in BOTH],
    *[pytest.param("image", case) for case in IMAGE],
    *[pytest.param("table", case) for case in TABLE],
]


@pytest.mark.parametrize(
    ("model", "case"),
    WRONG,
    indirect=["model"],
    ids=lambda part: part if isinstance(part, str) else ".".join(map(str, part[1:-1])),
)
def test_a_value_that_its_field_does_not_have_is_refused(model, case):
    *place, new = case
    model.write(tuple(place), new)
    with pytest.raises(ModelRefusedError):
        model.answers()
