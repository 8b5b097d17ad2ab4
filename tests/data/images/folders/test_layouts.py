"""Which images are trained on, measured, or asked about, by the names of their folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.images.folders import ClassNames, list_images, scan_images, select, told
from vae_anomaly.data.images.folders.listing import scan_labelled
from vae_anomaly.errors import ConfigError, DataError


def tree(root: Path, *folders: str, n: int = 2) -> Path:
    """Make a few files called like images in each folder; a folder may say how many."""
    for folder in folders:
        name, _, count = folder.partition(":")
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(int(count or n)):
            (root / name / f"{i:03d}.png").write_bytes(b"x")
    return root


def folders_of(items) -> list[str]:
    return sorted({Path(item.id).parent.as_posix() for item in items})


def trained_on(root: Path, **said) -> list[str]:
    return folders_of(list_images(root, split="train", classes=ClassNames(**said)))


def measured(root: Path, **said) -> dict[str, bool | None]:
    items = list_images(root, split="test", classes=ClassNames(**said))
    return {Path(item.id).parent.as_posix(): item.is_anomaly for item in items}


def left_out(root: Path, purpose="train") -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in select(scan_images(root), purpose, root).left_out:
        found.setdefault(one.reason, {})[one.where] = one.n_images
    return found


DATA_SETS = {
    "MVTec": ("train/good", ["test/good"], ["test/crack", "test/hole"]),
    "upper case": ("Train/Good", ["Test/Good"], ["Test/Bad"]),
    "other words": ("training/good", ["testing/good"], ["testing/bad"]),
    "casting": ("train/ok_front", ["test/ok_front"], ["test/def_front"]),
    "BTAD": ("train/ok", ["test/ok"], ["test/ko"]),
    "Kaggle, in a folder of its own": ("set/train/ok", ["set/test/ok"], ["set/test/def"]),
    "anomalib": ("train/normal", ["test/normal"], ["test/abnormal"]),
    "part and class in one": ("train_good", ["test_good"], ["test_bad"]),
    "class before part": ("good/train", ["good/test"], ["bad/test"]),
    "COCO": ("train2017/good", ["test2017/good"], ["test2017/bad"]),
    "German": ("Training/Gutteile", ["Test/Gutteile"], ["Test/Ausschuss"]),
    "Chinese": ("训练集/良品", ["测试集/良品"], ["测试集/不良品"]),
}


@pytest.mark.parametrize(("good", "normal", "defective"), DATA_SETS.values(), ids=DATA_SETS)
def test_a_data_set_trains_on_good_and_is_measured_on_test(tmp_path, good, normal, defective):
    tree(tmp_path, good, *normal, *defective)
    assert trained_on(tmp_path) == [good]
    expected = dict.fromkeys(normal, False) | dict.fromkeys(defective, True)
    assert measured(tmp_path) == expected


CLASSES = {
    "good bad": ("good", "bad"),
    "pass fail": ("pass", "fail"),
    "dir": ("normal_dir", "abnormal_dir"),
    "parts": ("Good parts", "Bad parts"),
    "numbered": ("01_good", "02_scratch"),
    "one side": ("OK_front", "NOK_front"),
    "negated": ("no_defect", "defect"),
    "free": ("DefectFree", "Defective"),
    "prefix": ("uncracked", "cracked"),
    "camel case": ("NODefect_images", "Defect_images"),
    "German": ("gut", "schlecht"),
    "German, short": ("i.O.", "n.i.O."),
    "German, shorter": ("iO", "niO"),
    "German, long": ("Gutteile", "Fehlerhafte Teile"),
    "French": ("bons", "mauvais"),
    "French, formal": ("conforme", "non conforme"),
    "French, accents": ("bonnes pièces", "défauts"),
    "Spanish": ("buenos", "malos"),
    "Italian": ("buono", "difettoso"),
    "Portuguese": ("bom", "defeituoso"),
    "Polish": ("dobre", "złe"),
    "Russian": ("годные", "брак"),
    "Chinese": ("良品", "不良品"),
    "Chinese, formal": ("合格", "不合格"),
    "Japanese": ("良品", "不良"),
    "Korean": ("정상", "불량"),
    "NG": ("OK", "NG"),
}


@pytest.mark.parametrize(("good", "bad"), CLASSES.values(), ids=CLASSES)
def test_folders_of_classes_are_known_by_their_names(tmp_path, good, bad):
    tree(tmp_path, f"{good}:3", f"{bad}:2")
    assert trained_on(tmp_path) == [good]
    assert left_out(tmp_path) == {"defects": {bad: 2}}
    assert measured(tmp_path) == {good: False, bad: True}


def test_classes_below_days_are_taken_from_all_of_them(tmp_path):
    tree(tmp_path, "2024-05-01/ok", "2024-05-01/nok", "2024-05-02/ok")
    assert trained_on(tmp_path) == ["2024-05-01/ok", "2024-05-02/ok"]


def test_kinds_of_defects_within_a_class_stay_defects(tmp_path):
    tree(tmp_path, "OK/S0001", "OK/NG", "NG/scratch/S0002")
    assert trained_on(tmp_path) == ["OK/S0001"]


PLAIN = {
    "cameras": ("cam1", "cam2"),
    "sides": ("left", "right"),
    "days": ("2024-05-01", "2024-05-02"),
    "lots": ("lot_17", "lot_18"),
    "numbers": ("1", "2", "3"),
    "padded numbers": ("00", "01"),
    "products": ("bolts", "nuts"),
    "letters": ("L", "R"),
    "light": ("normal_light", "low_light"),
    "trials": ("test1", "test2"),
    "runs": ("run_0", "run_1"),
    "serial numbers": ("SN1001", "SN1002"),
    "shifts in lots": ("lot1/day", "lot1/night", "lot2/day"),
}


@pytest.mark.parametrize("folders", PLAIN.values(), ids=PLAIN)
def test_cameras_lots_and_days_are_trained_on_without_a_question(tmp_path, folders):
    tree(tmp_path, *folders)
    assert trained_on(tmp_path) == sorted(folders)
    assert left_out(tmp_path) == {}


ASKED = {
    "0 1": (["0", "1"], "vae-anomaly train images .* --good 0 --defect 1, or the other way round"),
    "-1 1": (["-1", "1"], "--good"),
    "pos neg": (["neg", "pos"], "--good neg --defect pos"),
    "yes no": (["no", "yes"], "--good no --defect yes"),
    "letters": (["A", "B"], "look like classes"),
    "numbered classes": (["class_0", "class_1"], "look like classes"),
    "a defect and an unknown name": (["def_front", "pump"], "--good pump, or --defect pump"),
    "good of one kind only": (["ok_front", "pump"], "--good pump, or --defect pump"),
}


@pytest.mark.parametrize(("folders", "answer"), ASKED.values(), ids=ASKED)
def test_folders_that_look_like_classes_are_asked_about(tmp_path, folders, answer):
    tree(tmp_path, *folders)
    with pytest.raises(DataError, match=answer):
        list_images(tmp_path, split="train")
    with pytest.raises(DataError, match="--good"):
        list_images(tmp_path, split="test")
    assert folders_of(list_images(tmp_path)) == sorted(folders)


def test_several_folders_are_read_as_siblings(tmp_path):
    tree(tmp_path, "good", "bad", "0", "1", "widgetA/train/good", "widgetB/train/good")
    good, bad = tmp_path / "good", tmp_path / "bad"
    assert folders_of(list_images([good, bad], split="train")) == ["good"]
    with pytest.raises(DataError, match="--good 0 --defect 1"):
        list_images([tmp_path / "0", tmp_path / "1"], split="train")
    said = ClassNames(good=("1",))
    both = list_images([tmp_path / "0", tmp_path / "1"], split="train", classes=said)
    assert folders_of(both) == ["1"]
    with pytest.raises(DataError, match="2 data sets: widgetA, widgetB"):
        list_images(str(tmp_path / "widget*"), split="train")
    assert len(list_images([bad, good])) == 4


def test_what_was_said_is_taken(tmp_path):
    tree(tmp_path, "0", "1")
    assert trained_on(tmp_path, good=("1",)) == ["1"]
    assert trained_on(tmp_path, defect=("1",)) == ["0"]
    assert trained_on(tmp_path, good=("0", "1")) == ["0", "1"]
    assert measured(tmp_path, good=("0",), defect=("1",)) == {"0": False, "1": True}


def test_what_was_said_stands_over_what_names_say(tmp_path):
    tree(tmp_path, "train/good", "test/perfect", "test/bad")
    assert trained_on(tmp_path, good=("Test/Perfect",)) == ["train/good"]
    assert measured(tmp_path, good=("bad",))["test/bad"] is False
    tree(tmp_path / "night", "cam1", "test")
    assert trained_on(tmp_path / "night", good=("cam1", "test")) == ["cam1", "test"]


ONE_SET = {
    "kinds of defects below a class": (
        ("OK/S0001", "NG/AK/S0001", "NG/QS/S0001"),
        {"OK": 2},
        {"defects": {"NG": 4}},
    ),
    "false rejects are no class": (
        ("Gutteile", "false_alarm", "Pseudofehler", "false rejects", "true_defect"),
        {"Gutteile": 2},
        {
            "class not known": {"false_alarm": 2, "Pseudofehler": 2, "false rejects": 2},
            "defects": {"true_defect": 2},
        },
    ),
    "names that say nothing": (
        ("good", "production", "images", "backup", "hole"),
        {"good": 2},
        {
            "class not known": {"production": 2, "images": 2, "backup": 2},
            "defects": {"hole": 2},
        },
    ),
    "classes beside a set with parts": (
        ("set/train/ok", "set/test/ok", "set/test/ng", "large/ok", "large/ng"),
        {"set/train/ok": 2},
        {
            "test part": {"set/test/ok": 2, "set/test/ng": 2},
            "neither train nor test": {"large/ok": 2},
            "defects": {"large/ng": 2},
        },
    ),
    "codes beside parts": (
        ("train/good", "test/bad", "A", "B"),
        {"train/good": 2},
        {"test part": {"test/bad": 2}, "neither train nor test": {"A": 2, "B": 2}},
    ),
}


@pytest.mark.parametrize(("folders", "taken", "left"), ONE_SET.values(), ids=ONE_SET)
def test_one_set_is_taken_as_its_folders_say(tmp_path, folders, taken, left):
    tree(tmp_path, *folders)
    chosen = select(scan_labelled(tmp_path), "train", tmp_path)
    assert chosen.taken() == taken
    found: dict[str, dict[str, int]] = {}
    for one in chosen.left_out:
        found.setdefault(one.reason, {})[one.where] = one.n_images
    assert found == left


def test_nothing_is_trained_on_and_measured_at_once(tmp_path):
    tree(tmp_path, "set/train/ok", "set/test/ok", "set/test/ng", "large/ok", "large/ng")
    assert set(measured(tmp_path)) == {"set/test/ok", "set/test/ng"}
    both = [tmp_path / "set", tmp_path / "large"]  # which were named are used
    assert folders_of(list_images(both, split="train")) == ["large/ok", "set/train/ok"]


def test_lettered_lines_with_classes_are_no_classes(tmp_path):
    tree(tmp_path, "A/good", "A/bad", "B/good", "B/bad")
    with pytest.raises(DataError, match="holds 2 data sets: A, B"):
        list_images(tmp_path, split="train")
    assert trained_on(tmp_path, good=("good",)) == ["A/good", "B/good"]


def test_an_empty_folder_of_good_images_tells_what_its_siblings_are(tmp_path):
    tree(tmp_path, "good:0", "verkratzt")
    with pytest.raises(DataError, match="labelled as defective"):
        list_images(tmp_path, split="train")
    tree(tmp_path / "cameras", "good:0", "cam1", "cam2")
    with pytest.raises(DataError, match="4 class not known"):
        list_images(tmp_path / "cameras", split="train")
    assert trained_on(tmp_path / "cameras", good=("cam1", "cam2")) == ["cam1", "cam2"]


def test_files_that_say_defective_are_not_trained_on_where_others_do_not(tmp_path):
    for name in ("SN1_OK", "SN2_OK", "SN3_NG", "SN4_no_defect", "17_rf.3def9ab", "color_01"):
        (tmp_path / f"{name}.png").write_bytes(b"x")
    chosen = select(scan_labelled(tmp_path), "train", tmp_path)
    assert {item.id for item in chosen.items} == {
        "SN1_OK.png", "SN2_OK.png", "SN4_no_defect.png", "17_rf.3def9ab.png", "color_01.png",
    }  # fmt: skip
    assert told(chosen.left_out) == ("left out: 1 image, file names that say defective",)
    for i in range(2):
        tree(tmp_path / "pump", ".", n=0)
        (tmp_path / f"pump/crack_{i}.png").write_bytes(b"x")
    assert len(list_images(tmp_path / "pump", split="train")) == 2  # what the product is called


def test_a_good_image_whose_mask_marks_a_defect_is_not_trained_on(tmp_path):
    for i, level in enumerate((0, 255, 0)):
        (tmp_path / "good").mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16), 90, np.uint8)).save(tmp_path / f"good/{i}.png")
        mask = np.zeros((16, 16), np.uint8)
        mask[4:8, 4:8] = level
        Image.fromarray(mask).save(tmp_path / f"good/{i}_mask.png")
    items = list_images(tmp_path, split="train")
    assert [item.id for item in items] == ["good/0.png", "good/2.png"]


def test_a_part_alone_is_refused_with_a_folder_that_can_be_given(tmp_path):
    tree(tmp_path, "val/good", "val/bad")
    with pytest.raises(DataError, match=rf"such as {tmp_path}/val/good\.") as refused:
        list_images(tmp_path, split="train")
    assert "--good" not in str(refused.value)
    assert len(list_images(tmp_path / "val/good", split="train")) == 2


def test_a_name_that_no_folder_has_is_refused(tmp_path):
    tree(tmp_path, "0", "1")
    with pytest.raises(ConfigError, match="no folder called 'O'; there are: 0, 1"):
        list_images(tmp_path, classes=ClassNames(good=("O",)))
    with pytest.raises(ConfigError, match="good and defective at once"):
        ClassNames(good=("a",), defect=("A",))
    with pytest.raises(ConfigError, match="list of images"):
        list_images([tmp_path / "0/000.png"], classes=ClassNames(good=("0",)))


def test_kinds_of_a_manifest_can_be_said_too(tmp_path):
    tree(tmp_path, "x")
    (tmp_path / "m.csv").write_text("path,kind\nx/000.png,7\nx/001.png,8\n")
    items = list_images(tmp_path / "m.csv", classes=ClassNames(good=("7",)))
    assert [item.is_anomaly for item in items] == [False, True]
    (tmp_path / "m.csv").write_text("path,kind\nx/000.png,gut\nx/001.png,Kratzer\n")
    assert [item.is_anomaly for item in list_images(tmp_path / "m.csv")] == [False, True]


def test_several_data_sets_beside_each_other_are_asked_about(tmp_path):
    tree(tmp_path, *(f"widget{x}/{part}" for x in "AB" for part in ("train/good", "test/bad")))
    with pytest.raises(DataError, match=r"holds 2 data sets: widgetA, widgetB.*widgetA"):
        list_images(tmp_path, split="train")
    with pytest.raises(DataError, match="2 data sets"):
        list_images(tmp_path, split="test")
    assert trained_on(tmp_path / "widgetA") == ["train/good"]
    assert trained_on(tmp_path, good=("good",)) == ["widgetA/train/good", "widgetB/train/good"]


def test_several_products_with_classes_are_asked_about(tmp_path):
    tree(tmp_path, "candle/Normal", "candle/Anomaly", "capsules/Normal", "capsules/Anomaly")
    with pytest.raises(DataError, match="2 data sets: candle, capsules"):
        list_images(tmp_path, split="train")


def test_the_raw_folders_of_visa_are_read(tmp_path):
    tree(tmp_path, "Data/Images/Normal", "Data/Images/Anomaly", "Data/Masks/Anomaly")
    assert trained_on(tmp_path) == ["Data/Images/Normal"]
    assert left_out(tmp_path) == {
        "defects": {"Data/Images/Anomaly": 2},
        "masks": {"Data/Masks/Anomaly": 2},
    }


def test_parts_without_classes_are_read_too(tmp_path):
    tree(tmp_path, "train/images", "valid/images", "test/images")
    assert trained_on(tmp_path) == ["train/images"]
    tree(tmp_path / "yolo", "images/train", "images/val")
    assert trained_on(tmp_path / "yolo") == ["images/train"]


def test_a_mask_tells_the_class_where_no_folder_does(tmp_path):
    for name, level in (("kos01", 0), ("kos02", 255), ("kos03", 0)):
        tree(tmp_path, name, n=0)
        Image.fromarray(np.full((16, 16), 90, np.uint8)).save(tmp_path / name / "Part0.jpg")
        mask = np.zeros((16, 16), np.uint8)
        mask[4:8, 4:8] = level
        Image.fromarray(mask).save(tmp_path / name / "Part0_label.bmp")
    assert trained_on(tmp_path) == ["kos01", "kos03"]
    assert measured(tmp_path) == {"kos01": False, "kos02": True, "kos03": False}


def test_a_validation_part_is_not_trained_on_and_said(tmp_path):
    tree(tmp_path, "train/good", "train/bad:1", "valid/good:3", "test/good:4", "test/bad:5")
    assert trained_on(tmp_path) == ["train/good"]
    assert left_out(tmp_path) == {
        "defects": {"train/bad": 1},
        "validation part": {"valid/good": 3},
        "test part": {"test/good": 4, "test/bad": 5},
    }
    assert left_out(tmp_path, "test") == {
        "training part": {"train/good": 2, "train/bad": 1},
        "validation part": {"valid/good": 3},
    }


def test_a_validation_part_is_measured_where_there_is_no_test(tmp_path):
    tree(tmp_path, "train/good", "valid/good", "valid/bad")
    assert measured(tmp_path) == {"valid/good": False, "valid/bad": True}


def test_what_lies_beside_the_parts_is_left_out_and_said(tmp_path):
    tree(tmp_path, "train/good", "test/bad", "extra:3", ".:1")
    assert trained_on(tmp_path) == ["train/good"]
    assert left_out(tmp_path) == {
        "neither train nor test": {"": 1, "extra": 3},
        "test part": {"test/bad": 2},
    }


def test_a_folder_called_test_swallows_nothing(tmp_path):
    tree(tmp_path, "cam1:6", "cam2:6", "test/warmup:2")
    assert len(list_images(tmp_path)) == 14
    assert len(list_images(tmp_path, split="test")) == 14
    assert trained_on(tmp_path) == ["cam1", "cam2"]
    assert left_out(tmp_path) == {"test part": {"test/warmup": 2}}


def test_a_camera_called_train_is_a_camera(tmp_path):
    tree(tmp_path, "cam1", "train")
    assert trained_on(tmp_path) == ["cam1", "train"]


def test_only_a_test_folder_is_refused_with_what_to_give(tmp_path):
    tree(tmp_path, "test/warmup")
    with pytest.raises(DataError, match="no images to train on: of 2 images 2 test part"):
        list_images(tmp_path, split="train")
    assert trained_on(tmp_path / "test") == ["warmup"]


def test_days_without_their_defects_are_what_was_left_good(tmp_path):
    tree(tmp_path, "2024-05-01", "2024-05-02", "NG", ".")
    assert trained_on(tmp_path) == [".", "2024-05-01", "2024-05-02"]
    assert left_out(tmp_path) == {"defects": {"NG": 2}}


def test_what_was_not_sorted_is_not_trained_on(tmp_path):
    tree(tmp_path, "good", "bad", "unsorted", "cam3", ".")
    assert trained_on(tmp_path) == ["good"]
    assert left_out(tmp_path) == {
        "defects": {"bad": 2},
        "class not known": {"": 2, "cam3": 2, "unsorted": 2},
    }
    assert measured(tmp_path) == {"good": False, "bad": True} | dict.fromkeys(
        (".", "cam3", "unsorted")
    )


def test_defects_alone_are_refused(tmp_path):
    tree(tmp_path, "scratch", "dent")
    with pytest.raises(DataError, match=r"All 4 images .* labelled as defective"):
        list_images(tmp_path, split="train")


def test_what_is_left_out_is_told_by_its_reason(tmp_path):
    tree(tmp_path, "train/good", "train/bad:1", "test/good", "test/bad")
    lines = told(select(scan_images(tmp_path), "train", tmp_path).left_out)
    assert lines == (
        "left out: 4 images, test part (test/bad, test/good)",
        "left out: 1 image, defects (train/bad)",
    )
