"""Fully connected, the other way round: y = b + a W, as GPT-2's `Conv1D` has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cograd.torch.rules.linear import Linear
from cograd.torch.rules.rule import Bound, Use


class Addmm(Linear):
    """A weight [inputs, outputs]."""

    def bind(  # type: ignore[override]
        self, input: Tensor, mat1: Tensor, mat2: Tensor, **options: Any
    ) -> Bound | None:
        """A bias that is a row."""
        if options or input.ndim != 1:
            return None
        return Bound(mat1, {"weight": mat2, "bias": input})

    def row_and_column(self, use: Use, places: Tensor) -> tuple[Tensor, Tensor]:
        """Output and input of places of the weight."""
        width = use.delta.shape[-1]
        return places % width, places.div(width, rounding_mode="floor")

    def as_weight(self, direction: Tensor) -> Tensor:
        """A direction as [outputs, inputs]."""
        return direction.mT


FUNCTIONS = {torch.addmm: Addmm()}
