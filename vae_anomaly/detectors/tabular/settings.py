"""What is asked of a fit: the parameters of `TabularVAEDetector` with every choice made."""

from __future__ import annotations

from dataclasses import dataclass

from vae_anomaly.detectors.tabular.members import MEMBERS, Member, Score, beta_of

MAX_LATENTS = 32


@dataclass(frozen=True)
class FitOptions:
    """How the networks and memories are made.

    Parameters
    ----------
    views : tuple of str
    hidden : int
    latent_dim : int or None
        None takes the number of features, at least 2 and at most 32.
    beta : float
    max_steps : int or None
        None takes 60 epochs, at least 250 and at most 300 steps.
    memory_sizes : (int, int)
        Exemplars in latent and in data space.
    seed : int
    model : str
        One of `MEMBERS`.
    condition : str, optional
        Column that rows are conditioned on.
    contamination : float
        Expected share of anomalies among the rows.
    score : str
        Which evidence is the raw score.
    """

    views: tuple[str, ...]
    hidden: int
    latent_dim: int | None
    beta: float
    max_steps: int | None
    memory_sizes: tuple[int, int]
    seed: int
    model: str = "vae"
    condition: str | None = None
    contamination: float = 0.0
    score: Score = "fused"

    @property
    def member(self) -> Member:
        """How the chosen member is built and trained."""
        return MEMBERS[self.model]

    @property
    def chosen_beta(self) -> bool:
        """Whether the weight of the KL is above the member's own."""
        return self.beta > beta_of(self.model, None)

    def latents(self, n_features: int) -> int:
        """Return the number of latents for a number of features."""
        return self.latent_dim or max(2, min(n_features, MAX_LATENTS))
