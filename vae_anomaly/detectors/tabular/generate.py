"""From a network's numbers back to a table: expected rows and rows drawn from the likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.model import RowScorer


@torch.inference_mode()
def decoded(scorer: RowScorer, z: Floats32, like: Floats32) -> pd.DataFrame:
    """Return what the decoder expects at latents (N, Z), under the conditions of ``like``."""
    vae = scorer.main.vae
    params = vae.decode(torch.from_numpy(z), torch.from_numpy(like))
    n, sizes = len(vae.layout.gaussian), vae.layout.classes
    blocks = torch.split(vae.probabilities(params), list(sizes), 1) if sizes else ()
    codes = [block[:, :-1].argmax(1) for block in blocks]  # the last is "never seen"
    return _table(scorer, params[:, :n].numpy(), codes, like)


@torch.inference_mode()
def drawn(
    scorer: RowScorer, z: torch.Tensor, like: Floats32, generator: torch.Generator
) -> pd.DataFrame:
    """Draw rows from the likelihood at latents (N, Z), under the conditions of ``like`` (N, D)."""
    vae = scorer.main.vae
    targets = vae.draw(vae.decode(z, torch.from_numpy(like)), generator)
    n = len(vae.layout.gaussian)
    return _table(scorer, targets[:, :n].numpy(), list(targets[:, n:].long().T), like)


def usual_conditions(scorer: RowScorer, n: int, generator: torch.Generator) -> Floats32:
    """Return rows (n, D) with conditions as often as training had them; zeros without one."""
    exemplars = scorer.main.data.even
    if scorer.main.condition is None:
        return np.zeros((n, exemplars.shape[1]), dtype=np.float32)
    picked = torch.randint(len(exemplars), (n,), generator=generator).numpy()
    return np.asarray(exemplars[picked], dtype=np.float32)


def commonest_condition(scorer: RowScorer, n: int) -> Floats32:
    """Return rows (n, D) of the condition that training had most often; zeros without one."""
    condition, exemplars = scorer.main.condition, scorer.main.data.even
    if condition is None:
        return np.zeros((n, exemplars.shape[1]), dtype=np.float32)
    codes = condition.codes(exemplars)
    example = exemplars[np.argmax(codes == np.bincount(codes).argmax())]
    return np.repeat(example[None], n, axis=0)


def _table(
    scorer: RowScorer, gaussian: Floats32, codes: list[torch.Tensor], like: Floats32
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


def _nearest_codes(encoder: TableEncoder, values: Floats) -> Ints:
    """Return the codes whose features lie nearest to decoded ones, shape (N, discrete columns)."""
    codes = [
        np.argmin(np.square(values[:, None, where] - book[None, :-1]).sum(axis=2), axis=1)
        for where, book in encoder.codebook()
    ]
    return np.stack(codes, axis=1) if codes else np.empty((len(values), 0), dtype=np.int64)
