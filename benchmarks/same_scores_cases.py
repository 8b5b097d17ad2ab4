"""The configurations of `same_scores.py`: each member, preset and option, on few rows and images.

They use the public names of the package only, for the modules inside move.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from same_scores_data import (
    discs_and_squares,
    keep,
    numbers,
    payments,
    plates,
    spoilt,
    strange_numbers,
    strange_payments,
    strange_words,
    words,
    write_images,
)
from torch import nn

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, Threshold, load_detector

Case = Callable[[Path], None]
CASES: dict[str, Case] = {}
QUICK = {"max_steps": 20, "hidden": 16, "random_state": 0}
SMALL: dict[str, Any] = {"image_size": 64, "random_state": 0}
TABLE_MEMBERS = (
    "vae", "beta", "denoising", "conditional", "ladder", "autoencoder", "importance_weighted",
    "mixture", "vamp",
)  # fmt: skip
TABLE_SCORES = ("fused", "reconstruction", "elbo", "iw_nll", "kl", "latent")
IMAGE_MEMBERS = (
    "conv", "beta", "denoising", "autoencoder", "conditional", "vq", "ladder",
    "importance_weighted", "mixture", "vamp",
)  # fmt: skip


def case(name: str) -> Callable[[Case], Case]:
    """Add a configuration under a name."""

    def add(run: Case) -> Case:
        CASES[name] = run
        return run

    return add


# ---------------------------------------------------------------------- what is asked of a detector


def some(items: Any, rows: list[int]) -> Any:
    """Return some of the items: rows of a frame or an array, or paths of a list."""
    if isinstance(items, pd.DataFrame):
        return items.iloc[rows]
    return [items[row] for row in rows] if isinstance(items, list) else items[rows]


def one(items: Any, row: int) -> Any:
    """Return a single item as `interpolate` takes it."""
    return items[row] if isinstance(items, list) else some(items, [row])


def attempt(folder: Path, name: str, ask: Callable[[], Any]) -> None:
    """Keep an answer, or the refusal where a member cannot give it."""
    try:
        answer = ask()
    except Exception as err:  # noqa: BLE001 - a refusal is an answer, compared as well
        answer = f"refused: {type(err).__name__}"
    keep(folder, name, answer)


def ask(folder: Path, detector: Any, items: Any) -> None:
    """Keep what every detector says of items, and the model that it saves."""
    model = detector.save(folder / "model")
    if hasattr(detector, "history_"):  # a loaded detector has none
        steps = detector.history_.to_frame()
        keep(folder, "history", steps.drop(columns="seconds", errors="ignore"))
    keep(folder, "assess", detector.assess(items))
    for name in (
        "p_value", "anomaly_score", "decision_function", "predict", "evidence", "explain",
    ):  # fmt: skip
        keep(folder, name, getattr(detector, name)(items))
    keep(folder, "reasons", detector.reasons(items, top=5))
    for row in (0, 3, 7):
        keep(folder, f"alone_{row}", detector.assess(some(items, [row])))
    few = some(items, [9, 2, 5, 0, 7])
    keep(folder, "few", detector.assess(few))
    keep(folder, "few_reasons", detector.reasons(few))
    if isinstance(detector, ImageVAEDetector):
        ask_maps(folder, detector, items)
    else:
        keep(folder, "missing_cells", detector.missing_cells(items))
        attempt(folder, "augment", lambda: detector.augment(few, 4, random_state=5))
    ask_latents(folder, detector, items)
    features = detector.features if isinstance(detector, ImageVAEDetector) else None
    loaded = load_detector(model, features=features) if features else load_detector(model)
    keep(folder, "loaded", loaded.assess(items))
    loaded.set_threshold(Threshold.from_fpr(detector.anomaly_score(items), 0.2))
    keep(folder, "flagged_at_20_percent", loaded.predict(items))


def answers_in(examination: Any) -> dict[str, Any]:
    """Return what an examination of images says; the images themselves are no answer."""
    return {"ids": examination.ids} | {k: v for k, v in vars(examination).items() if k != "images"}


def ask_maps(folder: Path, detector: Any, images: Any) -> None:
    """Keep where images differ."""
    for name in ("heatmap", "regions", "masks", "contours"):
        keep(folder, name, getattr(detector, name)(images))
    seen = detector.examine(images)
    keep(folder, "heat", seen.heatmap if hasattr(seen, "heatmap") else seen.heat)
    keep(folder, "score_map", seen.score_map if hasattr(seen, "score_map") else seen.scored)
    keep(folder, "judged_as", list(seen.judged_as))
    few = some(images, [0, 1, 2])
    keep(folder, "heatmap_of_size", detector.heatmap(few, size=(50, 70)))
    keep(folder, "regions_above_1", detector.regions(few, level=1.0))


def ask_latents(folder: Path, detector: Any, items: Any) -> None:
    """Keep what is drawn from the latent space and how one walks in it."""
    a, b = one(items, 0), one(items, 9)
    questions: dict[str, Callable[[], Any]] = {
        "transform": lambda: detector.transform(items),
        "reconstruct": lambda: detector.reconstruct(items),
        "sample_prior": lambda: detector.sample(5, random_state=3),
        "sample_normal": lambda: detector.sample(5, sampler="normal", random_state=3),
        "sample_gmm": lambda: detector.sample(5, sampler="gmm", random_state=3),
        "interpolate": lambda: detector.interpolate(a, b, 4),
        "interpolate_spherical": lambda: detector.interpolate(a, b, 4, "spherical"),
        "traverse": lambda: detector.traverse(a, values=[-2.0, 0.5]),
        "traverse_mean": lambda: detector.traverse(dims=[0], values=[1.0]),
        "leading": lambda: list(detector.leading_latents()),
        "direction": lambda: detector.attribute_direction(
            some(items, [0, 1]), some(items, [5, 6, 7])
        ),
    }
    for name, question in questions.items():
        attempt(folder, name, question)


# ---------------------------------------------------------------------- tables


def table(name: str, n: int = 300, **parameters: Any) -> None:
    """Add a detector of payments, scored on strange ones."""
    fit = {key: parameters.pop(key) for key in ("groups",) if key in parameters}

    @case(f"table/{name}")
    def run(folder: Path) -> None:
        detector = TabularVAEDetector(**QUICK | parameters).fit(payments(n, 1), **fit)
        ask(folder, detector, strange_payments())


table("default-few-rows")
table("default-split", n=2_300)
table("default-full-training", n=400, max_steps=None, hidden=64)
table("fast", preset="fast")
table("fast-split", preset="fast", n=2_300)
table("thorough", preset="thorough")
table("thorough-split", preset="thorough", n=2_300)
table("smallest", n=12)
table("contamination", contamination=0.1)
table("contamination-split", contamination=0.05, n=2_300)
table("contamination-conditional", contamination=0.1, model="conditional", condition="trade")
table("groups", groups="card")
table("groups-split", groups="card", n=2_300)
table("groups-contamination", groups="card", contamination=0.1)
table("latent-dim", latent_dim=3)
table("beta-given", beta=0.5)
table("target-fpr", target_fpr=0.1)
table("column-kinds", column_kinds={"items": "categorical", "shop": "ignored"})
table("memory-100", memory=100)
table("memory-summary", memory=150, n=6_000)
table("memory-summary-groups", memory=150, n=6_000, groups="card")
table("memory-summary-fast", memory=150, n=6_000, preset="fast")
table("longer-than-training", n=12_000)
table("longer-thorough-summary", n=12_000, memory=400, preset="thorough")
table("conditional-100-each", model="conditional", condition="chip", n=1_500)
table("conditional-100-each-split", model="conditional", condition="trade", n=4_000)
table("conditional-summary", model="conditional", condition="trade", n=6_000, memory=200)
for _score in TABLE_SCORES:
    table(f"score-{_score}", score=_score)
    table(f"score-{_score}-split", score=_score, n=2_300)
for _member in TABLE_MEMBERS:
    _told = {"condition": "trade"} if _member == "conditional" else {}
    table(f"member-{_member}", model=_member, **_told)
    table(f"member-{_member}-split", model=_member, n=2_300, **_told)
    if _member != "autoencoder":
        table(f"member-{_member}-elbo", model=_member, score="elbo", **_told)
    table(f"member-{_member}-fast-latent", model=_member, preset="fast", score="latent", **_told)


@case("table/arrow")
def arrow(folder: Path) -> None:
    table_ = pa.Table.from_pandas(payments(300, 1))
    detector = TabularVAEDetector(**QUICK, preset="fast").fit(table_)
    ask(folder, detector, strange_payments())
    keep(folder, "assess_arrow", detector.assess(pa.Table.from_pandas(strange_payments())))


@case("table/sample-weight")
def sample_weight(folder: Path) -> None:
    weights = np.random.default_rng(3).choice([0.0, 0.3, 1.0, 2.0, 3.0], 400)
    detector = TabularVAEDetector(**QUICK).fit(payments(400, 1), sample_weight=weights)
    ask(folder, detector, strange_payments())


@case("table/sample-weight-groups")
def sample_weight_groups(folder: Path) -> None:
    weights = np.random.default_rng(3).integers(0, 3, 400)
    rows = payments(400, 1)
    detector = TabularVAEDetector(**QUICK).fit(rows, groups="card", sample_weight=weights)
    ask(folder, detector, strange_payments())


@case("table/numbers")
def only_numbers(folder: Path) -> None:
    ask(folder, TabularVAEDetector(**QUICK).fit(numbers(300, 1)), strange_numbers())


@case("table/numbers-split")
def only_numbers_split(folder: Path) -> None:
    ask(folder, TabularVAEDetector(**QUICK).fit(numbers(2_300, 1)), strange_numbers())


@case("table/numbers-wide")
def wide_numbers(folder: Path) -> None:
    detector = TabularVAEDetector(**QUICK).fit(numbers(120, 1, 410))
    ask(folder, detector, strange_numbers(width=410))


@case("table/numbers-one-column")
def one_number(folder: Path) -> None:
    ask(folder, TabularVAEDetector(**QUICK).fit(numbers(200, 1, 1)), strange_numbers(width=1))


@case("table/words")
def only_words(folder: Path) -> None:
    ask(folder, TabularVAEDetector(**QUICK).fit(words(400, 1)), strange_words())


@case("table/words-ladder")
def words_ladder(folder: Path) -> None:
    ask(folder, TabularVAEDetector(**QUICK, model="ladder").fit(words(400, 1)), strange_words())


# ---------------------------------------------------------------------- images


class Layers(nn.Module):
    """A backbone: random convolutions at strides 4 and 16."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.fine = nn.Sequential(nn.Conv2d(channels, 12, 7, 4, 3), nn.ReLU())
            self.coarse = nn.Sequential(nn.Conv2d(12, 24, 5, 4, 2), nn.Tanh())

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return two maps (N, F, h, w)."""
        fine = self.fine(x)
        return [fine, self.coarse(fine)]


def image(name: str, *, n: int = 20, look: dict[str, Any] | None = None, **parameters: Any) -> None:
    """Add a detector of plates, scored on fresh ones of which every second is spoilt."""
    grouped = parameters.pop("groups", False)

    @case(f"image/{name}")
    def run(folder: Path) -> None:
        given = {"max_steps": 8} | parameters
        groups = np.arange(n) // 2 if grouped else None
        detector = ImageVAEDetector(**SMALL | given).fit(plates(n, 1, **look or {}), groups=groups)
        ask(folder, detector, spoilt(plates(10, 2, **look or {})))


_LARGE = {"size": (136, 120)}
_MOVED = {"most": 6}
_PLAIN = {"uniform": True}
_LARGE_MOVED = {"size": (160, 136), "most": 9}
image("fast", preset="fast")
image("default")
image("default-more-steps", max_steps=40)
image("thorough", preset="thorough")
image("fast-fewest", preset="fast", n=8)
image("default-fewest", n=8)
image("many", preset="fast", n=140)
image("groups", groups=True)
image("groups-fast", groups=True, preset="fast")
image("size-96", image_size=96)
image("latent-dim", latent_dim=5)
image("beta", beta=0.5, model="conv")
image("target-fpr", target_fpr=0.2)
image("bf16", precision="bf16")
for _pose in ("any", "fixed"):
    image(f"pose-{_pose}", pose=_pose)
    image(f"pose-{_pose}-fast", pose=_pose, preset="fast")
for _how in ("auto", "shift"):
    image(f"register-{_how}", register=_how, look=_MOVED)
    image(f"register-{_how}-fast", register=_how, look=_MOVED, preset="fast")
image("foreground", foreground="auto", look=_PLAIN)
image("foreground-fast", foreground="auto", look=_PLAIN, preset="fast")
image("foreground-register", foreground="auto", register="auto", look=_PLAIN | {"most": 3})
image("colour", look={"colour": True})
image("colour-fast", look={"colour": True}, preset="fast")
image("colour-as-grey", look={"colour": True}, channels=1, preset="fast")
image("grey-as-colour", channels=3, preset="fast")
image("features", features=Layers())
image("features-fast", features=Layers(), preset="fast")
image("features-colour", features=Layers(3), look={"colour": True}, preset="fast")
image("features-register-foreground", features=Layers(), register="shift", foreground="auto",
      look=_PLAIN | {"most": 3}, preset="fast")  # fmt: skip
image("tiles", tile_size=64, look=_LARGE)
image("tiles-fast", tile_size=64, look=_LARGE, preset="fast")
image("tiles-thorough", tile_size=64, look=_LARGE, preset="thorough")
image("tiles-overlap-0", tile_size=64, tile_overlap=0.0, look=_LARGE, preset="fast")
image("tiles-overlap-half", tile_size=64, tile_overlap=0.5, look=_LARGE, preset="fast")
image("tiles-groups", tile_size=64, look=_LARGE, preset="fast", groups=True)
image("tiles-pose-any", tile_size=64, look=_LARGE, preset="fast", pose="any")
image("tiles-pose-fixed", tile_size=64, look=_LARGE, preset="fast", pose="fixed")
image("tiles-colour", tile_size=64, look=_LARGE | {"colour": True}, preset="fast")
image("tiles-features", tile_size=64, look=_LARGE, preset="fast", features=Layers())
image("tiles-moved-unaligned", tile_size=64, look=_LARGE_MOVED, preset="fast")
image("tiles-register", tile_size=64, look=_LARGE_MOVED, preset="fast", register="shift")
image("tiles-register-default", tile_size=64, look=_LARGE_MOVED, register="auto")
image("tiles-register-features", tile_size=64, look=_LARGE_MOVED, preset="fast",
      register="shift", features=Layers())  # fmt: skip
image("tiles-foreground", tile_size=64, look=_LARGE | _PLAIN, preset="fast", foreground="auto")
image("tiles-foreground-register", tile_size=64, look=_LARGE_MOVED | _PLAIN | {"most": 6},
      foreground="auto", register="shift")  # fmt: skip
for _member in IMAGE_MEMBERS:
    if _member == "conditional":
        continue
    image(f"member-{_member}", model=_member, max_steps=4)
    if _member in ("conv", "vq", "ladder", "importance_weighted"):  # one of each kind of network
        image(f"member-{_member}-colour", model=_member, max_steps=2, look={"colour": True})
image("member-conv-register-foreground", model="conv", max_steps=4, register="shift",
      foreground="auto", look=_PLAIN | {"most": 3})  # fmt: skip
image("member-vq-latent-dim", model="vq", max_steps=4, latent_dim=8)
image("member-ladder-latent-dim", model="ladder", max_steps=4, latent_dim=8)


@case("image/16-bit-files")
def deep_files(folder: Path) -> None:
    good = write_images(Path("good"), plates(20, 1).astype(np.uint16) * 16)
    fresh = write_images(Path("fresh"), spoilt(plates(12, 2)).astype(np.uint16) * 16)
    ask(folder, ImageVAEDetector(**SMALL, preset="fast").fit(good), fresh)


@case("image/16-bit-arrays-tiles")
def deep_tiles(folder: Path) -> None:
    good = plates(20, 1, size=(136, 120)).astype(np.uint16) * 200
    fresh = spoilt(plates(12, 2, size=(136, 120))).astype(np.uint16) * 200
    ask(folder, ImageVAEDetector(**SMALL, preset="fast", tile_size=64).fit(good), fresh)


@case("image/sizes-mixed-files")
def mixed_files(folder: Path) -> None:
    good = write_images(Path("good"), plates(12, 1))
    good += write_images(Path("larger"), plates(12, 1, size=(120, 150)))
    fresh = write_images(Path("fresh"), spoilt(plates(12, 2, size=(130, 110))))
    ask(folder, ImageVAEDetector(**SMALL, max_steps=8).fit(good), fresh)


def conditional(folder: Path, max_steps: int) -> None:
    shown, names = discs_and_squares(15, 1)
    write_images(Path("good"), shown, names)
    shown, names = discs_and_squares(6, 2)
    fresh = write_images(Path("fresh"), spoilt(shown), names)
    given = {"model": "conditional", "condition": "folder", "max_steps": max_steps}
    detector = ImageVAEDetector(**given, random_state=0).fit("good")
    ask(folder, detector, fresh)
    unknown = detector.examine(shown[:4], conditions=["disc", "ring", "", "square"])
    keep(folder, "unknown", answers_in(unknown))
    keep(folder, "unknown_reasons", detector.reasons(write_images(Path("ring"), shown[:4])))


@case("image/member-conditional")
def conditional_few_steps(folder: Path) -> None:
    conditional(folder, 4)


@case("image/member-conditional-more-steps")
def conditional_more_steps(folder: Path) -> None:
    conditional(folder, 20)


@case("image/member-conditional-arrays")
def conditional_arrays(folder: Path) -> None:
    shown, names = discs_and_squares(15, 1)
    detector = ImageVAEDetector(model="conditional", max_steps=4, random_state=0)
    detector.fit(shown, conditions=names).save(folder / "model")
    fresh, names = discs_and_squares(6, 2)
    keep(folder, "examination", answers_in(detector.examine(spoilt(fresh), conditions=names)))
