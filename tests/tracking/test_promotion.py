"""Aliases move on the record."""

from __future__ import annotations

import pytest

from vae_anomaly import load_detector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.tracking import (
    list_models,
    promote,
    register_directory,
    show_model,
    threshold_history,
)
from vae_anomaly.tracking.challenges import note_challenge
from vae_anomaly.tracking.store import session


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


@pytest.mark.parametrize("text", ["[", '{"old": "much"}', '["cards"]', '{"evidence": 3}'])
def test_a_tag_that_somebody_has_changed_is_named(two_versions, text):
    with session(two_versions) as client:
        client.set_model_version_tag("cards", "2", "vae_anomaly.threshold_change", text)
    with pytest.raises(ModelRefusedError, match=r"threshold_change of cards version 2 .*Remove"):
        threshold_history("cards", two_versions)


def test_a_bound_that_is_no_number_is_named(two_versions):
    with session(two_versions) as client:
        client.set_model_version_tag("cards", "1", "vae_anomaly.threshold", "2,5")
    with pytest.raises(ModelRefusedError, match=r"vae_anomaly\.threshold of cards version 1"):
        threshold_history("cards", two_versions)


def test_a_comparison_that_cannot_be_read_lets_no_version_pass(two_versions):
    note_challenge("cards", 2, {"passed": "perhaps"}, two_versions)
    with pytest.raises(ModelRefusedError, match=r"challenge of cards version 2 .*Remove"):
        promote("cards", 2, uri=two_versions)
    assert show_model("cards", two_versions).aliases == {"champion": 1}


def test_a_promotion_whose_tags_were_changed_is_named(two_versions):
    run = show_model("cards", two_versions).promotions[0].run_id
    with session(two_versions) as client:
        client.set_tag(run, "vae_anomaly.promotion.to", "two")
    with pytest.raises(ModelRefusedError, match=rf"{run} .*Delete that run"):
        show_model("cards", two_versions)
