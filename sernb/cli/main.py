"""The ``sernb`` command: runs a subcommand, and turns every error into one line and an exit code.

A module of commands is imported when one of its commands is used, and heavy packages by the command itself, so that
``--help`` is instant.
"""

import errno
import importlib
import os
import sys
from collections.abc import Sequence

import click

from sernb import __version__
from sernb.cli.option_values import as_absolute
from sernb.cli.options import DONE, PROBLEMS, USAGE, discard_output
from sernb.config import DataError, fault_line, in_one_line
from sernb.runtime.environment import advise_install, find_home
from sernb.runtime.garbage_collection import collect_less

MODULES = {
    "recordings": ("corpora", "encoders", "fetch", "check", "audit", "prepare"),
    "notebooks": ("run", "report"),
    "experiments": ("experiment", "verify", "status"),
    "predictions": ("predict", "app"),
    "models": ("train", "export"),
}
COMMANDS = {name: f"sernb.cli.{module}" for module, names in MODULES.items() for name in names}
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class LazyGroup(click.Group):
    """A group of commands that are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in workflow order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import and return a command; the error for an unknown one lists the known ones."""
        if cmd_name not in COMMANDS:
            message = f"No such command {cmd_name!r}; known: {', '.join(COMMANDS)}."
            raise click.NoSuchCommand(cmd_name, message, COMMANDS, ctx)
        return getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)


@click.group(cls=LazyGroup, no_args_is_help=False, context_settings=SETTINGS)
@click.version_option(__version__, message="sernb %(version)s")
def sernb() -> None:
    """A research workbook for speech emotion recognition."""


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        arguments: by default those of the process

    Returns:
        exit code: 0 done, 1 problems with the input or the data, 2 wrong usage, 130 interrupted
    """
    _escape_unprintable()
    collect_less()
    try:
        try:
            for name in ("SERNB_DATA", "SERNB_ENCODERS", "SERNB_WORK"):  # absolute: notebooks run in their own folder
                if os.environ.get(name):
                    os.environ[name] = as_absolute(os.environ[name])
            find_home()
            with sernb.make_context("sernb", list(sys.argv[1:] if arguments is None else arguments)) as context:
                return sernb.invoke(context) or DONE
        finally:
            sys.stdout.flush()  # here, where a broken pipe can still be caught
    except click.exceptions.Exit as done:  # after --help, --version
        return done.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "sernb"
        message = in_one_line(" ".join(error.format_message().split())).rstrip(".")
        usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
        print(f"{usage}{path}: error: {message}; see `{path} --help`", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("\nsernb: interrupted; finished work is kept, the same command resumes it", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as in `sernb corpora | head -1`
        discard_output()
        return DONE
    except Exception as error:
        if sys.flags.dev_mode and not isinstance(error, DataError | MemoryError | OSError):
            raise
        for line in _describe(error):
            print(f"sernb: {in_one_line(line)}", file=sys.stderr)
        return PROBLEMS


def _describe(error: Exception) -> Sequence[str]:
    if isinstance(error, DataError):
        return error.args
    if isinstance(error, MemoryError):
        advice = "close other programs, or use fewer processes (--jobs 1) or clips; finished work is kept"
        return [f"out of memory: {advice}"]
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] != "sernb":
        return [f"this command {advise_install(error)}"]
    if isinstance(error, OSError):
        prefix = f"{error.filename}: " if error.filename else ""
        return [f"{prefix}{error.strerror or error}{_next_step(error)}"]
    # `python -X dev -m sernb …` shows the traceback
    return [f"{fault_line(error)}: this is a bug in sernb; please report it with this line"]


def _escape_unprintable() -> None:
    """Escape characters that the terminal cannot show; discard output if standard output or error is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _next_step(error: OSError) -> str:
    if error.errno == errno.ENOMEM:
        return "; close other programs, or use fewer processes (--jobs 1)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "temporary directory" in str(error):
        place = "" if error.filename else f" in {os.environ.get('TMPDIR', 'the folder for temporary files')}"
        return f"{place}; free disk space, or name another folder in TMPDIR, then give the same command again"
    return ""
