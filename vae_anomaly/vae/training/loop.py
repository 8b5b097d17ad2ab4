"""One training loop for every model: a pure function of data, configuration and seed.

Batch order is a function of ``(random_state, step)`` and noise comes from one generator, so a run
that was killed and resumed from its checkpoint equals a straight run bit for bit on CPU.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vae_anomaly.errors import ConfigError, DataError, NonFiniteLossError
from vae_anomaly.progress import null_progress
from vae_anomaly.state import named
from vae_anomaly.vae.model import VAEOutput
from vae_anomaly.vae.training.config import TrainingConfig
from vae_anomaly.vae.training.steps import (
    BatchStream,
    Checkpoint,
    RunningMeans,
    Samples,
    WeightAverage,
    make_optimizer,
    read_checkpoint,
    write_checkpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from torch import Generator, Tensor

    from vae_anomaly.progress import Progress

logger = logging.getLogger(__name__)

Corruption = Callable[["Tensor", "Generator"], "Tensor"]
Loss = Callable[["VAEOutput", float], "Tensor"]


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
        On any device; batches are moved. On a GPU move all of it first where it fits.
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
        free_bits)`` where it has one, else `VAEOutput.loss`.
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
    ConfigError, ModelRefusedError
        If the checkpoint to resume from belongs to another run, or is damaged.
    """
    train = Samples(data, target, dict(extras or {}))
    held_out = None
    if validation is not None:
        held_out = Samples(validation, validation_target, dict(validation_extras or {}))
    run = _Run(model, train, held_out, config, corruption, loss, ids)
    if checkpoint is not None and resume and checkpoint.exists():
        run.load(checkpoint)
    return run.train(progress or null_progress, checkpoint)


class _Run:
    """State of one training run, and how it moves from step to step."""

    def __init__(
        self,
        model: nn.Module,
        train: Samples,
        held_out: Samples | None,
        config: TrainingConfig,
        corruption: Corruption | None,
        loss: Loss | None,
        ids: Sequence[str] | None,
    ) -> None:
        self.model, self.samples, self.held_out, self.config = model, train, held_out, config
        self.corruption, self.ids = corruption, ids
        self.loss = loss or _default_loss(model, config.free_bits)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise ConfigError(
                f"{type(model).__name__} has nothing to train; got 0 parameters that require a "
                "gradient. Unfreeze some, or fit it in closed form."
            )
        self.device = self.parameters[0].device
        self.optimizer = make_optimizer(model, config)
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
        sums = RunningMeans(("train_loss", "train_nll", "train_kl"))
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

    def advance(self) -> Tensor:
        """Take one optimisation step and return loss, nll and KL, (3,), nats per sample."""
        rows, config = self.stream.indices(self.step), self.config
        batch = self.samples.take(rows.to(self.samples.data.device), self.device)
        x, target = batch.data, batch.data if batch.target is None else batch.target
        if self.corruption is not None:
            x = self.corruption(x, self.noise)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision():
            output = self.model(x, target=target, generator=self.noise, **batch.extras)
        loss = self.loss(output, config.kl(self.step))
        value = loss.item()
        if not math.isfinite(value):
            self.refuse("loss", value, rows, batch, output)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        if config.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters, config.clip_norm).item()
            if not math.isfinite(norm):
                self.refuse("gradient", norm, rows, batch, output)
        self.optimizer.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.parameters, self.step)
        return torch.stack([loss.detach(), output.nll.detach().mean(), output.kl.detach().mean()])

    def precision(self) -> AbstractContextManager[object]:
        """Let the network compute in bfloat16 where asked; likelihoods cast back themselves."""
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def refuse(
        self, what: str, value: float, rows: Tensor, batch: Samples, output: VAEOutput
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
        terms = output.nll + output.kl
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
        if self.held_out is None or elbo > self.best_elbo:  # a NaN is no gain
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
    def _validate(self, held_out: Samples) -> tuple[float, float]:
        """Average nll and KL over all held-out samples, in evaluation mode and float32."""
        self.model.eval()
        size, nll, kl, count = max(256, self.config.batch_size), 0.0, 0.0, 0
        for start in range(0, len(held_out.data), size):
            batch = held_out.take(slice(start, start + size), self.device)
            output = self.model(batch.data, target=batch.target, **batch.extras)
            nll += float(output.nll.double().sum())
            kl += float(output.kl.double().sum())
            count += output.nll.numel()
        self.model.train()
        return nll / count, kl / count

    def save(self, path: Path) -> None:
        """Write the whole state of the run."""
        slots = self.optimizer.state_dict()["state"]
        tensors = named(
            {
                "model": self.model.state_dict(),
                "best": self.best or {},
                "average": {str(i): v for i, v in enumerate(self.average.values)}
                if self.average is not None
                else {},
                "optimizer": named({str(i): of_weight for i, of_weight in slots.items()}),
                "rng": {"noise": self.noise.get_state()},
            }
        )
        facts = {
            **self._identity(),
            "step": self.step,
            "best_elbo": self.best_elbo,
            "evaluations_without_gain": self.evaluations_without_gain,
            "history": asdict(self.history),
        }
        write_checkpoint(Checkpoint(tensors, facts), path)

    def load(self, path: Path) -> None:
        """Go back to the state that `save` wrote; ConfigError if it was for another run."""
        checkpoint = read_checkpoint(path)
        facts = checkpoint.facts
        for name, value in self._identity().items():
            if facts.get(name) != value:
                raise ConfigError(
                    f"The checkpoint {path} belongs to another run: its {name} is "
                    f"{facts.get(name)!r}, this run's is {value!r}. Delete it to start anew, or "
                    "resume with the same settings and data."
                )
        self.model.load_state_dict(checkpoint.part("model"))
        self.best = checkpoint.part("best") or None
        if self.average is not None:
            stored = checkpoint.part("average")
            self.average.values = [stored[str(i)].to(v) for i, v in enumerate(self.average.values)]
        self._load_optimizer(checkpoint.part("optimizer"))
        self.noise.set_state(checkpoint.tensors["rng.noise"])
        self.step, self.best_elbo = facts["step"], facts["best_elbo"]
        self.evaluations_without_gain = facts["evaluations_without_gain"]
        self.history = History(**facts["history"])
        self.seconds_before = self.history.records[-1]["seconds"]

    def _load_optimizer(self, stored: dict[str, Tensor]) -> None:
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in stored.items():
            index, _, slot = name.partition(".")
            slots.setdefault(int(index), {})[slot] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})

    @cached_property
    def data_sum(self) -> float:
        """A cheap mark of the data, good enough to notice that they are others."""
        return float(torch.nansum(self.samples.data, dtype=torch.float64))

    def _identity(self) -> dict[str, Any]:
        """Describe what a checkpoint must share with the run that resumes it."""
        shapes = {k: list(v.shape) for k, v in self.model.state_dict().items()}
        return {
            "config": asdict(self.config),
            "samples": list(self.samples.data.shape),
            "data_sum": self.data_sum,
            "weights": shapes,
        }

    def restore_best(self) -> None:
        """Leave the best weights in the model, in evaluation mode."""
        if self.best is None:
            raise NonFiniteLossError(
                f"The validation ELBO was never finite in {self.step} steps; the last was "
                f"{self.history.records[-1]['val_elbo']}. Check the scale of the validation "
                "samples, or lower lr."
            )
        self.model.load_state_dict(self.best)
        self.model.eval()


def _default_loss(model: nn.Module, free_bits: float) -> Loss:
    loss = getattr(model, "training_loss", VAEOutput.loss)
    return lambda output, beta: loss(output, beta, free_bits)


def _listing(names: Sequence[str], chosen: Tensor, most: int = 8) -> str:
    """Name the chosen samples, the first few of them."""
    picked = [names[i] for i in chosen.nonzero().flatten().tolist()]
    more = f" and {len(picked) - most} more" if len(picked) > most else ""
    return ", ".join(picked[:most]) + more
