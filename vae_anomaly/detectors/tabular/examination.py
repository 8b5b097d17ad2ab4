"""One pass over rows, and all that it yields: every answer about a row is read from it.

Rows are encoded once. What is asked of them (neighbours, terms, likelihood) is computed with the
first question and kept, so that a score costs no more than itself, and its evidence, contributions
and reasons nothing twice. `TableExamination.take` gives some of the rows with everything that is
known of them: score all, then ask for the reasons of those that are flagged.

Of more than `BLOCK` rows, only the score is kept: their features would fill the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar, Union

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.table import EncodedTable
from vae_anomaly.detectors.tabular.model import Neighbourhood, TabularModel, ViewModel
from vae_anomaly.detectors.tabular.network import encode_rows, evidence_of, targets_of
from vae_anomaly.scoring.evidence import Evidence
from vae_anomaly.scoring.fusion import fuse

IW_DRAWS: Final = 64
BLOCK: Final = 16_384

PerRow = Union[
    Floats, Floats32, dict[str, Floats], Neighbourhood, Evidence, EncodedTable,
    "tuple[ViewExamination, ...]",
]  # fmt: skip
Examination = TypeVar("Examination", "ViewExamination", "TableExamination")


@dataclass(frozen=True)
class ViewExamination:
    """What one view finds about N rows."""

    model: ViewModel
    numbers: Floats  # (N, D), encoded rows

    @cached_property
    def viewed(self) -> Floats32:
        """The rows as the view shows them, shape (N, D), float32."""
        return self.model.look(self.numbers)

    @cached_property
    def means(self) -> Floats32:
        """Posterior means, shape (N, Z), float32."""
        return encode_rows(self.model.network, self.viewed)[0]

    @cached_property
    def near(self) -> Neighbourhood:
        """The nearest exemplars in latent and in data space."""
        return self.model.neighbours(self.means, self.viewed)

    @cached_property
    def terms(self) -> dict[str, Floats]:
        """Surprise of each kind of evidence, shape (N,), nats."""
        return self.model.terms(self.near)

    def take(self, rows: Ints) -> ViewExamination:
        """Return what is known of some rows."""
        return _informed(ViewExamination(self.model, self.numbers[rows]), self, rows)


@dataclass(frozen=True)
class TableExamination:
    """What a model finds about N rows."""

    model: TabularModel
    frame: pd.DataFrame  # of typed rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    @cached_property
    def table(self) -> EncodedTable:
        """The rows as numbers."""
        return self.model.encoder.transform(self.frame)

    @cached_property
    def views(self) -> tuple[ViewExamination, ...]:
        """What each view of the model finds."""
        return tuple(ViewExamination(view, self.table.numbers) for view in self.model.views)

    @property
    def main(self) -> ViewExamination:
        """What the view finds whose likelihood is reported."""
        return self.views[-1]

    @cached_property
    def evidence(self) -> Evidence:
        """What the reported view's VAE says, nats; with draws only where they are the score."""
        return self._evidence(IW_DRAWS if self.model.score == "iw_nll" else 0)

    @cached_property
    def iw_nll(self) -> Floats:
        """Importance-weighted estimate of -log p, 64 draws, shape (N,), nats."""
        bound = self.evidence.iw_nll
        bound = self._evidence(IW_DRAWS).iw_nll if bound is None else bound
        assert bound is not None  # noqa: S101 - draws were asked for
        return bound

    @cached_property
    def terms(self) -> dict[str, Floats]:
        """Surprise of every term of the fused score, shape (N,), nats."""
        terms = {
            f"{kind}_{view.model.name}": surprise
            for view in self.views
            for kind, surprise in view.terms.items()
        }
        if self.model.elbo is not None:
            terms["elbo"] = self.model.elbo(-self.evidence.elbo)
        return terms

    def terms_of_score(self) -> tuple[dict[str, Floats], dict[str, float], float]:
        """Return the terms of a score "fused" or "latent", their weights and their power."""
        if self.model.score == "fused":
            return self.terms, self.model.weights, self.model.power
        latent = {name: value for name, value in self.terms.items() if name.startswith("latent")}
        return latent, dict.fromkeys(latent, 1.0), self.model.power

    @cached_property
    def unscaled_score(self) -> Floats:
        """The chosen score, shape (N,), higher = more anomalous; of the condition unaware."""
        score = self.model.score
        if score in ("fused", "latent"):
            return fuse(*self.terms_of_score())
        if score == "iw_nll":
            return self.iw_nll
        if score == "reconstruction":
            return self.evidence.reconstruction_nll
        return self.evidence.kl if score == "kl" else -self.evidence.elbo

    @cached_property
    def raw_score(self) -> Floats:
        """The score that is calibrated and explained; under a condition, -ln p within it, nats."""
        if not 0 < len(self) <= BLOCK:
            starts = range(0, len(self), BLOCK)
            blocks = (self.frame.iloc[start : start + BLOCK] for start in starts)
            scores = [TableExamination(self.model, block).raw_score for block in blocks]
            return np.concatenate([np.empty(0), *scores])
        if self.model.scale is None:
            return self.unscaled_score
        return self.model.scale(self.unscaled_score, self.model.condition_codes(self.table))

    def take(self, rows: Ints) -> TableExamination:
        """Return what is known of some rows, by their places: the same answers to the last bit."""
        return _informed(TableExamination(self.model, self.frame.iloc[rows]), self, rows)

    def with_table(self, table: EncodedTable) -> TableExamination:
        """Return an examination of the same rows as if these were their numbers."""
        other = TableExamination(self.model, self.frame)
        vars(other)["table"] = table
        return other

    def evidence_table(self) -> pd.DataFrame:
        """Return what each kind of evidence says, in nats; see `TabularVAEDetector.evidence`."""
        columns = {"reconstruction_nll": self.evidence.reconstruction_nll}
        if self.main.model.network.has_prior:
            columns |= {
                "kl": self.evidence.kl,
                "negative_elbo": -self.evidence.elbo,
                "iw_nll": self.iw_nll,
            }
        columns |= {f"{name}_surprise": surprise for name, surprise in self.terms.items()}
        columns["fused"] = fuse(self.terms, self.model.weights, self.model.power)
        return pd.DataFrame(columns, index=self.frame.index)

    def evidence_to_learn(self) -> tuple[tuple[str, ...], Floats]:
        """Return terms and encoded columns, names (F,) and values (N, F), for `learner_features`.

        Of rows beyond `BLOCK`, block by block.
        """
        features = tuple(feature.name for feature in self.model.encoder.features)
        if len(self) > BLOCK:
            starts = range(0, len(self), BLOCK)
            blocks = [self.take(np.arange(s, min(s + BLOCK, len(self)))) for s in starts]
            parts = [block.evidence_to_learn() for block in blocks]
            return parts[0][0], np.concatenate([values for _, values in parts])
        surprises = {f"{name}_surprise": surprise for name, surprise in self.terms.items()}
        values = np.column_stack([*surprises.values(), self.table.numbers])
        return (*surprises, *features), values

    def _evidence(self, iw_draws: int) -> Evidence:
        network, viewed = self.main.model.network, self.main.viewed
        target = targets_of(viewed, self.table.codes, network.layout)
        return evidence_of(network, viewed, target, iw_draws=iw_draws)


def _informed(some: Examination, whole: Examination, rows: Ints) -> Examination:
    """Give an examination of some rows the answers that were found with all of them."""
    known = vars(some)
    known |= {k: _taken(answer, rows) for k, answer in vars(whole).items() if k not in known}
    return some


def _taken(answer: PerRow, rows: Ints) -> PerRow:
    if isinstance(answer, np.ndarray):
        return answer[rows]
    if isinstance(answer, dict):
        return {name: values[rows] for name, values in answer.items()}
    if isinstance(answer, tuple):
        return tuple(view.take(rows) for view in answer)
    return answer.take(rows)
