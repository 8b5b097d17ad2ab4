"""Other detectors for numbers, all as one function: training rows, rows to score, seed -> scores.

Higher = more anomalous. Defaults of their libraries, no choice by data set. PyOD is needed only for
the detectors that are named after it: ``pip install pyod``.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

Floats = NDArray[np.float64]
Peer = Callable[[Floats, Floats, int], Floats]


def nearest(k: int) -> Peer:
    """Mean distance to the k nearest training rows."""

    def score(train: Floats, test: Floats, seed: int) -> Floats:
        index = NearestNeighbors(n_neighbors=min(k, len(train))).fit(train)
        return np.asarray(index.kneighbors(test)[0].mean(axis=1))

    return score


def lof(train: Floats, test: Floats, seed: int) -> Floats:
    """Local outlier factor, 20 neighbours, novelty mode."""
    model = LocalOutlierFactor(n_neighbors=min(20, len(train) - 1), novelty=True).fit(train)
    return -np.asarray(model.score_samples(test))


def isolation_forest(train: Floats, test: Floats, seed: int) -> Floats:
    """Isolation forest of 100 trees."""
    return -np.asarray(IsolationForest(random_state=seed).fit(train).score_samples(test))


def one_class_svm(train: Floats, test: Floats, seed: int) -> Floats:
    """One-class SVM with the radial kernel."""
    return -np.asarray(OneClassSVM().fit(train).score_samples(test))


def gaussian_mixture(train: Floats, test: Floats, seed: int) -> Floats:
    """Gaussian mixture of 1 to 16 parts, the number chosen by BIC; diagonal above 100 columns."""
    shape = "full" if train.shape[1] <= 100 else "diag"
    sizes = [k for k in (1, 2, 4, 8, 16) if k <= max(1, len(train) // 10)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # EM that has not converged is still a mixture
        models = [
            GaussianMixture(k, covariance_type=shape, reg_covar=1e-3, random_state=seed).fit(train)
            for k in sizes
        ]
    best = min(models, key=lambda model: model.bic(train))
    return -np.asarray(best.score_samples(test))


def pca_residual(train: Floats, test: Floats, seed: int) -> Floats:
    """Squared distance from the principal subspace of 90 % of the variance."""
    model = PCA(n_components=0.9, svd_solver="full").fit(train)
    return np.asarray(np.square(test - model.inverse_transform(model.transform(test))).sum(axis=1))


def pyod(module: str, name: str, **options: Any) -> Peer:
    """Return a detector of PyOD with its default parameters."""

    def score(train: Floats, test: Floats, seed: int) -> Floats:
        from importlib import import_module

        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                factory = getattr(import_module(f"pyod.models.{module}"), name)
                seeded = {"random_state": seed} if name in {"VAE", "AutoEncoder"} else {}
                return np.asarray(factory(**seeded, **options).fit(train).decision_function(test))

    return score


PEERS: dict[str, Peer] = {
    "1-NN": nearest(1),
    "5-NN": nearest(5),
    "LOF": lof,
    "IsolationForest": isolation_forest,
    "OCSVM": one_class_svm,
    "GMM-BIC": gaussian_mixture,
    "PCA-residual": pca_residual,
    "PyOD-PCA": pyod("pca", "PCA"),
    "PyOD-ECOD": pyod("ecod", "ECOD"),
    "PyOD-VAE": pyod("vae", "VAE", verbose=0),
    "PyOD-AutoEncoder": pyod("auto_encoder", "AutoEncoder", verbose=0),
}
SLOW = ("PyOD-VAE", "PyOD-AutoEncoder")
