"""Each parameter is declared once: signatures, docstrings, members and the page agree with it."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.images.networks import pixels as image_members
from vae_anomaly.detectors.images.settings import PRESETS as IMAGE_PRESETS
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.detectors.parameters import (
    IMAGE,
    PRESET_NAMES,
    TABULAR,
    OneOf,
    faults_of,
    reference,
)
from vae_anomaly.detectors.tabular.settings import PRESETS as TABULAR_PRESETS
from vae_anomaly.detectors.tabular.settings import TABLE_MEMBERS, TableSettings
from vae_anomaly.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "parameters.md"
OF_THE_READING = {"schema": None, "column_kinds": None}  # what --schema and --kind say of columns
BOTH = pytest.mark.parametrize(
    ("detector", "parameters", "beside"),
    [(TabularVAEDetector, TABULAR, OF_THE_READING), (ImageVAEDetector, IMAGE, {})],
    ids=["tabular", "image"],
)


@BOTH
def test_the_signature_has_the_parameters_and_their_defaults(detector, parameters, beside):
    declared = {parameter.name: parameter.default for parameter in parameters} | beside
    signature = inspect.signature(detector).parameters
    assert {name: value.default for name, value in signature.items()} == declared


@BOTH
def test_the_docstring_tells_of_every_parameter(detector, parameters, beside):
    text = inspect.getdoc(detector) or ""
    section = text.partition("Parameters\n----------\n")[2].partition("\n\nAttributes\n")[0]
    told = re.findall(r"^(\w+) : ", section, flags=re.MULTILINE)
    assert sorted(told) == sorted([*beside, *(parameter.name for parameter in parameters)])


@BOTH
def test_words_in_the_signature_are_those_that_are_allowed(detector, parameters, beside):
    hints = get_type_hints(detector.__init__)
    listed = {name: set(get_args(hint)) for name, hint in hints.items() if _is_literal(hint)}
    assert listed
    assert listed == {name: choices(parameters, name) for name in listed}


def _is_literal(hint: object) -> bool:
    return get_origin(hint) is Literal


@pytest.mark.parametrize(
    ("settings", "parameters", "beside"),
    [
        (TableSettings, TABULAR, {*OF_THE_READING, "seed", "start"}),
        (ImageSettings, IMAGE, {"start", "why"}),
    ],
    ids=["tabular", "image"],
)
def test_what_a_fit_gets_has_the_same_parameters_and_defaults(settings, parameters, beside):
    declared = {parameter.name: parameter.default for parameter in parameters}
    fields = {field.name: field.default for field in dataclasses.fields(settings)}
    assert set(fields) == set(declared) | beside
    given = {name for name in declared if fields[name] is not dataclasses.MISSING}
    assert {name: fields[name] for name in given} == {name: declared[name] for name in given}


@BOTH
def test_every_default_is_allowed(detector, parameters, beside):
    assert faults_of(parameters, detector().get_params(deep=False), "a detector") == {}


def choices(parameters, name: str) -> set[object]:
    (allowed,) = (parameter.allowed for parameter in parameters if parameter.name == name)
    assert isinstance(allowed, OneOf)
    return set(allowed.values)


def test_the_models_declared_are_the_members_that_there_are():
    assert choices(TABULAR, "model") == set(TABLE_MEMBERS)
    known = {*image_members.MODELS, *image_members.ALIASES}
    assert choices(IMAGE, "model") == known
    assert set(PRESET_NAMES) == set(IMAGE_PRESETS) == set(TABULAR_PRESETS)


def test_the_page_is_what_the_declarations_print():
    command = [sys.executable, "-m", "vae_anomaly.detectors.parameters"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stdout == reference() == PAGE.read_text(encoding="utf-8"), (
        f"write it anew: {' '.join(command[1:])} > docs/parameters.md"
    )
    assert printed.stderr == ""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("image_size", 72, r"must be a multiple of 16 of at least 64\. Got 72\."),
        ("image_size", True, "a multiple of 16"),
        ("latent_dim", 2.5, r"must be an int >= 1 or None\. Got 2\.5\."),
        ("latent_dim", "8", "an int >= 1 or None"),
        ("beta", float("nan"), r"must be a number >= 0 or None\. Got nan\."),
        ("target_fpr", 1, r"must be a number in \(0, 1\)\. Got 1\."),
        ("tile_overlap", 0.6, r"must be a number in \[0, 0\.5\]\. Got 0\.6\."),
        ("register", "shfit", r"off, auto, shift\. Got 'shfit' \(did you mean 'shift'\?\)\."),
        ("channels", 2, r"must be one of 1, 3 or None\. Got 2\."),
        ("preset", ["fast"], r"Got \['fast'\]"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed_is_answered_with_what_is(name, value, told):
    with pytest.raises(ConfigError, match=rf"The '{name}' parameter of ImageVAEDetector .*{told}"):
        ImageVAEDetector(**{name: value}).fit("nowhere")


def test_numbers_of_numpy_are_numbers():
    values = {"latent_dim": np.int64(8), "beta": np.float32(0.5), "channels": np.int64(3)}
    assert faults_of(IMAGE, values, "a detector") == {}


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigError, match=r"'pose' .*'image_size' .*belongs to model='bank'"):
        ImageVAEDetector(60, pose="up", tile_size=64, model="conv").fit("nowhere")
