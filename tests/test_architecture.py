"""Imports point one way, and importing the package costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vae_anomaly

PACKAGE = Path(vae_anomaly.__file__).parent

# Lowest layer first. A module may import from its own layer and from those above it in this list.
LAYERS: list[tuple[str, ...]] = [
    ("errors", "progress", "version", "lazy", "arrays"),
    ("files", "devices"),
    ("state",),
    ("metrics",),
    ("vae", "data"),
    ("scoring",),
    ("thresholds",),
    ("persistence",),
    ("detectors",),
    ("reports",),
    ("tracking",),
    ("batch",),
    ("evaluation",),
    ("jobs",),
    ("cli",),
]
ORDER = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree without the blocks that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)


def imports_of(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(_executed(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in ORDER, f"{room} has no place in LAYERS: give it one"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "vae_anomaly" and len(parts) > 1:
            assert ORDER[parts[1]] <= ORDER[room], f"{room} imports {parts[1]} upwards"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("mlflow", {"tracking"}), ("click", {"cli"}), ("rich", {"cli"})],
)
def test_a_library_is_imported_in_its_room_only(library, allowed):
    for path in MODULES:
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert library not in roots or room_of(path) in allowed, f"{path} imports {library}"


@pytest.mark.parametrize("room", ["thresholds", "metrics", "data"])
def test_rooms_of_plain_numbers_import_no_torch(room):
    place = PACKAGE / room
    for path in [place] if place.is_file() else place.rglob("*.py"):
        assert not {name for name in imports_of(path) if name.split(".")[0] == "torch"}, path


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "cli").rglob("*.py")), ids=lambda path: path.name
)
def test_command_modules_import_nothing_heavy_at_the_top(path):
    heavy = {"torch", "mlflow", "sklearn", "pandas", "numpy", "matplotlib", "scipy", "pyarrow"}
    assert not {n for n in imports_of(path, top_level_only=True) if n.split(".")[0] in heavy}


def test_nothing_imports_the_cli_or_the_pipelines():
    for path in MODULES:
        for name in imports_of(path):
            assert not name.startswith("pipelines"), path
            assert not name.startswith("vae_anomaly.cli") or room_of(path) == "cli", path


def test_importing_the_package_loads_neither_torch_nor_mlflow_and_prints_nothing():
    code = (
        "import sys, vae_anomaly; print(sorted({'torch', 'mlflow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_public_name_exists_and_is_documented():
    for name in vae_anomaly.__all__:
        assert getattr(vae_anomaly, name).__doc__, name
    assert vae_anomaly.__all__ == sorted(vae_anomaly.__all__)


def test_no_module_loads_a_pickle():
    forbidden = ("pickle", "joblib", "cloudpickle", "dill", "shelve", "yaml")
    for path in MODULES:
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & set(forbidden), path
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text, path
        assert "allow_pickle=True" not in text, path
