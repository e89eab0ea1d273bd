"""Convolution of any stride, padding, dilation and groups: the gradient is Σ over positions of δ times the patch below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cograd.torch.rules.linear import sequence_self_term
from cograd.torch.rules.rule import Bound, Rule, Use, in_parts, inner


class Convolution(Rule):
    """A weight [outputs, inputs of a group, *kernel]."""

    def __init__(self, function: Callable[..., Tensor], dimensions: int) -> None:
        """`function` is the convolution in so many dimensions."""
        self._function, self._dimensions = function, dimensions

    def bind(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Bound | None:
        """Inputs with a dimension for the examples, and a padding in numbers."""
        if input.ndim != self._dimensions + 2 or padding == "same":
            return None
        options = {
            "stride": self._each(stride),
            "padding": self._each(0 if padding == "valid" else padding),
            "dilation": self._each(dilation),
            "groups": groups,
        }
        return Bound(input, {"weight": weight, "bias": bias}, options)

    def gradient_at(self, use: Use, role: str, places: Tensor) -> Tensor:
        """Σ δ_o a at an offset of the kernel, offset by offset."""
        if role == "bias":
            return self.gradient(use, role)[:, places]
        weight, options = self._weight(use), use.bound.options
        output, channel, *offset = torch.unravel_index(places, weight.shape)
        channel = (
            channel
            + output.div(weight.shape[0] // options["groups"], rounding_mode="floor") * weight.shape[1]
        )
        padded = _padded(use.input, options["padding"])
        found = use.delta.new_empty(len(use.delta), len(places))
        offsets = torch.stack(offset, dim=1)
        for at in offsets.unique(dim=0):
            chosen = (offsets == at).all(1).nonzero()[:, 0]
            below = padded[(..., *self._below(use, at.tolist()))].index_select(1, channel[chosen])
            found[:, chosen] = (use.delta.index_select(1, output[chosen]) * below).flatten(2).sum(2)
        return found

    def gradient(self, use: Use, role: str) -> Tensor:
        """Σ δ; that of the weight is never formed here."""
        return use.delta.flatten(2).sum(2)

    def contribution(self, use: Use, role: str, direction: Tensor) -> Tensor:
        """⟨δ, conv(a; G)⟩: one forward of the layer with the direction as its weight."""
        if role == "bias":
            return super().contribution(use, role, direction)
        return inner(use.delta, self._function(use.input, direction, None, **use.bound.options))

    def self_term(self, use: Use, role: str) -> Tensor:
        """The squared norm over each group, of unfolded patches as positions of a sequence."""
        if role == "bias":
            return super().self_term(use, role)
        weight, groups = self._weight(use), use.bound.options["groups"]
        positions = use.delta.flatten(2).shape[2]

        def part(delta: Tensor, input: Tensor) -> Tensor:
            patches = self._patches(use, input).reshape(len(input) * groups, -1, positions).mT
            deltas = delta.reshape(len(delta) * groups, -1, positions).mT
            return sequence_self_term(deltas, patches).reshape(len(delta), groups).sum(1)

        return in_parts(part, 4 * positions * groups * weight[0].numel(), use.delta, use.input)

    def _patches(self, use: Use, input: Tensor) -> Tensor:
        """[examples, channels, *kernel, *positions], by views of the padded input."""
        kernel = self._weight(use).shape[2:]
        padded = _padded(input, use.bound.options["padding"])
        offsets = (
            torch.cartesian_prod(*(torch.arange(size) for size in kernel)).reshape(-1, len(kernel)).tolist()
        )
        views = [padded[(..., *self._below(use, at))] for at in offsets]
        return torch.stack(views, dim=2)

    def _below(self, use: Use, at: list[int]) -> tuple[slice, ...]:
        """The places of the padded input that an offset of the kernel meets."""
        options = use.bound.options
        sizes = zip(at, options["dilation"], options["stride"], use.delta.shape[2:], strict=True)
        return tuple(
            slice(offset * dilation, offset * dilation + (size - 1) * stride + 1, stride)
            for offset, dilation, stride, size in sizes
        )

    def _weight(self, use: Use) -> Tensor:
        weight = use.bound.parameters["weight"]
        assert weight is not None
        return weight

    def _each(self, value: Any) -> tuple[int, ...]:
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        return values * self._dimensions if len(values) == 1 else values


def _padded(input: Tensor, padding: tuple[int, ...]) -> Tensor:
    return functional.pad(input, [side for size in reversed(padding) for side in (size, size)])


FUNCTIONS = {
    function: Convolution(function, dimensions)
    for dimensions, function in enumerate((torch.conv1d, torch.conv2d, torch.conv3d), start=1)
}
