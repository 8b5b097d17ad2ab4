"""A place that cannot take a model is refused before the training."""

from __future__ import annotations

import pytest

from vae_anomaly.errors import ConfigError, RegistryUnavailableError
from vae_anomaly.jobs import Destination


def test_an_empty_folder_a_new_one_and_an_earlier_model_can_take_a_model(table_model, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new", table_model):
        Destination(folder=folder).check()


def test_what_holds_something_else_is_not_written_over(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ConfigError, match="something else than a model"):
            Destination(folder=place).check()


def test_a_server_that_is_away_is_noticed_only_where_it_is_needed():
    away = "http://127.0.0.1:9"
    Destination(folder="m", uri=away).check_store()
    with pytest.raises(RegistryUnavailableError):
        Destination("cards", uri=away).check_store()
