"""A dry run says what a run does then, part by part and why, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch.entity_nights import payments
from tracking.real_models import transactions, write_surfaces

from vae_anomaly.batch import Options, score_images, score_tables
from vae_anomaly.batch.asked import images_asked_for, tables_asked_for
from vae_anomaly.batch.preview import Preview, preview_run
from vae_anomaly.errors import ConfigError, SchemaError


def preview(model: Path, source, out: Path, **options: object) -> Preview:
    return preview_run(tables_asked_for(model, source, out, Options(**options)), out)


def test_a_first_run_is_all_new_and_no_folder_is_made(days, table_model, tmp_path):
    planned = preview(table_model, days, tmp_path / "out")
    assert [(part.key, part.state) for part in planned.parts] == [
        ("2026-01-01", "new"), ("2026-01-02", "new"), ("2026-01-03", "new"),
    ]  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_what_is_told_is_what_the_run_then_does(days, table_model, tmp_path):
    out = tmp_path / "out"
    score_tables(table_model, days, out, id_column="id")
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    transactions(60, seed=9).to_parquet(days / "2026-01-01.parquet")
    (out / "part-2026-01-02.parquet").write_bytes(b"")
    transactions(60, seed=4).to_parquet(days / "2026-01-04.parquet")
    files[out / "part-2026-01-02.parquet"] = (out / "part-2026-01-02.parquet").stat().st_mtime_ns
    planned = preview(table_model, days, out, id_column="id")
    assert {part.key: (part.state, part.why) for part in planned.parts} == {
        "2026-01-01": ("again", ("the input has changed",)),
        "2026-01-02": ("again", ("its output is missing or was changed",)),
        "2026-01-03": ("done", ()),
        "2026-01-04": ("new", ()),
    }
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == files
    others = preview(table_model, days, out)
    assert all("options" in part.why[-1] for part in others.parts if part.key == "2026-01-03")
    assert score_tables(table_model, days, out, id_column="id").skipped == planned.count("done")


def test_nights_after_a_changed_one_are_told_to_be_scored_again(nights, card_model, tmp_path):
    out = tmp_path / "out"
    score_tables(card_model, nights, out)
    payments(12, per_day=61).to_parquet(nights / "night12.parquet")
    planned = preview(card_model, nights, out)
    assert [part.state for part in planned.parts] == ["again"] * 3
    assert planned.parts[1].why == ("the histories that it goes on from have changed",)
    assert score_tables(card_model, nights, out).skipped == 0


def test_images_that_lie_in_other_parts_now_are_told(image_model, tmp_path):
    night, out = write_surfaces(tmp_path / "night", 8), tmp_path / "out"
    options = Options(images_per_partition=3)
    score_images(image_model, night, out, images_per_partition=3)
    for path in sorted(night.iterdir())[1:]:
        path.unlink()
    planned = preview_run(images_asked_for(image_model, night, out, options), out)
    assert [part.key for part in planned.parts] == ["night-0000"]
    assert len(planned.removed) > 1
    write_surfaces(tmp_path / "other" / "night", 2)
    asked = images_asked_for(image_model, tmp_path / "other" / "night", out, options)
    with pytest.raises(ConfigError, match="would replace it"):
        preview_run(asked, out)


def test_what_the_run_refuses_is_refused(days, table_model, tmp_path):
    transactions(9, seed=1).drop(columns="amount").to_parquet(days / "2026-01-03.parquet")
    with pytest.raises(SchemaError, match="'amount'"):
        preview(table_model, days, tmp_path / "out")
