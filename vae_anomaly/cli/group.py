"""The top of the command line: lazy groups, exit codes and what happens to errors."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from vae_anomaly.errors import VaeAnomalyError
from vae_anomaly.version import __version__

COMMANDS = {
    "demo": ("demo:demo", "See the whole system work on data that it makes itself."),
    "data": ("data:data", "Check images or tables before training; show a schema."),
    "train": ("train:train", "Learn what normal looks like, and register the model."),
    "score": ("score:score", "Score a night's images or a day's rows."),
    "inspect": ("inspect:inspect_", "Say why an image or a row was flagged."),
    "evaluate": ("evaluate:evaluate", "Measure detection where labels exist."),
    "latent": ("latent:latent", "Look into the latent space of a model; generate items."),
    "sweep": ("sweep:sweep", "See what beta and the latent size do to a network."),
    "threshold": ("threshold:threshold", "Tune, compare and apply the operating point."),
    "feedback": ("feedback:feedback", "Keep reviewers' verdicts, to tune thresholds by."),
    "probability": ("probability:probability", "Probabilities, where labels exist."),
    "models": ("models:models", "List, show, promote and verify registered models."),
}
"""For each command its place in this folder and its one-line help, a newcomer's first."""


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
