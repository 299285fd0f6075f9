"""Shared by the commands: parsing of arguments, output, and common options."""

import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sernb.cli.option_values import as_absolute, as_count, as_jobs, as_names, as_numbers, as_seeds
from sernb.config import NOTEBOOKS, PROFILES, REPORTS, DataError

if TYPE_CHECKING:
    from sernb.runtime.files import Unwritable

DONE, PROBLEMS, USAGE = 0, 1, 2
POOL = "A corpus, several as in ravdess+tess, or some clips as in ravdess:gender=female and tess:available."
KNOWN_PROTOCOLS = (  # copied, because importing them takes longer than printing the help; a test compares
    "as-published, speaker-independent, speaker-normalised, corpus-independent, emobox, sentence-independent, "
    "own-folds, development, random, random-twins-apart, leaky-statistics, leaky-augmentation, leaky-choice"
)
ANYWHERE = ("corpora", "encoders", "fetch", "check", "audit", "predict", "app")  # commands that need no checkout

say = functools.partial(print, flush=True)


class Command(click.Command):
    """A command with required options in its usage line, which may require the checkout."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the parts of the usage line, including required options."""
        options = [each for each in self.params if isinstance(each, click.Option) and each.required]
        return [*(f"{each.opts[0]} {each.make_metavar(ctx)}" for each in options), *super().collect_usage_pieces(ctx)]

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first line of the help, untruncated."""
        return self.help.partition("\n")[0].removesuffix(".")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; a usage error then refers to this command."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> int | None:
        """Run the command; DataError if it needs the checkout and is outside of it, or a path cannot be written."""
        if self.name not in ANYWHERE and not NOTEBOOKS.is_dir():
            raise DataError(
                f"sernb {self.name} needs the workbook: run it in its checkout, after pip install 'sernb[workbook]'"
            )
        try:
            return super().invoke(ctx)
        except DataError as error:
            from sernb.runtime.files import Unwritable

            if isinstance(error, Unwritable):
                raise _name_option(error, self.params, ctx.params) from error
            raise


def _name_option(error: "Unwritable", params: list[click.Parameter], values: dict[str, object]) -> "Unwritable":
    """Return the error with the option that chose its path, if one did."""
    from sernb.runtime.files import is_within

    for param in params:
        value = values[param.name] or (REPORTS if param.name == "out" else None)
        is_output = isinstance(value, Path) or (value and param.name == "into")  # other paths, to be read, are texts
        if isinstance(param, click.Option) and is_output and is_within(error.path, Path(value)):
            return error.named_by(param.opts[0])
    return error.named_by(error.setting)


class Option(click.Option):
    """An option whose help shows its default, and whose value cannot be another option."""

    def __init__(self, names: list[str], **settings):
        super().__init__(names, **{"show_default": bool(settings.get("default")), **settings})

    def type_cast_value(self, ctx: click.Context, value: object) -> object:
        """Convert the value; BadParameter if it looks like an option."""
        if isinstance(value, str) and re.match(r"-\D", value):
            raise click.BadParameter(f"{self.metavar} is expected, not {value!r}", ctx, self)
        return super().type_cast_value(ctx, value)


def announce(line: str) -> None:
    """Print a line of progress; if the reader of a pipe has closed it, work continues silently."""
    try:
        say(line)
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Discard everything printed from now on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


command = functools.partial(click.command, cls=Command)
option = functools.partial(click.option, cls=Option)
profile_option = functools.partial(
    option, "--profile", type=click.Choice(PROFILES), help="quick: fewer epochs and two folds of each protocol."
)
data_option = option(
    "--data", type=as_absolute, metavar="DIR", help="Recordings (default: $SERNB_DATA, else data/raw)."
)
jobs_option = option("--jobs", type=as_jobs, default="-1", metavar="N", help="Processes; -1: one per core.")
json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


def plan_options(*, required: bool) -> Callable:
    """Return a decorator that adds the options that select runs."""
    options = [
        option("--systems", required=required, type=as_names, metavar="A,B", help="One or more, separated by commas."),
        option("--encoder", metavar="NAME", help="See `sernb encoders`; for embedding-* also onnx:FILE, hf:NAME."),
        option("--corpus", required=required, metavar="C", help=POOL),
        option("--protocol", required=required, type=as_names, metavar="P", help=f"One or more of {KNOWN_PROTOCOLS}."),
        option("--labels", metavar="L", help="A label set (default: each system's own)."),
        option(
            "--target", "targets", type=as_names, metavar="A,B", help="Numbers to predict, as arousal or arousal:1..5."
        ),
        option(
            "--sampling",
            default="natural",
            metavar="S",
            help="natural, or balanced: equally many clips of each corpus.",
        ),
        option("--train-on", default="", metavar="CONDITIONS", help="Train on matching clips only, as gender=female."),
        option("--test-on", default="", metavar="CONDITIONS", help="Test on matching clips only, as corpus=tess."),
        option("--train-clips", type=as_count, metavar="N", help="Train on N clips of each fold, drawn at random."),
        option(
            "--folds", type=as_numbers, metavar="0-4", help="Numbers or ranges, separated by commas (default: all)."
        ),
        option("--seeds", type=as_seeds, default="0", metavar="0-4", help="Numbers or ranges, separated by commas."),
        profile_option(default="full"),
        data_option,
    ]
    return lambda function: functools.reduce(lambda decorated, add: add(decorated), reversed(options), function)
