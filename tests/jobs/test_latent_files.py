"""Latents as files: every item that can be read has a row, and no file is half written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import transactions

from vae_anomaly import load_detector
from vae_anomaly.errors import DataError
from vae_anomaly.jobs.latent_files import write_embedding


def test_rows_of_several_files_are_named_by_file_and_place(table_model, tmp_path):
    (tmp_path / "days").mkdir()
    for day in (1, 2):
        rows = transactions(3, seed=day)
        rows.loc[day - 1, "amount"] = np.inf
        rows.to_parquet(tmp_path / "days" / f"{day}.parquet")
    detector = load_detector(table_model)
    written = write_embedding(detector, tmp_path / "days", tmp_path / "z.csv")
    assert (written.items, written.left_out) == (4, {"unreadable": 2})
    table = pd.read_csv(tmp_path / "z.csv")
    assert table["id"].tolist() == ["1.parquet#2", "1.parquet#3", "2.parquet#1", "2.parquet#3"]
    assert written.shape == table.shape


def test_nothing_to_embed_is_an_error_and_leaves_no_file(table_model, tmp_path):
    transactions(3, seed=1).assign(amount=np.inf).to_parquet(tmp_path / "day.parquet")
    with pytest.raises(DataError, match="None of 3 items"):
        write_embedding(load_detector(table_model), tmp_path / "day.parquet", tmp_path / "z.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["day.parquet"]
