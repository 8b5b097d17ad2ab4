"""Frauds are drawn into a world of habits: as many as asked, each against its customer's own."""

from __future__ import annotations

import numpy as np
import pytest
from vae_anomaly.data.synthetic.frauds import DAY_SECONDS, PATTERNS, insert_frauds

from vae_anomaly.data.synthetic.shop_world import (
    ABROAD_SHARES,
    CATEGORIES,
    COUNTRIES,
    HOME_SHARES,
    PLACES,
    make_world,
)

TYPICAL = {category.name: category.typical for category in CATEGORIES}


@pytest.fixture(scope="module")
def world():
    return make_world(200, 20, np.random.default_rng(1))


def test_shares_are_shares_and_places_are_known(world):
    assert world.activity.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(world.tastes[:, -1], 1.0)
    assert (np.diff(world.tastes, axis=1) >= 0).all()
    assert (sum(HOME_SHARES), sum(ABROAD_SHARES)) == pytest.approx((1.0, 1.0))
    assert (len(HOME_SHARES), len(ABROAD_SHARES)) == (len(COUNTRIES), len(PLACES))


@pytest.mark.parametrize("n", [1, 7, 300])
def test_as_many_frauds_as_asked_lie_within_the_days(world, n):
    frauds = insert_frauds(n, 20, world, np.random.default_rng(2))
    assert len(frauds) == n
    assert frauds["second"].between(0, 20 * DAY_SECONDS - 1).all()
    assert set(frauds["fraud_pattern"]) <= set(PATTERNS)
    assert not frauds["customer_id"].isna().any()


def test_each_pattern_is_against_somebodys_habits(world):
    frauds = insert_frauds(600, 20, world, np.random.default_rng(3))
    of = dict(tuple(frauds.groupby("fraud_pattern")))
    customer = of["large_amount"]["customer_id"].str[1:].astype(int).to_numpy()
    usual = of["large_amount"]["merchant_category"].map(TYPICAL) * np.exp(world.level[customer])
    assert (of["large_amount"]["amount"] / usual).between(6.9, 30.1).all()
    assert (of["night_burst"]["second"] % DAY_SECONDS < 4.6 * 3600).all()
    assert (of["foreign_online"]["channel"] == "online").all()
    assert (of["card_testing"]["amount"] <= 1.8).mean() > 0.6
