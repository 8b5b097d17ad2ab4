"""The top of the command line: lazy groups, exit codes and what happens to errors."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from vae_anomaly.errors import VaeAnomalyError
from vae_anomaly.version import __version__


class LazyGroup(click.Group):
    """A group whose commands are imported only when one of them is called.

    Parameters
    ----------
    commands_at : dict of str to (str, str)
        For each command its ``module:attribute`` and its one-line help, so that listing the
        commands imports none of them.
    """

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None where there is none of this name."""
        if cmd_name not in self.commands_at:
            return None
        module, attribute = self.commands_at[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in self.commands_at.items()])


def _at(module: str, attribute: str, help_: str) -> tuple[str, str]:
    return f"vae_anomaly.cli.{module}:{attribute}", help_


@click.group(
    cls=LazyGroup,
    commands_at={
        "demo": _at("demo", "demo", "See the whole system work on data that it makes itself."),
        "data": _at("data", "data", "Check pictures or tables before training; show a schema."),
        "train": _at("train", "train", "Learn what normal looks like, and register the model."),
        "score": _at("score", "score", "Score a night's pictures or a day's rows."),
        "inspect": _at("inspect", "inspect_", "Say why an image or a row was flagged."),
        "evaluate": _at("evaluate", "evaluate", "Measure detection where labels exist."),
        "latent": _at("latent", "latent", "Look into the latent space of a model; generate items."),
        "sweep": _at("sweep", "sweep", "See what beta and the latent size do to a network."),
        "threshold": _at("threshold", "threshold", "Tune, compare and apply the operating point."),
        "feedback": _at("feedback", "feedback", "Keep reviewers' verdicts, to tune thresholds by."),
        "probability": _at("probability", "probability", "Probabilities, where labels exist."),
        "models": _at("models", "models", "List, show, promote and verify registered models."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
    try:
        result = cli.main(args=args, prog_name="vae-anomaly", standalone_mode=False)
    except VaeAnomalyError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)
