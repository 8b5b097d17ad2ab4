"""What came of a comparison with the champion, kept with the version that challenged it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from vae_anomaly.errors import GateFailedError
from vae_anomaly.names import typed
from vae_anomaly.tracking.client import TAG, model_aliases
from vae_anomaly.tracking.store import session, tracking_uri

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

CHALLENGE: Final = f"{TAG}challenge"


def note_challenge(
    name: str, version: int, facts: Mapping[str, object], uri: str | Path | None = None
) -> None:
    """Keep the verdict with a version.

    Parameters
    ----------
    facts : mapping
        ``passed`` (bool), ``words``, ``against`` (version), ``alias`` (of that version).
    """
    with session(tracking_uri(uri)) as client:
        text = json.dumps(dict(facts), sort_keys=True)
        client.set_model_version_tag(name, str(version), CHALLENGE, text)


def refuse_worse(client: MlflowClient, store: str, name: str, version: int, alias: str) -> None:
    """Refuse to let a version replace the one that it did not match.

    Raises
    ------
    GateFailedError
        If it was compared with the version that the alias names, and was not shown to be not
        worse.
    """
    tags = client.get_model_version(name, str(version)).tags
    facts = json.loads(tags.get(CHALLENGE, "{}"))
    current = model_aliases(client, name, store).get(alias)
    if not facts or facts["passed"] or facts["alias"] != alias or facts["against"] != current:
        return
    raise GateFailedError(
        f"{facts['words']}, so it does not become {alias}. Nothing was changed. Compare on more "
        f"items: {typed('vae-anomaly', 'models', 'promote', name, str(version))} --not-worse "
        "--input PATH; or promote it all the same, on the record, with --anyway."
    )
