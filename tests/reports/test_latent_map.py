"""A latent map keeps the two widest directions, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from vae_anomaly.errors import DataError
from vae_anomaly.reports.latent_map import MOST_DRAWN, latent_map_figure, project_latents


def test_the_map_is_that_of_principal_components(rng):
    latents = rng.normal(size=(200, 5)) * np.array([3.0, 0.5, 2.0, 0.1, 1.0])
    found, oracle = project_latents(latents), PCA(2).fit(latents)
    assert np.abs(found.points) == pytest.approx(np.abs(oracle.transform(latents)), abs=1e-8)
    assert found.shares == pytest.approx(tuple(oracle.explained_variance_ratio_))


def test_the_map_of_mirrored_latents_is_the_map_mirrored(rng):
    latents = rng.normal(size=(60, 3)) * np.array([3.0, 2.0, 1.0])
    assert project_latents(-latents).points == pytest.approx(-project_latents(latents).points)


def test_one_latent_is_a_line_and_all_alike_a_point(rng):
    assert project_latents(rng.normal(size=(9, 1))).shares == (1.0, 0.0)
    assert (project_latents(np.ones((9, 2))).points == 0.0).all()


@pytest.mark.parametrize("latents", [[[1.0, 2.0]], [[1.0], [np.nan]]], ids=["one", "nan"])
def test_what_has_no_map_is_refused(latents):
    with pytest.raises(DataError, match="latent embed"):
        project_latents(latents)


def test_of_many_items_some_are_drawn_and_the_legend_says_so(rng):
    figure = latent_map_figure(rng.normal(size=(MOST_DRAWN + 1000, 2)))
    (points,) = figure.axes[0].collections
    assert len(points.get_offsets()) == MOST_DRAWN
    assert points.get_label() == "items (6,000, 5,000 drawn)"
