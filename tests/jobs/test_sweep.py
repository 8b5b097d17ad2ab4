"""A sweep takes normal items only, and holds out whole groups of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import write_surfaces

from vae_anomaly.errors import ConfigError, DataError, NotEnoughDataError
from vae_anomaly.jobs import TableColumns, sweep_images_job, sweep_table_job
from vae_anomaly.vae.sweep import SweepSettings

SHORT = SweepSettings(max_steps=2)


def test_too_few_rows_and_a_single_group_are_refused(tmp_path):
    frame = pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0) ** 2, "g": "one"})
    frame.to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(NotEnoughDataError, match="at least 10 normal rows; got 9"):
        sweep_table_job(tmp_path / "few.csv")
    pd.concat([frame] * 3).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(DataError, match="at least 2; got 1"):
        sweep_table_job(
            tmp_path / "one.csv", TableColumns(groups="g"), settings=SweepSettings(max_steps=2)
        )


def test_groups_of_images_are_held_out_whole(tmp_path):
    folder = write_surfaces(tmp_path / "parts", 20)
    names = sorted(path.name for path in folder.iterdir())
    table = pd.DataFrame({"path": names, "group": np.repeat(list("abcde"), 4)})
    table.to_csv(tmp_path / "groups.csv", index=False)
    report = sweep_images_job(folder, betas=(1.0,), latent_dims=(2,), autoencoder=False, size=16,
                              settings=SHORT, groups=tmp_path / "groups.csv")  # fmt: skip
    assert (report.n_train, report.n_held_out) == (16, 4)
    assert [(cell.beta, cell.latent_dim) for cell in report.cells] == [(1.0, 2)]


def test_a_grid_that_cannot_be_is_refused_before_anything_is_read(tmp_path):
    for job in (sweep_table_job, sweep_images_job):
        with pytest.raises(ConfigError, match="Got -1"):
            job(tmp_path / "absent", betas=(-1.0,))
