import re

import pytest

from vae_anomaly.reports.pages.bundle import joined, script, styles, taken_apart
from vae_anomaly.reports.palette import DARK_COLOURS, LIGHT_COLOURS


def read(**sources):
    return lambda name: sources[name]


def test_a_module_stands_once_and_after_what_it_imports():
    text = joined(
        ["page", "other"],
        read(
            page='import { a } from "./low.js";\na();\n',
            other='import { a } from "./low.js";\nimport "./page.js";\na(2);\n',
            low="export function a() {}\n",
        ),
    )
    assert text == "function a() {}\na();\na(2);\n"


def test_two_modules_that_define_one_name_are_refused():
    sources = read(page='import "./low.js";\nconst a = 1;\n', low="export function a() {}\n")
    with pytest.raises(ValueError, match="Several modules define a:"):
        joined(["page"], sources)


def test_a_name_that_is_not_exported_is_refused():
    sources = read(page='import { a } from "./low.js";\n', low="function a() {}\n")
    with pytest.raises(ValueError, match=r"low\.js exports no a: page\.js"):
        joined(["page"], sources)


def test_modules_that_import_each_other_are_refused():
    sources = read(a='import "./b.js";\n', b='import "./a.js";\n')
    with pytest.raises(ValueError, match="a > b > a: these modules import each other"):
        joined(["a"], sources)


@pytest.mark.parametrize(
    "line",
    [
        'import { a as b } from "./low.js";',
        'import * as low from "./low.js";',
        'import { a } from "https://example.org/low.js";',
        "export default function () {}",
        "export { a };",
        "const { a } = b;",
    ],
)
def test_what_the_joining_does_not_read_is_refused_and_not_passed_on(line):
    with pytest.raises(ValueError, match=r"page\.js"):
        joined(["page"], read(page=f"{line}\n", low="export const a = 1;\n"))


def test_an_import_over_several_lines_is_read():
    module = taken_apart("page", 'import {\n  a,\n  b,\n} from "./low.js";\na(b);\n')
    assert module.imports == (("low", ("a", "b")),)
    assert module.body == "a(b);\n"


def test_the_scripts_and_styles_of_the_package_join():
    assert "export " not in script("theme", "copy", "night")
    assert styles("tokens").startswith("/*")


def test_pages_have_the_colours_of_the_figures():
    pairs = {
        name: (light, dark)
        for name, light, dark in re.findall(
            r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", styles("tokens")
        )
    }
    for token, name in {
        "ink": "text", "ink-soft": "muted", "line": "grid", "accent": "accent",
        "normal": "normal", "anomalous": "anomalous",
    }.items():  # fmt: skip
        assert pairs[token] == (getattr(LIGHT_COLOURS, name), getattr(DARK_COLOURS, name)), token
    assert pairs["paper"] == (LIGHT_COLOURS.surface, DARK_COLOURS.page)
    assert pairs["raised"] == (LIGHT_COLOURS.page, DARK_COLOURS.surface)
