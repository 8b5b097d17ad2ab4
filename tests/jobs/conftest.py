"""Fixtures of the tests of jobs."""

from __future__ import annotations

from tracking.real_models import image_model, table_model  # noqa: F401 - fixtures
