"""The VAE is trusted where it explains held-out normals better than exemplars do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.neighbors import KernelDensity

from vae_anomaly import TabularVAEDetector
from vae_anomaly.detectors.tabular.fit.trust import NO_PREFERENCE, kernel_log_density, vae_trust


def _others(n: int) -> np.ndarray:
    return np.eye(n, dtype=bool)


def test_the_kernel_density_is_scikit_learns_at_its_best_bandwidth(rng):
    exemplars = rng.normal(size=(400, 2)).astype(np.float32)
    rows = rng.normal(size=(50, 2)).astype(np.float32)
    found = kernel_log_density(rows, exemplars, np.zeros((50, 400), dtype=bool))
    best = max(
        np.median(KernelDensity(bandwidth=h).fit(exemplars).score_samples(rows))
        for h in np.geomspace(0.05, 1.0, 40)
    )
    assert np.median(found) == pytest.approx(best, abs=0.02)


def test_the_kernel_density_approaches_the_true_one(rng):
    exemplars = rng.normal(size=(5_000, 1)).astype(np.float32)
    rows = np.linspace(-1.5, 1.5, 21, dtype=np.float32)[:, None]
    found = kernel_log_density(rows, exemplars, np.zeros((21, 5_000), dtype=bool))
    np.testing.assert_allclose(found, norm.logpdf(rows[:, 0]), atol=0.3)


def test_a_row_does_not_vouch_for_itself(rng):
    rows = rng.normal(size=(60, 3)).astype(np.float32)
    seen = kernel_log_density(rows, rows, np.zeros((60, 60), dtype=bool))
    unseen = kernel_log_density(rows, rows, _others(60))
    assert unseen.mean() < seen.mean() - 1.0


def test_trust_rises_with_the_lead_of_the_vae_and_has_an_even_point():
    kernel = np.zeros(10)
    leads = [-5.0, -1.0, -0.3, 0.0, 1.0, 5.0]
    trusts = [vae_trust(kernel + 4 * lead, kernel, 4) for lead in leads]
    assert trusts == sorted(trusts)
    assert trusts[2] == pytest.approx(NO_PREFERENCE)
    assert 0.0 < trusts[0] < 0.01 < 0.99 < trusts[-1] < 1.0


def test_a_few_rows_far_from_everything_do_not_decide():
    kernel = np.zeros(100)
    elbo = kernel - 8.0
    kernel[:3] = -1e4  # no exemplar near them
    assert vae_trust(elbo, kernel, 4) < 0.01


def test_a_plane_in_many_dimensions_is_left_to_the_vae_and_tight_clusters_to_the_rows(rng):
    plane = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 15)) + rng.normal(size=(300, 15))
    centres = rng.normal(size=(60, 6))
    clusters = centres[rng.integers(60, size=300)] + 0.01 * rng.normal(size=(300, 6))
    trust = {
        name: TabularVAEDetector(max_steps=150, random_state=0).fit(rows).metrics_["trust_in_vae"]
        for name, rows in {"plane": plane, "clusters": clusters}.items()
    }
    assert trust["plane"] > 0.6
    assert trust["clusters"] < 0.2


def test_a_likelihood_of_categories_is_not_compared_with_a_density_of_numbers(rng):
    rows = rng.integers(0, 2, size=(200, 6)).astype(float)
    detector = TabularVAEDetector(preset="fast", max_steps=30, random_state=0).fit(rows)
    assert detector.metrics_["trust_in_vae"] == NO_PREFERENCE


def test_the_elbo_of_discrete_columns_loses_its_vote_where_rows_repeat(rng):
    independent = rng.integers(0, 4, size=(600, 6)).astype(float)
    repeated = rng.normal(size=(20, 6)).round(1)[rng.integers(20, size=600)]
    trust = {
        name: TabularVAEDetector(max_steps=60, random_state=0).fit(rows).metrics_["trust_in_elbo"]
        for name, rows in {"independent": independent, "repeated": repeated}.items()
    }
    assert trust["independent"] > 0.9
    assert trust["repeated"] < 0.1


def test_the_elbo_of_numbers_has_no_vote(rng):
    detector = TabularVAEDetector(max_steps=30, random_state=0).fit(rng.normal(size=(100, 3)))
    assert detector.metrics_["trust_in_elbo"] == 0.0
    assert "elbo_surprise" not in detector.evidence(rng.normal(size=(2, 3)))
