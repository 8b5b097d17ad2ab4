"""Whole groups to folds: never split, about even, the same with the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.folds import assign_folds, deal, evenly
from vae_anomaly.errors import NotEnoughDataError


def test_groups_are_never_split_between_folds():
    groups = np.repeat([f"part-{i}" for i in range(13)], 7)
    folds = assign_folds(groups, 5, 0)
    assert all(len(set(folds[groups == name])) == 1 for name in set(groups))
    assert np.bincount(folds).max() - np.bincount(folds).min() <= 7


def test_another_seed_gives_other_folds_and_the_same_seed_the_same():
    groups = np.arange(40)
    np.testing.assert_array_equal(assign_folds(groups, 5, 3), assign_folds(groups, 5, 3))
    assert (assign_folds(groups, 5, 3) != assign_folds(groups, 5, 4)).any()


def test_the_largest_groups_are_dealt_first_each_to_the_emptiest_fold():
    folds = deal(np.array([1, 5, 3, 3, 1]), np.arange(5), 2)
    assert folds.tolist() == [0, 0, 1, 1, 0]
    assert set(deal(np.array([4, 4]), np.arange(2), 5).tolist()) == {0, 1}


def test_a_single_group_cannot_be_divided():
    with pytest.raises(NotEnoughDataError, match="at least 2; got 1"):
        assign_folds(np.array(["a", "a"]), 5, 0)


def test_a_few_numbers_stand_for_all_at_equal_distances():
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 10).tolist() == [0, 1, 2]
