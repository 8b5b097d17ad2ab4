"""A challenger is compared with the champion on items that neither knows, and takes nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import transactions, write_surfaces

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, load_detector
from vae_anomaly.errors import ConfigError, DataError, GateFailedError, ModelRefusedError
from vae_anomaly.jobs import (
    Asked,
    ChallengePlan,
    Destination,
    TableColumns,
    challenge_images_job,
    challenge_table_job,
    promote_if_not_worse,
)
from vae_anomaly.jobs.challenge import _Held
from vae_anomaly.jobs.holdout import find_items, of_images, unknown_to_both, with_verdicts
from vae_anomaly.tracking import promote, register_directory, show_model
from vae_anomaly.tracking.challenges import note_challenge
from vae_anomaly.tracking.verified import resolve

FRAUD = TableColumns(label="fraud", id_column="id")


def frauds(n: int, seed: int) -> pd.DataFrame:
    """Payments of twenty times the usual amount."""
    rows = transactions(n, seed)
    return rows.assign(amount=20.0 * rows["amount"], fraud=1)


@pytest.fixture
def april(tmp_path):
    """What the champion was trained on, 600 rows more, and 40 frauds."""
    parts = [transactions(400, 0), transactions(600, 31)]
    rows = pd.concat([*(part.assign(fraud=0) for part in parts), frauds(40, 32)])
    rows.to_parquet(tmp_path / "april.parquet")
    return tmp_path / "april.parquet"


def challenger() -> TabularVAEDetector:
    return TabularVAEDetector(preset="fast", max_steps=20, random_state=0)


def test_a_challenger_is_compared_on_rows_that_are_new_to_both(registered, april):
    place = Destination(name="cards", uri=registered.store, report=False)
    done = challenge_table_job(challenger(), [str(april)], place, ChallengePlan(), FRAUD)
    found = done.challenge
    assert (found.champion, found.challenger) == ("cards/1", "cards/2")
    assert (found.n_normals, found.n_anomalies) == (200, 40)
    assert done.training.model == "models:/cards@challenger"
    assert done.training.metrics["rows"] == 800
    assert any("which knows 400 rows of the input" in note for note in found.notes)
    card = show_model("cards", registered.store)
    assert card.aliases == {"champion": 1, "challenger": 2}
    recall = next(one for one in found.figures if one.name == "recall")
    assert recall.champion.estimate > 0.8


def test_rows_that_the_champion_knows_are_never_compared_on(registered, april, tmp_path):
    champion = load_detector(resolve("models:/cards/1", registered.store).path)
    rows = pd.concat([transactions(400, 0), transactions(50, 33)])
    rows.to_parquet(tmp_path / "holdout.parquet")
    held = find_items(Asked(str(tmp_path / "holdout.parquet")), [champion])
    other = load_detector(resolve("models:/cards/1", registered.store).path)
    assert any("cannot be told" in n for n in unknown_to_both(held, champion, other).notes)
    other.model_ = TabularVAEDetector(preset="fast", max_steps=5, random_state=1).fit(
        transactions(60, 34)).model_  # fmt: skip
    assert len(unknown_to_both(held, champion, other)) == 50
    with pytest.raises(DataError, match="Compare on newer ones"):
        unknown_to_both(held.take(np.arange(450) < 400), champion, other)


def test_an_input_of_which_all_is_known_asks_for_a_holdout(registered, tmp_path):
    transactions(400, 0).to_parquet(tmp_path / "old.parquet")
    place = Destination(name="cards", uri=registered.store)
    with pytest.raises(ConfigError, match="Of 400 rows of the input 0 are new to cards/1"):
        challenge_table_job(challenger(), [str(tmp_path / "old.parquet")], place, ChallengePlan())
    nobody = Destination(name="tiles", uri=registered.store)
    with pytest.raises(ModelRefusedError, match="There is no champion to compare with"):
        challenge_table_job(challenger(), [str(tmp_path / "old.parquet")], nobody, ChallengePlan())
    with pytest.raises(ModelRefusedError, match="not challenged by one of kind image"):
        challenge_images_job(ImageVAEDetector(), str(tmp_path), place, ChallengePlan())


def test_what_is_held_back_is_new_and_keeps_groups_whole(image_model, tmp_path):
    write_surfaces(tmp_path / "images", 160, first=1000)  # the first 120 trained the champion
    champion = load_detector(image_model)
    items = of_images_in(tmp_path / "images")
    held = _Held(champion, None, None, 0)
    held.model = type("Named", (), {"label": "tiles/1"})()
    trained_on = held.part_images(items, None)
    assert not (~trained_on)[:120].any()
    assert (~trained_on).sum() == 20
    groups = np.array([f"part {i // 4}" for i in range(160)], dtype=object)
    trained_on = held.part_images(items, groups)
    assert all(len(set(trained_on[groups == one])) == 1 for one in groups)


def of_images_in(folder):
    from vae_anomaly.data.images.folders import scan_labelled

    return scan_labelled(folder).items


def test_verdicts_label_what_has_no_label(tmp_path):
    held = of_images(of_images_in(write_surfaces(tmp_path / "images", 4)), "images/")
    said = pd.DataFrame({"item": ["001.png", "other.png"], "is_anomaly": [True, True]})
    judged = with_verdicts(held, said)
    assert judged.labels.tolist()[1] == 1.0
    assert np.isnan(judged.labels[[0, 2, 3]]).all()
    assert judged.notes == ("1 item as reviewers judged them",)


def test_only_a_version_that_is_not_worse_takes_the_alias(registered, table_model, tmp_path):
    store = registered.store
    version = register_directory(table_model, name="cards", uri=store).version
    pd.concat([transactions(600, 35).assign(fraud=0), frauds(80, 36)]).to_parquet(
        tmp_path / "may.parquet")  # fmt: skip
    asked = Asked(str(tmp_path / "may.parquet"), labels="fraud")
    found, moved = promote_if_not_worse("cards", version, asked, uri=store)
    assert found.passed
    assert moved.new_version == version
    assert "not worse than cards/1" in moved.evidence
    few = Asked(str(tmp_path / "few.parquet"), labels="fraud")
    pd.concat([transactions(60, 37).assign(fraud=0), frauds(5, 38)]).to_parquet(few.source)
    found, moved = promote_if_not_worse("cards", 1, few, uri=store)
    assert (found.verdict, moved) == ("not shown to be not worse", None)
    with pytest.raises(GateFailedError, match=r"not shown to be not worse.*--anyway"):
        promote("cards", 1, uri=store)
    assert promote("cards", 1, anyway=True, uri=store).new_version == 1


def test_a_verdict_on_an_earlier_champion_binds_nobody(registered, table_model):
    store = registered.store
    for _ in range(2):
        register_directory(table_model, name="cards", uri=store)
    facts = {"passed": False, "words": "cards/2 is worse", "against": 1, "alias": "champion"}
    note_challenge("cards", 2, facts, store)
    with pytest.raises(GateFailedError):
        promote("cards", 2, uri=store)
    promote("cards", 2, "shadow", uri=store)
    promote("cards", 3, uri=store)
    assert promote("cards", 2, uri=store).old_version == 3
