"""The processes of a data-parallel training: each records its share of the sample and of the population."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import distributed

from cograd.errors import DataError, ModelError, SelfCheckError
from cograd.torch.probe import Tensors

Result = TypeVar("Result")


class NotFiniteError(Exception):
    """What a step is made of is not finite: there is nothing to record."""


class Workers:
    """This process alone, or the ranks of torch.distributed's default group. All of them must call each method."""

    def __init__(self, together: bool) -> None:
        """Raises ModelError if processes are to record together and there is no group."""
        if together and not (distributed.is_available() and distributed.is_initialized()):
            raise ModelError(
                "distributed=True needs torch.distributed.init_process_group() before the recorder is made"
            )
        self.number = distributed.get_rank() if together else 0
        self._count = distributed.get_world_size() if together else 1

    @property
    def names(self) -> list[str]:
        """The workers' names; none for a process alone."""
        return [f"rank-{rank:05}" for rank in range(self._count)] if self._count > 1 else []

    @property
    def name(self) -> str:
        """This worker's name."""
        return self.names[self.number] if self.names else ""

    @property
    def leads(self) -> bool:
        """Whether this is the first of them, which evaluates, and completes the run."""
        return self.number == 0

    def share(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """This worker's part of the examples."""
        if len(ids) < self._count:
            raise DataError(f"{len(ids)} examples cannot be shared by {self._count} processes")
        return ids[self.number :: self._count]

    def in_turn(self, work: Callable[[], Any], *, first: bool) -> None:
        """Lets the leading worker work first, or last, and the others all at once."""
        if self.leads == first:
            work()
        self.gather(None)
        if self.leads != first:
            work()
        self.gather(None)

    def gather(self, value: Any) -> list[Any]:
        """The value of every worker, in their order."""
        if self._count == 1:
            return [value]
        values: list[Any] = [None] * self._count
        distributed.all_gather_object(values, value)
        return values

    def add(self, values: Tensors) -> None:
        """Adds up tensors over the workers, in place."""
        if self._count > 1:
            for value in values.values():
                distributed.all_reduce(value)

    def agree(self, work: Callable[[], Result]) -> Result:
        """Does the work, and raises what a step or a check of any worker came to on all of them."""
        result, failure = None, None
        try:
            result = work()
        except (NotFiniteError, SelfCheckError) as error:
            failure = error
        for other in self.gather(failure):
            if other is not None:
                raise other
        return result  # type: ignore[return-value]

    def largest(self, value: float) -> float:
        """The largest of the workers' values."""
        return max(self.gather(value))
