"""A store in PostgreSQL: its first use by several at once, and a password that nobody sees."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracking.live_server import LiveServer
from tracking.model_life import live

from vae_anomaly.tracking import list_models, register_directory

PASSWORD = "canary-4711"  # noqa: S105 - of a database that ends with the test
OPEN_IT = "import sys; from vae_anomaly.tracking import init_store; init_store(sys.argv[1])"


def programs() -> Path:
    """Where PostgreSQL's programs are."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [*folders, *([Path(found).parent] if found else [])]:
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    pytest.skip("PostgreSQL is not installed")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory) -> Iterator[str]:
    """The address of a server that has no tables yet, with the password in it."""
    pytest.importorskip("pg8000", reason="the driver pg8000 is not installed")
    bin_, folder = programs(), tmp_path_factory.mktemp("postgres")
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        try:
            user = pwd.getpwnam("postgres").pw_uid
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        for parent in (folder, *folder.parents):
            if parent.name.startswith("pytest-of-"):
                parent.chmod(0o755)
                break
            parent.chmod(0o755)
        shutil.chown(folder, user)
    (folder / "password").write_text(PASSWORD)
    data, password = folder / "data", f"--pwfile={folder / 'password'}"
    subprocess.run([bin_ / "initdb", "-D", data, "-U", "me", "-A", "scram-sha-256", password, "-N"],
                   user=user, check=True, capture_output=True)  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [bin_ / "postgres", "-D", data, "-k", folder, "-p", str(port),
               "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]  # fmt: skip
    server = subprocess.Popen(command, user=user, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if not subprocess.run([bin_ / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)],
                                  check=False).returncode:  # fmt: skip
                break
            time.sleep(0.1)
        yield f"postgresql+pg8000://me:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # it does not wait for those who are connected
        server.wait(30)


@pytest.fixture
def database(postgres) -> str:
    """The address of a database of one test, which nobody has used directly before."""
    import pg8000.native

    port = int(postgres.rpartition(":")[2].partition("/")[0])
    asked = pg8000.native.Connection("me", "127.0.0.1", "postgres", port, PASSWORD)
    asked.run("CREATE DATABASE life")
    asked.close()
    return postgres.replace("/postgres", "/life")


def test_several_processes_use_a_new_database_at_once_and_no_password_is_shown(
    postgres, table_model, tmp_path
):
    command = [sys.executable, "-W", "ignore", "-c", OPEN_IT, postgres]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        _, told = process.communicate(timeout=180)
        assert process.returncode == 0, told
        assert PASSWORD not in told
    register_directory(table_model, name="cards", alias="champion", evidence="made", uri=postgres)
    command = [sys.executable, "-m", "vae_anomaly", "models", "list", "--tracking-uri"]
    for uri, code in ((postgres, 0), (postgres.replace("/postgres", "/nothing"), 69)):
        listed = subprocess.run([*command, uri], capture_output=True, text=True, check=False)
        assert listed.returncode == code, listed.stderr
        assert PASSWORD not in listed.stdout + listed.stderr
    assert [model.name for model in list_models(postgres)] == ["cards"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]


def test_a_model_lives_on_a_server_over_postgresql(
    database, say, own_cache, tmp_path, tmp_path_factory, monkeypatch
):
    server = LiveServer(tmp_path_factory.mktemp("mlflow"), database)
    server.start()
    try:
        live(server, say, tmp_path, monkeypatch)
    finally:
        server.kill()
