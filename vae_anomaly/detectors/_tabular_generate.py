"""From a network's numbers back to a table: reconstructed rows and generated ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vae_anomaly.data.encoding import EncodedTable, TableEncoder
from vae_anomaly.detectors._tabular_scorer import RowScorer, encode

__all__ = ["generated", "reconstructed"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@torch.inference_mode()
def reconstructed(scorer: RowScorer, table: EncodedTable, index: pd.Index[Any]) -> pd.DataFrame:
    """Return what the decoder expects at the posterior means of rows."""
    main = scorer.main
    rows = main.look(table.numbers)
    mean, _ = encode(main.vae, rows)
    params = main.vae.decode(torch.from_numpy(mean), torch.from_numpy(rows))
    n, sizes = len(main.vae.layout.gaussian), main.vae.layout.classes
    blocks = torch.split(main.vae.probabilities(params), list(sizes), 1) if sizes else ()
    codes = [block[:, :-1].argmax(1) for block in blocks]  # the last is "never seen"
    return _decoded(scorer, params[:, :n].numpy(), codes, rows).set_index(index)


@torch.inference_mode()
def generated(scorer: RowScorer, n: int, generator: torch.Generator) -> pd.DataFrame:
    """Return rows drawn from the prior; conditions as often as training had them.

    Raises
    ------
    ConfigError
        If the model has no prior.
    """
    main = scorer.main
    exemplars = main.data.vectors
    like = np.zeros((n, exemplars.shape[1]), dtype=np.float32)
    if main.condition is not None:
        like = exemplars[torch.randint(len(exemplars), (n,), generator=generator).numpy()]
    drawn = main.vae.generate(torch.from_numpy(like), generator)
    n_gaussian = len(main.vae.layout.gaussian)
    codes = list(drawn[:, n_gaussian:].long().T)
    return _decoded(scorer, drawn[:, :n_gaussian].numpy(), codes, like)


def _decoded(
    scorer: RowScorer, gaussian: Singles, codes: list[torch.Tensor], like: Singles
) -> pd.DataFrame:
    """Return the table of decoded features and codes, under the conditions of ``like``."""
    main, encoder = scorer.main, scorer.encoder
    values = np.zeros((len(gaussian), len(encoder.features)))
    for place, feature in enumerate(main.vae.layout.gaussian):
        values[:, feature] = main.invert(feature, gaussian[:, place].astype(np.float64), like)
    chosen = torch.stack(codes, 1).numpy() if codes else _nearest_codes(encoder, values)
    if scorer.condition is not None and main.condition is not None:
        chosen[:, encoder.discrete.index(scorer.condition)] = main.condition.codes(like)
    return encoder.decode(values, chosen)


def _nearest_codes(encoder: TableEncoder, values: Floats) -> NDArray[np.int64]:
    """Return the codes whose features lie nearest to decoded ones, shape (N, discrete columns)."""
    codes = [
        np.argmin(np.square(values[:, None, where] - book[None, :-1]).sum(axis=2), axis=1)
        for where, book in encoder.codebook()
    ]
    return np.stack(codes, axis=1) if codes else np.empty((len(values), 0), dtype=np.int64)
