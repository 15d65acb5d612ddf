"""Putting the commands together and turning errors into sentences and exit codes."""

import sys
import traceback
from importlib.metadata import entry_points
from typing import Annotated

import typer

from ..errors import PhotopeakError
from .console import fail
from .demo import demo
from .doctor import doctor
from .info import info
from .models import models
from .run import run
from .validate import validate

HELP = """Fast inference for nuclear-medicine images: DICOM in, DICOM out.

Exit codes: 0 done, 2 usage, 3 bad input, 4 model, 5 device, 6 network, 7 some items failed.
"""
_UNEXPECTED = 1


def build() -> typer.Typer:
    """Return the application with our commands and those that other parts of Photopeak register."""
    app = typer.Typer(
        name="photopeak", help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    for command in (run, models, info, validate, doctor, demo):
        app.command()(command)
    for entry in sorted(entry_points(group="photopeak.commands"), key=lambda entry: entry.name):
        app.command(entry.name)(entry.load())
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, optional
        What follows the program's name; by default that of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    # Accepted before and after the command's name, as people type it where the error appeared.
    words = [word for word in words if word != "--debug"]
    try:
        build()(args=words)
    except PhotopeakError as error:
        if debug:
            traceback.print_exc()
        fail(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted; what was written before is complete.")
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        fail(f"unexpected {type(error).__name__}: {error}. Run again with --debug for the traceback and report it.")
        sys.exit(_UNEXPECTED)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"photopeak {version('photopeak')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Declare the options that come before the command."""
