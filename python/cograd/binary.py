"""The `cograd` command: where it is, and running it.

Analyses, reports and comparisons are its work. Its errors become exceptions, and its progress is passed on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from cograd.errors import CogradError

#: Names the binary, before every other place where it could be.
VARIABLE = "COGRAD_BINARY"
#: Seconds that the child has to end after it was asked to.
_PATIENCE = 10


class BinaryMissing(CogradError):
    """There is no `cograd` binary to run."""


class CommandFailed(CogradError):
    """The `cograd` command ended with an error; the message is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type[CommandFailed], tuple[str, int]]:
        """Engines send errors from process to process."""
        return type(self), (str(self), self.exit_code)


def find() -> Path:
    """The binary: what COGRAD_BINARY names, else that of the installed wheel, else that on the PATH.

    Raises `BinaryMissing` if there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise BinaryMissing(f"{VARIABLE} names {named}, which is no program; correct or unset it")
        return Path(named)
    found = _of_wheel() or shutil.which("cograd")
    if found is None:
        raise BinaryMissing(
            "the cograd binary is neither in an installed wheel nor on the PATH; run `pip install ./python` in a "
            f"clone of cograd, or set {VARIABLE} to target/release/cograd"
        )
    return Path(found)


def _of_wheel() -> Path | None:
    try:
        files = metadata.distribution("cograd").files or []
    except metadata.PackageNotFoundError:
        return None
    programs = (
        Path(os.path.normpath(file.locate())) for file in files if file.name in ("cograd", "cograd.exe")
    )
    return next((program for program in programs if program.is_file()), None)


def run(arguments: Iterable[str | os.PathLike[str]], *, progress: bool = True) -> str:
    """Runs the command to its end and returns what it printed; progress appears on `sys.stderr` meanwhile.

    Raises `CommandFailed` with the command's own message. An interruption (KeyboardInterrupt) ends the command.
    """
    command = [os.fspath(part) for part in (find(), *arguments)]
    with tempfile.TemporaryFile() as printed:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE, env=_plain()
        ) as child:
            try:
                message = _watch(child, progress)
            except BaseException:
                _end(child)
                raise
        if child.returncode != 0:
            told = "\n".join(message) or f"`cograd {command[1]}` ended with status {child.returncode}"
            raise CommandFailed(told, child.returncode)
        printed.seek(0)
        return printed.read().decode(errors="replace")


def _plain() -> dict[str, str]:
    """The environment without what notebooks set to have colours, whose codes would be in the messages."""
    return {
        name: value for name, value in os.environ.items() if name not in ("CLICOLOR_FORCE", "FORCE_COLOR")
    }


def _watch(child: subprocess.Popen[bytes], progress: bool) -> list[str]:
    """Passes on what the child says until it ends; the lines of its error, if it has one."""
    error: list[str] = []
    for raw in child.stderr or ():
        line = raw.decode(errors="replace").rstrip("\n")
        if error or line.startswith("error: "):
            error.append(line.removeprefix("error: "))
        elif progress:
            print(line, file=sys.stderr, flush=True)
    child.wait()
    return error


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
