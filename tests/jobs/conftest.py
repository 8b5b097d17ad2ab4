"""Fixtures of the tests of jobs."""

from __future__ import annotations

from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    migrated_store,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
)
