"""The top of the command line: lazy groups, exit codes and what happens to errors."""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import pairwise

import click

from vae_anomaly.cli.console import emit_error, results_only
from vae_anomaly.cli.streams import standard_streams
from vae_anomaly.errors import StorageError, VaeAnomalyError
from vae_anomaly.files import is_full_disk
from vae_anomaly.logs import JsonLines, json_lines, tell_error, told_as_json
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.threads import thread_policy
from vae_anomaly.version import __version__

COMMANDS = {
    "demo": ("demo:demo", "See the whole system work on data that it makes itself."),
    "data": ("data:data", "Check images or tables before training; show a schema."),
    "train": ("train:train", "Learn what normal looks like, and register the model."),
    "score": ("nights.score:score", "Score a night's images or a day's rows."),
    "runs": ("nights.runs:runs", "List, show, verify and resume what was scored."),
    "monitor": ("nights.monitor:monitor", "See how the last nights went, and what has moved."),
    "report": ("nights.report:report", "Draw the page of a night, a model or two runs."),
    "inspect": ("inspect:inspect_", "Say why an image or a row was flagged."),
    "evaluate": ("evaluate:evaluate", "Measure detection where labels exist."),
    "latent": ("latent:latent", "Look into the latent space of a model; generate items."),
    "sweep": ("sweep:sweep", "See what beta and the latent size do to a network."),
    "threshold": ("threshold:threshold", "Tune, compare and apply the operating point."),
    "feedback": ("feedback:feedback", "Keep reviewers' verdicts, and learn from them."),
    "probability": ("probability:probability", "Probabilities, where labels exist."),
    "config": ("nights.config:config", "Say what a job is told, and by whom."),
    "models": ("models:models", "List, show, promote and verify registered models."),
}
"""For each command its place in this folder and its one-line help, a newcomer's first."""

HELP = {"-h", "--help"}
INTERRUPTED = 130
MAY_BE_EMPTY = {"--evidence", "--reason", "--beta", "--latent-dim"}  # the last two have a say


class LazyGroup(click.Group):
    """The group of `COMMANDS`: a command is imported when it is called, none to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(f"vae_anomaly.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": sorted(HELP), "max_content_width": 100},
)
@click.version_option(__version__, prog_name="vae-anomaly")
def cli() -> None:
    """Find defective parts and fraudulent transactions with models of what is normal.

    MODEL is a model folder, models:/NAME@ALIAS or models:/NAME/VERSION.

    \b
    Start here:
      vae-anomaly demo
      vae-anomaly train images parts/good --name parts
      vae-anomaly score images models:/parts@champion tonight/ --out flags/
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the code of docs/operations.md."""
    words = sys.argv[1:] if args is None else args
    helps = bool(HELP.intersection(words))
    with (
        standard_streams(),
        json_lines("--log-json" in words and not helps),
        results_only("--json" in words and not helps),
        thread_policy(),
    ):
        code = _run(words)
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run a command, tell its error in one line, and return the exit code."""
    try:
        _refuse_empty(words)
        result = cli.main(args=words, prog_name="vae-anomaly", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except VaeAnomalyError as error:
        return _told(error, with_addresses(str(error)), error.exit_code)
    except click.ClickException as error:
        if isinstance(sys.stderr, JsonLines):
            return _told(error, error.format_message(), error.exit_code)
        emit_error(error, error.format_message(), error.exit_code)
        error.show()  # with the usage of the command
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        emit_error(error, "Interrupted.", INTERRUPTED)
        return tell_error("Interrupted.", INTERRUPTED, label="")
    except Exception as error:
        message = _of_the_system(error)
        if message is not None:
            return _told(error, message, StorageError.exit_code)
        emit_error(error, f"{type(error).__name__}: {error}", 1)
        if not told_as_json(error):
            raise
        return 1


def _of_the_system(error: Exception) -> str | None:
    """Say what the system did not let us do with a file, or for want of space; else nothing."""
    full = is_full_disk(error)
    if not isinstance(error, OSError) or (error.filename is None and not full):
        return None
    remedy = "Free some space, then run again." if full else "Check the path, and who may use it."
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}. {remedy}"


def _refuse_empty(words: list[str]) -> None:
    """Refuse an empty word, as a variable of the shell leaves that is not set."""
    for before, word in pairwise(["", *words]):
        option, equals, value = word.partition("=")
        is_empty = not value.strip() if equals and option.startswith("--") else not word.strip()
        if is_empty and not MAY_BE_EMPTY.intersection({before, option}):
            after = f" after {before}" if before.startswith("-") else ""
            raise click.UsageError(
                f"Got an empty value, {word!r}{after}. Give one, or leave it out; is a variable of "
                "the shell not set?"
            )


def _told(error: Exception, message: str, exit_code: int) -> int:
    emit_error(error, message, exit_code)
    return tell_error(message, exit_code)
