"""Small folders share a partition; a second run does only what is new."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking.real_models import surface

from vae_anomaly.batch import plan_images, read_manifest, read_results, score_images
from vae_anomaly.batch.folders import SMALL, Piece, pieces
from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.errors import ConfigError


def items_of(sizes: dict[str, int]) -> list[ImageItem]:
    return [
        ImageItem(f"{name}/{number:04d}.png", Path(name), place=f"night/{name}")
        for name, size in sizes.items()
        for number in range(size)
    ]


def groups_of(sizes: dict[str, int], most: int) -> list[frozenset[str]]:
    return [
        frozenset(item.place for item in piece.items) for piece in pieces(items_of(sizes), most)
    ]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 30), max_size=40))
def test_every_image_is_in_one_piece_of_bounded_size(sizes):
    listed = items_of(sizes)
    cut = list(pieces(listed, 40))
    assert sorted(item.id for piece in cut for item in piece.items) == sorted(i.id for i in listed)
    assert all(0 < len(piece.items) <= 40 for piece in cut)
    assert len({(piece.folder, piece.mark) for piece in cut}) == len(cut)


NAMES = st.sets(st.integers(0, 9999), min_size=1, max_size=120)


def cut_of(numbers: set[int], most: int) -> set[tuple[str, tuple[str, ...]]]:
    listed = [ImageItem(f"{number:04d}.png", Path("a"), place="a") for number in numbers]
    return {(piece.mark, tuple(i.id for i in piece.items)) for piece in pieces(listed, most)}


@given(NAMES, st.integers(0, 9999), st.integers(1, 20))
def test_one_image_more_or_less_moves_only_the_pieces_that_it_lies_between(numbers, late, most):
    without, with_it = cut_of(numbers - {late}, most), cut_of(numbers | {late}, most)
    assert all(len(names) <= most for _, names in without | with_it)
    assert len(with_it - without) <= 2
    assert sum(len(names) for _, names in without - with_it) <= 2 * most
    assert len({mark for mark, _ in with_it}) == len(with_it)


@pytest.mark.parametrize("late", ["000.png", "013x.png", "999.png"])
def test_a_late_image_of_a_large_folder_has_its_own_piece_scored_again(image_model, tmp_path, late):
    some_images(tmp_path / "night", 24)
    for path in (tmp_path / "night").iterdir():
        path.rename(path.with_stem(f"{int(path.stem) + 1:03d}"))
    options = {"images_per_partition": 6, "heatmaps": "none", "masks": "none"}
    first = score_images(image_model, tmp_path / "night", tmp_path / "out", **options)
    assert first.partitions > 4
    surface(99).save(tmp_path / "night" / late)
    again = score_images(image_model, tmp_path / "night", tmp_path / "out", **options)
    assert again.rows_out == 25
    assert 1 <= again.partitions - again.skipped <= 2
    left = read_results(tmp_path / "out")
    assert sorted(left["id"]) == sorted(path.name for path in (tmp_path / "night").iterdir())


def cut_at_every(folder: str, items: list[ImageItem], most: int) -> Iterator[Piece]:
    """Cut a folder as earlier versions did."""
    for number, start in enumerate(range(0, len(items), most)):
        yield Piece(folder, f"{number:04d}", tuple(items[start : start + most]))


def test_a_night_of_an_earlier_version_stands_until_it_changes(
    image_model, tmp_path, monkeypatch, hashes
):
    some_images(tmp_path / "night", 8)
    some_images(tmp_path / "night" / "cam", 5)
    options = {"images_per_partition": 3, "heatmaps": "none", "masks": "none"}
    with monkeypatch.context() as patched:
        patched.setattr("vae_anomaly.batch.folders._cut", cut_at_every)
        score_images(image_model, tmp_path / "night", tmp_path / "out", **options)
    before = hashes(tmp_path / "out")
    again = score_images(image_model, tmp_path / "night", tmp_path / "out", **options)
    assert (again.skipped, again.partitions) == (5, 5)
    assert hashes(tmp_path / "out") == before
    surface(99).save(tmp_path / "night" / "0a.png")
    late = score_images(image_model, tmp_path / "night", tmp_path / "out", **options)
    assert late.rows_out == 14
    left = read_results(tmp_path / "out")
    assert (len(left), left["id"].is_unique) == (14, True)
    listed = {entry["output"] for entry in read_manifest(tmp_path / "out")["partitions"]}
    assert listed == {path.name for path in (tmp_path / "out").glob("part-*")}
    assert {"part-night__cam-0000.parquet", "part-night__cam-0001.parquet"} <= listed


def test_a_large_folder_stays_alone_and_small_ones_are_joined():
    sizes = {f"part{n:03d}": 4 for n in range(250)} | {"large": 101}
    groups = groups_of(sizes, 1000)
    assert frozenset({"night/large"}) in groups
    assert len(groups) <= 2 * SMALL


@pytest.mark.parametrize("new", ["part0", "part500x", "part999x"])
def test_one_more_folder_moves_the_borders_of_its_own_group_only(new):
    sizes = {f"part{n:03d}": 3 for n in range(1000)}
    before, after = set(groups_of(sizes, 1000)), groups_of({**sizes, new: 3}, 1000)
    assert len(before) > 5
    assert len([group for group in after if group not in before]) <= 2


def write_parts(night: Path, n_parts: int, first: int = 0) -> Path:
    for number in range(first, first + n_parts):
        folder = night / f"part{number:02d}"
        folder.mkdir(parents=True)
        for view in range(2):
            surface(100 * number + view).save(folder / f"{view}.png")
    return night


def test_small_folders_are_scored_once_and_one_more_leaves_the_rest_alone(image_model, tmp_path):
    options = {"images_per_partition": 96, "heatmaps": "all"}
    night = write_parts(tmp_path / "night", 20)
    first = score_images(image_model, night, tmp_path / "out", **options)
    assert 1 < first.partitions < 12
    before = read_results(tmp_path / "out")
    assert before["id"].is_unique
    assert before["heatmap"].is_unique
    assert all((tmp_path / "out" / name).is_file() for name in before["heatmap"])
    write_parts(night, 1, first=20)
    again = score_images(image_model, night, tmp_path / "out", **options)
    assert again.partitions - again.skipped <= 2
    after = read_results(tmp_path / "out")
    assert len(after) == 42
    assert after["id"].is_unique
    shown = [set(part.get("folders", ())) for part in read_manifest(tmp_path / "out")["partitions"]]
    assert "night/part00" in set().union(*shown)


@pytest.mark.parametrize("gone", [0, 7])
def test_a_folder_that_is_taken_away_leaves_no_row_twice(image_model, tmp_path, gone):
    night = write_parts(tmp_path / "night", 16)
    score_images(image_model, night, tmp_path / "out", images_per_partition=96)
    shutil.rmtree(night / f"part{gone:02d}")
    score_images(image_model, night, tmp_path / "out", images_per_partition=96)
    left = read_results(tmp_path / "out")
    assert sorted(left["id"]) == sorted(
        str(path.relative_to(night)) for path in night.rglob("*.png")
    )
    listed = {entry["output"] for entry in read_manifest(tmp_path / "out")["partitions"]}
    assert listed == {path.name for path in (tmp_path / "out").glob("part-*")}


def test_folders_of_another_night_that_are_called_alike_are_not_replaced(image_model, tmp_path):
    monday = write_parts(tmp_path / "monday" / "night", 4)
    score_images(image_model, monday, tmp_path / "out")
    tuesday = write_parts(tmp_path / "tuesday" / "night", 3, first=1)
    before = read_results(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"monday.*would replace it\. Choose another --out"):
        score_images(image_model, tuesday, tmp_path / "out")
    assert read_results(tmp_path / "out").equals(before)


def test_folders_that_differ_in_case_or_in_marks_have_keys_of_their_own(tmp_path):
    for name in ("Cam", "cam", "a__b", "a/b"):
        (tmp_path / "night" / name).mkdir(parents=True)
        for number in range(2):
            surface(number).save(tmp_path / "night" / name / f"{number}.png")
    keys = [part.key for part in plan_images(tmp_path / "night", per_partition=2)]
    assert len({key.lower() for key in keys}) == 4


def test_folders_of_a_few_inputs_stay_apart_and_those_of_many_are_joined():
    def n_pieces(n_inputs: int) -> int:
        names = [f"part{number:03d}" for number in range(n_inputs)]
        return len(list(pieces([ImageItem(name, Path(name), place=name) for name in names], 1000)))

    assert n_pieces(3) == 3
    assert n_pieces(200) < 20


@pytest.mark.parametrize("given", ["part00", "part02"])
def test_of_folders_that_were_scored_together_none_is_lost(image_model, tmp_path, given):
    night = write_parts(tmp_path / "night", 20)
    score_images(image_model, sorted(night.iterdir()), tmp_path / "out", images_per_partition=1000)
    before = read_results(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"not given; the results would be lost\. Give all"):
        score_images(image_model, night / given, tmp_path / "out", images_per_partition=1000)
    assert read_results(tmp_path / "out").equals(before)


def some_images(folder: Path, n: int) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.png" for number in range(n)]
    for number, path in enumerate(paths):
        surface(number).save(path)
    return paths


@pytest.mark.parametrize("given", ["others", "fewer", "one"])
def test_results_of_a_list_are_never_replaced_by_those_of_another(image_model, tmp_path, given):
    paths = some_images(tmp_path / "night", 6)
    paths[2].write_bytes(b"no image")  # in quarantine
    score_images(image_model, paths[:4], tmp_path / "out", max_bad_fraction=1)
    before = read_results(tmp_path / "out")
    now = {"others": paths[4:], "fewer": [paths[0], paths[1], paths[3]], "one": paths[:1]}[given]
    with pytest.raises(ConfigError, match=r"Give .*, or choose another --out"):
        score_images(image_model, now, tmp_path / "out")
    assert read_results(tmp_path / "out").equals(before)


def test_a_list_that_grows_or_whose_images_are_gone_is_scored_as_it_is(image_model, tmp_path):
    paths = some_images(tmp_path / "night", 6)
    score_images(image_model, paths[:3], tmp_path / "out")
    score_images(image_model, paths[:5], tmp_path / "out")
    assert len(read_results(tmp_path / "out")) == 5
    for path in paths[:4]:
        path.unlink()
    score_images(image_model, paths[4:], tmp_path / "out")
    assert sorted(read_results(tmp_path / "out")["id"]) == ["4.png", "5.png"]


@pytest.mark.parametrize("inside", ["", "cam/"])
def test_an_image_is_never_in_two_files_of_results(image_model, tmp_path, inside):
    folder = tmp_path / "night" / inside
    paths = some_images(folder, 4)
    score_images(image_model, paths[0], tmp_path / "out")
    score_images(image_model, paths[1], tmp_path / "out")  # beside it: one at a time
    before = read_results(tmp_path / "out")
    assert len(before) == 2
    for source in (tmp_path / "night", str(folder / "*.png")):
        with pytest.raises(ConfigError, match=r"twice.*choose another --out"):
            score_images(image_model, source, tmp_path / "out")
    assert read_results(tmp_path / "out").equals(before)


def test_a_run_that_is_stopped_while_it_clears_up_leaves_nothing_behind(
    image_model, tmp_path, monkeypatch
):
    night, out = write_parts(tmp_path / "night", 16), tmp_path / "out"
    options = {"images_per_partition": 96, "heatmaps": "all"}
    score_images(image_model, night, out, **options)
    shutil.rmtree(night / "part00")
    with monkeypatch.context() as patched:

        def stop(*_, **__):
            raise KeyboardInterrupt

        patched.setattr("vae_anomaly.batch.output.done.shutil", SimpleNamespace(rmtree=stop))
        with pytest.raises(KeyboardInterrupt):
            score_images(image_model, night, out, **options)
    score_images(image_model, night, out, **options)
    keys = {entry["key"] for entry in read_manifest(out)["partitions"]}
    assert {path.name for path in (out / "heatmaps").iterdir()} == keys
    assert {path.name for path in out.glob("part-*")} == {f"part-{key}.parquet" for key in keys}
