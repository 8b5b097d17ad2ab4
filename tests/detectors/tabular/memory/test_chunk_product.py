from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from vae_anomaly.detectors.tabular.memory.chunk_product import ChunkProduct

WIDTHS = [1, 7, 31, 33]


@pytest.fixture(params=[True, False], ids=["oneDNN", "torch.mm"])
def make(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    return ChunkProduct


@pytest.mark.parametrize("width", WIDTHS)
def test_a_product_is_that_of_the_matrices(make, width):
    rows, table = torch.randn(128, width), torch.randn(width, 640)
    expected = rows.double() @ table.double()
    np.testing.assert_allclose(make(table, 128)(rows), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_row_of_a_product_does_not_depend_on_its_place_or_its_neighbours(make, width):
    product = make(torch.randn(width, 640), 128)
    rows = torch.randn(128, width)
    alone, moved = torch.zeros(128, width), torch.randn(128, width)
    alone[0], moved[77] = rows[3], rows[3]
    together = product(rows)[3]
    assert torch.equal(product(alone)[0], together)
    assert torch.equal(product(moved)[77], together)


def test_a_product_can_be_copied_and_pickled():
    rows = torch.randn(16, 5)
    product = ChunkProduct(torch.randn(5, 64), 16)
    for again in (copy.deepcopy(product), pickle.loads(pickle.dumps(product))):
        assert torch.equal(again(rows), product(rows))
