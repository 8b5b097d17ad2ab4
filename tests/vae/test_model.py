from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from oracles.ppca import draw_data, exact_log_prob, make_ppca

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
)
from vae_anomaly.vae.model import VAE, draw_gaussian
from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded

SIGMA = 0.5


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_vae(**options: bool) -> VAE:
    with seeded(0):
        encoder = MLPEncoder((6,), (16, 8), 3, **options)
        decoder = MLPDecoder((6,), (16, 8), 3, **options)
        return VAE(encoder, decoder, GaussianLikelihood(6))


def mean_elbo(vae: VAE, x: torch.Tensor, draws: int) -> torch.Tensor:
    """Average the sampled ELBO over draws, (N,)."""
    g = gen(3)
    return torch.stack([vae(x, sample=True, generator=g).elbo for _ in range(draws)]).mean(0)


class TestAgainstProbabilisticPCA:
    def test_every_importance_weight_is_log_p_when_the_posterior_is_exact(self):
        vae, W = make_ppca(sigma=SIGMA)
        x = draw_data(W, SIGMA, 20)
        weights = vae.importance_log_weights(x, 4, generator=gen())
        expected = exact_log_prob(x, W, SIGMA).float().expand(4, 20)
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-4)

    def test_iw_nll_is_exact_with_a_single_draw_when_the_posterior_is_exact(self):
        vae, W = make_ppca(sigma=SIGMA)
        x = draw_data(W, SIGMA, 20)
        expected = -exact_log_prob(x, W, SIGMA).float()
        torch.testing.assert_close(vae.iw_nll(x, 1, generator=gen()), expected, rtol=0, atol=1e-4)

    def test_elbo_equals_log_p_on_average_over_draws_of_the_exact_posterior(self):
        vae, W = make_ppca(sigma=SIGMA)
        x = draw_data(W, SIGMA, 200)
        gap = exact_log_prob(x, W, SIGMA).float() - mean_elbo(vae, x, 400)
        assert abs(float(gap.detach().mean())) < 0.02

    def test_elbo_is_below_log_p_and_the_bound_tightens_with_more_draws(self):
        vae, W = make_ppca(sigma=SIGMA, widen=1.5)
        x = draw_data(W, SIGMA, 300)
        log_p = float(exact_log_prob(x, W, SIGMA).mean())
        elbo = float(mean_elbo(vae, x, 200).detach().mean())
        bounds = [-float(vae.iw_nll(x, n, generator=gen()).mean()) for n in (1, 10, 200)]
        assert elbo < log_p - 0.3
        assert all(later > earlier + 0.01 for earlier, later in pairwise(bounds))
        assert bounds[-1] == pytest.approx(log_p, abs=0.05)


class TestImportanceWeightedBound:
    @pytest.mark.parametrize("n_draws", [1, 10, 100, 150, 250])
    @pytest.mark.parametrize("chunk", [7, 25, 1000])
    def test_exactly_the_draws_asked_for_are_made(self, n_draws, chunk, monkeypatch):
        vae, drawn = small_vae().eval(), []
        original = vae.importance_log_weights

        def counting(x: torch.Tensor, n: int, **options: object) -> torch.Tensor:
            drawn.append(n)
            return original(x, n, **options)

        monkeypatch.setattr(vae, "importance_log_weights", counting)
        vae.iw_nll(torch.zeros(2, 6), n_draws, chunk=chunk)
        assert sum(drawn) == n_draws
        assert max(drawn) <= chunk

    def test_a_chunk_that_does_not_divide_the_draws_gives_no_bias(self):
        vae, W = make_ppca(sigma=SIGMA)  # every weight equals log p: any bias would show at once
        x = draw_data(W, SIGMA, 10)
        expected = -exact_log_prob(x, W, SIGMA).float()
        for n_draws, chunk in ((100, 30), (20, 30)):
            nll = vae.iw_nll(x, n_draws, chunk=chunk, generator=gen())
            torch.testing.assert_close(nll, expected, rtol=0, atol=1e-4)

    def test_it_builds_no_graph_and_is_a_negative_log_likelihood(self):
        vae, x = small_vae().eval(), torch.randn(5, 6, generator=gen())
        nll = vae.iw_nll(x, 3)
        assert not nll.requires_grad
        assert (vae.iw_nll(10 * x, 50) > vae.iw_nll(x, 50)).all()  # higher = less likely

    def test_without_a_generator_a_score_repeats_and_does_not_depend_on_its_batch(self):
        vae, x = small_vae().eval(), torch.randn(30, 6, generator=gen())
        whole, order = vae.iw_nll(x, 20), torch.randperm(30, generator=gen(1))
        assert torch.equal(whole, vae.iw_nll(x, 20))
        torch.testing.assert_close(vae.iw_nll(x[order], 20), whole[order], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(vae.iw_nll(x[4:5], 20)[0], whole[4], rtol=1e-5, atol=1e-5)

    def test_no_draws_is_refused(self):
        with pytest.raises(ConfigError, match="at least 1 draw"):
            small_vae().iw_nll(torch.zeros(2, 6), 0)


class TestDeterminism:
    def test_evaluation_mode_gives_the_same_output_twice(self):
        vae, x = small_vae().eval(), torch.randn(9, 6, generator=gen())
        first, second = vae(x), vae(x)
        assert torch.equal(first.nll, second.nll)
        assert torch.equal(vae.reconstruct(x), first.recon)
        assert torch.equal(vae.nll_per_dim(x).sum(1), first.nll)

    def test_training_mode_draws_from_the_generator_given(self):
        vae, x = small_vae().train(), torch.randn(9, 6, generator=gen())
        first, second = vae(x, generator=gen(1)), vae(x, generator=gen(2))
        assert torch.equal(first.nll, vae(x, generator=gen(1)).nll)
        assert not torch.equal(first.nll, second.nll)

    def test_terms_of_a_sample_do_not_depend_on_its_batch(self):
        vae, x = small_vae().eval(), torch.randn(64, 6, generator=gen())
        whole = vae(x)
        for i in (0, 17, 63):
            alone = vae(x[i : i + 1])
            torch.testing.assert_close(alone.nll[0], whole.nll[i], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(alone.kl[0], whole.kl[i], rtol=1e-5, atol=1e-5)

    def test_order_of_the_rows_does_not_matter(self):
        vae, x = small_vae().eval(), torch.randn(64, 6, generator=gen())
        order = torch.randperm(64, generator=gen(1))
        torch.testing.assert_close(vae(x[order]).elbo, vae(x).elbo[order], rtol=1e-5, atol=1e-5)

    def test_the_global_random_state_is_left_alone(self):
        before = torch.get_rng_state()
        vae = small_vae()
        vae.train()(torch.zeros(3, 6), generator=gen())
        vae.iw_nll(torch.zeros(3, 6), 4, generator=gen())
        assert torch.equal(before, torch.get_rng_state())


def test_output_keeps_every_term_per_sample():
    out = small_vae(linear_skip=True).eval()(torch.randn(5, 6, generator=gen()))
    assert out.recon.shape == (5, 6)
    assert out.mean.shape == out.logvar.shape == out.kl_per_dim.shape == (5, 3)
    assert out.nll.shape == out.kl.shape == out.elbo.shape == (5,)
    assert (out.kl_per_dim >= 0).all()
    torch.testing.assert_close(out.elbo, -(out.nll + out.kl))


def test_target_is_what_the_likelihood_is_asked_about():
    vae, x = small_vae().eval(), torch.randn(5, 6, generator=gen())
    clean = vae(x)
    other = vae(x + 0, target=x + 1)
    assert torch.equal(clean.recon, other.recon)
    assert not torch.equal(clean.nll, other.nll)


def test_sums_are_float32_when_the_network_runs_in_bfloat16():
    vae, x = small_vae().train(), torch.randn(512, 6, generator=gen())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = vae(x, generator=gen())
    assert {out.nll.dtype, out.mean.dtype, out.logvar.dtype, out.kl_per_dim.dtype} == {
        torch.float32
    }
    assert len(out.nll.unique()) > 500  # sums in bfloat16 would leave a handful of scores


def test_draws_carry_gradients_to_mean_and_log_variance():
    mean, logvar = torch.zeros(4, 2, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
    draw_gaussian(mean, logvar, gen()).square().sum().backward()
    assert (mean.grad != 0).all()
    assert (logvar.grad > 0).all()


def test_log_variance_is_clamped_once_for_all_who_use_it():
    vae = small_vae().eval()
    with torch.no_grad():
        vae.encoder.head.bias[3:] = 1e6
    out = vae(torch.zeros(2, 6), sample=True, generator=gen())
    assert (out.logvar == 20).all()
    assert torch.isfinite(out.kl_per_dim).all()
    assert torch.isfinite(out.nll).all()


def test_parts_that_do_not_fit_are_named_at_build():
    with pytest.raises(ConfigError, match=r"share one latent_dim; got 3 and 4"):
        VAE(MLPEncoder((6,), 8, 3), MLPDecoder((6,), 8, 4), BernoulliLikelihood())
    with pytest.raises(ConfigError, match=r"needs 5 numbers.*emits 1.*n_params=5"):
        VAE(MLPEncoder((6,), 8, 3), MLPDecoder((6,), 8, 3), CategoricalLikelihood(5))


def test_shapes_that_would_broadcast_silently_are_refused():
    vae = VAE(MLPEncoder((6,), 8, 3), MLPDecoder((6,), 8, 3), BernoulliLikelihood())
    with pytest.raises(ConfigError, match=r"\(2, 6\).*target, of shape \(2, 1\).*out_shape"):
        vae(torch.zeros(2, 6), target=torch.zeros(2, 1))
