"""Tell which image it was that memory did not suffice for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vae_anomaly.errors import ImageError, lacks_memory


@contextmanager
def within_memory(name: str) -> Iterator[None]:
    """Turn a lack of memory into an `ImageError` of the one image that asked for it."""
    try:
        yield
    except (MemoryError, RuntimeError) as err:
        if not lacks_memory(err):
            raise
        raise ImageError(
            f"{name} takes more memory than there is. Make it smaller, or free memory: end other "
            "programs, take fewer --workers.",
            code="memory",
        ) from None
