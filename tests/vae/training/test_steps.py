from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.vae.training.steps import BatchStream


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5))
def test_every_batch_is_full_and_every_sample_is_seen_equally_often(n, batch_size, seed):
    stream = BatchStream(n, batch_size, seed)
    seen: Counter[int] = Counter()
    steps = n  # n batches of b samples: b whole epochs
    for step in range(steps):
        rows = stream.indices(step)
        assert len(rows) == min(n, batch_size)
        seen.update(rows.tolist())
    assert set(seen.values()) == {min(n, batch_size)}


def test_a_step_sees_the_same_samples_whenever_it_is_asked():
    stream, other = BatchStream(10, 4, 3), BatchStream(10, 4, 3)
    ahead = stream.indices(7)
    assert torch.equal(ahead, [other.indices(step) for step in range(9)][7])


def test_epochs_are_shuffled_anew():
    stream = BatchStream(50, 50, 0)
    assert not torch.equal(stream.indices(0), stream.indices(1))
