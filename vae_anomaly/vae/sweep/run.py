"""Train every model of a grid alike, and measure each on samples that none of them saw.

The likelihood is a Gaussian with one sigma, fixed at 1 in the unit of the data unless told
otherwise. The loss is then ``sum of squared errors / 2 + beta * KL``: beta means the same in every
cell, sigma cannot take its effect back, and a latent pays only along a direction of the data whose
variance exceeds ``sigma^2 * beta``. The weights are those of the last of a fixed number of steps: a
choice by validation ELBO would stop each beta at another step.

References
----------
Higgins et al., beta-VAE, 2017.
Lucas, Tucker, Grosse and Norouzi, Don't Blame the ELBO!, 2019.
Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import log, prod
from typing import TYPE_CHECKING, Any

import torch

from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.progress import Progress, null_progress, part_of
from vae_anomaly.vae import diagnostics
from vae_anomaly.vae.diagnostics import (
    ACTIVE_VARIANCE,
    PosteriorDiagnostics,
    posterior_diagnostics,
    predict_collapse,
)
from vae_anomaly.vae.family import ModelDescription, build_model
from vae_anomaly.vae.likelihoods import GaussianLikelihood, Likelihood, OptimalGaussianLikelihood
from vae_anomaly.vae.sweep.report import SweepCell, SweepGrid, SweepReport, SweepSettings
from vae_anomaly.vae.training import TrainingConfig, fit_vae

if TYPE_CHECKING:
    from torch import Tensor

    from vae_anomaly.vae.model import VAE

MIN_SAMPLES = 2
N_DRAWS = 8  # from the posterior, for the expected nll
EIGEN_SAMPLES = 2000  # that the forecast of active latents looks at
_BLOCK = 512


def sweep(
    train: Tensor,
    held_out: Tensor,
    grid: SweepGrid | None = None,
    settings: SweepSettings | None = None,
    *,
    progress: Progress | None = None,
    source: str = "",
    unit: str = "the unit of the data",
    notes: tuple[str, ...] = (),
) -> SweepReport:
    """Train the models of a grid and compare them on held-out samples.

    Parameters
    ----------
    train, held_out : Tensor of shape (N, *x), float32
        Normal samples; standardised, or sigma means nothing.
    grid : SweepGrid, optional
    settings : SweepSettings, optional
        Network, sigma, steps and seed that all models share.
    progress : callable, optional
    source, unit : str
        For the report.
    notes : tuple of str
        For the report.

    Returns
    -------
    report : SweepReport
        The same for the same input and seed on one machine, but for the seconds.

    Raises
    ------
    ConfigError
        If a latent size exceeds the numbers in one sample.
    NotEnoughDataError
        If there are fewer than 2 samples to train on, or held out.
    NonFiniteLossError, DataError
        If a training breaks down; names the samples.

    Examples
    --------
    >>> x = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    >>> found = sweep(x[:60], x[60:], SweepGrid((1,), (2,)), SweepSettings(max_steps=5))
    >>> [cell.name for cell in found.cells]
    ['autoencoder, latent size 2', 'beta 1, latent size 2']
    """
    grid, settings = grid or SweepGrid(), settings or SweepSettings()
    _check(train, held_out, grid)
    tell, report = progress or null_progress, []
    eigenvalues = _eigenvalues(train, max(grid.latent_dims))
    for place, (beta, latent_dim) in enumerate(grid.cells):
        began = time.perf_counter()
        model = _build(tuple(train.shape[1:]), beta, latent_dim, settings)
        _fit(model, train, beta, settings, part_of(tell, place, len(grid.cells), "sweep"))
        seconds = time.perf_counter() - began
        report.append(_measure(model, held_out, beta, eigenvalues, seconds))
    return SweepReport(
        cells=tuple(report),
        rmse_mean=float((held_out - train.mean(0)).double().square().mean().sqrt()),
        n_train=len(train),
        n_held_out=len(held_out),
        in_shape=tuple(train.shape[1:]),
        grid=grid,
        settings=settings,
        source=source,
        unit=unit,
        notes=notes,
    )


def _check(train: Tensor, held_out: Tensor, grid: SweepGrid) -> None:
    """Refuse, before anything is trained, what cannot be swept."""
    if min(len(train), len(held_out)) < MIN_SAMPLES:
        raise NotEnoughDataError(
            f"A sweep needs at least {MIN_SAMPLES} samples to train on and {MIN_SAMPLES} held "
            f"out; got {len(train)} and {len(held_out)}. Give more normal samples."
        )
    numbers, largest = prod(train.shape[1:]), max(grid.latent_dims)
    if largest > numbers:
        raise ConfigError(
            f"A latent size of {largest} exceeds the {numbers} numbers that a sample has: nothing "
            f"would be compressed. Give --latent-dim of at most {numbers}."
        )


def _build(
    in_shape: tuple[int, ...], beta: float | None, latent_dim: int, settings: SweepSettings
) -> VAE:
    """Build a model whose networks start alike for one latent size, whatever beta is."""
    description = ModelDescription(
        "autoencoder" if beta is None else "beta",
        in_shape,
        latent_dim=latent_dim,
        hidden=settings.hidden,
        channels=settings.channels,
        activation=settings.activation,
    )
    model = build_model(description, settings.random_state)
    model.likelihood = _likelihood(settings.sigma)
    return model


def _likelihood(sigma: float | None) -> Likelihood:
    if sigma is None:
        return OptimalGaussianLikelihood()
    start = log(sigma)
    fixed = GaussianLikelihood(1, init_log_sigma=start, min_log_sigma=start - 3.0)
    fixed.raw_log_sigma.requires_grad_(False)
    return fixed


def _fit(
    model: VAE, train: Tensor, beta: float | None, settings: SweepSettings, progress: Progress
) -> None:
    """Take all steps and keep the last weights."""
    steps = settings.max_steps
    config = TrainingConfig(
        max_steps=steps,
        batch_size=settings.batch_size,
        lr=settings.lr,
        lr_warmup_steps=min(20, steps // 2),
        lr_schedule="cosine",
        beta=beta or 0.0,
        kl_schedule="linear",
        kl_warmup_steps=steps // 5,
        eval_every=min(100, steps),
        random_state=settings.random_state,
    )
    fit_vae(model, train, config=config, progress=progress)


def _measure(
    model: VAE, held_out: Tensor, beta: float | None, eigenvalues: Tensor, seconds: float
) -> SweepCell:
    with _unlogged():
        diagnostics = posterior_diagnostics(model, held_out)
    nll, sigma = _expected_nll(model, held_out), _sigma(model)
    posterior = {} if beta is None else _of_posterior(diagnostics, nll, held_out[0].numel())
    if beta is not None:
        threshold = sigma**2 * beta
        posterior["expected_active"] = int(
            (eigenvalues[: diagnostics.latent_dim] > threshold).sum()
        )
    return SweepCell(
        model="autoencoder" if beta is None else "vae",
        beta=beta,
        latent_dim=diagnostics.latent_dim,
        rmse=diagnostics.rmse,
        nll=nll,
        sigma=sigma,
        seconds=seconds,
        **posterior,
    )


def _of_posterior(diagnostics: PosteriorDiagnostics, nll: float, n_dims: int) -> dict[str, Any]:
    """Return what only a model with a posterior has."""
    kl = sum(diagnostics.kl_per_dim)
    return {
        "kl": kl,
        "negative_elbo": nll + kl,
        "negative_elbo_per_dim": (nll + kl) / n_dims,
        "active_units": diagnostics.active_units,
        "collapsed": tuple(i for i, v in enumerate(diagnostics.latent_var) if v <= ACTIVE_VARIANCE),
        "mutual_info": diagnostics.mutual_info,
        "mutual_info_cap": diagnostics.mutual_info_cap,
        "warnings": diagnostics.warnings,
    }


@torch.no_grad()
def _expected_nll(model: VAE, data: Tensor) -> float:
    """Average -log p(x | z) over samples and draws of z: the posterior mean would flatter it."""
    model.eval()
    noise, total = torch.Generator(data.device).manual_seed(0), 0.0
    for start in range(0, len(data), _BLOCK):
        batch = data[start : start + _BLOCK]
        for _ in range(N_DRAWS):
            out = model(batch, sample=True, generator=noise)
            total += float(out.nll.double().sum())
    return total / (N_DRAWS * len(data))


def _sigma(model: VAE) -> float:
    log_sigma: Tensor = model.likelihood.log_sigma  # type: ignore[assignment]  # both have one
    return float(log_sigma.detach().double().exp())


def _eigenvalues(data: Tensor, count: int) -> Tensor:
    """Return the greatest eigenvalues of the covariance of samples taken at equal distances."""
    every = -(-len(data) // EIGEN_SAMPLES)
    forecast = predict_collapse(data[::every], 1.0, beta=0.0, latent_dim=count)
    return torch.tensor(forecast.eigenvalues)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep warnings of single models out of the log, where nothing names the model."""
    logger = logging.getLogger(diagnostics.__name__)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
