"""Likelihoods p(x | z): how far data lie from what the decoder expects, in nats.

A decoder emits `n_params` numbers for every data dimension. Their shape is that of the data,
``(..., D)``, when `n_params` is 1 and ``(..., D, n_params)`` otherwise; ``D`` stands for all the
data's own dimensions, such as ``C, H, W``. Every likelihood returns one number per data dimension,
with all constants kept, in float32 whatever the network computed in.
"""

from __future__ import annotations

from vae_anomaly.vae.likelihoods.base import Likelihood
from vae_anomaly.vae.likelihoods.continuous import (
    GaussianLikelihood,
    OptimalGaussianLikelihood,
    StudentTLikelihood,
)
from vae_anomaly.vae.likelihoods.discrete import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    DiscretizedLogisticLikelihood,
    NegativeBinomialLikelihood,
    OrdinalLikelihood,
    PoissonLikelihood,
)

__all__ = [
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "DiscretizedLogisticLikelihood",
    "GaussianLikelihood",
    "Likelihood",
    "NegativeBinomialLikelihood",
    "OptimalGaussianLikelihood",
    "OrdinalLikelihood",
    "PoissonLikelihood",
    "StudentTLikelihood",
]
