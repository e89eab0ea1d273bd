"""What every recording is: something that is closed when it is complete, and left unfinished otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import TypeVar

_Mine = TypeVar("_Mine", bound="Recording")


class Recording(ABC):
    """A run that is being recorded; `with` completes it, or leaves it unfinished after an exception."""

    @abstractmethod
    def close(self) -> Path:
        """Completes the run; returns its directory."""

    @abstractmethod
    def abort(self) -> None:
        """Stops without completing the run."""

    def __enter__(self: _Mine) -> _Mine:
        """The recording itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the run, or leaves it unfinished after an exception."""
        if kind is None:
            self.close()
        else:
            self.abort()
