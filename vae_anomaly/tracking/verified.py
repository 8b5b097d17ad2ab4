"""Turn a reference to a model into a verified directory on this machine.

A reference is resolved to one version **once**; what is loaded is a local copy whose every file has
the SHA-256 that was written down when the version was registered. Copies are kept, by digest, in
``VAE_ANOMALY_CACHE`` or the user's cache folder, and are checked again each time.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from vae_anomaly.errors import (
    ConfigError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
    StorageError,
)
from vae_anomaly.files import in_home, parsed_json, write_json
from vae_anomaly.names import typed
from vae_anomaly.persistence import model_digest, read_model
from vae_anomaly.state import first_fault
from vae_anomaly.storage.addresses import cache_folder, is_remote, path_of_file
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.tracking.client import ABSENT, STAGE_DIGEST, TAG, all_versions, model_aliases
from vae_anomaly.tracking.databases.moved import found_here, local_path
from vae_anomaly.tracking.network.answers import is_denial, is_full_here, is_outage
from vae_anomaly.tracking.package import check_package, listing_digest
from vae_anomaly.tracking.store import (
    displayed,
    require_store,
    session,
    store_folder,
    tracking_uri,
)
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from vae_anomaly.detectors.protocol import AnyDetector

_REF = re.compile(r"models:/(?P<name>[^/@:]+)(?:@(?P<alias>[\w-]+)|/(?P<version>[1-9]\d*))")
_LISTING: Final = TypeAdapter(dict[str, str])
logger = logging.getLogger(__name__)


class _Note(TypedDict):
    """What is kept of a model that was fetched."""

    ref: str
    name: str
    version: int
    kind: str
    files: dict[str, str]


_NOTE: Final = TypeAdapter(_Note)


@dataclass(frozen=True)
class ResolvedModel:
    """Say which model a reference meant and where its verified copy lies.

    Parameters
    ----------
    ref : str
        What was asked for.
    path : Path
        Model directory on this machine, checked.
    digest : str
        SHA-256 of its list of digests.
    kind : str
        ``"tabular"`` or ``"image"``.
    name : str, optional
        Registered name; None for a folder.
    version : int, optional
        Registered version; None for a folder.
    """

    ref: str
    path: Path
    digest: str
    kind: str
    name: str | None = None
    version: int | None = None

    @property
    def label(self) -> str:
        """``cards/3`` for a registered model, ``folder:`` and the digest's beginning otherwise."""
        return f"folder:{self.digest[:12]}" if self.name is None else f"{self.name}/{self.version}"


def resolve(
    ref: str | Path, uri: str | Path | None = None, *, use_cached: bool = False
) -> ResolvedModel:
    """Turn a reference into a verified directory on this machine.

    Parameters
    ----------
    ref : str or Path
        A model folder, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
    uri : str or Path, optional
        The store, as in `tracking_uri`. Not used for a folder.
    use_cached : bool
        When the registry is away, take the copy that ``ref`` last resolved to, if it is intact.

    Raises
    ------
    ModelRefusedError
        If there is no such model, alias or version (the message lists what there is), or its files
        are not those that were registered.
    RegistryUnavailableError
        If the store does not answer.
    """
    text = str(ref)
    if not text.startswith("models:"):
        return _resolve_folder(text)
    match = _REF.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text!r} names no model. Write models:/NAME@ALIAS, models:/NAME/VERSION or a folder."
        )
    store = tracking_uri(uri)
    require_store(store)
    try:
        with session(store) as client:
            version = _find_version(client, match, store)
            model = _fetch(text, version, store)
    except RegistryUnavailableError as err:
        if not use_cached or isinstance(err, RegistryDeniedError):
            raise
        return _recall(text, store, str(err))
    _remember(text, store, model, _listed(version.tags[f"{TAG}files"], text))
    return model


def load(
    ref: str | Path,
    uri: str | Path | None = None,
    *,
    use_cached: bool = False,
    device: str = "cpu",
) -> tuple[AnyDetector, ResolvedModel]:
    """Resolve a reference and load the detector from its verified copy.

    Parameters
    ----------
    ref, uri, use_cached
        As `resolve`.
    device : str
        As `vae_anomaly.load_detector`.

    Returns
    -------
    detector : TabularVAEDetector or ImageVAEDetector
    model : ResolvedModel
        Which version it is, to be written down with the results.

    Raises
    ------
    ModelRefusedError, RegistryUnavailableError
        As `resolve`.
    """
    from vae_anomaly.detectors import load_detector

    model = resolve(ref, uri, use_cached=use_cached)
    return load_detector(model.path, device=device), model


def verify(ref: str | Path, uri: str | Path | None = None) -> ResolvedModel:
    """Fetch a model afresh, past the cache, and check every file of it.

    Raises
    ------
    ModelRefusedError
        If a file is missing, added or changed, or the detector cannot be read.
    """
    model = resolve(ref, uri)
    if model.name is not None:
        shutil.rmtree(model.path.parents[1], ignore_errors=True)
        model = resolve(f"models:/{model.name}/{model.version}", uri)
    read_model(model.path)
    return model


def _resolve_folder(text: str) -> ResolvedModel:
    if re.match(r"[a-z][a-z0-9+.-]+:/", text) and not (is_remote(text) or path_of_file(text)):
        raise ConfigError(
            f"{text!r} is no reference to a model of ours. "
            "Write models:/NAME@ALIAS, models:/NAME/VERSION or a folder."
        )
    path = in_home(on_disk(text)).absolute()
    state = read_model(path)
    return ResolvedModel(ref=text, path=path, digest=model_digest(path), kind=state.kind)


def _find_version(client: MlflowClient, match: re.Match[str], store: str) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    name, alias, version = match.group("name", "alias", "version")
    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, version)
    except MlflowException as err:
        if err.error_code not in ABSENT:
            raise
    aliases = model_aliases(client, name, store)  # refuses an unknown name
    versions = sorted(int(v.version) for v in all_versions(client, name))
    wanted = f"alias {alias!r}" if alias is not None else f"version {version}"
    known = ", ".join(f"@{key} (version {value})" for key, value in sorted(aliases.items()))
    raise ModelRefusedError(
        f"The model {name!r} in {displayed(store)} has no {wanted}. "
        f"It has the aliases {known or 'none'} and the versions {_ranges(versions)}. "
        f"Choose one of them, or run `vae-anomaly models promote {typed(name)} VERSION`."
    )


def _fetch(ref: str, version: ModelVersion, store: str) -> ResolvedModel:
    what = f"{version.name} version {version.version} in {displayed(store)}"
    files = _registered_files(version, what)
    target = cache_folder() / "models" / listing_digest(files)
    if target.exists():
        try:
            inner = check_package(target, files, what)
        except ModelRefusedError:
            logger.warning("the cached copy of %s was damaged; fetching it again", what)
            shutil.rmtree(target)
    if not target.exists():
        _download(version, store, target, files, what)
    inner = check_package(target, files, what)
    kind = read_model(inner).kind
    return ResolvedModel(ref, inner, model_digest(inner), kind, version.name, int(version.version))


def _registered_files(version: ModelVersion, what: str) -> dict[str, str]:
    if STAGE_DIGEST in version.tags:
        detector = version.name.removesuffix(".learned")
        raise ModelRefusedError(
            f"{what} is what verdicts have taught, and no detector. Give the detector: "
            f"{typed(f'models:/{detector}@champion')}"
        )
    missing = [key for key in ("digest", "files", "kind") if f"{TAG}{key}" not in version.tags]
    if missing:
        raise ModelRefusedError(
            f"{what} carries no {' and no '.join(TAG + key for key in missing)} tag: it was not "
            "registered by vae-anomaly, so it is not loaded. Register it with `vae-anomaly train`."
        )
    files = _listed(version.tags[f"{TAG}files"], f"The files tag of {what}")
    if listing_digest(files) != version.tags[f"{TAG}digest"]:
        raise ModelRefusedError(
            f"The digest and files tags of {what} contradict each other. One was changed; "
            "register the model again from a good copy."
        )
    return files


def _listed(text: str, where: str) -> dict[str, str]:
    """Read a list of files and their digests; a ModelRefusedError where it is none."""
    try:
        files = _LISTING.validate_python(parsed_json(text))
        "".join([*files, *files.values()]).encode()  # half a character is no name
        return files
    except ValueError as err:
        reason = first_fault(err) if isinstance(err, ValidationError) else reason_of(err)
        raise ModelRefusedError(
            f"{where} is no list of files: {reason}. Register the model again from a good copy."
        ) from None


def _download(
    version: ModelVersion, store: str, target: Path, files: Mapping[str, str], what: str
) -> None:
    """Download beside the final place, check, then rename: a reader never sees half of it."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
            staging = Path(scratch) / "package"
            staging.mkdir()
            here = _files_here(version, store, what)
            if here is None:
                mlflow.artifacts.download_artifacts(
                    f"models:/{version.name}/{version.version}", dst_path=str(staging)
                )
            else:
                shutil.copytree(here, staging, symlinks=True, dirs_exist_ok=True)
            (staging / "registered_model_meta").unlink(missing_ok=True)  # MLflow adds it here
            check_package(staging, files, what)
            if not target.exists():
                staging.rename(target)
    except MlflowException as err:
        if is_full_here(err):
            raise _no_room(target, os.strerror(errno.ENOSPC)) from err
        if is_outage(err) or is_denial(err):
            raise
        raise ModelRefusedError(
            f"The files of {what} cannot be fetched: {reason_of(err)}. Restore them in the "
            "artifact store, or register the model again."
        ) from err
    except FileNotFoundError as err:
        raise ModelRefusedError(
            f"The files of {what} are gone: {reason_of(err)}. Restore them, or register the "
            "model again."
        ) from err
    except OSError as err:
        away = isinstance(err, RegistryUnavailableError | ConnectionError | TimeoutError)
        if away or is_outage(err) or is_denial(err):
            raise
        raise _no_room(target, reason_of(err)) from err


def _no_room(target: Path, reason: str) -> StorageError:
    return StorageError(
        f"The model cannot be kept in {target.parent}: {reason}. Free some space or set "
        "VAE_ANOMALY_CACHE to another folder."
    )


def _files_here(version: ModelVersion, store: str, what: str) -> Path | None:
    """Return where the files of a store that was moved are now; None where MLflow finds them."""
    import mlflow

    if store_folder(store) is None:
        return None
    client = mlflow.MlflowClient()  # of the store that the session has set
    address = client.get_model_version_download_uri(version.name, version.version)
    here, place = found_here(store, address), local_path(address)
    if here is None and place is not None and not place.exists():
        raise ModelRefusedError(
            f"The files of {what} are gone: {place} is not there. If the store was moved or "
            f"copied, bring its folder artifacts/ along, into {store_folder(store)}; else register "
            "the model again."
        )
    return here


def _memory(ref: str, store: str) -> Path:
    return cache_folder() / "refs" / f"{listing_digest({displayed(store): ref})}.json"


def _remember(ref: str, store: str, model: ResolvedModel, files: dict[str, str]) -> None:
    """Write down what a reference meant, for the day when the registry is away and we are asked."""
    note = {"ref": ref, "name": model.name, "version": model.version, "kind": model.kind}
    remedy = "Free some space or set VAE_ANOMALY_CACHE to another folder."
    write_json({**note, "files": files}, _memory(ref, store), remedy)


def _note(path: Path) -> _Note:
    try:
        return _NOTE.validate_python(parsed_json(path.read_bytes()))
    except (OSError, ValueError) as err:
        reason = first_fault(err) if isinstance(err, ValidationError) else reason_of(err)
        raise ModelRefusedError(
            f"{path}, which tells what the cached copy is of, cannot be read: {reason}. Remove it; "
            "it is written anew when the registry answers."
        ) from None


def _recall(ref: str, store: str, why: str) -> ResolvedModel:
    path = _memory(ref, store)
    if not path.is_file():
        raise RegistryUnavailableError(
            f"{why} No copy stands in for it: {ref} was never fetched on this machine."
        )
    note = _note(path)
    what = f"the cached copy of {ref}"
    target = cache_folder() / "models" / listing_digest(note["files"])
    inner = check_package(target, note["files"], what)
    logger.warning("registry away: using %s, version %s", what, note["version"])
    return ResolvedModel(
        ref, inner, model_digest(inner), note["kind"], note["name"], note["version"]
    )


def _ranges(versions: list[int]) -> str:
    if len(versions) > 3 and versions == list(range(versions[0], versions[-1] + 1)):
        return f"{versions[0]} to {versions[-1]}"
    return ", ".join(map(str, versions)) or "none"
