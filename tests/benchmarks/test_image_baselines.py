"""PatchCore and PaDiM as the benchmarks have them, against what is known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist, mahalanobis


@pytest.fixture
def cells() -> torch.Tensor:
    """Maps of 12 images, (12, 4, 6)."""
    return torch.randn(12, 4, 6, generator=torch.Generator().manual_seed(0))


def test_a_coreset_takes_one_of_every_heap_before_a_second_of_any(script) -> None:
    heaps = torch.arange(5.0).repeat_interleave(20)[:, None] * 100 + torch.rand(100, 8)
    rows = script("image_baselines").coreset(heaps, 5, seed=3)
    assert sorted((rows // 20).tolist()) == [0, 1, 2, 3, 4]


def test_patchcore_that_keeps_all_scores_by_the_nearest_cell_anywhere(script, cells) -> None:
    model = script("image_baselines").PatchCore(cells[:8], seed=0, share=1.0)
    kept, new = cells[:8].reshape(-1, 6).numpy(), cells[8:].reshape(-1, 6).numpy()
    nearest = cdist(new, kept).min(1).reshape(4, 4)
    np.testing.assert_allclose(model.score(cells[8:]), nearest, rtol=1e-4)


def test_padim_scores_by_the_gaussian_of_a_place(script, cells) -> None:
    model = script("image_baselines").PaDiM(cells[:8], seed=0)
    place = cells[:8, 2].double().numpy()
    covariance = np.cov(place.T) + 0.01 * np.eye(6)
    far = mahalanobis(cells[9, 2], place.mean(0), np.linalg.inv(covariance))
    assert float(model.score(cells[8:])[1, 2]) == pytest.approx(far, rel=1e-3)


def test_both_find_holes_and_are_compared_with_ours_by_the_better_pooling(
    script, data, capsys
) -> None:
    ours = [{"set": "bottle", "split": "bottle", "method": "ours", "seed": 0, "image": 90.0}]
    pd.DataFrame(ours).to_json(data / "ours", orient="records", lines=True)
    options = ["--features", str(data / "blocks.py"), "--sets", "bottle", "--seeds", "0"]
    told = ["--out", str(data / "theirs"), "--ours", str(data / "ours")]
    script("image_baselines").main([str(data), *options, *told])
    said = capsys.readouterr().out
    assert "ours - PatchCore 1 %, 16 x 16: -10.00" in said
    assert "ours - PaDiM, 16 x 16: -10.00" in said
    assert "model MB" in said


def test_the_error_of_a_difference_is_that_over_folds_where_there_are_some(script) -> None:
    paired = script("image_baselines").paired
    keys = [("tiles 0", 0), ("tiles 0", 1), ("tiles 1", 0), ("tiles 1", 1)]
    frame = pd.DataFrame(keys, columns=["split", "seed"]).assign(set="tiles")
    ours = frame.assign(image=[82.0, 84.0, 85.0, 87.0])
    theirs = frame.assign(image=70.0)
    theirs["image, top"] = 80.0
    found = paired(ours, theirs, "tiles")
    assert found["mean"] == pytest.approx(4.5)
    assert found["se"] == pytest.approx(1.5)
