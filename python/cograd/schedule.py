"""At which steps something is recorded: the schedules of experiment files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from cograd.errors import DataError

#: Larger than any step.
NEVER = 2**63


@dataclass(frozen=True)
class Schedule:
    """Every step up to a bound, then so many steps for every tenfold, evenly spaced in their logarithm.

    >>> Schedule(every_step_until=3, per_decade=2).up_to(100)
    [0, 1, 2, 3, 10, 32, 100]
    """

    #: Every step from 0 up to and including this one.
    every_step_until: int = 100
    #: Then the steps round(10^(k / per_decade)), k = 0, 1, …; none if 0.
    per_decade: int = 20

    def __post_init__(self) -> None:
        """Refuses what experiment files refuse."""
        if not 0 <= self.every_step_until < NEVER:
            raise DataError(f"every_step_until = {self.every_step_until}: it must be 0 or more")
        if not 0 <= self.per_decade <= 10_000:
            raise DataError(f"per_decade = {self.per_decade}: 0 to 10000 are possible")

    def next(self, step: int) -> int:
        """The first scheduled step that is not before `step`."""
        if step <= self.every_step_until:
            return max(step, 0)
        if self.per_decade == 0:
            return NEVER
        # Rounding may take the exact place one further or one back.
        k = max(0, math.floor(self.per_decade * math.log10(step)) - 1)
        while (found := _rounded(k, self.per_decade)) < step:
            k += 1
        return found if found < NEVER else NEVER

    def __contains__(self, step: int) -> bool:
        """Whether `step` is scheduled."""
        return step >= 0 and self.next(step) == step

    def up_to(self, last: int) -> list[int]:
        """The scheduled steps up to and including `last`, ascending."""
        steps, step = [], self.next(0)
        while step <= last:
            steps.append(step)
            step = self.next(step + 1)
        return steps


@dataclass(frozen=True)
class Steps:
    """Chosen steps, for instance those of saved checkpoints."""

    steps: Iterable[int]
    _ascending: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sorts the steps."""
        object.__setattr__(self, "_ascending", tuple(sorted(set(self.steps))))

    def next(self, step: int) -> int:
        """The first chosen step that is not before `step`."""
        return next((chosen for chosen in self._ascending if chosen >= step), NEVER)

    def __contains__(self, step: int) -> bool:
        """Whether `step` is chosen."""
        return step in self._ascending


def _rounded(k: int, per_decade: int) -> int:
    power = k / per_decade
    return math.floor(10.0**power + 0.5) if power < 18 else NEVER
