"""Manifests that other programs wrote: their columns, and what they leave open."""

from __future__ import annotations

import pytest

from vae_anomaly.data.images.folders import ClassNames, list_images
from vae_anomaly.errors import DataError


def manifest(root, text):
    for i in range(4):
        (root / f"{i}.png").write_bytes(b"x")
    (root / "m.csv").write_text(text)
    return root / "m.csv"


def test_the_table_of_visa_is_read(tmp_path):
    file = manifest(
        tmp_path,
        "object,split,label,image,mask\ncandle,train,normal,0.png,\ncandle,test,normal,1.png,\n"
        "candle,test,anomaly,2.png,3.png\n",
    )
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]
    measured = list_images(file, split="test")
    assert [(item.id, item.is_anomaly) for item in measured] == [("1.png", False), ("2.png", True)]
    assert measured[1].mask == tmp_path / "3.png"


@pytest.mark.parametrize("column", ["label", "Class", "target"])
def test_codes_in_a_manifest_are_asked_about_and_can_be_said(tmp_path, column):
    file = manifest(tmp_path, f"path,{column}\n0.png,0\n1.png,0\n2.png,1\n")
    with pytest.raises(DataError, match="--good 0 --defect 1"):
        list_images(file, split="train")
    taken = list_images(file, split="train", classes=ClassNames(good=("0",)))
    assert [item.id for item in taken] == ["0.png", "1.png"]


def test_defects_beside_a_word_that_is_not_known_are_asked_about(tmp_path):
    file = manifest(tmp_path, "path,label\n0.png,usual\n1.png,scratch\n")
    with pytest.raises(DataError, match="--good usual"):
        list_images(file, split="train")


def test_products_are_no_classes(tmp_path):
    file = manifest(tmp_path, "filename,class\n0.png,bolt\n1.png,nut\n")
    assert len(list_images(file, split="train")) == 2


def test_what_a_manifest_says_itself_stands(tmp_path):
    file = manifest(tmp_path, "path,is_anomaly,label\n0.png,0,1\n1.png,1,0\n")
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]


ANSWERS = {
    "is_defect": "image,is_defect\n0.png,0\n1.png,no\n2.png,1\n",
    "good": "image,good\n0.png,yes\n1.png,yes\n2.png,no\n",
    "one column a class": "filename, bad, good\n0.png, 0, 1\n1.png, 0, 1\n2.png, 1, 0\n",
    "one column a kind": "filename,scratch,dent\n0.png,0,0\n1.png,0,0\n2.png,0,1\n",
    "words of any column": "file,Prüfergebnis\n0.png,i.O.\n1.png,i.O.\n2.png,n.i.O.\n",
    "beside what else is known": "path,blurred,defective\n0.png,1,0\n1.png,0,0\n2.png,1,1\n",
}


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS)
def test_columns_that_answer_to_their_name_tell_the_class(tmp_path, text):
    file = manifest(tmp_path, text)
    assert [item.id for item in list_images(file, split="train")] == ["0.png", "1.png"]
    labels = [item.is_anomaly for item in list_images(file, split="test")]
    assert labels == [False, False, True]


def test_a_row_of_one_more_kind_is_not_called_good(tmp_path):
    file = manifest(tmp_path, "path,scratch,rolled\n0.png,0,0\n1.png,1,0\n2.png,0,1\n")
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]


def test_other_columns_are_no_classes(tmp_path):
    text = "path,light,colour,batch_id\n0.png,normal,0,1\n1.png,low,1,0\n2.png,low,1,1\n"
    assert len(list_images(manifest(tmp_path, text), split="train")) == 3
    (tmp_path / "a_NG.png").write_bytes(b"x")
    file = manifest(tmp_path, "path\n0.png\na_NG.png\n")
    assert [item.kind for item in list_images(file)] == [None, None]
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]


def test_a_kind_is_one_however_it_is_written(tmp_path):
    file = manifest(tmp_path, "path,kind\n0.png,OK\n1.png,dent\n2.png,Dent \n3.png,dent\n")
    assert [item.kind for item in list_images(file)] == ["OK", "dent", "dent", "dent"]


def test_rows_of_no_class_beside_good_ones_are_not_trained_on(tmp_path):
    file = manifest(tmp_path, "path,kind\n0.png,good\n1.png,\n2.png,unklar\n3.png,none\n")
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]
    assert [item.is_anomaly for item in list_images(file)] == [False, None, None, None]
    file = manifest(tmp_path, "path,kind\n0.png,\n1.png,scratch\n2.png,-\n")
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]


def test_a_column_of_parts_is_one_under_other_names(tmp_path):
    file = manifest(tmp_path, "path,subset\n0.png,train\n1.png,test\n")
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]


def test_empty_rows_at_the_end_are_none(tmp_path):
    file = manifest(tmp_path, "path;kind\n0.png;good\n1.png;good\n;\n;\n")
    assert len(list_images(file)) == 2
