"""A real driver against a server that speaks S3: kills between any two uploads, and refusals."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from batch.launcher import KILLED, LAUNCHER
from tracking.real_models import image_model, table_model, write_days, write_surfaces  # noqa: F401 - a fixture

from vae_anomaly.batch import read_manifest, read_results, score_images, score_tables
from vae_anomaly.batch.output.remote import PUT_STEPS
from vae_anomaly.errors import (
    DataError,
    LockedError,
    MissingExtraError,
    ObjectStoreError,
    StorageError,
)
from vae_anomaly.storage.addresses import address_of
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.storage.leases import Lease, leased
from vae_anomaly.storage.stores import Store

pytest.importorskip("s3fs", reason="the extra [s3] is not installed")
pytest.importorskip("moto", reason="moto, a server that speaks S3, is not installed")
pytest.importorskip("flask_cors", reason="what moto's server needs is not installed")

SECRET = "canary-4711"  # noqa: S105 - of a server that ends with the test
TIMED = ("ledger.sqlite", "summary.json")
SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").disabled = True
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of its own process, which outlives those that are killed."""
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.communicate(timeout=30)


def variables(server: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """The cache folder of this machine, which a process has in common with the next one."""
    return Path(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _at_the_server(server, cache, monkeypatch, tmp_path):
    for name, value in variables(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("VAE_ANOMALY_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bucket(server, request) -> Iterator[str]:
    """A new bucket with the three days."""
    import fsspec

    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    fs.mkdir(name)
    days = write_days(Path("days"))
    fs.put([str(p) for p in days.iterdir()], [f"{name}/days/{p.name}" for p in days.iterdir()])
    return name


@pytest.fixture(scope="module")
def launch(server, cache) -> Iterator[Callable[..., int]]:
    """Score in a fork of a process that has everything loaded; return its exit status."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LAUNCHER], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, **variables(server), "OMP_NUM_THREADS": "1",
             "VAE_ANOMALY_CACHE": str(cache)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    def run(model: Path, night: str, out: str, failpoint: str) -> int:
        order = {"model": str(model), "night": night, "out": out, "failpoint": failpoint,
                 "images": False, "id_column": "id", "workers": 1, "stderr": None,
                 "patience": 60, "max_bytes": 0}  # fmt: skip
        print(json.dumps(order), file=process.stdin, flush=True)
        return int(process.stdout.readline())

    yield run
    process.stdin.close()
    process.wait(timeout=30)
    process.stdout.close()


def objects(bucket: str, folder: str) -> dict[str, bytes]:
    """What a folder of the store holds for readers; ledger and summary hold times."""
    store = Store(address_of(f"s3://{bucket}/{folder}"))
    found = [one.name for one in store.find(f"{bucket}/{folder}")]
    content = {name.rpartition(f"{folder}/")[2]: store.read(name) or b"" for name in found}
    return {name: one for name, one in content.items() if name not in TIMED}


KILLS = [f"{step}:1" for step in PUT_STEPS] + ["put:2", "put:3"]


def test_killed_between_any_two_uploads_and_run_again_the_bytes_are_those_of_a_local_run(
    bucket, table_model, launch, cache
):  # fmt: skip
    score_tables(table_model, "days", "local", id_column="id")
    local = {p.relative_to("local").as_posix(): p.read_bytes() for p in Path("local").rglob("*")
             if p.is_file() and not p.name.startswith((".", "ledger", "summary"))}  # fmt: skip
    n_killed = 0
    for number, step in enumerate(KILLS):
        out = f"s3://{bucket}/flags-{number}"
        status = launch(table_model, f"s3://{bucket}/days", out, step)
        n_killed += status == KILLED
        if status == KILLED and "manifest-put" not in step.split(":")[0].removeprefix("before-"):
            with pytest.raises(DataError, match=r"has not finished|nothing is there"):
                read_manifest(out)
        score_tables(table_model, f"s3://{bucket}/days", out, id_column="id")
        assert objects(bucket, f"flags-{number}") == local, step
    assert n_killed == len(KILLS)
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_workers_fetch_the_images_of_their_partitions(bucket, image_model):
    night = write_surfaces(Path("night"), 8, holes=(2,))
    for _ in Store(address_of(f"s3://{bucket}/x")).put(
        {f"{bucket}/night/{path.name}": path for path in night.iterdir()}
    ):
        pass
    source, out = f"s3://{bucket}/night", f"s3://{bucket}/out"
    assert score_images(image_model, source, out, images_per_partition=4, workers=2).rows_out == 8
    score_images(image_model, night, "local", images_per_partition=4)
    pd.testing.assert_frame_equal(read_results(out), read_results("local"))


def test_one_lock_for_two_runs_and_it_is_renewed(bucket, monkeypatch):
    monkeypatch.setattr("vae_anomaly.storage.leases.RENEWED_S", 0.01)
    store = Store(address_of(f"s3://{bucket}/flags"))
    with leased(store, f"{bucket}/flags", "one", "here") as lease:
        first = store.read(lease.name)
        while store.read(lease.name) == first:
            pass
        with pytest.raises(LockedError, match=r"run one on .* lapses"):
            leased(store, f"{bucket}/flags", "two", "elsewhere").__enter__()
    assert store.read(lease.name) is None


def test_of_two_runs_that_take_a_lapsed_lock_over_the_first_has_it(bucket, monkeypatch):
    store = Store(address_of(f"s3://{bucket}/flags"))
    dead = Lease("dead", "far", 1, "", 0.0)
    store.write(f"{bucket}/flags/.lock", json.dumps(asdict(dead)).encode())
    replace, faster = Store.replace, dataclasses.replace(dead, run="faster", renewed=time.time())

    def after_another(self, inside: str, content: bytes, etag: str | None) -> bool:
        store.write(inside, json.dumps(asdict(faster)).encode())
        return replace(self, inside, content, etag)

    monkeypatch.setattr(Store, "replace", after_another)
    with pytest.raises(LockedError, match="run faster on far"):
        leased(store, f"{bucket}/flags", "slower", "here").__enter__()
    assert json.loads(store.read(f"{bucket}/flags/.lock"))["run"] == "faster"


def test_a_bucket_that_is_not_there_is_told_apart_from_an_empty_folder(server):
    with pytest.raises(DataError, match=r"there is no bucket 'no-such-bucket' at http://127"):
        on_disk("s3://no-such-bucket/days")
    with pytest.raises(StorageError, match="there is no bucket 'no-such-bucket'"):
        Store(address_of("s3://no-such-bucket/out")).write("no-such-bucket/out/a", b"")


def test_without_credentials_the_variables_are_named_and_no_value_is(server, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ObjectStoreError, match=r"AWS_ACCESS_KEY_ID.*set now: none") as caught:
        on_disk("s3://bucket/days")
    assert caught.value.exit_code == 69


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "nowhere")  # so that no driver is at hand
    with pytest.raises(MissingExtraError, match=r"pip install 'vae-anomaly\[s3\]'"):
        on_disk("s3://bucket/days")


@pytest.fixture
def answers() -> Iterator[Callable[[bytes, float], str]]:
    """A server that answers everything with these bytes, one by one at that pace."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip(client: socket.socket, content: bytes, pause_s: float) -> None:
        with client:
            client.recv(65536)
            for byte in content:
                if ended.wait(pause_s):
                    return
                client.sendall(bytes([byte]))

    def serve(content: bytes, pause_s: float) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(client, content, pause_s), daemon=True).start()

    def begin(content: bytes, pause_s: float) -> str:
        threading.Thread(target=serve, args=(content, pause_s), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield begin
    ended.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_server_that_drips_is_given_up(answers, monkeypatch):
    monkeypatch.setattr("vae_anomaly.storage.stores.STEP_S", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", answers(b"HTTP/1.1 200 OK\r\n" * 1000, 0.05))
    with pytest.raises(ObjectStoreError, match="not done in 0 s"):
        on_disk("s3://bucket/days")


def test_who_is_not_let_in_is_told_so_without_the_secret(answers, monkeypatch):
    body = f"<Error><Code>AccessDenied</Code><Message>no, {SECRET}</Message></Error>".encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\n"
    url = answers(f"{head}Content-Type: application/xml\r\n\r\n".encode() + body, 0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(ObjectStoreError, match="does not let us read there") as caught:
        on_disk("s3://bucket/days")
    assert SECRET not in str(caught.value)


def test_nobody_at_the_endpoint_is_no_endless_wait(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ObjectStoreError, match=r"http://127\.0\.0\.1:9 does not answer"):
        on_disk("s3://bucket/days")
