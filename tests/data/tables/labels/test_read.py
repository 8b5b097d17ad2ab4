"""A column of labels as people write it: one vocabulary, and no guess where it ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.data.tables.labels import read_answers, read_labels
from vae_anomaly.errors import DataError

NAN = np.nan
PAIRS = [
    ("legit", "fraud"), ("legitimate", "fraudulent"), ("good", "defect"), ("genuine", "defective"),
    ("normal", "anomalous"), ("Normal", "Anomaly"), ("ok", "nok"), ("OK", "NG"), ("pass", "fail"),
    ("passed", "failed"), ("benign", "malicious"), ("normal", "attack"), ("clean", "malware"),
    ("no", "yes"), ("n", "y"), ("false", "true"), ("0", "1"), ("nein", "ja"), ("gut", "schlecht"),
    ("i.O.", "n.i.O."), ("in Ordnung", "nicht in Ordnung"), ("kein Betrug", "Betrug"),
    ("not fraud", "fraud"), ("Non-Fraud", "Fraud"), ("ok", "not ok"), ("no defect", "defect"),
    ("inlier", "outlier"), ("negative", "positive"), ("false alarm", "confirmed"),
    ("accept", "reject"), ("healthy", "faulty"), ("ham", "spam"), ("no failure", "failure"),
]  # fmt: skip


def labels_of(*cells: object) -> list[float]:
    return read_labels(pd.Series(cells, dtype=object, name="state"))[0].tolist()


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([0, 1, None], [0, 1, NAN]),
        (["no", "YES", ""], [0, 1, NAN]),
        ([False, True, None], [0, 1, NAN]),
        (["good", "crack", None], [0, 1, NAN]),
        (["Benign", "dos", "0"], [0, 1, 0]),
    ],
    ids=["numbers", "words", "truth", "kinds", "mixed"],
)
def test_labels_are_read_from_every_way_of_keeping_them(cells, wanted):
    np.testing.assert_array_equal(read_labels(pd.Series(cells, dtype=object))[0], wanted)


def test_only_kinds_are_named():
    assert read_labels(pd.Series([0, 1]))[1] is None
    kinds = read_labels(pd.Series(["ok", " hole ", None]))[1]
    assert kinds.tolist() == ["ok", "hole", None]


@pytest.mark.parametrize(
    "cells",
    [["crack", "hole"], [2.5, 3.5], ["good", *map(str, range(1000, 1101))]],
    ids=["no normal", "number", "too many"],
)
def test_a_column_that_holds_no_labels_is_named_with_a_value(cells):
    with pytest.raises(DataError, match="'state' holds no labels"):
        read_labels(pd.Series(cells, name="state"))


@pytest.mark.parametrize(("normal", "anomaly"), PAIRS, ids=" ".join)
def test_the_words_of_both_sides_are_read(normal, anomaly):
    assert labels_of(normal, anomaly, normal) == [0, 1, 0]
    assert read_answers(pd.Series([anomaly, normal]))[0].tolist() == [1, 0]


@given(
    st.sampled_from(PAIRS),
    st.sampled_from(
        [str.upper, str.title, str.strip, lambda word: f"  {word} ".replace(" ", "  ")]
    ),
    st.lists(st.integers(0, 2), min_size=2, max_size=8).filter(lambda rows: {0, 1} <= set(rows)),
)
def test_case_and_spaces_do_not_matter_and_what_is_empty_has_no_label(pair, write, rows):
    words = [*map(write, pair), None]
    found = labels_of(*(words[row] for row in rows))
    np.testing.assert_array_equal(found, [NAN if row == 2 else row for row in rows])


@pytest.mark.parametrize(
    "cells", [[1, 0], [1.0, 0.0], ["1.0", "0"], [True, False], ["TRUE", "false"]], ids=repr
)
def test_a_label_is_the_same_however_it_is_stored(cells):
    assert labels_of(*cells) == [1, 0]


@pytest.mark.parametrize("word", ["", "?", "-", "unknown", "Unsure", "undecided", "pending", "N/A"])
def test_words_for_unknown_are_no_label_and_no_verdict(word):
    np.testing.assert_array_equal(labels_of("fraud", word, "legit"), [1, NAN, 0])
    np.testing.assert_array_equal(read_answers(pd.Series(["fraud", word]))[0], [1, NAN])


def test_minus_one_and_one_are_what_scikit_learn_writes_and_that_is_said(caplog):
    assert labels_of(1, -1, 1) == [0, 1, 0]
    assert "-1 = anomaly" in caplog.text
    assert labels_of(1, 0, 1) == [1, 0, 1]


def test_a_test_that_writes_minus_one_for_passed_is_refused_not_turned_round():
    with pytest.raises(DataError, match=r"-1 in 90% of the rows.* Write 0 for normal") as caught:
        read_labels(pd.Series([-1] * 9 + [1], name="Pass/Fail"))
    assert "'Pass/Fail'" in str(caught.value)


def test_accents_do_not_matter():
    assert labels_of("défaut", "sans défaut", "Störung", "keine Störung") == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["Normal", "DoS", "Exploits"], [0, 1, 1]),
        (["BENIGN", "DDoS"], [0, 1]),
        (["good", "scratch"], [0, 1]),
        (["none", "Edge-Ring", "Scratch"], [0, 1, 1]),
        (["none", "good", "bad"], [NAN, 0, 1]),
        (["good", "open", "short"], [0, 1, 1]),
        (["legit", "card theft", "takeover"], [0, 1, 1]),
        ([0, 1, 2, 3], [0, 1, 1, 1]),
    ],
    ids=repr,
)
def test_beside_a_name_of_the_normal_other_words_are_kinds_of_anomalies(cells, wanted):
    np.testing.assert_array_equal(labels_of(*cells), wanted)


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (["legit", "swindle"], "'swindle' is not known, while 'legit' means normal"),
        (["fraud", "verified"], "'verified' is not known, while 'fraud' means an anomaly"),
        (["verified", "not verified"], "'verified', 'not verified' are not known"),
        (["no", "perhaps"], "'perhaps'"),
        ([0, 2], "'2' is not known, while '0' means normal"),
        ([1, 2], "'2'"),
        ([-1, 0, 1], "'-1'"),
        ([0, 0.5, 1], "'0.5'"),
        (["yes", "no", "partly"], "'partly'"),
        (["legit", "fraud", "legti"], "'legti'"),
        (["N", "F"], "'N', 'F' say the same"),
    ],
    ids=repr,
)
def test_what_is_not_certain_is_refused_with_its_words_and_a_remedy(cells, named):
    with pytest.raises(DataError, match=r"Write 0/1, yes/no or legit/fraud") as caught:
        labels_of(*cells)
    assert named in str(caught.value)
