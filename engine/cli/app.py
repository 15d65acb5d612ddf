"""Putting the commands together and turning errors into sentences and exit codes."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint, entry_points
from types import FrameType
from typing import Annotated, Any

import typer

from ..errors import DeviceError, PhotopeakError
from .console import Unfinished, fail, print_json
from .demo import demo
from .doctor import doctor
from .info import info
from .iqa import iqa
from .models import models
from .mtf import mtf
from .nps import nps
from .plan import plan
from .reconstruct import reconstruct
from .run import run
from .tune import tune
from .validate import validate
from .warmup import warmup

HELP = """Fast inference for nuclear-medicine images: DICOM in, DICOM out.

Exit codes: 0 done, 1 unexpected error, 2 usage, 3 bad input, 4 model, 5 device, 6 network, 7 some items failed,
130 interrupted, 143 terminated.
"""
_UNEXPECTED, _USAGE, _BAD_INPUT, _INTERRUPTED, _TERMINATED = 1, 2, 3, 130, 143
_COMMANDS = (run, iqa, mtf, nps, reconstruct, models, info, validate, doctor, tune, plan, demo, warmup)


class Terminated(BaseException):
    """Somebody asked the process to end; what is under way is undone on the way out."""


def build() -> typer.Typer:
    """Return the application with our commands and those that other parts of Photopeak register."""
    app = typer.Typer(
        name="photopeak", help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    for command in _COMMANDS:
        app.command()(command)
    for entry in sorted(entry_points(group="photopeak.commands"), key=lambda entry: entry.name):
        _register(app, entry)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, optional
        What follows the program's name; by default that of this process.
    """
    # Names of files may hold bytes that are no text, and terminals may lack letters; neither is a reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    with _terminating():
        _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(words: list[str]) -> None:
    debug = "--debug" in words
    # Accepted before and after the command's name, as people type it where the error appeared.
    words = [word for word in words if word != "--debug"]
    found: dict[str, Any] = {}
    app: typer.Typer | None = None
    try:
        app = build()
        app(args=words)
    except SystemExit as ended:  # how typer ends, also after it explained wrong usage
        if ended.code != _INTERRUPTED:
            if ended.code == _USAGE and _wants_json(app, words):
                print_json({"error": _wrong_usage(ended.__context__), "exit_code": _USAGE})
            raise
        error: BaseException = KeyboardInterrupt()
    except Unfinished as unfinished:
        error, found = unfinished.__cause__ or unfinished, unfinished.found
    except BaseException as caught:  # noqa: BLE001 - people get a sentence, whatever it is
        error = caught
    if debug:
        traceback.print_exception(error)
    sentence, code = _explain(error)
    fail(sentence)
    if _wants_json(app, words):
        with suppress(OSError):  # where standard output itself is what cannot be written
            print_json(found | {"error": sentence, "exit_code": code})
    sys.exit(code)


def _explain(error: BaseException) -> tuple[str, int]:
    """Return the sentence and the exit code of an error."""
    if isinstance(error, PhotopeakError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was written before is complete.", _INTERRUPTED
    if isinstance(error, Terminated):
        return "terminated; what was written before is complete.", _TERMINATED
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}cannot be read or written ({error.strerror}); check the path and the disk.", _BAD_INPUT
    described = f"unexpected {type(error).__name__}: {error}"
    return f"{described}. Run again with --debug for the traceback and report it.", _UNEXPECTED


@contextmanager
def _terminating() -> Iterator[None]:
    """Let SIGTERM end the block with an exception, so that no part of a file and no part of a series stays behind."""

    def end(number: int, frame: FrameType | None) -> None:
        # Some send it twice, as timeout(1) does; undoing must not be cut short by the second one.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    # Python lets the main thread alone set handlers; one that somebody else has set stays.
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wants_json(app: typer.Typer | None, words: list[str]) -> bool:
    """Return whether a command prints JSON; where --json takes a file, it means something else."""
    if app is None or "--json" not in words:
        return False
    name = next((word for word in words if not word.startswith("-")), "")
    command = getattr(typer.main.get_command(app), "commands", {}).get(name)
    options = command.params if command else ()
    return any("--json" in option.opts and getattr(option, "is_flag", False) for option in options)


def _wrong_usage(error: BaseException | None) -> str:
    """Return what was wrong, from the error that typer had printed when it ended the program."""
    explain = getattr(error, "format_message", None)
    return str(explain()) if explain else "wrong usage; see 'photopeak --help'."


def _register(app: typer.Typer, entry: EntryPoint) -> None:
    """Add a command, or a group of them, of another package; one that cannot be loaded must not take the others with it."""
    try:
        loaded = entry.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=entry.name)
        else:
            app.command(entry.name)(loaded)
    except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
        anything = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(entry.name, context_settings=anything)(_unavailable(entry, error))


def _unavailable(entry: EntryPoint, error: Exception) -> Callable[[], None]:
    """Return a command that tells why another one is missing."""
    reason = f"photopeak {entry.name} cannot be loaded from {entry.value} ({type(error).__name__}: {error})"

    def command() -> None:
        raise DeviceError(f"{reason}; install what it needs, or remove the package that brings it.") from error

    command.__doc__ = f"Not available: {reason}."
    return command


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
