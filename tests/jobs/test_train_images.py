"""The group of each image is looked up however its path is written."""

from __future__ import annotations

import pandas as pd
import pytest
from tracking.real_models import write_surfaces

from vae_anomaly.data.images.folders import list_images
from vae_anomaly.errors import DataError
from vae_anomaly.jobs.train_images import groups_of


@pytest.mark.parametrize(
    "write",
    [lambda item, root: item.id, lambda item, root: f"./parts/{item.id}",
     lambda item, root: str(item.path.relative_to(root)), lambda item, root: str(item.path)],
    ids=["id", "dotted", "from the table", "absolute"],
)  # fmt: skip
def test_images_are_found_by_id_and_by_path(tmp_path, write):
    items = list_images(write_surfaces(tmp_path / "parts", 4))
    rows = [{"path": write(item, tmp_path), "group": 7 + i // 2} for i, item in enumerate(items)]
    pd.DataFrame(rows[::-1]).to_csv(tmp_path / "groups.csv", index=False)
    assert groups_of(items, tmp_path / "groups.csv").tolist() == ["7", "7", "8", "8"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_empty_cell_is_no_group(tmp_path, suffix):
    items = list_images(write_surfaces(tmp_path / "parts", 3))
    table = pd.DataFrame({"path": [item.id for item in items], "group": ["a", None, None]})
    file = tmp_path / f"groups.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    with pytest.raises(DataError, match=r"no group for 2 of 3 \w+, the first is '001\.png'"):
        groups_of(items, file)
