"""What came of a comparison with the champion, kept with the version that challenged it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from vae_anomaly.errors import GateFailedError
from vae_anomaly.names import typed
from vae_anomaly.tracking.client import TAG, model_aliases, read_tag
from vae_anomaly.tracking.store import session, tracking_uri

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

CHALLENGE: Final = f"{TAG}challenge"


class _Verdict(TypedDict):
    """What `note_challenge` keeps."""

    passed: bool
    words: str
    against: int
    alias: str


_VERDICT: Final = TypeAdapter(_Verdict)


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
    ModelRefusedError
        If what is kept of the comparison cannot be read.
    """
    tags = client.get_model_version(name, str(version)).tags
    if CHALLENGE not in tags:
        return
    facts = read_tag(_VERDICT, tags[CHALLENGE], f"{CHALLENGE} of {name} version {version}")
    current = model_aliases(client, name, store).get(alias)
    if facts["passed"] or facts["alias"] != alias or facts["against"] != current:
        return
    raise GateFailedError(
        f"{facts['words']}, so it does not become {alias}. Nothing was changed. Compare on more "
        f"items: {typed('vae-anomaly', 'models', 'promote', name, str(version))} --not-worse "
        "--input PATH; or promote it all the same, on the record, with --anyway."
    )
