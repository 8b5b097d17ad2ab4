"""An engine that is not there is refused before anything else is done."""

from __future__ import annotations

import sys

import pytest

from vae_anomaly.batch import score_tables
from vae_anomaly.batch.engines.choice import engine_of
from vae_anomaly.errors import ConfigError


def test_an_unknown_engine_is_refused_with_the_nearest(days, table_model, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'spark'"):
        score_tables(table_model, days, tmp_path / "out", engine="sparc")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("engine", "library"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_without_its_library_names_the_extra(engine, library, monkeypatch):
    monkeypatch.setattr("vae_anomaly.batch.engines.choice.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"needs {library}.*'vae-anomaly\[{engine}\]'"):
        engine_of(engine)


def test_a_model_with_entities_has_nothing_to_share_out(card_model, nights, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_anomaly.batch.engines.choice.find_spec", lambda name: True)
    with pytest.raises(ConfigError, match="one file after the other"):
        score_tables(card_model, nights, tmp_path / "out", engine="ray")
    assert not (tmp_path / "out").exists()
    assert not {"ray", "pyspark"} & sys.modules.keys()
