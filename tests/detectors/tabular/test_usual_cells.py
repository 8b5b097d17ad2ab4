"""Which cell of a row is the cause: the one without which its score falls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.explain import contributions
from vae_anomaly.detectors.tabular.usual_cells import falls

LEVEL = {"small": 10.0, "large": 1_000.0}


def parts_of_two_sizes(n: int, seed: int = 0) -> pd.DataFrame:
    """Return parts whose weight, length and tool follow from their size."""
    rng = np.random.default_rng(seed)
    size = rng.choice(list(LEVEL), n)
    level = pd.Series(size).map(LEVEL).to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "size": size,
            "weight": level * np.exp(0.1 * rng.normal(size=n)),
            "length": level**0.5 * np.exp(0.1 * rng.normal(size=n)),
            "tool": np.where(size == "small", "awl", "saw"),
            "shift": rng.choice(["early", "late"], n),
        }
    )


@pytest.fixture(scope="module", params=["vae", "conditional"])
def detector(request: pytest.FixtureRequest) -> TabularVAEDetector:
    condition = {"condition": "shift"} if request.param == "conditional" else {}
    settings = {"preset": "fast", "max_steps": 40, "hidden": 16, "random_state": 0}
    return TabularVAEDetector(model=request.param, **condition, **settings).fit(
        parts_of_two_sizes(800)
    )


def other_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(size=np.where(rows["size"] == "small", "large", "small"))


def test_a_wrong_size_is_the_cause_though_all_others_lie_far_from_it(detector):
    rows = other_sizes(parts_of_two_sizes(40, seed=1))
    parts = detector.explain(rows)
    assert (parts.idxmax(axis=1) == "size").all()
    np.testing.assert_allclose(parts.sum(axis=1), detector.assess(rows)["raw_score"])


def test_a_score_falls_only_with_cells_that_were_tried(detector):
    examination = detector.examine(other_sizes(parts_of_two_sizes(20, seed=2)))
    seeming = np.zeros((20, 5))
    seeming[:, 0] = -1.0  # the last of five to be tried, of which four are
    assert (falls(examination, seeming)[:, 0] == 0.0).all()
    seeming[:, 0] = 1.0
    assert (falls(examination, seeming)[:, 0] > 0.0).all()


def test_a_row_is_explained_alone_as_it_is_beside_others(detector):
    examination = detector.examine(other_sizes(parts_of_two_sizes(30, seed=3)))
    together = contributions(examination)
    alone = [contributions(examination.take(np.array([row])))[0] for row in range(30)]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
