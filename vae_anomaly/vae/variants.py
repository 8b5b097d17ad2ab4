"""Members that are the VAE but for a method or two.

`AutoEncoder` is the baseline that a VAE must be compared with; `ConditionalVAE` knows what it
looks at, so that a change of product is no alarm; `SemiSupervisedVAE` learns classes from a few
labels and the shape of the data from all samples; `ImportanceWeightedVAE` minimises the
importance-weighted bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional as F

from vae_anomaly.errors import ConfigError, DataError, check_parameter
from vae_anomaly.vae.model import VAE, Latents, VAEOutput
from vae_anomaly.vae.objectives import LOGVAR_LOW, free_bits_kl, importance_weighted_nll

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from vae_anomaly.vae.likelihoods import Likelihood
    from vae_anomaly.vae.priors import Prior


class AutoEncoder(VAE):
    """Deterministic code, no prior, KL of zero; everything else is the VAE's.

    Scorers and reports take it in the VAE's place: `mean` is the code, `logvar` the smallest
    value there is, and ``nll`` the reconstruction term. There is no ELBO to speak of: ``elbo`` is
    just ``-nll``; an importance-weighted bound and draws from the prior are refused.

    Parameters
    ----------
    encoder, decoder, likelihood
        As for `VAE`; the encoder's log variance is not used.
    """

    def infer(
        self, x: Tensor, *, drawn: bool, generator: Generator | None = None, **given: Tensor
    ) -> Latents:
        """Return the code itself, drawn or not."""
        code, _ = self.encode(x, **given)
        return Latents(code, code, torch.full_like(code, LOGVAR_LOW), torch.zeros_like(code))

    def importance_log_weights(
        self,
        x: Tensor,
        n_draws: int,
        *,
        generator: Generator | None = None,
        common: bool = False,
        **given: Tensor,
    ) -> Tensor:
        """Refuse: without a prior there is no bound."""
        raise self._no_prior("an importance-weighted bound")

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Refuse: without a prior there is nothing to draw from."""
        raise self._no_prior("drawing from the prior")

    @staticmethod
    def _no_prior(what: str) -> ConfigError:
        return ConfigError(
            f"An autoencoder has no prior, which {what} needs; got an AutoEncoder. Use a VAE, or "
            "fit a sampler to the codes (vae_anomaly.vae.latents)."
        )


class ConditionalVAE(VAE):
    """Encoder and decoder both see the condition; what it explains, z need not.

    Parameters
    ----------
    encoder, decoder, likelihood, prior
        As for `VAE`; both networks built with ``condition_dim=n_conditions``.
    n_conditions : int
        Conditions are codes 0 .. n_conditions - 1: operating modes, product types, machines.

    Notes
    -----
    Every method takes ``condition``: an integer Tensor of shape (N,), or a float Tensor of shape
    (N, n_conditions) that says it as numbers: one-hot, or all 0 for a condition never seen.

    References
    ----------
    Sohn, Lee and Yan, Learning Structured Output Representation using Deep Conditional Generative
    Models, 2015.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        n_conditions: int,
        prior: Prior | None = None,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, prior)
        check_parameter(n_conditions >= 1, self, "n_conditions", "an int >= 1", n_conditions)
        self.n_conditions = n_conditions

    def encode(self, x: Tensor, **given: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior mean and log variance of x under its condition, each (N, Z)."""
        return super().encode(x, condition=self._one_hot(given, len(x)))

    def decode(self, z: Tensor, **given: Tensor) -> Tensor:
        """Return likelihood parameters of z under a condition."""
        return super().decode(z, condition=self._one_hot(given, len(z)))

    def _one_hot(self, given: dict[str, Tensor], n: int) -> Tensor:
        """Check the codes and spread them, (N, n_conditions)."""
        codes = given.get("condition")
        if codes is None:
            raise DataError(
                "ConditionalVAE needs to know the condition of each sample; got none. "
                f"Pass condition= with {n} codes in 0 .. {self.n_conditions - 1}."
            )
        if codes.is_floating_point():
            return self._numbers(codes, n)
        unknown = codes[(codes < 0) | (codes >= self.n_conditions)]
        if len(unknown):
            raise DataError(
                f"Known conditions are 0 .. {self.n_conditions - 1}; got "
                f"{sorted(set(unknown.tolist()))[:5]}. Train with samples of the new condition, "
                "or leave these out."
            )
        return F.one_hot(codes.long(), self.n_conditions).to(torch.float32)

    def _numbers(self, condition: Tensor, n: int) -> Tensor:
        """Take a condition that is numbers already, if its shape is right."""
        if condition.shape != (n, self.n_conditions):
            raise DataError(
                f"A condition in numbers has the shape ({n}, {self.n_conditions}); got "
                f"{tuple(condition.shape)}. Pass one number for each condition of each sample."
            )
        return condition.to(torch.float32)


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

    References
    ----------
    Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative Models,
    2014 (model M2).
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
        check_parameter(n_classes >= 2, self, "n_classes", "an int >= 2", n_classes)
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


@dataclass(frozen=True)
class ImportanceWeightedOutput(VAEOutput):
    """Output of an `ImportanceWeightedVAE`.

    Attributes
    ----------
    bound : Tensor of shape (N,), nats
        -log of the mean importance weight in training; in evaluation mode, where nothing is
        drawn, the negative ELBO at the posterior mean.
    """

    bound: Tensor


class ImportanceWeightedVAE(VAE):
    """VAE whose training loss is the bound itself, logsumexp and all.

    Parameters
    ----------
    encoder, decoder, likelihood, prior
        As for `VAE`.
    n_draws : int, >= 1
        Draws for each sample and step; 1 is the ordinary VAE with a sampled KL.

    References
    ----------
    Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Prior | None = None,
        *,
        n_draws: int = 8,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, prior)
        check_parameter(n_draws >= 1, self, "n_draws", "an int >= 1", n_draws)
        self.n_draws = n_draws

    def forward(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        generator: Generator | None = None,
        sample: bool | None = None,
        **given: Tensor,
    ) -> ImportanceWeightedOutput:
        """Measure as a VAE does, and add the bound."""
        output = super().forward(x, target, generator=generator, sample=sample, **given)
        bound = output.nll + output.kl
        if self.training if sample is None else sample:
            wanted = x if target is None else target
            weights = self._log_weights(x, wanted, self.n_draws, generator, False, **given)
            bound = importance_weighted_nll(weights)
        return ImportanceWeightedOutput(**vars(output), bound=bound)

    def training_loss(
        self, output: ImportanceWeightedOutput, beta: float = 1.0, free_bits: float = 0.0
    ) -> Tensor:
        """Return the mean bound, nats; without a separate KL, beta and free bits do not apply."""
        return output.bound.mean()
