"""Is the latent space alive? Before training, from eigenvalues; after it, from the posterior.

References
----------
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016 (active units).
Hoffman and Johnson, ELBO Surgery, 2016 (mutual information).
Lucas, Tucker, Grosse and Norouzi, Don't Blame the ELBO!, 2019 (predicted collapse).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log, nan
from typing import TYPE_CHECKING, Any

import torch

from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.vae.model import VAEOutput, draw_gaussian
from vae_anomaly.vae.objectives import LOGVAR_HIGH, LOGVAR_LOW, gaussian_log_prob
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

ACTIVE_VARIANCE = 0.01  # of a posterior mean over the data, in units of the prior's variance
ACTIVE_SHARE = 0.1  # fewer active units than this share is a collapse


@dataclass(frozen=True)
class CollapseForecast:
    """How many latents can survive training, by the theory of linear VAEs.

    Attributes
    ----------
    threshold : float
        ``sigma2 * beta``: a latent survives only along an eigenvalue above it.
    eigenvalues : tuple of float
        The data's greatest eigenvalues, one for each latent, in squared data units.
    expected_active : int
    warning : str
        Empty when no collapse is expected; else what to do about it.
    """

    threshold: float
    eigenvalues: tuple[float, ...]
    expected_active: int
    warning: str = ""


def predict_collapse(
    data: Tensor,
    sigma2: float,
    beta: float = 1.0,
    latent_dim: int | None = None,
    *,
    warn: bool = True,
) -> CollapseForecast:
    """Predict, before training, how many latents the KL will leave alive.

    Parameters
    ----------
    data : Tensor of shape (N, *x)
    sigma2 : float
        Variance of the Gaussian likelihood per dimension, in squared data units. For a learned
        sigma give the value to start from.
    beta : float
        Weight of the KL.
    latent_dim : int, optional
        Number of latents; that of the data's dimensions when left out.
    warn : bool
        Log the warning as well; False leaves it to the caller.

    Returns
    -------
    forecast : CollapseForecast
        Exact for a linear VAE, a good guide for others.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 2 samples.
    ConfigError
        If `sigma2` is not positive or `beta` is negative.
    """
    if sigma2 <= 0 or beta < 0:
        raise ConfigError(
            f"A forecast needs sigma2 > 0 and beta >= 0; got sigma2={sigma2:g} and beta={beta:g}. "
            "sigma2 is the variance of the Gaussian likelihood."
        )
    values = _eigenvalues(data.flatten(1).double())
    n_latents = len(values) if latent_dim is None else min(latent_dim, len(values))
    values = values[:n_latents]
    threshold = sigma2 * beta
    active = int((values > threshold).sum())
    warning = ""
    if active < max(1.0, ACTIVE_SHARE * n_latents):
        largest = float(values[0]) if n_latents else 0.0
        warning = (
            f"Posterior collapse expected: {active} of {number_of(n_latents, 'latent')} can stay "
            f"active, because sigma^2 * beta = {threshold:.3g} and the data's greatest eigenvalue "
            f"is {largest:.3g}. Learn sigma (GaussianLikelihood does) or start it smaller, lower "
            "beta, or anneal the KL (kl_schedule='linear')."
        )
        if warn:
            logger.warning(warning)
    return CollapseForecast(threshold, tuple(values.tolist()), active, warning)


def collapse_warning(metrics: Mapping[str, float]) -> str:
    """Say what to do where fewer than a tenth of a trained detector's latents are active.

    The metrics are a detector's ``metrics_``: ``latents``, ``active_units`` and
    ``expected_active_units``. Empty where enough of them are active, where no more were expected
    (columns without correlation leave nothing for latents to say), or the figures are missing.

    Examples
    --------
    >>> collapse_warning({"latents": 8.0, "active_units": 5.0, "expected_active_units": 6.0})
    ''
    >>> collapse_warning({"latents": 32.0, "active_units": 0.0, "expected_active_units": 0.0})
    ''
    """
    names = ("latents", "active_units", "expected_active_units")
    latents, active, expected = (metrics.get(name, nan) for name in names)
    if not active < min(expected, max(1.0, ACTIVE_SHARE * latents)):
        return ""
    return (
        f"posterior collapse: {active:.0f} of {latents:.0f} latents are active "
        f"({expected:.0f} expected), so the latents say little about a "
        "row. Lower beta, train longer (max_steps), or ask for fewer latents (latent_dim)"
    )


def _eigenvalues(flat: Tensor) -> Tensor:
    """Return the eigenvalues of the covariance, greatest first, from the smaller Gram matrix."""
    n, d = flat.shape
    if n < 2:
        raise NotEnoughDataError(
            f"Eigenvalues need at least 2 samples; got {n}. Give more normal samples."
        )
    centred = flat - flat.mean(0)
    gram = centred @ centred.T if d > n else centred.T @ centred
    values: Tensor = torch.linalg.eigvalsh(gram / n)
    return values.flip(0).clamp(min=0.0)


def active_units(mean: Tensor) -> int:
    """Count the latents whose posterior mean (N, Z) varies by more than 0.01 over the data."""
    variance = mean.double().var(0, correction=0)
    return int((variance > ACTIVE_VARIANCE).sum())


@dataclass(frozen=True)
class PosteriorDiagnostics:
    """What the posterior does on a data set.

    Attributes
    ----------
    n_samples, latent_dim : int
    active_units : int
        Latents whose posterior mean has a variance above 0.01 over the data.
    latent_var : tuple of float
        That variance, for each latent.
    kl_per_dim : tuple of float, nats
        Mean KL of each latent (one number where the prior does not factorise); never floored.
    mutual_info : float, nats
        Between data and latents, estimated within `n_mutual_info` samples.
    mutual_info_cap : float, nats
        ``log(n_mutual_info)``: the estimate cannot exceed it, and is biased low near it.
    n_mutual_info : int
    posterior_var : float
        Mean of exp(logvar); near 1 means that latents repeat the prior.
    clamped_share : float
        Share of log variances at a bound of the clamp, where the gradient is zero.
    rmse, rmse_mean : float
        Reconstruction error at the posterior mean, and that of always predicting the mean of
        these data; in the data's unit.
    warnings : tuple of str
        Empty when all is well; each names its remedy.
    """

    n_samples: int
    latent_dim: int
    active_units: int
    latent_var: tuple[float, ...]
    kl_per_dim: tuple[float, ...]
    mutual_info: float
    mutual_info_cap: float
    n_mutual_info: int
    posterior_var: float
    clamped_share: float
    rmse: float
    rmse_mean: float
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        return asdict(self)


@torch.no_grad()
def posterior_diagnostics(
    model: nn.Module,
    data: Tensor,
    *,
    extras: Mapping[str, Tensor] | None = None,
    batch_size: int = 512,
    n_mutual_info: int = 1000,
    random_state: int = 0,
) -> PosteriorDiagnostics:
    """Measure active units, mutual information and reconstruction on a data set.

    Parameters
    ----------
    model : Module
        As for `fit_vae`; evaluated at the posterior mean, its mode is restored.
    data : Tensor of shape (N, *x)
        Held-out normal samples serve best.
    extras : mapping of name to Tensor of shape (N, ...), optional
        Further inputs of the model, such as ``condition``.
    batch_size : int
    n_mutual_info : int
        Samples used for the mutual information; bounds its cost and its cap.
    random_state : int
        Seed of the draws for the mutual information.

    Returns
    -------
    diagnostics : PosteriorDiagnostics

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 2 samples.
    """
    if len(data) < 2:
        raise NotEnoughDataError(
            f"Diagnostics need at least 2 samples; got {len(data)}. Give more normal samples."
        )
    out = _evaluate(model, data, dict(extras or {}), batch_size)
    latent_var = out.mean.double().var(0, correction=0)
    n_mi = min(n_mutual_info, len(data))
    generator = torch.Generator(out.mean.device).manual_seed(random_state)
    clamped = (out.logvar <= LOGVAR_LOW) | (out.logvar >= LOGVAR_HIGH)
    target = data.to(out.recon.device).float()
    squared = (out.recon - target).double().square()
    facts: dict[str, Any] = {
        "n_samples": len(data),
        "latent_dim": out.mean.shape[-1],
        "active_units": active_units(out.mean),
        "latent_var": tuple(latent_var.tolist()),
        "kl_per_dim": tuple(out.kl_per_dim.double().mean(0).tolist()),
        "mutual_info": _mutual_info(out.mean[:n_mi], out.logvar[:n_mi], generator),
        "mutual_info_cap": log(n_mi),
        "n_mutual_info": n_mi,
        "posterior_var": float(out.logvar.double().exp().mean()),
        "clamped_share": float(clamped.double().mean()),
        "rmse": float(squared.mean().sqrt()),
        "rmse_mean": float(target.double().var(0, correction=0).mean().sqrt()),
    }
    warnings = _warnings(facts)
    for text in warnings:
        logger.warning(text)
    return PosteriorDiagnostics(**facts, warnings=warnings)


def _evaluate(
    model: nn.Module, data: Tensor, extras: dict[str, Tensor], batch_size: int
) -> VAEOutput:
    """Run the model over all data in evaluation mode, and join what it returns."""
    device = next(model.parameters()).device
    was_training, parts = model.training, []
    model.eval()
    for start in range(0, len(data), batch_size):
        rows = slice(start, start + batch_size)
        given = {name: value[rows].to(device) for name, value in extras.items()}
        parts.append(model(data[rows].to(device), **given))
    model.train(was_training)
    names = ("recon", "mean", "logvar", "nll", "kl_per_dim")
    return VAEOutput(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _mutual_info(mean: Tensor, logvar: Tensor, generator: torch.Generator) -> float:
    """Estimate I(x; z) = E[log q(z|x) - log q(z)] with q(z) the mixture of these posteriors."""
    z = draw_gaussian(mean, logvar, generator)
    density = gaussian_log_prob(z, mean, logvar).sum(-1)  # (M,)
    mixture = torch.stack(
        [torch.logsumexp(gaussian_log_prob(row, mean, logvar).sum(-1), 0) for row in z]
    )
    return float((density - (mixture - log(len(z)))).double().mean())


def _warnings(facts: Mapping[str, Any]) -> tuple[str, ...]:
    warnings = []
    active, latent_dim = facts["active_units"], facts["latent_dim"]
    if active < max(1.0, ACTIVE_SHARE * latent_dim):
        warnings.append(
            f"Posterior collapse: {active} of {latent_dim} latents are active. Learn sigma, lower "
            "beta, anneal the KL (kl_schedule='linear') or set free_bits."
        )
    if facts["rmse"] >= facts["rmse_mean"]:
        warnings.append(
            f"Reconstruction (RMSE {facts['rmse']:.4g}) is no better than predicting the mean "
            f"({facts['rmse_mean']:.4g}). Train longer, or check the scale of the data."
        )
    if 0.01 < facts["clamped_share"] < 1:  # all of them: a code without variance, on purpose
        warnings.append(
            f"{facts['clamped_share']:.1%} of the log variances are at a bound and get no "
            "gradient. Standardise the data or raise sigma's floor."
        )
    return tuple(warnings)
