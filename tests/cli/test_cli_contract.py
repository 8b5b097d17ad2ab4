"""What every command owes: help, an example, a page, exit codes, and a quick answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vae_anomaly.cli import cli, group
from vae_anomaly.cli.console import emit
from vae_anomaly.errors import GateFailedError, VaeAnomalyError

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
HEAVY = ("torch", "mlflow", "sklearn", "pandas", "numpy", "matplotlib", "scipy", "pyarrow", "rich")


def commands(
    where: click.Command = cli, name: str = "vae-anomaly"
) -> list[tuple[str, click.Command]]:
    """Return every command that does something, by its full name."""
    if not isinstance(where, click.Group):
        return [(name, where)]
    context = click.Context(where)
    inner = [(child, where.get_command(context, child)) for child in where.list_commands(context)]
    assert all(command is not None for _, command in inner), name
    return [found for child, command in inner for found in commands(command, f"{name} {child}")]


COMMANDS = commands()
each_command = pytest.mark.parametrize(
    ("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS]
)


@each_command
def test_every_command_has_help_that_begins_with_a_sentence(name, command):
    first = (command.help or "").strip().splitlines()[0]
    assert first[:1].isupper(), name
    assert len(first) > 15, name


def examples(name: str, command: click.Command) -> list[str]:
    """Return the lines of the help, as printed, that call the command."""
    text = command.get_help(click.Context(command, info_name=name, max_content_width=100))
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line == name or line.startswith(f"{name} ")]


@each_command
def test_the_help_of_every_command_prints_an_example_on_its_own_line(name, command):
    assert examples(name, command)


@each_command
def test_every_example_uses_only_options_that_exist(name, command):
    known = {option for param in command.params for option in param.opts if not _hidden(param)}
    for line in examples(name, command):
        assert {word for word in line.split() if word.startswith("--")} <= known, line


def _hidden(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and param.hidden


FORMER = [
    (name, command, param.opts[0], (param.help or "").removeprefix("Now ").rstrip("."))
    for name, command in COMMANDS
    for param in command.params
    if _hidden(param)
]


def test_the_options_that_were_renamed_keep_their_old_names():
    assert {f"{name.removeprefix('vae-anomaly ')} {old}" for name, _, old, _ in FORMER} >= {
        "train images --fpr", "train table --fpr", "train table --label", "sweep table --label",
        "data check --label", "data schema --label", "evaluate --group", "models promote --group",
        "threshold tune --group", "threshold tune --amount", "threshold compare --amount",
        "probability fit --group",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "command", "old", "new"), FORMER, ids=[f"{name} {old}" for name, _, old, _ in FORMER]
)
def test_an_old_name_does_what_the_new_one_does_and_says_so(name, command, old, new, capsys):
    needed = []
    for param in command.params:
        if param.required:
            needed += [param.opts[0], "1"] if isinstance(param, click.Option) else ["1"]
    kind = next(param.type for param in command.params if new in param.opts)
    value = kind.choices[0] if isinstance(kind, click.Choice) else "0.25"
    params = []
    for option in (old, new):
        with command.make_context(name, [*needed, option, value]) as context:
            params.append(context.params)
    assert params[0] == params[1]
    note = f"{old} is now called {new}; the old name goes with the next version\n"
    assert capsys.readouterr() == ("", note)
    assert f"{old} " not in command.get_help(click.Context(command))


def test_what_is_wrong_with_an_old_name_is_told_of_the_new_one(capsys):
    with pytest.raises(SystemExit) as stop:
        group.main(["train", "table", "rows.csv", "--fpr", "2"])
    assert stop.value.code == 2
    assert "Invalid value for '--target-fpr'" in capsys.readouterr().err


@each_command
def test_every_command_has_a_section_in_the_documentation(name, command):
    assert f"\n## {name}\n" in PAGE.read_text(encoding="utf-8")


@each_command
def test_every_option_is_named_in_the_documentation(name, command):
    words = set(re.findall(r"--[a-z][a-z-]*", PAGE.read_text(encoding="utf-8")))
    shown = [param for param in command.params if not _hidden(param)]
    options = {option for param in shown for option in param.opts if option.startswith("--")}
    assert options <= words, name


@each_command
def test_every_command_can_answer_as_json_and_every_option_has_help(name, command):
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert "--json" in {option for param in options for option in param.opts}
    assert [param.opts for param in options if not param.help] == []


LIMITS = {"--max-pixels", "--max-bytes", "--max-frames"}
ONE_IMAGE = {*LIMITS, "--white", "--threads"}
READERS = {
    "train images": {*LIMITS, "--white", "--threads", "--follow-links", "--good", "--defect"},
    "data check": {*LIMITS, "--follow-links", "--good", "--defect"},
    "sweep images": {*ONE_IMAGE, "--follow-links", "--good", "--defect"},
    "evaluate": {*ONE_IMAGE, "--follow-links", "--good", "--defect"},
    "threshold tune": {*ONE_IMAGE, "--follow-links", "--good", "--defect"},
    "threshold compare": {*ONE_IMAGE, "--follow-links", "--good", "--defect"},
    "probability fit": {*ONE_IMAGE, "--follow-links", "--good", "--defect"},
    "models promote": {*ONE_IMAGE, "--follow-links", "--good", "--defect"},
    "score images": {*ONE_IMAGE, "--follow-links"},
    "inspect": {*ONE_IMAGE, "--follow-links"},
    "latent embed": {*ONE_IMAGE, "--follow-links"},
    "feedback sample": {*ONE_IMAGE, "--follow-links"},
    "latent interpolate": ONE_IMAGE,
    "latent traverse": ONE_IMAGE,
}


@pytest.mark.parametrize("name", READERS)
def test_every_command_that_reads_images_can_read_what_the_others_can(name):
    command = dict(COMMANDS)[f"vae-anomaly {name}"]
    assert READERS[name] <= {option for param in command.params for option in param.opts}


def test_help_of_everything_imports_nothing_heavy():
    lines = [name.split()[1:] for name, _ in COMMANDS]
    code = (
        "import sys\n"
        "from vae_anomaly.cli import cli\n"
        f"for line in [[]] + {lines!r}:\n"
        "    try: cli.main([*line, '--help'], standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def run_with(monkeypatch, error: BaseException, *words: str) -> None:
    def raising(**_: object) -> None:
        raise error

    monkeypatch.setattr(group.cli, "main", raising)
    group.main(list(words))


def subclasses(parent: type[VaeAnomalyError]) -> list[type[VaeAnomalyError]]:
    return [parent, *(found for child in parent.__subclasses__() for found in subclasses(child))]


@pytest.mark.parametrize("kind", subclasses(VaeAnomalyError), ids=lambda kind: kind.__name__)
def test_an_error_of_ours_is_one_line_and_its_exit_code(monkeypatch, capsys, kind):
    with pytest.raises(SystemExit) as stop:
        run_with(monkeypatch, kind("what is wrong, and what to do"))
    assert stop.value.code == kind.exit_code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Error: what is wrong, and what to do\n")


@pytest.mark.parametrize("kind", subclasses(VaeAnomalyError), ids=lambda kind: kind.__name__)
def test_with_json_an_error_is_the_document(monkeypatch, capsys, kind):
    with pytest.raises(SystemExit) as stop:
        run_with(monkeypatch, kind("what is wrong"), "--json")
    said = capsys.readouterr()
    error = {"kind": kind.__name__, "message": "what is wrong", "exit_code": kind.exit_code}
    assert (stop.value.code, json.loads(said.out)) == (kind.exit_code, {"error": error})
    assert said.err == "Error: what is wrong\n"


@each_command
def test_with_json_wrong_usage_of_every_command_is_a_document(name, command, capsys):
    with pytest.raises(SystemExit) as stop:
        group.main([*name.split()[1:], "--json", "--nope"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert (stop.value.code, error["exit_code"], error["kind"]) == (2, 2, "NoSuchOption")


def test_a_result_with_an_error_after_it_is_one_document(monkeypatch, capsys):
    def gate(**_: object) -> None:
        emit({"flagged": 3}, as_json=True)
        raise GateFailedError("three are flagged")

    monkeypatch.setattr(group.cli, "main", gate)
    with pytest.raises(SystemExit) as stop:
        group.main(["--json"])
    assert (stop.value.code, json.loads(capsys.readouterr().out)) == (6, {"flagged": 3})


def test_a_file_that_the_system_refuses_is_one_line_that_names_it(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run_with(monkeypatch, PermissionError(13, "Permission denied", "night.csv"))
    assert (stop.value.code, capsys.readouterr().err) == (
        74,
        "Error: night.csv: Permission denied. Check the path, and who may use it.\n",
    )


@pytest.mark.parametrize(
    "line",
    [["train", "images", ""], ["models", "list", "--tracking-uri", " "], ["demo", "--out="]],
    ids=" ".join,
)
def test_an_empty_value_is_refused_before_it_means_the_working_directory(capsys, line):
    with pytest.raises(SystemExit) as stop:
        group.main(line)
    assert stop.value.code == 2
    assert "is a variable of the shell not set?" in capsys.readouterr().err


def test_an_unknown_error_keeps_its_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        run_with(monkeypatch, ZeroDivisionError("a mistake of ours"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()], ids=["ctrl-c", "abort"])
def test_an_interruption_is_exit_130(monkeypatch, capsys, error):
    with pytest.raises(SystemExit) as stop:
        run_with(monkeypatch, error)
    assert (stop.value.code, capsys.readouterr().err) == (130, "Interrupted.\n")


@pytest.mark.parametrize("line", [["nope"], ["train", "table"], ["score", "images", "m", "i"]])
def test_wrong_usage_is_exit_2_on_stderr(capsys, line):
    with pytest.raises(SystemExit) as stop:
        group.main(line)
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert "Usage:" in said.err


def test_the_package_can_be_run_as_a_module():
    command = [sys.executable, "-m", "vae_anomaly", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("vae-anomaly")
    wrong = subprocess.run([*command[:-1], "scoer"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "vae-anomaly" in wrong.stderr
