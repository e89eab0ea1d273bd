"""What is recorded: some examples, and some coordinates of every parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from cograd.errors import DataError

# Each purpose has a random stream of its own.
_EXAMPLES, _COORDINATES = 2, 3


def sample_examples(total: int, count: int, seed: int) -> NDArray[np.int64]:
    """`count` of `total` examples, ascending; all of them where there are no more."""
    if count < 1:
        raise DataError(f"examples = {count}: at least one example must be recorded")
    return _choose(np.random.default_rng([seed, _EXAMPLES]), total, count)


def sample_coordinates(shape: Sequence[int], count: int, seed: int, parameter: int) -> NDArray[np.int64]:
    """`count` places of a parameter of that shape, ascending; all of them where there are no more."""
    if count < 1:
        raise DataError(f"coordinates = {count}: at least one value of a parameter must be recorded")
    return _choose(np.random.default_rng([seed, _COORDINATES, parameter]), math.prod(shape), count)


def matching(names: Sequence[str], patterns: str | Sequence[str]) -> list[str]:
    """The names that any of the patterns matches, in their order.

    >>> matching(["mlp.0.weight", "norm.weight"], "mlp.*")
    ['mlp.0.weight']
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise DataError(f"no parameter that is trained matches {pattern!r}; there are {', '.join(names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _choose(rng: np.random.Generator, total: int, count: int) -> NDArray[np.int64]:
    if count >= total:
        return np.arange(total, dtype=np.int64)
    return np.sort(rng.choice(total, count, replace=False, shuffle=False)).astype(np.int64)
