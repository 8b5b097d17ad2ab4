"""How long and how fast to train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vae_anomaly.errors import check_parameter
from vae_anomaly.vae.objectives import KLSchedule


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
        for name in ("max_steps", "batch_size", "lr", "eval_every", "patience"):
            value = getattr(self, name)
            check_parameter(value is None or value > 0, self, name, "> 0", value)
        fine = self.ema_decay is None or 0 <= self.ema_decay < 1
        check_parameter(fine, self, "ema_decay", "in [0, 1) or None", self.ema_decay)
        choices = {"lr_schedule": ("constant", "cosine"), "precision": ("float32", "bf16")}
        for name, allowed in choices.items():
            chosen = getattr(self, name)
            check_parameter(chosen in allowed, self, name, f"one of {', '.join(allowed)}", chosen)
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
