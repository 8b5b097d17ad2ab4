from __future__ import annotations

import json
import logging
from math import log

import pytest
import torch
from oracles.ppca import draw_data, make_ppca
from torch import nn

from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.vae.diagnostics import posterior_diagnostics, predict_collapse
from vae_anomaly.vae.likelihoods import GaussianLikelihood
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded
from vae_anomaly.vae.training import TrainingConfig, fit_vae

EIGENVALUES = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.25, 0.12]) + 0.05


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectrum(n: int = 4000) -> torch.Tensor:
    """Data whose covariance has exactly the eigenvalues above."""
    x = torch.randn(n, 6, generator=gen())
    x = x - x.mean(0)
    whiten = torch.linalg.inv(torch.linalg.cholesky(x.T @ x / n)).T
    rotate, _ = torch.linalg.qr(torch.randn(6, 6, generator=gen(1)))
    return (x @ whiten * EIGENVALUES.sqrt()) @ rotate


class TestForecast:
    def test_eigenvalues_are_those_of_the_covariance(self):
        forecast = predict_collapse(spectrum(), sigma2=0.1)
        torch.testing.assert_close(
            torch.tensor(forecast.eigenvalues), EIGENVALUES, rtol=1e-3, atol=0
        )

    def test_eigenvalues_are_the_same_from_either_gram_matrix(self):
        wide = torch.randn(5, 40, generator=gen())
        direct = torch.linalg.eigvalsh(torch.cov(wide.T.double(), correction=0)).flip(0)[:5]
        found = torch.tensor(predict_collapse(wide, 1.0).eigenvalues, dtype=torch.float64)
        torch.testing.assert_close(found, direct, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize(("level", "active"), [(0.1, 6), (0.4, 4), (0.8, 3), (1.5, 2)])
    def test_active_units_are_predicted_from_sigma2_times_beta(self, level, active):
        assert predict_collapse(spectrum(), sigma2=level).expected_active == active
        assert predict_collapse(spectrum(), sigma2=level / 4, beta=4).expected_active == active

    @pytest.mark.parametrize(("level", "active"), [(0.4, 4), (1.5, 2)])
    def test_a_trained_linear_vae_has_the_active_units_predicted(self, level, active):
        data = spectrum()
        likelihood = GaussianLikelihood(
            6, init_log_sigma=0.5 * log(level), min_log_sigma=-9.0
        ).requires_grad_(False)
        with seeded(0):
            vae = VAE(MLPEncoder((6,), (), 6), MLPDecoder((6,), (), 6), likelihood)
        config = TrainingConfig(max_steps=400, batch_size=200, lr=0.05, lr_schedule="cosine")
        fit_vae(vae, data, config=config)
        assert posterior_diagnostics(vae, data).active_units == active

    def test_an_expected_collapse_is_told_with_its_remedy(self, caplog):
        with caplog.at_level(logging.WARNING):
            forecast = predict_collapse(spectrum(), sigma2=1.0, beta=10.0, latent_dim=4)
        assert forecast.expected_active == 0
        assert "0 of 4 latents" in forecast.warning
        assert "Learn sigma" in forecast.warning
        assert forecast.warning in caplog.text

    def test_a_healthy_setting_is_not_warned_about(self, caplog):
        assert predict_collapse(spectrum(), sigma2=0.1).warning == ""
        assert caplog.text == ""

    @pytest.mark.parametrize("wrong", [{"sigma2": 0.0}, {"sigma2": 1.0, "beta": -1.0}], ids=str)
    def test_impossible_settings_are_refused(self, wrong):
        with pytest.raises(ConfigError, match="sigma2 > 0 and beta >= 0"):
            predict_collapse(spectrum(), **wrong)

    def test_one_sample_is_not_enough(self):
        with pytest.raises(NotEnoughDataError, match="at least 2 samples; got 1"):
            predict_collapse(torch.zeros(1, 3), 1.0)


class FixedEncoder(nn.Module):
    """First column as mean of the first latent; the second latent repeats the prior."""

    def __init__(self, logvar: float) -> None:
        super().__init__()
        self.logvar = nn.Parameter(torch.tensor([logvar, 0.0]))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = torch.stack([x[:, 0], torch.zeros_like(x[:, 0])], 1)
        return mean, self.logvar.expand_as(mean)


class FixedDecoder(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.cat([z[:, :1], torch.zeros_like(z)], 1)


def fixed(logvar: float) -> VAE:
    return VAE(FixedEncoder(logvar), FixedDecoder(), GaussianLikelihood(3))


class TestPosterior:
    def test_active_and_idle_latents_are_told_apart(self):
        x = torch.randn(500, 3, generator=gen())
        found = posterior_diagnostics(fixed(-4.0), x, batch_size=64)
        assert found.active_units == 1
        assert found.latent_var[0] == pytest.approx(float(x[:, 0].var(correction=0)), rel=1e-5)
        assert found.latent_var[1] == 0
        assert found.kl_per_dim[1] == 0
        assert found.kl_per_dim[0] == pytest.approx(
            0.5 * (float(x[:, 0].square().mean()) + torch.tensor(-4.0).expm1().item() + 4.0),
            rel=1e-4,
        )
        assert found.warnings == ()

    def test_reconstruction_is_compared_with_predicting_the_mean(self):
        x = torch.randn(500, 3, generator=gen())
        found = posterior_diagnostics(fixed(-4.0), x)
        assert found.rmse_mean == pytest.approx(
            float(x.var(0, correction=0).mean().sqrt()), rel=1e-5
        )
        assert found.rmse == pytest.approx(
            float(x[:, 1:].square().sum().div(1500).sqrt()), rel=1e-5
        )

    def test_mutual_information_of_a_gaussian_channel_is_found(self):
        x = torch.randn(2000, 3, generator=gen())
        found = posterior_diagnostics(fixed(log(0.1)), x, n_mutual_info=1000)
        assert found.mutual_info == pytest.approx(0.5 * log(1 + 1 / 0.1), abs=0.05)

    def test_mutual_information_stops_at_its_cap_which_is_reported(self):
        x = torch.randn(50, 3, generator=gen())
        found = posterior_diagnostics(fixed(-25.0), x)
        assert found.mutual_info == pytest.approx(found.mutual_info_cap) == pytest.approx(log(50))

    def test_a_linear_vae_of_known_posterior_has_its_posterior_variance(self):
        vae, W = make_ppca(sigma=0.5)
        found = posterior_diagnostics(vae, draw_data(W, 0.5, 300))
        expected = float((1 / (1 + W.square().sum(0) / 0.25)).mean())
        assert found.posterior_var == pytest.approx(expected, rel=1e-4)

    def test_collapse_and_clamping_are_told_with_their_remedies(self, caplog):
        x = torch.zeros(50, 3)
        x[:, 1] = torch.randn(50, generator=gen())
        with caplog.at_level(logging.WARNING):
            dead = posterior_diagnostics(fixed(0.0), x)
        assert "0 of 2 latents are active" in dead.warnings[0]
        assert "free_bits" in dead.warnings[0]
        assert "no better than predicting the mean" in dead.warnings[1]
        assert dead.warnings[0] in caplog.text
        clamped = posterior_diagnostics(fixed(-50.0), torch.randn(50, 3, generator=gen()))
        assert clamped.clamped_share == 0.5
        assert "50.0% of the log variances" in clamped.warnings[-1]

    def test_the_mode_of_the_model_and_the_global_random_state_are_left_alone(self):
        before, vae = torch.get_rng_state(), fixed(-4.0).train()
        first = posterior_diagnostics(vae, torch.randn(50, 3, generator=gen()))
        assert vae.training
        assert torch.equal(before, torch.get_rng_state())
        assert first == posterior_diagnostics(vae, torch.randn(50, 3, generator=gen()))

    def test_everything_can_be_written_as_json(self):
        found = posterior_diagnostics(fixed(-4.0), torch.randn(50, 3, generator=gen()))
        assert json.loads(json.dumps(found.to_dict()))["latent_dim"] == 2

    def test_one_sample_is_not_enough(self):
        with pytest.raises(NotEnoughDataError, match="at least 2 samples; got 1"):
            posterior_diagnostics(fixed(0.0), torch.zeros(1, 3))
