"""What all commands share: help with examples, errors in one line, exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nnkit.backends import NAMES, BackendUnavailableError
from nnkit.cli.ranks import errors_of_all, here, met
from nnkit.distributed import RankError
from nnkit.reasons import printable
from nnkit.training.compiling import compilation_shown

_DEBUG = "nnkit.debug"
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Failure(click.ClickException):
    """An error with a message for the user; exit code 1."""


class Interrupted(click.ClickException):
    """Ctrl-C where there was nothing to save."""

    exit_code = 130


class Command(click.Command):
    """A command whose help ends with examples, written as they are."""

    def __init__(self, *args: Any, examples: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for line in self.examples.strip().splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Nnkit(Command, click.Group):
    """The command ``nnkit`` itself: it turns every error into one line and an exit code.

    0: all is well. 1: an error, or nobody reads the output any more. 2: wrong usage. 128 + n: it
    was stopped by signal n, such as 130 by Ctrl-C.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, report errors, and exit the process."""
        options: dict[str, Any] = {**kwargs, "prog_name": "nnkit", "standalone_mode": False}
        try:
            with met() as ranks:
                code = self._code(*args, **options, obj=ranks)
        except click.ClickException as error:  # the others were not found
            report(error.format_message())
            code = error.exit_code
        sys.exit(code)

    def _code(self, *args: Any, **options: Any) -> Any:
        """Run, report errors, and return the code that the process is to end with."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: notice(f"warning: {message}")
                code = super().main(*args, **options) or 0
            sys.stdout.flush()
        except (Interrupted, click.Abort, KeyboardInterrupt):
            notice("interrupted")
            code = Interrupted.exit_code
        except click.ClickException as error:
            hint = ""
            if isinstance(error, click.UsageError) and error.ctx is not None:
                hint = f" (see {error.ctx.command_path} --help)"
            report(error.format_message() + hint)
            code = error.exit_code
        except OSError as error:
            if not _unread(error):
                report(explain(error))
            code = 1
        _end_output()
        return code

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises leaves as a `ClickException`."""
        try:
            with compilation_shown(line=True):
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.UsageError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if _unread(error):
                raise
            if ctx.meta.get(_DEBUG):
                traceback.print_exc(file=errors_of_all())
            here().tell(error)
            if isinstance(error, click.ClickException):
                raise
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted("interrupted") from error
            raise Failure(explain(error)) from error


def write_any_text(stream: object) -> None:
    r"""Have a stream write characters that its encoding lacks as Python does, ``\uac00``.

    On Windows a pipe or a file takes those of one part of the world alone; a class may be named in
    any script. An error would end the command.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _unread(error: BaseException) -> bool:
    """Whether output goes into a pipe whose reader wants no more.

    Windows says of that what it says of much else, but then of a file, by its name.
    """
    nameless = isinstance(error, OSError) and error.filename is None
    refused = sys.platform == "win32" and nameless and error.errno == errno.EINVAL
    return isinstance(error, BrokenPipeError) or refused


def _end_output() -> None:
    """If output cannot be written, have its rest go nowhere: Python would fail again at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Name(click.Choice[str]):
    """One of some names, whatever its case, hyphens and underscores; else the nearest is told."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it is written here."""
        from nnkit.given.foreign import near, plain

        known = {plain(name): name for name in self.choices}
        try:
            return super().convert(known.get(plain(value), value), param, ctx)
        except click.BadParameter as error:
            if not (meant := near(plain(value), known)):
                raise
            text = f"{error.message.rstrip('.')} (did you mean {meant}?)"
            raise click.BadParameter(text, ctx=ctx, param=param) from None


def debug_option(function: Decorated) -> Decorated:
    """Add --debug, which is understood before and behind a command's name."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_DEBUG] = value or ctx.meta.get(_DEBUG, False)

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show Python's traceback of an error.",
    )(function)


def backend_option(function: Decorated) -> Decorated:
    """Add --backend."""
    return click.option(
        "--backend",
        type=Name([*NAMES, "auto"]),
        help="What to compute with.  [default: $NNKIT_BACKEND, else auto, the best that works]",
    )(function)


def notice(message: str) -> None:
    """Say something that is not the command's result."""
    lines = (printable(line, 2000) for line in f"nnkit: {message}".splitlines())
    click.echo("\n".join(lines), err=True)


def report(message: str) -> None:
    """Tell an error in one line."""
    notice(f"error: {' '.join(message.splitlines())}")


def explain(error: Exception) -> str:
    """Say what is wrong, in the user's terms."""
    match error:
        case OSError(strerror=str(reason), filename=None):
            return reason
        case OSError(strerror=str(reason), filename=filename):
            return f"{os.fsdecode(filename)}: {reason}"
        case MemoryError():
            return f"not enough memory. {error}".rstrip(". ")
        case OSError() | ValueError() | BackendUnavailableError() | RankError():
            return str(error)
    return f"{type(error).__name__}: {error} (unexpected: --debug shows where it happened)"
