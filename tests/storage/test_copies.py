"""What is fetched of an object store, and when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from vae_anomaly.errors import DataError, StorageError
from vae_anomaly.storage.addresses import copies_folder, with_addresses
from vae_anomaly.storage.copies import copies_dropped, on_disk


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """An object store in this process with three objects."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pipe({"bkt/n/1.csv": b"1", "bkt/n/deep/2.csv": b"2", "bkt/n/3.txt": b"3"})
    yield fs
    fs.store.clear()


def names(folder: str | Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def test_a_copy_has_the_name_of_the_object_and_its_address_follows_from_its_path(bucket):
    copy = on_disk("memory://bkt/n/deep/2.csv")
    assert str(copy).endswith("/memory/bkt/n/deep/2.csv")
    assert with_addresses(f"{copy} is empty") == "memory://bkt/n/deep/2.csv is empty"


def test_a_pattern_fetches_what_it_matches_and_stays_one(bucket):
    pattern = on_disk("memory://bkt/n/*.csv")
    assert names(Path(pattern).parent) == ["1.csv"]
    on_disk("memory://bkt/*/d*")
    assert names(Path(pattern).parent) == ["1.csv", "deep/2.csv"]


def test_what_was_changed_or_removed_in_the_store_is_so_here(bucket):
    folder = on_disk("memory://bkt/n")
    bucket.pipe("bkt/n/1.csv", b"other")
    bucket.rm("bkt/n/3.txt")
    on_disk("memory://bkt/n")
    assert names(folder) == ["1.csv", "deep/2.csv"]
    assert Path(folder, "1.csv").read_bytes() == b"other"


def test_what_a_run_has_fetched_goes_with_it(bucket):
    with copies_dropped():
        folder = on_disk("memory://bkt/n")
        assert len(names(folder)) == 3
    assert names(folder) == []


def test_what_the_disk_has_no_room_for_is_not_begun(bucket, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Full())
    with pytest.raises(StorageError, match="Set VAE_ANOMALY_CACHE to a folder that has room"):
        on_disk("memory://bkt/n")


class _Full:
    total, free = 100, 1


def test_folders_of_processes_that_were_killed_are_removed(bucket):
    left = copies_folder() / "inputs" / "1-abc" / "memory"
    left.mkdir(parents=True)
    os.utime(left.parent, (0, 0))
    on_disk("memory://bkt/n")
    assert not left.exists()


def test_objects_and_folders_of_one_name_are_refused(bucket):
    bucket.store["/bkt/n/deep"] = bucket.store["/bkt/n/1.csv"]
    with pytest.raises(DataError, match="both an object and a folder"):
        on_disk("memory://bkt/n")
