"""Facts of a model: from a folder, from the registry, and of a model of an earlier version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vae_anomaly import TabularVAEDetector
from vae_anomaly.jobs import Destination, TableColumns, train_table_job
from vae_anomaly.jobs.report.model import described_model, model_facts
from vae_anomaly.reports.model_card import model_card
from vae_anomaly.reports.pages.model import model_page
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking import load, log_evaluation
from vae_anomaly.tracking.apply import apply_threshold

OLD = Path(__file__).parents[2] / "golden" / "2026-11"
HOSTILE = '<script>alert("x")</script> | `b` "أ" 🧵'
PRIVATE = "4711-PRIVATE"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a model of a hostile table, trained, moved once and evaluated."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("store")
    n = 200
    frame = pd.DataFrame(
        {
            "id": [f"{PRIVATE}-{i}" for i in range(n)],
            HOSTILE: rng.normal(50.0, 5.0, n),
            "shop": rng.choice(["<b>kiosk</b>", "bakery"], n),
        }
    )
    frame.to_csv(folder / "days.csv", index=False)
    uri = str(folder / "store")
    train_table_job(
        TabularVAEDetector(max_steps=120, random_state=0),
        folder / "days.csv",
        Destination("cards", uri=uri, folder=folder / "model"),
        TableColumns(id_column="id"),
    )
    why = "fewer alarms, please <i>"
    apply_threshold("models:/cards@champion", Threshold(value=2.5), uri=uri, who="Ana", reason=why)
    return folder


@pytest.fixture(scope="module")
def registered(store):
    return model_facts("models:/cards@champion", str(store / "store"))


def test_a_folder_is_enough(store):
    facts = model_facts(store / "model")
    assert facts.training is not None
    assert facts.n_normals == 200
    assert facts.latent_map is not None
    assert facts.training.strangest
    assert not facts.events
    assert "vae-anomaly train table" in dict(facts.commands)["train it again"]
    assert not [text for _, text in facts.commands if "--tracking-uri" in text]
    assert any("not been measured" in line for line in facts.unknown)


def test_commands_of_a_registered_model_name_the_store_that_it_is_in(store, registered):
    for _, text in registered.commands:
        assert text.endswith(f" --tracking-uri {store / 'store'}")


def test_a_registered_model_has_versions_and_who_moved_its_threshold(registered):
    assert registered.version == 2
    assert registered.aliases == ("champion",)
    assert [one.version for one in registered.versions] == [2, 1]
    applied = next(event for event in registered.events if event.what == "applied")
    assert applied.who == "Ana"
    assert applied.new == 2.5
    assert "fewer alarms" in applied.why
    assert registered.training is not None  # kept through the new version


def test_an_evaluation_that_was_logged_is_told(store):
    uri = str(store / "store")
    _, model = load("models:/cards@champion", uri)
    document = {
        "n_normals": 90,
        "n_anomalies": 10,
        "figures": {"auroc": {"estimate": 0.91, "low": 0.8, "high": 0.97}},
        "kinds": [{"kind": "dos", "n": 10, "flagged": 9, "share": 0.9, "low": 0.55, "high": 1.0}],
        "by": {"shop": [{"value": "kiosk", "n_normals": 40, "n_anomalies": 0, "fpr": 0.05}]},
    }
    log_evaluation(
        model, {}, source="weeks/monday.csv", documents={"evaluation.json": document}, uri=uri
    )
    facts = model_facts("models:/cards@champion", uri)
    assert facts.evaluations[0].source == "monday.csv"
    assert dict(facts.evaluations[0].figures)["auroc"].high == 0.97
    assert facts.evaluations[0].kinds[0].flagged == 9
    assert facts.evaluations[0].by[0][1][0].flagged == 2
    assert "dos" in model_page(facts)
    assert "0.910" in model_card(facts)


def test_names_stay_text_and_no_identifier_is_shown(registered):
    page, card = model_page(registered), model_card(registered)
    for text in (page, card):
        assert PRIVATE not in text
        assert "<script>alert" not in text
        assert "<b>kiosk" not in text
        assert "please <i>" not in text
    assert "&lt;script&gt;alert(&#34;x&#34;)" in page
    assert "\\<script\\>alert" in card


def test_every_heading_of_the_card_has_something_below_it(registered):
    lines = [line for line in model_card(registered).splitlines() if line]
    headings = [line for line in lines if line.startswith("## ")]
    wanted = ("Model details", "Uses", "limitations", "Training", "Evaluation", "Calibration")
    assert all(any(word in heading for heading in headings) for word in (*wanted, "Threshold"))
    for line, below in zip(lines, [*lines[1:], "## end"], strict=True):
        if line.startswith("#") and not line.startswith("# "):
            depth = len(line.split(" ")[0])
            assert not below.startswith("#") or len(below.split(" ")[0]) > depth, line


@pytest.mark.parametrize("case", ["table_mixed", "table_groups_contamination", "bank_fast"])
def test_of_a_model_of_an_earlier_version_it_is_said_what_is_not_known(case):
    facts = model_facts(OLD / case / "model")
    assert facts.training is None
    assert any("Train it again" in line for line in facts.unknown)
    assert facts.held_out.rates
    page = model_page(facts)
    assert "Not known" in page
    assert "Strangest training items" not in page
    assert "### Not known" in model_card(facts)


def test_a_model_with_entities_speaks_of_them_in_the_units_of_the_table():
    facts = model_facts(OLD / "table_entities" / "model")
    assert "--entity card --time at --amount euro" in dict(facts.commands)["train it again"]
    shown = {column.name: column.shown for column in facts.columns}
    assert shown["card: amount / usual"].endswith("times its usual")
    assert shown["card: hours since last"].endswith(("minutes", "hours", "days"))


def test_a_name_means_its_champion_and_a_folder_itself(store, tmp_path):
    assert described_model("cards", str(store / "store")) == "models:/cards@champion"
    assert described_model(str(store / "model")) == str(store / "model")


def test_the_run_of_the_training_keeps_the_page(store):
    pages = list((store / "store").rglob("report.html"))
    assert len(pages) == 1
    text = pages[0].read_text(encoding="utf-8")
    assert "Strangest training items" in text
    assert "cards" in text
