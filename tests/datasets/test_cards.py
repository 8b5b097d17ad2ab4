from __future__ import annotations

import hashlib
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "datasets"
CARDS = sorted((ROOT / "cards").glob("*.md"))
PARTS = ("**Source.**", "**Licence.**", "**Hash.**", "**Loader.**", "**Mind.**")
sys.path.insert(0, str(ROOT))

from digest import digest_of, main  # noqa: E402  # after its folder is on the path
from make_demo import make_demo  # noqa: E402  # after its folder is on the path


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_every_card_says_source_licence_hash_and_loader(card: Path) -> None:
    text = card.read_text()
    assert [part for part in PARTS if part not in text] == []
    assert re.search(r"\b[0-9a-f]{64}\b", text)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_every_loader_is_python_that_imports(card: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", card.read_text(), flags=re.DOTALL)
    compile(code, card.name, "exec")
    imports = [line for line in code.splitlines() if line.startswith(("import ", "from "))]
    exec("\n".join(imports), {})  # noqa: S102 - our own documentation


def test_every_card_is_in_the_index() -> None:
    index = (ROOT / "README.md").read_text()
    assert sorted(re.findall(r"\(cards/(\w+)\.md\)", index)) == [card.stem for card in CARDS]


def test_no_data_lie_here() -> None:
    kinds = {path.suffix for path in ROOT.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert kinds == {".md", ".py"}


def test_the_same_seed_makes_the_same_demo(tmp_path: Path) -> None:
    small = {"images": (3, 2, 3), "rows": 1500, "days": 3}
    first = make_demo(tmp_path / "a", 1, **small)  # type: ignore[arg-type]  # options of mixed types
    assert make_demo(tmp_path / "b", 1, **small) == first  # type: ignore[arg-type]  # options of mixed types
    assert make_demo(tmp_path / "c", 2, **small) != first  # type: ignore[arg-type]  # options of mixed types
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


def test_the_card_has_the_digest_of_the_transactions(tmp_path: Path) -> None:
    card = (ROOT / "cards" / "demo.md").read_text()
    for package in ("numpy", "pandas"):
        if f"{package} {version(package)}" not in card:
            pytest.skip(f"the card's digest was made with another {package}")
    digests = make_demo(tmp_path, 0, images=(1, 1, 0))
    assert f"transactions  {digests['transactions']}" in card


def test_a_digest_depends_on_names_and_content_but_not_on_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    before = digest_of(tmp_path)
    line = f"{hashlib.sha256(b'1').hexdigest()}  a/x\n"
    assert before == hashlib.sha256(line.encode()).hexdigest()
    (tmp_path / ".hidden").write_bytes(b"2")
    assert digest_of(tmp_path) == before
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert digest_of(tmp_path) != before


def test_digest_tells_another_version_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_bytes(b"1")
    monkeypatch.setattr(sys, "argv", ["digest.py", str(tmp_path), "--expect", digest_of(tmp_path)])
    main()
    assert capsys.readouterr().out.strip() == digest_of(tmp_path)
    monkeypatch.setattr(sys, "argv", ["digest.py", str(tmp_path), "--expect", "00"])
    with pytest.raises(SystemExit, match="another version of the data"):
        main()
