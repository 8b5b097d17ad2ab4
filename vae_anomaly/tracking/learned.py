"""Second stages in the registry: what verdicts on the items of a model have taught, by version.

Beside the model NAME stands NAME.learned, whose alias ``current`` says which second stage judges
tonight; without the alias none does. Each version is a run with ``stage.json`` and
``stage.safetensors``, whose digest its tag holds. A stage follows from what is stored, so nothing
of it waits on this disk when the server is away: it is learned again.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vae_anomaly.errors import (
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
    StorageError,
)
from vae_anomaly.files import parsed_json, reach, write_json
from vae_anomaly.names import typed
from vae_anomaly.storage.addresses import cache_folder
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking.client import (
    ABSENT,
    STAGE_DIGEST,
    TAG,
    all_versions,
    ensure_name,
    own_run,
    stored_file,
)
from vae_anomaly.tracking.events import MAX_TAG, move_alias, remove_alias
from vae_anomaly.tracking.network.answers import is_denial, is_outage
from vae_anomaly.tracking.package import listing_digest
from vae_anomaly.tracking.store import displayed, require_store, session, tracking_uri
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

STAGES: Final = "vae-anomaly-learned"
STAGE_ALIAS: Final = "current"
STAGE_BOUND: Final = f"{TAG}learned.threshold"
"""Tag of a version: what it flags, such as ``p_combined <= 0.01``; none where the model does."""
_FOLDER: Final = "stage"  # of the artifacts of a run
_NO_ROOM: Final = "Free some space or set VAE_ANOMALY_CACHE to another folder."
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedStage:
    """Say which second stage is in force and where its verified copy lies.

    Parameters
    ----------
    path : Path
        Folder on this machine, checked; `read_stage` reads it.
    digest : str
        As `stage_digest` gives it.
    version : int
        Of the registered model NAME.learned.
    """

    path: Path
    digest: str
    version: int


def learned_name(name: str) -> str:
    """Return the registered name of what the verdicts on a model's items have taught.

    Examples
    --------
    >>> learned_name("cards")
    'cards.learned'
    """
    return f"{name}.learned"


def resolve_stage(
    name: str, uri: str | Path | None = None, *, use_cached: bool = False
) -> ResolvedStage | None:
    """Return the second stage that is in force for a registered model, as a verified folder here.

    Parameters
    ----------
    name : str
        Registered name of the detector.
    uri : str or Path, optional
        The store, as in `tracking_uri`.
    use_cached : bool
        When the registry is away, take the one that was in force when it was last asked.

    Returns
    -------
    stage : ResolvedStage or None
        None where nothing is learned yet, or it was switched off.

    Raises
    ------
    ModelRefusedError
        If its files are gone, or not those that were registered.
    RegistryUnavailableError
        If the store does not answer.
    """
    store = tracking_uri(uri)
    require_store(store)
    try:
        with session(store) as client:
            version = _in_force(client, name)
            stage = None if version is None else _fetched(client, version, store)
    except RegistryUnavailableError as err:
        if not use_cached or isinstance(err, RegistryDeniedError):
            raise
        return _recalled(name, store, str(err))
    note = {} if stage is None else {"digest": stage.digest, "version": stage.version}
    write_json(note, _memory(name, store), _NO_ROOM)
    return stage


def register_stage(
    name: str,
    folder: str | Path,
    facts: Mapping[str, object],
    uri: str | Path | None = None,
    who: str | None = None,
) -> ResolvedStage:
    """Put a second stage in force: a new version of NAME.learned, the alias moved to it.

    The one that is in force already stays, and one that was registered before is not registered
    again: so a call that was killed is just made again.

    Parameters
    ----------
    name : str
        Registered name of the detector.
    folder : str or Path
        As `write_stage` writes it.
    facts : mapping of str to value
        What it was learned from, for the record: tags of the version. Its threshold is added.
    uri : str or Path, optional
        The store, as in `tracking_uri`.
    who : str, optional
        Default: the user of this process.

    Raises
    ------
    ModelRefusedError
        If the folder holds no second stage.
    RegistryUnavailableError
        If the store does not answer.
    """
    from vae_anomaly.verdicts.saved import read_stage, stage_digest

    stage = read_stage(folder)
    digest, store, registered = stage_digest(folder), tracking_uri(uri), learned_name(name)
    if stage.threshold is not None:
        facts = {**facts, "threshold": Threshold.from_dict(stage.threshold).bound_text}
    with session(store) as client:
        current = _in_force(client, name)
        if current is not None and current.tags.get(STAGE_DIGEST) == digest:
            return _fetched(client, current, store)
        version = _version_of(client, registered, digest)
        if version is None:
            version = _new_version(client, store, registered, Path(folder), digest, facts)
        reach("stage-registered")
        why = ", ".join(f"{key} {value}" for key, value in facts.items())
        move_alias(
            client, store, registered, int(version.version), STAGE_ALIAS, who=who, evidence=why
        )
        reach("stage-in-force")
        return _fetched(client, version, store)


def withdraw_stage(
    name: str, uri: str | Path | None = None, who: str | None = None, why: str = ""
) -> int | None:
    """Take the second stage out of force, on the record; its versions stay.

    Returns
    -------
    version : int or None
        The one that was in force; None where none was.
    """
    store = tracking_uri(uri)
    require_store(store)
    with session(store) as client:
        current = _in_force(client, name)
        if current is None:
            return None
        version = int(current.version)
        remove_alias(client, store, learned_name(name), version, STAGE_ALIAS, who=who, evidence=why)
    return version


def _in_force(client: MlflowClient, name: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(learned_name(name), STAGE_ALIAS)
    except MlflowException as err:
        if err.error_code not in ABSENT:
            raise
        return None


def _version_of(client: MlflowClient, registered: str, digest: str) -> ModelVersion | None:
    """Return the version that holds a stage already; None where there is none."""
    same = [v for v in all_versions(client, registered) if v.tags.get(STAGE_DIGEST) == digest]
    return min(same, key=lambda version: int(version.version), default=None)


def _new_version(
    client: MlflowClient,
    store: str,
    registered: str,
    folder: Path,
    digest: str,
    facts: Mapping[str, object],
) -> ModelVersion:
    """Log a stage as a run of its own, and register it when that is whole."""
    tags = {f"{TAG}learned.{key}": str(value)[:MAX_TAG] for key, value in facts.items()}
    tags[STAGE_DIGEST] = digest
    with own_run(client, store, STAGES, registered, tags) as run:
        for file in sorted(folder.iterdir()):
            client.log_artifact(run.info.run_id, str(file), _FOLDER)
        reach("stage-logged")
    ensure_name(client, registered)
    source = f"{run.info.artifact_uri}/{_FOLDER}"
    return client.create_model_version(registered, source, run.info.run_id, tags=tags)


def _fetched(client: MlflowClient, version: ModelVersion, store: str) -> ResolvedStage:
    """Return a version as a folder that was checked, fetched where it is not here yet."""
    what = f"{version.name} version {version.version} in {displayed(store)}"
    digest = version.tags.get(STAGE_DIGEST)
    if digest is None:
        raise ModelRefusedError(f"{what} holds no second stage. {_again(version.name)}")
    target = cache_folder() / "stages" / digest
    if not _is_sound(target, digest):
        _download_stage(client, version, store, target, digest)
    return ResolvedStage(target, digest, int(version.version))


def _is_sound(folder: Path, digest: str) -> bool:
    from vae_anomaly.verdicts.saved import read_stage, stage_digest

    try:
        read_stage(folder)
    except ModelRefusedError:
        return False
    return stage_digest(folder) == digest


def _download_stage(
    client: MlflowClient, version: ModelVersion, store: str, target: Path, digest: str
) -> None:
    """Download beside the final place, check, then put it there."""
    from mlflow.exceptions import MlflowException

    from vae_anomaly.files import replace_folder
    from vae_anomaly.verdicts.saved import ARRAYS, STAGE

    what = f"{version.name} version {version.version} in {displayed(store)}"
    try:
        run = client.get_run(version.run_id)
        with (
            tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch,
            replace_folder(target, _NO_ROOM) as staging,
        ):
            for name in (STAGE, ARRAYS):
                file = stored_file(client, store, run, f"{_FOLDER}/{name}", scratch)
                (staging / name).write_bytes(Path(file).read_bytes())
            if not _is_sound(staging, digest):
                raise ModelRefusedError(
                    f"The files of {what} are not what was registered: they were changed "
                    f"afterwards. {_again(version.name)}"
                )
    except (MlflowException, OSError) as err:
        ours = isinstance(err, RegistryUnavailableError | StorageError)
        if ours or is_outage(err) or is_denial(err):
            raise
        raise ModelRefusedError(
            f"The files of {what} are gone: {reason_of(err)}. {_again(version.name)}"
        ) from err


def _again(registered: str) -> str:
    name = registered.removesuffix(".learned")
    command = f"vae-anomaly feedback learn {typed(name)}"
    return f"Switch it off with `{command} --off`, then learn it again: {command}"


def _memory(name: str, store: str) -> Path:
    key = listing_digest({displayed(store): learned_name(name)})
    return cache_folder() / "refs" / f"{key}.json"


def _recalled(name: str, store: str, why: str) -> ResolvedStage | None:
    """Return what was in force when the registry was last asked."""
    path = _memory(name, store)
    if not path.is_file():
        raise RegistryUnavailableError(
            f"{why} What was learned for {name} was never asked for on this machine."
        )
    try:
        note = parsed_json(path.read_bytes())
        if not note:
            return None
        stage = ResolvedStage(
            cache_folder() / "stages" / str(note["digest"]),
            str(note["digest"]),
            int(note["version"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ModelRefusedError(
            f"{path}, which tells what was in force, cannot be read: {reason_of(err)}. Remove it; "
            "it is written anew when the registry answers."
        ) from None
    if not _is_sound(stage.path, stage.digest):
        raise RegistryUnavailableError(f"{why} The copy of what was learned for {name} is damaged.")
    logger.warning("registry away: using the cached version %s of what was learned", stage.version)
    return stage
