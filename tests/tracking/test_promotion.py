"""Aliases move on the record."""

from __future__ import annotations

import pytest

from vae_anomaly import load_detector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.tracking import list_models, promote, register_directory, show_model


@pytest.fixture
def two_versions(registered, store, table_model) -> str:
    register_directory(table_model, name="cards", uri=store)
    return store


def test_promotion_is_written_down_with_who_from_to_and_why(two_versions):
    moved = promote("cards", 2, who="ada", evidence={"ap": 0.41}, uri=two_versions)
    assert (moved.old_version, moved.new_version, moved.who) == (1, 2, "ada")
    card = show_model("cards", two_versions)
    assert card.aliases == {"champion": 2}
    assert [(p.old_version, p.new_version) for p in card.promotions] == [(1, 2), (None, 1)]
    assert card.promotions[0].evidence == '{"ap": 0.41}'
    assert card.promotions[0].who == "ada"


def test_version_that_does_not_exist_is_not_promoted(two_versions):
    with pytest.raises(ModelRefusedError, match="no version 9"):
        promote("cards", 9, uri=two_versions)
    card = show_model("cards", two_versions)
    assert card.aliases == {"champion": 1}
    assert len(card.promotions) == 1


def test_models_are_listed_with_aliases_and_latest_version(two_versions):
    (model,) = list_models(two_versions)
    assert (model.name, model.kind, model.latest) == ("cards", "tabular", 2)
    assert model.aliases == {"champion": 1}


def test_card_shows_versions_newest_first_with_metrics(two_versions, table_model):
    card = show_model("cards", two_versions)
    assert [version.version for version in card.versions] == [2, 1]
    assert card.versions[1].aliases == ("champion",)
    metrics = load_detector(table_model).metrics_
    name = next(iter(metrics))
    assert card.versions[0].metrics[name] == pytest.approx(metrics[name])


def test_unknown_model_is_answered_with_the_known_ones(two_versions):
    with pytest.raises(ModelRefusedError, match="it holds cards"):
        show_model("coins", two_versions)
