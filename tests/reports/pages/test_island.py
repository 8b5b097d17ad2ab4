import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports.pages.made import HOSTILE, hostile

from vae_anomaly.reports.pages.island import island, plain_json


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[float, ...]


def test_a_dataclass_becomes_an_object_and_what_is_not_finite_becomes_null():
    assert json.loads(island(Part("a", (1.0, float("inf"))))) == {"name": "a", "sizes": [1.0, None]}


@given(st.text())
def test_any_text_comes_back_and_nothing_of_it_reads_as_html(text):
    shown = str(island([text]))
    assert json.loads(shown) == plain_json([text])
    assert not set("<>&\u2028\u2029") & set(shown)


def test_hostile_names_come_back_whole():
    assert json.loads(island(hostile()))["name"] == HOSTILE


def test_a_name_that_is_no_utf8_is_spelled():
    assert json.loads(island({"Pr\udcfcf": "\udcfc"})) == {"Pr\\xFCf": "\\xFC"}


def test_what_json_does_not_know_is_an_error():
    with pytest.raises(TypeError, match="cannot hold set"):
        island({1})
