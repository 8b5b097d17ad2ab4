"""A VAE that learns classes from a few labels and the shape of the data from all samples.

References
----------
Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative Models, 2014
(model M2).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.vae.model import VAE, VAEOutput
from vae_anomaly.vae.objectives import free_bits_kl

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from vae_anomaly.vae.likelihoods import Likelihood


@dataclass(frozen=True)
class SemiSupervisedOutput(VAEOutput):
    """Output of a `SemiSupervisedVAE`; terms are averaged over classes by `weights`.

    Attributes
    ----------
    class_log_prob : Tensor of shape (N, n_classes)
        log q(y | x), the classifier.
    class_kl : Tensor of shape (N,), nats
        KL(q(y | x) || uniform) for unlabelled samples, -log p(y) for labelled ones; part of `kl`.
    label_nll : Tensor of shape (N,), nats
        -log q(label | x); 0 where there is no label.
    labelled : Tensor of shape (N,), bool
    """

    class_log_prob: Tensor
    class_kl: Tensor
    label_nll: Tensor
    labelled: Tensor

    @property
    def kl(self) -> Tensor:
        """KL of z and of the class together; (N,), nats."""
        return self.kl_per_dim.sum(-1) + self.class_kl


class SemiSupervisedVAE(VAE):
    """Model M2: q(y | x) classifies, q(z | x, y) and p(x | z, y) see the class.

    Parameters
    ----------
    encoder, decoder, likelihood
        As for `VAE`; both networks built with ``condition_dim=n_classes``.
    classifier : Module
        ``classifier(x) -> logits`` of shape (N, n_classes).
    n_classes : int
    alpha : float, >= 0
        Weight of the classifier's own loss on labelled samples.

    Notes
    -----
    ``labels`` is an integer Tensor of shape (N,); -1 means unlabelled, as in scikit-learn. Left
    out, all samples are unlabelled, which is also how scores are computed: the bound is then
    averaged over classes exactly, and nothing is random in evaluation mode.
    """

    output_type: ClassVar[type[VAEOutput]] = SemiSupervisedOutput

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        classifier: nn.Module,
        n_classes: int,
        alpha: float = 10.0,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        if n_classes < 2:
            raise ConfigError(
                f"The 'n_classes' parameter of SemiSupervisedVAE must be an int >= 2. "
                f"Got {n_classes}."
            )
        self.classifier, self.n_classes, self.alpha = classifier, n_classes, alpha

    def classify(self, x: Tensor) -> Tensor:
        """Return log q(y | x), of shape (N, n_classes)."""
        return F.log_softmax(self.classifier(x).float(), dim=-1)

    def forward(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        generator: Generator | None = None,
        sample: bool | None = None,
        **given: Tensor,
    ) -> SemiSupervisedOutput:
        """Measure every sample under every class, and average by what is known of the class."""
        log_q = self.classify(x)  # (N, C)
        labels = self._labels(given.get("labels"), x)
        known = labels >= 0
        one_hot = F.one_hot(labels.clamp(min=0), self.n_classes).float()
        weights = torch.where(known.unsqueeze(1), one_hot, log_q.exp())  # (N, C)
        under = self._under_each_class(x, target, generator, sample)
        entropy = torch.where(known, 0.0, torch.special.entr(log_q.exp()).sum(-1))
        label_nll = -log_q.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
        return SemiSupervisedOutput(
            recon=_average(under.recon, weights),
            mean=_average(under.mean, weights),
            logvar=_average(under.logvar, weights),
            nll=_average(under.nll, weights),
            kl_per_dim=_average(under.kl_per_dim, weights),
            class_log_prob=log_q,
            class_kl=log(self.n_classes) - entropy,
            label_nll=torch.where(known, label_nll, 0.0),
            labelled=known,
        )

    def training_loss(
        self, output: SemiSupervisedOutput, beta: float = 1.0, free_bits: float = 0.0
    ) -> Tensor:
        """Return -ELBO plus alpha times the mean label nll over the labelled samples."""
        kl = free_bits_kl(output.kl_per_dim, free_bits) + output.class_kl.mean()
        label_loss = output.label_nll.sum() / output.labelled.sum().clamp(min=1)
        return output.nll.mean() + beta * kl + self.alpha * label_loss

    def encode(self, x: Tensor, **given: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior mean and log variance under the most likely class, each (N, Z)."""
        if "condition" in given:
            return super().encode(x, condition=given["condition"])
        return super().encode(x, condition=self._best_class(x))

    def reconstruct(self, x: Tensor, **given: Tensor) -> Tensor:
        """Return the likelihood's mean under the most likely class, (N, *x)."""
        return super().reconstruct(x, condition=self._best_class(x))

    def nll_per_dim(self, x: Tensor, target: Tensor | None = None, **given: Tensor) -> Tensor:
        """Return -log p of each data dimension under the most likely class, (N, *x), nats."""
        return super().nll_per_dim(x, target, condition=self._best_class(x))

    def _best_class(self, x: Tensor) -> Tensor:
        return F.one_hot(self.classify(x).argmax(-1), self.n_classes).float()

    def _under_each_class(
        self,
        x: Tensor,
        target: Tensor | None,
        generator: Generator | None,
        sample: bool | None,
    ) -> VAEOutput:
        """Run the VAE once for each class; every field becomes (N, C, ...)."""
        drawn = self.training if sample is None else sample
        n, classes = len(x), torch.eye(self.n_classes, device=x.device)
        condition = classes.repeat(n, 1)  # (N C, C)
        each = x.repeat_interleave(self.n_classes, 0)
        wanted = each if target is None else target.repeat_interleave(self.n_classes, 0)
        latents = self.infer(each, drawn=drawn, generator=generator, condition=condition)
        params = self.decode(latents.z, condition=condition)
        nll = self._measure(params, wanted).float().flatten(1).sum(1)
        fields = (self.likelihood.mean(params), latents.mean, latents.logvar, nll)
        shape = (n, self.n_classes)
        return VAEOutput(*(v.reshape(*shape, *v.shape[1:]) for v in (*fields, latents.kl_per_dim)))

    def importance_log_weights(
        self,
        x: Tensor,
        n_draws: int,
        *,
        generator: Generator | None = None,
        common: bool = False,
        **given: Tensor,
    ) -> Tensor:
        """Return log of sum over y of p(x, y, z_y) / q(z_y | x, y), (n_draws, N), nats."""
        per_class = []
        for code in torch.eye(self.n_classes, device=x.device):
            condition = code.expand(len(x), -1)
            per_class.append(
                super().importance_log_weights(
                    x, n_draws, generator=generator, common=common, condition=condition
                )
            )
        return torch.logsumexp(torch.stack(per_class), 0) - log(self.n_classes)

    def _labels(self, labels: Tensor | None, x: Tensor) -> Tensor:
        if labels is None:
            return torch.full((len(x),), -1, dtype=torch.long, device=x.device)
        if labels.min() < -1 or labels.max() >= self.n_classes:
            raise DataError(
                f"Labels are -1 (unlabelled) or 0 .. {self.n_classes - 1}; got values from "
                f"{int(labels.min())} to {int(labels.max())}. Encode the classes as 0, 1, ..."
            )
        return labels.long()


def _average(values: Tensor, weights: Tensor) -> Tensor:
    """Average (N, C, ...) over classes with weights (N, C)."""
    return (values * weights.reshape(*weights.shape, *[1] * (values.ndim - 2))).sum(1)
