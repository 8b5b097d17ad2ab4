"""A long call tells where it is, and so does one of its parts."""

from __future__ import annotations

import pytest

from vae_anomaly.progress import part_of


@pytest.mark.parametrize(("stage", "told"), [(None, "train"), ("sweep", "sweep")])
def test_a_part_is_told_as_a_stretch_of_the_whole(stage, told):
    seen = []
    for part in range(2):
        report = part_of(lambda *where: seen.append(where), part, 2, stage)
        report("train", 5, 10)
        report("train", 10, 10)
    assert seen == [(told, 5, 20), (told, 10, 20), (told, 15, 20), (told, 20, 20)]
