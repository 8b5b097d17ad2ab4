from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.ppca import draw_data, exact_log_prob, make_ppca
from vae_anomaly.scoring.evidence import measure_evidence

SIGMA = 0.5


def test_the_importance_weighted_nll_of_an_exact_posterior_is_minus_log_p():
    vae, W = make_ppca(sigma=SIGMA)
    x = draw_data(W, SIGMA, 20)
    evidence = measure_evidence(vae, x, iw_draws=4)
    np.testing.assert_allclose(evidence.iw_nll, -exact_log_prob(x, W, SIGMA), rtol=1e-4)


def test_the_importance_weighted_nll_bounds_and_approaches_minus_log_p():
    vae, W = make_ppca(sigma=SIGMA, widen=1.5)
    x = draw_data(W, SIGMA, 200)
    exact = -exact_log_prob(x, W, SIGMA).numpy().mean()
    few = measure_evidence(vae, x, iw_draws=2).iw_nll.mean()
    many = measure_evidence(vae, x, iw_draws=400).iw_nll.mean()
    assert exact - 0.05 < many < few
    assert many == pytest.approx(exact, abs=0.05)


def test_kl_and_nll_are_those_of_torch_distributions():
    vae, W = make_ppca(sigma=SIGMA)
    x = draw_data(W, SIGMA, 10)
    evidence = measure_evidence(vae, x)
    with torch.no_grad():
        mean, logvar = vae.encode(x)
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * logvar))
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        nll = -torch.distributions.Normal(mean @ W.T, SIGMA).log_prob(x)
    np.testing.assert_allclose(evidence.kl, kl.sum(1), rtol=1e-4)
    np.testing.assert_allclose(evidence.reconstruction_nll, nll.sum(1), rtol=1e-4)
    np.testing.assert_allclose(evidence.elbo, -(kl.sum(1) + nll.sum(1)), rtol=1e-4)


def test_a_sample_has_the_same_evidence_alone_and_among_others():
    vae, W = make_ppca(sigma=SIGMA, widen=1.5)
    x = draw_data(W, SIGMA, 9)
    together = measure_evidence(vae, x, iw_draws=8)
    alone = [measure_evidence(vae, x[i : i + 1], iw_draws=8).iw_nll[0] for i in range(9)]
    np.testing.assert_allclose(alone, together.iw_nll, rtol=1e-5)


def test_evidence_draws_nothing_from_the_global_state():
    vae, W = make_ppca(sigma=SIGMA)
    before = torch.random.get_rng_state()
    measure_evidence(vae, draw_data(W, SIGMA, 3), iw_draws=3)
    assert torch.equal(torch.random.get_rng_state(), before)
