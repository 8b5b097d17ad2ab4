"""Fixtures of the tests of evaluation: detectors that other tests made already, read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch.entity_nights import card_model  # noqa: F401 - a fixture
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    migrated_store,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
)

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, load_detector


@pytest.fixture(scope="session")
def table_detector(table_model: Path) -> TabularVAEDetector:
    """Of transactions, without a column of ids."""
    return load_detector(table_model)


@pytest.fixture(scope="session")
def card_detector(card_model: Path) -> TabularVAEDetector:
    """Of payments that have ids and are compared with their card's past."""
    return load_detector(card_model)


@pytest.fixture(scope="session")
def image_detector(image_model: Path) -> ImageVAEDetector:
    """Of grey surfaces of 64 x 64 pixels."""
    return load_detector(image_model)
