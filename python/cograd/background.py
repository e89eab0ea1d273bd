"""Work on a thread of its own, in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future


class Background:
    """Does what it is given one after the other; an exception is raised at the next call."""

    def __init__(self, waiting: int) -> None:
        """Starts the thread; `waiting` pieces of work wait at most, so that memory is bounded."""
        self._work: queue.Queue[Callable[[], None] | Future[None] | None] = queue.Queue(waiting)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="cograd writer", daemon=True)
        self._thread.start()

    def add(self, work: Callable[[], None]) -> None:
        """Queues work, after raising what earlier work raised."""
        self._raise()
        self._work.put(work)

    def wait(self) -> None:
        """Waits until everything is done."""
        done: Future[None] = Future()
        self._work.put(done)
        done.result()
        self._raise()

    def stop(self) -> None:
        """Ends the thread after what is queued; raises nothing."""
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if isinstance(work, Future):
                work.set_result(None)
            elif self._failure is None:  # after a failure nothing more is done
                try:
                    work()
                except BaseException as failure:
                    self._failure = failure
