"""Fixtures of the tests of faults: nights to score, and a process that scores them in forks."""

from __future__ import annotations

from batch.conftest import (  # noqa: F401 - fixtures
    _stand_in_a_folder_of_their_own,
    card_model,
    days,
    hashes,
    image_model,
    migrated_store,
    nights,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
)
