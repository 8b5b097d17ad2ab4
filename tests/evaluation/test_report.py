"""What an evaluation measures is what scikit-learn, SciPy and counting by hand say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from vae_anomaly.errors import DataError
from vae_anomaly.evaluation import ScoredItems, evaluate
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.items import Outlines

N_NORMAL, N_ODD = 300, 40
AT = Threshold.from_fpr(np.linspace(0.0, 1.6, 400), 0.05)


@pytest.fixture
def items(rng) -> ScoredItems:
    """Scores that overlap, some of them tied, of three kinds on two machines."""
    scores = np.append(rng.normal(0.8, 0.5, N_NORMAL), rng.normal(1.8, 0.7, N_ODD)).round(2)
    n = scores.size
    return ScoredItems(
        ids=np.arange(n).astype(str).astype(object),
        scores=scores,
        labels=np.arange(n) >= N_NORMAL,
        kinds=np.array(["good"] * N_NORMAL + ["crack"] * 30 + [None] * 10, dtype=object),
        by={"machine": np.array(["left", "left", None] * 113 + ["left"], dtype=object)},
        left_out={"unreadable": 2},
        source="days",
    )


def test_figures_are_scikit_learns(items):
    found, flags = evaluate(items, AT).figures, items.scores > AT.value
    fpr, tpr, _ = sk.roc_curve(items.labels, items.scores, drop_intermediate=False)
    wanted = {
        "auroc": sk.roc_auc_score(items.labels, items.scores),
        "average_precision": sk.average_precision_score(items.labels, items.scores),
        "partial_auroc": sk.roc_auc_score(items.labels, items.scores, max_fpr=0.1),
        "fpr_at_95_tpr": fpr[tpr >= 0.95].min(),
        "recall": sk.recall_score(items.labels, flags),
        "fpr": flags[:N_NORMAL].mean(),
        "precision": sk.precision_score(items.labels, flags),
        "f1": sk.f1_score(items.labels, flags),
    }
    assert {name: figure.estimate for name, figure in found.items()} == pytest.approx(wanted)
    assert all(figure.low <= figure.estimate <= figure.high for figure in found.values())


def test_items_without_a_kind_are_counted_by_their_label(items):
    kinds = evaluate(items, AT).kinds.set_index("kind")
    assert kinds["n"].to_dict() == {"anomaly": 10, "crack": 30, "good": 300}
    assert kinds["flagged"].sum() == (items.scores > AT.value).sum()


def test_every_value_of_a_column_gets_a_line_and_empty_cells_too(items):
    table = evaluate(items, AT).by["machine"].set_index("value")
    assert list(table.index) == ["left", "(empty)"]
    at = items.by["machine"] == "left"
    assert table.loc["left", "auroc"] == pytest.approx(
        sk.roc_auc_score(items.labels[at], items.scores[at])
    )
    assert table[["n_normals", "n_anomalies"]].sum().tolist() == [N_NORMAL, N_ODD]


def test_groups_widen_the_intervals_and_move_no_estimate(items):
    copied = items.take(np.repeat(np.arange(len(items)), 5))
    alone = evaluate(copied, AT).figures
    groups = np.repeat(np.arange(len(items)), 5).astype(str).astype(object)
    grouped = evaluate(ScoredItems(**{**vars(copied), "groups": groups}), AT).figures
    for name in ("auroc", "average_precision", "recall", "fpr", "precision"):
        assert grouped[name].estimate == pytest.approx(alone[name].estimate), name
        assert grouped[name].high - grouped[name].low > alone[name].high - alone[name].low, name


def test_heat_maps_are_measured_where_defects_are_outlined(items, rng):
    masks = rng.random((2, 16, 16)) < 0.1
    heat = rng.normal(size=masks.shape).astype(np.float32) + 2 * masks
    few = items.take(np.isin(np.arange(len(items)), [0, 339]))
    outlines = Outlines(1, 1, masks=(*masks,), heat=(*heat,))
    found = evaluate(ScoredItems(**{**vars(few), "outlines": outlines}), AT).pixels
    assert found["pixel_auroc"].estimate == pytest.approx(
        sk.roc_auc_score(masks.ravel(), heat.ravel())
    )
    assert 0 < found["aupro"].low <= found["aupro"].estimate <= found["aupro"].high <= 1
    assert evaluate(few, AT).pixels == {}


def test_a_figure_that_cannot_be_said_is_null_in_json(items):
    nothing_flagged = AT.model_copy(update={"value": 99.0})
    report = evaluate(items, nothing_flagged)
    assert math.isnan(report.at_threshold["precision"].estimate)
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["figures"]["precision"]["estimate"] is None
    assert document["figures"]["recall"]["estimate"] == 0.0
    assert document["left_out"] == {"unreadable": 2}


def test_without_labels_nothing_is_measured(items):
    with pytest.raises(DataError, match="days has no labels"):
        evaluate(ScoredItems(items.ids, items.scores, source="days"), AT)


@pytest.mark.parametrize(
    ("odd", "told", "missing"),
    [(False, "fpr", "no anomalous items: recall"), (True, "recall", "no normal items: the false")],
    ids=["normals", "anomalies"],
)
def test_items_of_one_class_tell_what_they_can(items, odd, told, missing):
    whole, part = evaluate(items, AT), items.take(items.labels == odd)
    report = evaluate(part, AT)
    assert report.figures == {told: whole.figures[told]}
    assert report.kinds["n"].sum() == len(part)
    assert missing in report.not_measured
    name = "anomalous" if odd else "normal"
    assert list(report.quantiles) == [name]
    assert report.quantiles[name]["0.5"] == np.median(part.scores)
    assert report.quantiles[name] == whole.quantiles[name]
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["not_measured"] == report.not_measured
    assert whole.to_dict()["not_measured"] is None
