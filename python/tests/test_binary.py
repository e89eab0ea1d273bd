"""The command is found, its progress is passed on, and it does not outlive an interruption."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from cograd import binary


def program(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_named_binary_comes_first_and_must_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = program(tmp_path / "named", "true")
    monkeypatch.setenv(binary.VARIABLE, str(named))
    assert binary.find() == named
    monkeypatch.setenv(binary.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(binary.BinaryMissing, match="nothing"):
        binary.find()


def test_without_a_wheel_the_path_is_searched_and_a_missing_binary_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    monkeypatch.setattr(binary, "_of_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(binary.BinaryMissing, match=r"pip install \./python"):
        binary.find()
    there = program(tmp_path / "cograd", "true")
    assert binary.find() == there


def test_progress_is_passed_on_and_errors_are_exceptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "echo step 1 >&2; echo step 2 >&2; echo done; "
    text += "if [ $1 = fail ]; then echo 'error: it broke' >&2; echo '  because: so' >&2; exit 1; fi"
    monkeypatch.setenv(binary.VARIABLE, str(program(tmp_path / "cograd", text)))
    assert binary.run(["work"]) == "done\n"
    assert capsys.readouterr().err == "step 1\nstep 2\n"
    with pytest.raises(binary.CommandFailed) as caught:
        binary.run(["fail"], progress=False)
    assert str(caught.value) == "it broke\n  because: so"
    assert capsys.readouterr().err == ""


def test_a_binary_that_dies_without_a_word_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binary.VARIABLE, str(program(tmp_path / "cograd", "kill -9 $$")))
    with pytest.raises(binary.CommandFailed, match="status -9"):
        binary.run(["analyze"])


def test_messages_have_no_colour_codes_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICOLOR_FORCE", "1")  # as ipykernel does
    with pytest.raises(binary.CommandFailed, match=r"^unexpected argument '--nope' found") as caught:
        binary.run(["analyze", "--nope"])
    assert caught.value.exit_code == 2


class Interrupts(io.StringIO):
    """Interrupts this process as soon as progress is written to it, as Ctrl-C does."""

    def write(self, text: str) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return len(text)


def test_an_interruption_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "pid"
    text = f"echo $$ > {told}; echo begun >&2; exec sleep 600"
    monkeypatch.setenv(binary.VARIABLE, str(program(tmp_path / "cograd", text)))
    monkeypatch.setattr(sys, "stderr", Interrupts())
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where a shell began the tests with &
    try:
        with pytest.raises(KeyboardInterrupt):
            binary.run(["analyze"])
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
