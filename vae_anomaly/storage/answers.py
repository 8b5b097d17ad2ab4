"""What the exceptions of object stores and of their drivers mean, in words without credentials."""

from __future__ import annotations

import os
import re
from typing import Final

from vae_anomaly.errors import (
    DataError,
    MissingExtraError,
    ObjectStoreError,
    StorageError,
    VaeAnomalyError,
)
from vae_anomaly.files import is_full_disk
from vae_anomaly.storage.addresses import DRIVERS, Address

_EXTRAS: Final = {"s3fs": "'vae-anomaly[s3]'", "gcsfs": "gcsfs", "adlfs": "adlfs"}
_OF_DRIVERS: Final = {
    "adlfs", "aiobotocore", "aiohttp", "asyncio", "azure", "botocore", "fsspec", "gcsfs", "google",
    "s3fs", "urllib3",
}  # fmt: skip
_VARIABLES: Final = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
}
_FAMILY: Final = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}
_SECRETS: Final = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING",
)  # fmt: skip
_SHORTEST_SECRET: Final = 4
_MOST: Final = 200
_NO_BUCKET: Final = re.compile("bucket does not exist|NoSuchBucket|bucket is not valid", re.I)
_DENIED: Final = re.compile(
    "credential|AccessDenied|Forbidden|SignatureDoesNotMatch|InvalidAccessKeyId|ExpiredToken|"
    r"Token has expired|Unauthorized|\b40[13]\b",
    re.I,
)


def error_of(err: BaseException, address: Address, *, writing: bool) -> VaeAnomalyError | None:
    """Return what an exception of a store means; None for one that is no store's.

    ==============================================  ====================  =========
    no package for such addresses                   `MissingExtraError`   exit 2
    no such bucket or object, when reading          `DataError`           exit 3
    not let in, no answer, any other refusal        `ObjectStoreError`    exit 69
    the disk here is full; no bucket to write into  `StorageError`        exit 74
    ==============================================  ====================  =========
    """
    if isinstance(err, VaeAnomalyError):
        return err
    if isinstance(err, ImportError):
        return _no_driver(err, address)
    if is_full_disk(err):
        return StorageError(
            f"{address} cannot be copied to this machine: {without_secrets(str(err))}. Free some "
            "space, or set VAE_ANOMALY_CACHE to a folder that has room."
        )
    text = _gist(err)
    if is_bucket_absent(text):
        kind = StorageError if writing else DataError
        return kind(
            f"{address}: there is no bucket {address.bucket!r} at {store_name(address)}. Make it, "
            "or check the address."
        )
    if isinstance(err, FileNotFoundError):
        return DataError(f"{address} does not exist, or not all of it. Check the address.")
    if isinstance(err, PermissionError) or _DENIED.search(f"{type(err).__name__} {text}"):
        return _denied(address, text, writing=writing)
    if not isinstance(err, OSError) and type(err).__module__.partition(".")[0] not in _OF_DRIVERS:
        return None
    return no_answer(address, text)


def is_bucket_absent(text: str) -> bool:
    """Tell whether a message is that of a bucket which does not exist."""
    return bool(_NO_BUCKET.search(text))


def no_answer(address: Address, reason: str) -> ObjectStoreError:
    """Return the error of a store that does not answer, or not in time, or with a fault."""
    return ObjectStoreError(
        f"{address}: the store at {store_name(address)} does not answer as it should ({reason}). "
        "Check the network and the endpoint, then run again; what is done is not done twice."
    )


def without_secrets(text: str) -> str:
    """Return a text without the values of the variables that hold credentials."""
    for name in _SECRETS:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return re.sub(r"//[^/\s@:]*:[^/\s@]*@", "//", text)


def _no_driver(err: ImportError, address: Address) -> MissingExtraError:
    package = DRIVERS[address.scheme] or ""
    return MissingExtraError(
        f"Addresses like {address.scheme}:// need the package {package}, which cannot be imported "
        f"({err}). Install it: pip install {_EXTRAS.get(package, package)}"
    )


def _denied(address: Address, text: str, *, writing: bool) -> ObjectStoreError:
    names = _VARIABLES.get(_FAMILY.get(address.scheme, address.scheme), ())
    given = [name for name in names if os.environ.get(name)]
    return ObjectStoreError(
        f"{address}: the store at {store_name(address)} does not let us "
        f"{'write' if writing else 'read'} there ({text}). Ask for the permission, or set "
        f"{', '.join(names)} (set now: {', '.join(given) or 'none'})."
    )


def store_name(address: Address) -> str:
    """Return which store an address belongs to, as its driver is told: an endpoint, or its kind."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if _FAMILY.get(address.scheme, address.scheme) == "s3":
        given = next((value for name in names if (value := os.environ.get(name))), "Amazon S3")
        return without_secrets(given)
    return f"{address.scheme}://"


def _gist(err: BaseException) -> str:
    """Return the beginning of a message in one line, without the query of an address."""
    text = str(err) or type(err).__name__
    line = re.sub(r"\?[^\s\"']*", "", " ".join(without_secrets(text).split()))
    return (line if len(line) <= _MOST else f"{line[:_MOST]}...").rstrip(".")
