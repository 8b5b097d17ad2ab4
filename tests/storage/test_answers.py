"""What an exception of a store means, and what must not be said of it."""

from __future__ import annotations

import errno

import pytest

from vae_anomaly.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    ObjectStoreError,
    StorageError,
)
from vae_anomaly.storage.addresses import address_of, path_of_file
from vae_anomaly.storage.answers import error_of, without_secrets

PLACE = address_of("s3://parts/night")


@pytest.mark.parametrize(
    ("err", "writing", "kind"),
    [
        (ImportError("Install s3fs"), False, MissingExtraError),
        (FileNotFoundError("The specified bucket does not exist"), False, DataError),
        (FileNotFoundError("The specified bucket does not exist"), True, StorageError),
        (PermissionError("Access Denied"), True, ObjectStoreError),
        (ConnectionError("reset"), False, ObjectStoreError),
        (OSError(errno.ENOSPC, "No space left on device"), False, StorageError),
    ],
)
def test_each_fault_has_the_error_that_says_what_to_do(err, writing, kind):
    assert type(error_of(err, PLACE, writing=writing)) is kind


def test_a_fault_of_our_own_stays_what_it_is():
    assert error_of(KeyError("x"), PLACE, writing=False) is None


def test_no_message_holds_a_secret(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-4711")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:canary-0815@store:9000")
    err = ConnectionError("http://me:canary-0815@store/x?X-Amz-Signature=canary-1 canary-4711")
    assert "canary" not in str(error_of(err, PLACE, writing=False))
    assert without_secrets("key canary-4711") == "key ***"


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///night", "s3://a//b", "s3://a/../b", "s3://me:secret@a/b", "s3://*/b"]
)
def test_what_is_no_address_is_refused_without_its_password(text):
    with pytest.raises(ConfigError) as caught:
        address_of(text)
    assert "secret" not in str(caught.value)


def test_a_file_address_of_another_machine_is_refused():
    with pytest.raises(ConfigError, match="names another machine"):
        path_of_file("file://server/share")
