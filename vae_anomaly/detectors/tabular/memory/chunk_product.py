"""Products of fixed-size chunks of rows with one table, as fast as torch can make them here.

A memory multiplies every chunk of rows by the same table of exemplars. ``torch.mm`` leaves half of
the speed of some processors unused; oneDNN, which torch brings along, packs the table once and has
kernels for wide registers of any maker. Its operator is not part of torch's public interface:
where it is missing or fails, ``torch.mm`` does the same product.

References
----------
https://uxlfoundation.github.io/oneDNN/dev_guide_matmul.html
"""

from __future__ import annotations

import torch


class ChunkProduct:
    """Multiply chunks of rows by one table.

    Parameters
    ----------
    table : Tensor of shape (P, M), float32
    n_rows : int
        Rows of every chunk.

    Examples
    --------
    >>> ChunkProduct(torch.eye(2), n_rows=1)(torch.tensor([[3.0, 4.0]])).tolist()
    [[3.0, 4.0]]
    """

    def __init__(self, table: torch.Tensor, n_rows: int) -> None:
        self.table, self.n_rows = table, n_rows
        self._packed = _packed(table, n_rows)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ table``, shape (n_rows, M); the caller may write into it."""
        if self._packed is None:
            return rows @ self.table
        return _linear(rows, self._packed)

    def __reduce__(self) -> tuple[type[ChunkProduct], tuple[torch.Tensor, int]]:
        """Copy and pickle the table alone: the packed one belongs to this processor."""
        return ChunkProduct, (self.table, self.n_rows)


@torch.inference_mode()
def _packed(table: torch.Tensor, n_rows: int) -> torch.Tensor | None:
    """Return the table as oneDNN wants it, or None where it cannot be used."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch does not type it
        return None
    try:
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(table.T.contiguous(), n_rows)
        _linear(torch.zeros(n_rows, len(table)), packed)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return None
    return packed


def _linear(rows: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
    return product
