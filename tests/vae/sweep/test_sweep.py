"""What beta and the latent size do: the order of errors, a closed form, equal reports, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.vae.sweep import SweepGrid, SweepReport, SweepSettings, sweep

QUICK = SweepSettings(hidden=(32,), max_steps=300)
NO_STEPS = SweepSettings(hidden=(8,), max_steps=2)


def curved(n: int, n_features: int = 20, n_factors: int = 4, seed: int = 0) -> torch.Tensor:
    """Standardised rows of saturating features that follow a few factors, with noise."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(n_factors, n_features))
    rows = np.tanh(0.5 * rng.normal(size=(n, n_factors)) @ loadings)
    rows += 0.1 * rng.normal(size=rows.shape)
    return torch.from_numpy((rows - rows.mean(0)) / rows.std(0)).float()


def spots(n: int, side: int = 16) -> torch.Tensor:
    """Standardised images of a bright spot that moves, on noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:side, :side] / side
    cx, cy = rng.uniform(0.25, 0.75, (2, n, 1, 1))
    images = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.03)
    images += 0.05 * rng.normal(size=images.shape)
    return torch.from_numpy((images - images.mean()) / images.std()).float()[:, None]


def spectral(n: int, eigenvalues: tuple[float, ...]) -> torch.Tensor:
    """Rows whose covariance has exactly these eigenvalues, and whose mean is 0."""
    rng = np.random.default_rng(3)
    white = rng.normal(size=(n, len(eigenvalues)))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(white.T @ white / n)).T
    turn = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))[0]
    return torch.from_numpy(white * np.sqrt(eigenvalues) @ turn).float()


@pytest.fixture(scope="module")
def swept() -> SweepReport:
    rows = curved(1000)
    return sweep(rows[:800], rows[800:], SweepGrid(latent_dims=(8, 2)), QUICK, unit="sd")


def errors_of(report: SweepReport, latent_dim: int) -> list[float]:
    return [cell.rmse for cell in report.cells if cell.latent_dim == latent_dim]


@pytest.mark.parametrize("latent_dim", [2, 8])
def test_error_rises_from_the_autoencoder_over_beta_to_predicting_the_mean(swept, latent_dim):
    line = [*errors_of(swept, latent_dim), swept.rmse_mean]
    assert len(line) == 5
    assert min(np.diff(line)) > 0.004, line
    assert swept.rmse_mean == pytest.approx(1.0, abs=0.03)


def test_error_rises_with_beta_for_images_and_convolutions_too():
    images = spots(360)
    settings = SweepSettings(channels=(8, 16), max_steps=60, batch_size=32)
    grid = SweepGrid(betas=(0.5, 1, 4), latent_dims=(8,))
    report = sweep(images[:300], images[300:], grid, settings)
    line = [*errors_of(report, 8), report.rmse_mean]
    assert min(np.diff(line)) > 0.002, line
    assert report.out_of_order == ()


def test_cells_are_ordered_and_the_autoencoder_has_no_posterior_to_speak_of(swept):
    names = [cell.name for cell in swept.cells]
    assert names[:3] == [
        "autoencoder, latent size 2", "beta 0.5, latent size 2", "beta 1, latent size 2",
    ]  # fmt: skip
    assert names[4] == "autoencoder, latent size 8"
    plain = swept.cells[0]
    assert (plain.kl, plain.negative_elbo, plain.active_units, plain.mutual_info) == (None,) * 4


def test_more_beta_costs_information_and_the_elbo_is_best_at_beta_1(swept):
    vaes = [cell for cell in swept.cells if cell.latent_dim == 8 and cell.model == "vae"]
    assert [c.kl for c in vaes] == sorted((c.kl for c in vaes), reverse=True)
    assert [c.mutual_info for c in vaes] == sorted((c.mutual_info for c in vaes), reverse=True)
    assert min(vaes, key=lambda c: c.negative_elbo).beta == 1
    assert swept.best in vaes
    for cell in vaes:
        assert cell.negative_elbo == pytest.approx(cell.nll + cell.kl)
        assert cell.negative_elbo_per_dim == pytest.approx(cell.negative_elbo / 20)


def test_linear_networks_meet_the_closed_form_of_error_and_collapse():
    # a latent lives where the eigenvalue exceeds sigma^2 * beta, and shrinks its direction by
    # sigma^2 * beta / eigenvalue; the rest of the variance is lost
    eigenvalues = (6.0, 3.0, 1.5, 0.7, 0.2, 0.1)
    rows = spectral(600, eigenvalues)
    settings = SweepSettings(hidden=(), max_steps=400, lr=3e-2)
    report = sweep(rows, rows, SweepGrid((0.5, 1, 4), (4,), autoencoder=False), settings)
    for cell in report.cells:
        kept, lost = np.array(eigenvalues[:4]), sum(eigenvalues[4:])
        exact = np.sqrt((np.minimum(cell.beta**2 / kept, kept).sum() + lost) / 6)
        assert cell.rmse == pytest.approx(exact, rel=0.03)
        assert cell.active_units == cell.expected_active == sum(kept > cell.beta)
        assert len(cell.collapsed) == 4 - cell.active_units
    # the bound holds, and is tight for the linear VAE at beta 1: the covariance is W W' + 1
    fitted = np.maximum(np.array(eigenvalues), 1.0)
    fitted[4:] = 1.0
    exact_nll = 0.5 * (np.log(2 * np.pi * fitted) + np.array(eigenvalues) / fitted).sum()
    assert report.cells[1].negative_elbo == pytest.approx(exact_nll, abs=0.05)


def test_equal_seeds_give_equal_reports_and_another_seed_another():
    rows = curved(120)
    grid = SweepGrid((1,), (2,))
    first, again = (sweep(rows[:90], rows[90:], grid, NO_STEPS) for _ in range(2))
    assert first == again
    assert first != sweep(rows[:90], rows[90:], grid, replace(NO_STEPS, random_state=1))


def test_a_cell_does_not_depend_on_what_else_is_in_the_grid():
    rows = curved(120)
    alone = sweep(rows[:90], rows[90:], SweepGrid((4,), (3,), autoencoder=False), NO_STEPS)
    among = sweep(rows[:90], rows[90:], SweepGrid((1, 4), (2, 3)), NO_STEPS)
    assert alone.cells[0] == among.cells[-1]


def test_collapse_is_counted_named_and_warned_of():
    rows = curved(300)
    settings = SweepSettings(hidden=(16,), max_steps=150)
    report = sweep(rows[:240], rows[240:], SweepGrid((60,), (3,), autoencoder=False), settings)
    (cell,) = report.cells
    assert (cell.active_units, cell.expected_active, cell.collapsed) == (0, 0, (0, 1, 2))
    assert "Posterior collapse: 0 of 3" in cell.warnings[0]
    assert report.best is None
    assert cell.rmse == pytest.approx(report.rmse_mean, rel=0.02)


def test_learned_sigma_follows_the_error_and_takes_back_a_part_of_beta(swept):
    rows = curved(1000)
    grid = SweepGrid((4,), (8,), autoencoder=False)
    (learned,) = sweep(rows[:800], rows[800:], grid, replace(QUICK, sigma=None)).cells
    fixed = swept.cells[-1]
    assert fixed.sigma == pytest.approx(1)
    assert learned.sigma < 0.9
    assert learned.rmse < fixed.rmse


def test_report_survives_json_and_makes_a_table(swept):
    assert SweepReport.from_dict(json.loads(json.dumps(swept.to_dict()))) == swept
    frame = swept.to_frame()
    assert len(frame) == 8
    assert list(frame["latent_dim"]) == [2] * 4 + [8] * 4


def test_progress_counts_the_steps_of_all_models():
    told: list[tuple[str, int, int]] = []
    rows = curved(60)
    sweep(rows[:40], rows[40:], SweepGrid((1,), (2,)), NO_STEPS, progress=lambda *a: told.append(a))
    assert told == [("sweep", 2, 4), ("sweep", 4, 4)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SweepGrid(betas=()), "at least one beta"),
        (lambda: SweepGrid(latent_dims=()), "at least one latent size"),
        (lambda: SweepGrid(betas=(1, -0.5)), "Got -0.5"),
        (lambda: SweepGrid(betas=(float("nan"),)), "Got nan"),
        (lambda: SweepGrid(latent_dims=(0,)), "Got 0"),
        (lambda: SweepSettings(sigma=0.0), "sigma must be a number > 0"),
        (lambda: SweepSettings(max_steps=0), "'max_steps'"),
    ],
    ids=["no beta", "no latents", "negative beta", "nan", "zero latents", "sigma", "steps"],
)
def test_impossible_grid_is_refused_with_what_was_received(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_latent_size_beyond_the_features_and_too_few_rows_are_refused():
    rows = curved(60)
    with pytest.raises(ConfigError, match="latent size of 21 exceeds the 20 numbers"):
        sweep(rows[:40], rows[40:], SweepGrid((1,), (2, 21)), NO_STEPS)
    with pytest.raises(NotEnoughDataError, match="got 40 and 1"):
        sweep(rows[:40], rows[:1], SweepGrid((1,), (2,)), NO_STEPS)
