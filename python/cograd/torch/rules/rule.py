"""What every rule has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

# What the intermediate values of a part of the examples may take.
_PART_BYTES = 64 << 20


@dataclass(frozen=True)
class Bound:
    """The arguments of a call: the input, the parameters by their role, and what else the rule needs."""

    input: Tensor
    parameters: Mapping[str, Tensor | None]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Use:
    """One call of a function with trained parameters."""

    rule: Rule
    bound: Bound
    #: Names of the trained parameters, by their role.
    roles: dict[str, str]
    shape: torch.Size
    edge: Any
    input: Tensor = field(init=False)
    delta: Tensor = field(init=False)

    def rows_an_example(self, examples: int) -> int | None:
        """How many rows of input and output belong to an example; None if they are not the examples' own."""
        input_shape = self.bound.input.shape
        if not input_shape or not self.shape or input_shape[0] != self.shape[0] or self.shape[0] % examples:
            return None
        rows = self.shape[0] // examples
        return rows if rows == 1 or self.rule.rows_are_free else None

    def bind_gradient(self, delta: Tensor, examples: int) -> None:
        """Takes the gradient of the output, and puts each example in a row."""

        def by_example(value: Tensor) -> Tensor:
            rows = value.shape[0] // examples
            return value.detach() if rows == 1 else value.detach().unflatten(0, (examples, rows))

        self.input, self.delta = by_example(self.bound.input), by_example(delta)


class Rule:
    """The rule of a function. Results have a row for each example; `role` says which of its parameters is meant."""

    #: Whether several rows of the input may belong to an example, as in a flattened sequence.
    rows_are_free = False

    def bind(self, *args: Any, **kwargs: Any) -> Bound | None:
        """The arguments of a call; None if the rule does not cover them."""
        raise NotImplementedError

    def gradient(self, use: Use, role: str) -> Tensor:
        """The whole gradient, [examples, values]: only for what is small."""
        raise NotImplementedError

    def gradient_at(self, use: Use, role: str, places: Tensor) -> Tensor:
        """The gradient at chosen places, [examples, places]."""
        return self.gradient(use, role)[:, places]

    def contribution(self, use: Use, role: str, direction: Tensor) -> Tensor:
        """The inner product with a direction, [examples]."""
        return self.gradient(use, role).double() @ direction.reshape(-1).double()

    def self_term(self, use: Use, role: str) -> Tensor:
        """The squared norm, [examples]."""
        return squares(self.gradient(use, role))


def squares(values: Tensor) -> Tensor:
    """The sum of squares of each row, in f64."""
    return inner(values, values)


def inner(left: Tensor, right: Tensor) -> Tensor:
    """The inner product of each row, in f64."""
    return (left * right).flatten(1).sum(1, dtype=torch.float64)


def in_parts(function: Callable[..., Tensor], bytes_an_example: int, *tensors: Tensor) -> Tensor:
    """What a function makes of rows, over parts of them so that memory is bounded."""
    rows = max(1, _PART_BYTES // max(bytes_an_example, 1))
    return torch.cat(
        [function(*part) for part in zip(*(tensor.split(rows) for tensor in tensors), strict=True)]
    )
