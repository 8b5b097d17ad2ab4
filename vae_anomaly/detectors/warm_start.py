"""Begin a training with the weights of an earlier model, where both are built alike.

Only weights of networks are taken over. Encoders, memories, scales, calibration and threshold are
made anew of the new data; training is half as long, at half the rate, and its KL has its full
weight from the first step.

An earlier model has seen its own training items. Where they are in the new input as well, the ones
that are held out now were once trained on; `benchmarks/warm_start.py` measures what that does to
the rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.words import names_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vae_anomaly.vae.training import TrainingConfig

_NAMED = 5
_ORDER = "order of the columns"  # told where nothing else differs


@dataclass(frozen=True)
class WarmStart:
    """Weights to begin with, and what has to agree for them to mean anything.

    Parameters
    ----------
    label : str
        What the earlier model is called.
    facts : mapping of str to str
        How its networks are built and what they read.
    weights : tuple of mapping of str to Tensor
        Parameters of each network.
    """

    label: str
    facts: Mapping[str, str]
    weights: tuple[Mapping[str, Tensor], ...]

    def require(self, facts: Mapping[str, str]) -> None:
        """Refuse networks that are built otherwise.

        Raises
        ------
        ModelRefusedError
            If a fact differs; the message names it, with both values.
        """
        names = dict.fromkeys([*self.facts, *facts])
        differ = [
            f"{name} is {self.facts.get(name, 'not there')} in it and "
            f"{facts.get(name, 'not there')} here"
            for name in names
            if self.facts.get(name) != facts.get(name)
        ]
        named = [words for words in differ if not words.startswith(_ORDER)] or differ
        if named:
            raise ModelRefusedError(
                f"The training cannot begin with the weights of {self.label}: "
                f"{names_of(named, _NAMED)}. Train with the same, or without --warm-start."
            )

    def fill(self, module: nn.Module, places: Sequence[int]) -> None:
        """Put weights into a module; those of several places are stacked along the first axis.

        Raises
        ------
        ModelRefusedError
            If a layer has another shape.
        """
        chosen = [self.weights[place] for place in places]
        found = {
            name: torch.cat([one[name] for one in chosen]) if len(chosen) > 1 else one_of
            for name, one_of in chosen[0].items()
        }
        own = dict(module.named_parameters())
        WarmStart(self.label, _shapes(found), ()).require(_shapes(own))
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(found[name].to(parameter.device))


def _shapes(parameters: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the shape of each layer."""
    return {
        f"layer {name}": " x ".join(map(str, one.shape)) or "a number"
        for name, one in parameters.items()
    }


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of what a module has learned, by name."""
    return {name: one.detach().clone() for name, one in module.named_parameters()}


def warmed(config: TrainingConfig) -> TrainingConfig:
    """Return how a network is trained that begins with learned weights."""
    steps = max(1, config.max_steps // 2)
    return replace(
        config,
        max_steps=steps,
        lr=config.lr / 2.0,
        lr_warmup_steps=min(config.lr_warmup_steps, steps // 2),
        kl_schedule="constant",
        kl_warmup_steps=0,
        min_steps=min(config.min_steps, steps // 4),
        eval_every=min(config.eval_every, max(1, steps // 4)),
    )
