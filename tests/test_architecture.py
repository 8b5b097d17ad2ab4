"""Imports point one way, no two modules know each other, importing the package costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import vae_anomaly

PACKAGE = Path(vae_anomaly.__file__).parent
TESTS = Path(__file__).parent

# Lowest layer first. A module belongs to the longest of these names that begins its own, and may
# import from its own layer and from those above it in this list. docs/architecture.md draws them.
LAYERS: list[tuple[str, ...]] = [
    ("errors", "names", "progress", "version", "arrays", "lazy", "words"),
    ("files", "devices", "logs", "threads"),
    ("state",),
    ("storage",),
    ("metrics", "vae.likelihoods", "data.tables", "scoring.outliers"),
    ("vae", "data.images"),
    ("vae.training", "data.doctor", "data.synthetic"),
    ("vae.sweep", "scoring", "verdicts"),
    ("thresholds",),
    ("thresholds.policies",),
    ("thresholds.catalogue", "thresholds.threshold"),
    ("thresholds.candidates", "thresholds.compare", "thresholds.interactive", "thresholds.reviews"),
    ("thresholds.tune",),
    ("monitoring",),
    ("persistence",),
    ("detectors",),
    ("detectors.tabular.encode", "detectors.tabular.memory"),
    ("detectors.tabular",),
    ("detectors.tabular.fit",),
    ("detectors.tabular.parameters",),
    ("detectors.tabular.detector",),
    (
        "detectors.images.conditions",
        "detectors.images.heatmaps",
        "detectors.images.features",
    ),
    ("detectors.images.fine",),
    ("detectors.images.score",),
    ("detectors.images.place",),
    ("detectors.images.image_list",),
    ("detectors.images.networks",),
    ("detectors.images.settings", "detectors.images.start"),
    ("detectors.images.fit",),
    ("detectors.images.tiles",),
    ("detectors.images",),
    ("detectors.images.onnx",),
    ("detectors.images.detector",),
    ("detectors.protocol", "detectors.judged", "detectors.known_items", "detectors.begin"),
    ("reports.facts", "reports.palette"),
    ("reports.charts",),
    ("reports",),
    ("tracking",),
    ("batch",),
    ("evaluation",),
    ("jobs",),
    ("cli",),
    ("cli.threshold",),
    ("cli.feedback", "cli.probability"),
    ("__main__",),
]
ORDER = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MAX_MODULES = 16
MAX_LINES = 500
# Public names that several modules define, and why: one meaning, which each of them fills in.
TWINS = {
    "check_parameters": "refuses what the detector of the wing cannot be given",
    "PRESETS": "what each preset of the wing stands for",
    "POLICIES": "the policies of a file, which the catalogue collects",
    "logger": "every module logs under its own name",
}


def name_of(path: Path) -> str:
    """Return the dotted name below the package; a face is named like its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_face(name: str) -> bool:
    return MODULES[name].name == "__init__.py"


def within(name: str, room: str) -> bool:
    return not room or f"{name}.".startswith(f"{room}.")


@cache
def level_of(name: str) -> int:
    """Return the layer of a module; a face stands as high as the highest thing that it shows."""
    if is_face(name):
        return max((level_of(other) for other in neighbours(name)), default=0)
    rooms = [room for room in ORDER if within(name, room)]
    assert rooms, f"{name} has no place in LAYERS: give it one"
    return ORDER[max(rooms, key=len)]


@cache
def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the dotted names that a file imports, those for types only included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(_module(node.module, alias.name) for alias in node.names)
    return names


def _module(package: str, name: str) -> str:
    """Tell ``from package import module`` from ``from module import name``."""
    inner = f"{package}.{name}".removeprefix("vae_anomaly.")
    return f"{package}.{name}" if inner in MODULES else package


@cache
def neighbours(name: str) -> set[str]:
    """Return the modules of the package that one imports."""
    inner = {n for n in imported(MODULES[name]) if n.split(".")[0] == "vae_anomaly"}
    return {n.removeprefix("vae_anomaly").removeprefix(".") for n in inner} - {name}


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "vae_anomaly")
def test_imports_point_one_way(name):
    for other in neighbours(name):
        assert level_of(other) <= level_of(name), f"{name} imports {other} upwards"


def test_no_two_modules_know_each_other_not_even_for_types():
    left = {name: neighbours(name) for name in MODULES}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        left = {name: others for name, others in left.items() if name not in free}
    assert not left, f"these import each other, or what does: {sorted(left)}"


def test_no_two_rooms_of_one_storey_know_each_other():
    arrows = {
        (room_of(name), room_of(other))
        for name in MODULES
        if not is_face(name)
        for other in neighbours(name)
        if not is_face(other)
    }
    mutual = {(a, b) for a, b in arrows if a != b and (b, a) in arrows}
    assert mutual == set()


@cache
def room_of(name: str) -> str:
    return max((room for room in ORDER if within(name, room)), key=len)


def test_a_folder_has_no_more_modules_than_a_reader_can_hold():
    sizes = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")
    assert {str(f): n for f, n in sizes.items() if n > MAX_MODULES} == {}


def test_a_module_is_no_longer_than_a_reader_can_hold():
    lengths = {n: len(p.read_text(encoding="utf-8").splitlines()) for n, p in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_public_name_is_defined_twice():
    homes: dict[str, list[str]] = {}
    for name in MODULES:
        if not within(name, "cli"):  # commands are named like what they call
            for defined in names_defined(MODULES[name]) - TWINS.keys():
                homes.setdefault(defined, []).append(name)
    assert {defined: names for defined, names in homes.items() if len(names) > 1} == {}


def names_defined(path: Path) -> set[str]:
    """Return the public names that a module defines itself: classes, functions and constants."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inside = (part for target in targets for part in ast.walk(target))
            names |= {part.id for part in inside if isinstance(part, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_the_tests_lie_as_the_package_does():
    folders = {name_of(path.parent / "__init__.py") for path in MODULES.values()}
    extra = {"golden", "oracles", "benchmarks", "browser", "datasets", "faults", "pipelines"}
    for path in TESTS.rglob("test_*.py"):
        folder = ".".join(path.relative_to(TESTS).parent.parts)
        assert folder in folders or folder in extra, f"{path} has no room of that name"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("mlflow", "tracking"), ("click", "cli"), ("rich", "cli")],
)
def test_a_library_is_imported_in_its_room_only(library, allowed):
    for name, path in MODULES.items():
        roots = {other.split(".")[0] for other in imported(path)}
        assert library not in roots or within(name, allowed), f"{name} imports {library}"


@pytest.mark.parametrize("room", ["thresholds", "metrics", "data"])
def test_rooms_of_plain_numbers_import_no_torch(room):
    for name, path in MODULES.items():
        if within(name, room):
            assert not {n for n in imported(path) if n.split(".")[0] == "torch"}, name


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "cli").rglob("*.py")), ids=lambda path: path.name
)
def test_command_modules_import_nothing_heavy_at_the_top(path):
    heavy = {"torch", "mlflow", "sklearn", "pandas", "numpy", "matplotlib", "scipy", "pyarrow"}
    assert not {n for n in imported(path, top_level_only=True) if n.split(".")[0] in heavy}


def test_nothing_imports_the_cli_or_the_pipelines():
    for name, path in MODULES.items():
        for other in imported(path):
            assert not other.startswith("pipelines"), name
            inside = within(name, "cli") or name == "__main__"
            assert not other.startswith("vae_anomaly.cli") or inside, name


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
    for path in MODULES.values():
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & set(forbidden), path
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text, path
        assert "allow_pickle=True" not in text, path
