"""One training loop for every model: a pure function of data, configuration and seed.

Batch order is a function of ``(random_state, step)`` and noise comes from one generator, so a run
that was killed and resumed from its checkpoint equals a straight run bit for bit on CPU.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from vae_anomaly.errors import ConfigError, DataError, NonFiniteLossError, NotEnoughDataError
from vae_anomaly.objectives import KLSchedule, negative_elbo
from vae_anomaly.progress import null_progress

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from torch import Generator, Tensor

    from vae_anomaly.models.vae import VAEOutput
    from vae_anomaly.progress import Progress

__all__ = ["History", "TrainingConfig", "fit_vae"]

logger = logging.getLogger(__name__)

Corruption = Callable[["Tensor", "Generator"], "Tensor"]
Loss = Callable[["VAEOutput", float], "Tensor"]


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train.

    Parameters
    ----------
    max_steps, batch_size : int
        Every batch is full: the stream of samples runs on into the next shuffled epoch.
    lr, weight_decay : float
        AdamW; decay applies to parameters named ``*weight`` outside likelihood and prior.
    lr_warmup_steps : int
    lr_schedule : {"constant", "cosine"}
        Cosine falls to 0 at `max_steps`.
    beta : float
        Weight of the KL after its warm-up.
    kl_schedule : {"constant", "linear", "cyclical"}
    kl_warmup_steps, kl_cycles, kl_ramp
        See `KLSchedule`.
    free_bits : float, nats per latent dimension
    clip_norm : float, optional
        Largest norm of the gradient.
    ema_decay : float, optional
        Average the weights; validation and the final model use the average.
    patience : int, optional
        Stop after this many evaluations without a better validation ELBO.
    eval_every : int, steps
    min_steps : int
        No stopping, and no choice of best weights, before.
    random_state : int
    precision : {"float32", "bf16"}
        What the network computes in; likelihoods and sums stay in float32.
    """

    max_steps: int = 2000
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.0
    lr_warmup_steps: int = 0
    lr_schedule: Literal["constant", "cosine"] = "constant"
    beta: float = 1.0
    kl_schedule: Literal["constant", "linear", "cyclical"] = "constant"
    kl_warmup_steps: int = 0
    kl_cycles: int = 4
    kl_ramp: float = 0.5
    free_bits: float = 0.0
    clip_norm: float | None = None
    ema_decay: float | None = None
    patience: int | None = None
    eval_every: int = 100
    min_steps: int = 0
    random_state: int = 0
    precision: Literal["float32", "bf16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse values with which nothing can be trained."""
        positive = {"max_steps": self.max_steps, "batch_size": self.batch_size}
        positive |= {"lr": self.lr, "eval_every": self.eval_every}
        for name, value in positive.items():
            if value <= 0:
                raise ConfigError(
                    f"The {name!r} parameter of TrainingConfig must be > 0. Got {value}."
                )
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise ConfigError(
                "The 'ema_decay' parameter of TrainingConfig must be in [0, 1) or None. "
                f"Got {self.ema_decay}."
            )
        choices = {
            "lr_schedule": (self.lr_schedule, ("constant", "cosine")),
            "precision": (self.precision, ("float32", "bf16")),
        }
        for name, (chosen, allowed) in choices.items():
            if chosen not in allowed:
                raise ConfigError(
                    f"The {name!r} parameter of TrainingConfig must be one of "
                    f"{', '.join(allowed)}. Got {chosen!r}."
                )
        _ = self.kl  # checks the schedule's own parameters

    @property
    def kl(self) -> KLSchedule:
        """Weight of the KL by step."""
        return KLSchedule(
            self.kl_schedule, self.beta, self.kl_warmup_steps, self.kl_cycles, self.kl_ramp
        )

    @property
    def selection_start(self) -> int:
        """First step whose weights may be chosen as the best: after every warm-up."""
        return min(max(self.min_steps, self.kl.settled_step), self.max_steps)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.lr_warmup_steps:
            return self.lr * (step + 1) / self.lr_warmup_steps
        if self.lr_schedule == "constant":
            return self.lr
        done = (step - self.lr_warmup_steps) / max(1, self.max_steps - self.lr_warmup_steps)
        return self.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass
class History:
    """What happened during training, one record per evaluation.

    Attributes
    ----------
    records : list of dict
        ``step, epoch, beta, seconds``; ``train_loss, train_nll, train_kl``, means since the last
        record; ``val_nll, val_kl, val_elbo`` at the posterior mean with beta = 1 (NaN without
        validation data). All in nats per sample; ``val_elbo`` is higher = better, and KL terms
        are without the floor of free bits.
    best_step : int
        Step whose weights the model now has.
    stopped_early : bool
    """

    records: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0
    stopped_early: bool = False

    def to_frame(self) -> pd.DataFrame:
        """Return the records as a table."""
        import pandas as pd

        return pd.DataFrame.from_records(self.records)


class BatchStream:
    """Which samples each step sees: a pure function of seed and step.

    Samples are shuffled once per epoch and read as one endless stream, so that every batch is
    full and every sample is seen equally often.
    """

    def __init__(self, n_samples: int, batch_size: int, random_state: int) -> None:
        self.n_samples = n_samples
        self.batch_size = min(batch_size, n_samples)
        self.random_state = random_state
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def _shuffled(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            seed = (self.random_state * 1_000_003 + epoch) % 2**63
            generator = torch.Generator().manual_seed(seed)
            self._order = torch.randperm(self.n_samples, generator=generator)
            self._epoch = epoch
        return self._order

    def indices(self, step: int) -> Tensor:
        """Return the sample numbers of a step, of shape (batch_size,)."""
        parts, start = [], step * self.batch_size
        stop = start + self.batch_size
        while start < stop:
            epoch, offset = divmod(start, self.n_samples)
            part = self._shuffled(epoch)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return torch.cat(parts)


class WeightAverage:
    """Exponential moving average of a model's parameters."""

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self.decay = decay
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], step: int) -> None:
        """Move towards the current weights; faster during the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, list(parameters), 1 - decay)

    @torch.no_grad()
    def swap(self, parameters: Sequence[Tensor]) -> None:
        """Exchange average and current weights; calling twice restores both."""
        for mine, theirs in zip(self.values, parameters, strict=True):
            kept = theirs.detach().clone()
            theirs.copy_(mine)
            mine.copy_(kept)


def fit_vae(
    model: nn.Module,
    data: Tensor,
    *,
    target: Tensor | None = None,
    validation: Tensor | None = None,
    validation_target: Tensor | None = None,
    config: TrainingConfig,
    corruption: Corruption | None = None,
    loss: Loss | None = None,
    extras: Mapping[str, Tensor] | None = None,
    validation_extras: Mapping[str, Tensor] | None = None,
    ids: Sequence[str] | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> History:
    """Train a model on normal samples and leave its best weights in it.

    Parameters
    ----------
    model : Module
        ``model(x, target=..., generator=..., **extras) -> VAEOutput``. Its device is used.
    data : Tensor of shape (N, *x)
    target : Tensor of shape (N, ...), optional
        What the likelihood is asked about; `data` when left out. Never corrupted.
    validation, validation_target : Tensor, optional
        Samples that decide when to stop: best ELBO with beta = 1, posterior mean, evaluation
        mode. Without them the last weights are kept.
    config : TrainingConfig
    corruption : callable, optional
        ``corruption(batch, generator) -> batch``, applied to training inputs only.
    loss : callable, optional
        ``loss(output, beta) -> scalar``. Left out: the model's own ``training_loss(output, beta,
        free_bits)`` where it has one, else `negative_elbo`.
    extras, validation_extras : mapping of name to Tensor of shape (N, ...), optional
        Further inputs of the model, such as ``condition`` or ``labels``.
    ids : sequence of str, optional
        Names of the samples, for error messages.
    progress : callable, optional
    checkpoint : Path, optional
        File that is replaced at every evaluation.
    resume : bool
        Continue from `checkpoint` where it exists; start anew where it does not.

    Returns
    -------
    history : History

    Raises
    ------
    NotEnoughDataError
        If `data` is empty.
    NonFiniteLossError
        If loss or gradient become NaN or infinite; names step and samples.
    """
    train = _Samples(data, target, dict(extras or {}))
    held_out = None
    if validation is not None:
        held_out = _Samples(validation, validation_target, dict(validation_extras or {}))
    run = _Run(model, train, held_out, config, corruption, loss, ids)
    if checkpoint is not None and resume and checkpoint.exists():
        run.load(checkpoint)
    return run.train(progress or null_progress, checkpoint)


@dataclass(frozen=True)
class _Samples:
    """Inputs, targets and extras that belong together, one row per sample."""

    data: Tensor
    target: Tensor | None
    extras: dict[str, Tensor]

    def __post_init__(self) -> None:
        n = len(self.data)
        if n == 0:
            raise NotEnoughDataError("Training needs at least 1 sample; got 0. Check the input.")
        aligned = self.extras if self.target is None else {"target": self.target, **self.extras}
        for name, value in aligned.items():
            if len(value) != n:
                raise DataError(
                    f"{name!r} must have one row per sample ({n}); got {len(value)}. "
                    "Pass tensors that are aligned with the data."
                )

    def take(self, rows: Tensor | slice, device: torch.device) -> _Samples:
        """Return some rows, on a device."""
        target = self.target if self.target is None else self.target[rows].to(device)
        extras = {name: value[rows].to(device) for name, value in self.extras.items()}
        return _Samples(self.data[rows].to(device), target, extras)


class _Run:
    """State of one training run, and how it moves from step to step."""

    def __init__(
        self,
        model: nn.Module,
        train: _Samples,
        held_out: _Samples | None,
        config: TrainingConfig,
        corruption: Corruption | None,
        loss: Loss | None,
        ids: Sequence[str] | None,
    ) -> None:
        self.model, self.samples, self.held_out, self.config = model, train, held_out, config
        self.corruption, self.ids = corruption, ids
        self.loss = loss or _default_loss(model, config.free_bits)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.optimizer = _make_optimizer(model, config)
        self.average = (
            None if config.ema_decay is None else WeightAverage(self.parameters, config.ema_decay)
        )
        self.stream = BatchStream(len(train.data), config.batch_size, config.random_state)
        self.noise = torch.Generator(self.device).manual_seed(config.random_state)
        self.step, self.evaluations_without_gain, self.best_elbo = 0, 0, -math.inf
        self.best: dict[str, Tensor] | None = None
        self.history = History()
        self.seconds_before = 0.0

    def train(self, progress: Progress, checkpoint: Path | None) -> History:
        """Run to the end, or until the validation ELBO no longer improves."""
        config, began = self.config, time.perf_counter()
        sums = _RunningMeans()
        self.model.train()
        while self.step < config.max_steps and not self.history.stopped_early:
            sums.add(self.advance())
            if self.step % config.eval_every == 0 or self.step == config.max_steps:
                seconds = self.seconds_before + time.perf_counter() - began
                self.evaluate(sums.pop(), seconds)
                progress("train", self.step, config.max_steps)
                if checkpoint is not None:
                    self.save(checkpoint)
        self.restore_best()
        return self.history

    def advance(self) -> dict[str, Tensor]:
        """Take one optimisation step and return its terms, nats per sample."""
        rows, config = self.stream.indices(self.step), self.config
        batch = self.samples.take(rows.to(self.samples.data.device), self.device)
        x, target = batch.data, batch.data if batch.target is None else batch.target
        if self.corruption is not None:
            x = self.corruption(x, self.noise)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"
        ):
            output = self.model(x, target=target, generator=self.noise, **batch.extras)
        loss = self.loss(output, config.kl(self.step))
        if not torch.isfinite(loss):
            self.refuse("loss", float(loss), rows, batch, output)
        loss.backward()
        if config.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters, config.clip_norm)
            if not torch.isfinite(norm):
                self.refuse("gradient", float(norm), rows, batch, output)
        self.optimizer.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.parameters, self.step)
        with torch.no_grad():
            return {
                "train_loss": loss.detach(),
                "train_nll": output.nll.mean(),
                "train_kl": output.kl_per_dim.sum(-1).mean(),
            }

    def refuse(
        self, what: str, value: float, rows: Tensor, batch: _Samples, output: VAEOutput
    ) -> None:
        """Raise the error that names step, samples and remedy."""
        names = [str(i) if self.ids is None else self.ids[i] for i in rows.tolist()]
        bad_input = ~torch.isfinite(batch.data.float().flatten(1)).all(1)
        if bad_input.any():
            raise DataError(
                f"Training data hold NaN or infinite values in samples "
                f"{_listing(names, bad_input)} (met at step {self.step}). "
                "Remove or impute them, or mark them as missing."
            )
        terms = output.nll + output.kl_per_dim.sum(-1)
        guilty = ~torch.isfinite(terms).reshape(-1, len(rows)).all(0)
        where = _listing(names, guilty if guilty.any() else torch.ones_like(guilty))
        raise NonFiniteLossError(
            f"The {what} became {value} at step {self.step} (learning rate "
            f"{self.config.lr_at(self.step):g}); samples concerned: {where}. Lower lr, set "
            "clip_norm (for example 1.0), or check the scale of these samples."
        )

    def evaluate(self, means: dict[str, float], seconds: float) -> None:
        """Record the progress, and keep the weights if they are the best so far."""
        if self.average is not None:
            self.average.swap(self.parameters)
        nll, kl = math.nan, math.nan
        if self.held_out is not None:
            nll, kl = self._validate(self.held_out)
        elbo = -(nll + kl)
        self.history.records.append(
            {
                "step": self.step,
                "epoch": self.step * self.stream.batch_size / self.stream.n_samples,
                **means,
                "beta": self.config.kl(self.step - 1),
                "val_nll": nll,
                "val_kl": kl,
                "val_elbo": elbo,
                "seconds": seconds,
            }
        )
        logger.debug("step %d: validation elbo %.3f nats", self.step, elbo)
        self._judge(elbo)
        if self.average is not None:
            self.average.swap(self.parameters)

    def _judge(self, elbo: float) -> None:
        """Decide whether these weights are the best, and whether to stop."""
        if self.step < self.config.selection_start:
            return
        if self.held_out is None or self.best is None or elbo > self.best_elbo:
            self.best_elbo, self.evaluations_without_gain = elbo, 0
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self.history.best_step = self.step
            return
        self.evaluations_without_gain += 1
        patience = self.config.patience
        self.history.stopped_early = (
            patience is not None and self.evaluations_without_gain >= patience
        )

    @torch.no_grad()
    def _validate(self, held_out: _Samples) -> tuple[float, float]:
        """Average nll and KL over all held-out samples, in evaluation mode and float32."""
        self.model.eval()
        size, nll, kl, count = max(256, self.config.batch_size), 0.0, 0.0, 0
        for start in range(0, len(held_out.data), size):
            batch = held_out.take(slice(start, start + size), self.device)
            output = self.model(batch.data, target=batch.target, **batch.extras)
            nll += float(output.nll.double().sum())
            kl += float(output.kl_per_dim.double().sum())
            count += output.nll.numel()
        self.model.train()
        return nll / count, kl / count

    def restore_best(self) -> None:
        """Leave the best weights in the model, in evaluation mode."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self.model.eval()


class _RunningMeans:
    """Sums and counts on the device, read once per evaluation."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of one step."""
        for name, value in terms.items():
            before = self.sums.get(name)
            self.sums[name] = value.double() if before is None else before + value
        self.count += 1

    def pop(self) -> dict[str, float]:
        """Return the means and start again from zero."""
        means = {name: float(value) / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def _default_loss(model: nn.Module, free_bits: float) -> Loss:
    own = getattr(model, "training_loss", negative_elbo)
    return lambda output, beta: own(output, beta, free_bits)


def _make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW that decays weights, but no bias, no scale and nothing of likelihood or prior."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_weight = name.endswith("weight") and not name.startswith(("likelihood", "prior"))
            (decayed if is_weight else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, fused=True)


def _listing(names: Sequence[str], chosen: Tensor, most: int = 8) -> str:
    """Name the chosen samples, the first few of them."""
    picked = [names[i] for i in chosen.nonzero().flatten().tolist()]
    more = f" and {len(picked) - most} more" if len(picked) > most else ""
    return ", ".join(picked[:most]) + more
