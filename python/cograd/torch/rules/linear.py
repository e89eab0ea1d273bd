"""Fully connected: y = a Wᵀ + b, over any number of positions. The gradient is Σ δ aᵀ, that of the bias Σ δ."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from cograd.torch.rules.rule import Bound, Rule, Use, in_parts, inner, squares


class Linear(Rule):
    """A weight [outputs, inputs]."""

    rows_are_free = True

    def bind(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Bound | None:
        """A weight that is a matrix, and inputs with a row of their own."""
        if weight.ndim != 2 or input.ndim < 2:
            return None
        return Bound(input, {"weight": weight, "bias": bias})

    def gradient_at(self, use: Use, role: str, places: Tensor) -> Tensor:
        """Σ δ_r a_c."""
        if role == "bias":
            return self.gradient(use, role)[:, places]
        outputs, inputs = self.row_and_column(use, places)
        products = use.delta.index_select(-1, outputs) * use.input.index_select(-1, inputs)
        return products if products.ndim == 2 else products.flatten(1, -2).sum(1)

    def gradient(self, use: Use, role: str) -> Tensor:
        """Σ δ; that of the weight is never formed."""
        return use.delta if use.delta.ndim == 2 else use.delta.flatten(1, -2).sum(1)

    def contribution(self, use: Use, role: str, direction: Tensor) -> Tensor:
        """Σ δᵀ G a: one forward of the layer with the direction as its weight."""
        if role == "bias":
            return super().contribution(use, role, direction)
        return inner(use.delta, functional.linear(use.input, self.as_weight(direction)))

    def self_term(self, use: Use, role: str) -> Tensor:
        """‖δ‖² ‖a‖² of one position; of several, by the Gram matrices or the gradient, whichever is smaller."""
        if role == "bias":
            return super().self_term(use, role)
        if use.delta.ndim == 2:
            return squares(use.delta) * squares(use.input)
        return sequence_self_term(use.delta.flatten(1, -2), use.input.flatten(1, -2))

    def row_and_column(self, use: Use, places: Tensor) -> tuple[Tensor, Tensor]:
        """Output and input of places of the weight."""
        width = use.input.shape[-1]
        return places.div(width, rounding_mode="floor"), places % width

    def as_weight(self, direction: Tensor) -> Tensor:
        """A direction as [outputs, inputs]."""
        return direction


def sequence_self_term(delta: Tensor, input: Tensor) -> Tensor:
    """‖Σ_t δ_t a_tᵀ‖² of δ [examples, positions, outputs] and a [examples, positions, inputs]."""
    positions, outputs, inputs = delta.shape[1], delta.shape[2], input.shape[2]
    if 2 * positions**2 < outputs * inputs:

        def gram(delta: Tensor, input: Tensor) -> Tensor:
            return inner(delta @ delta.mT, input @ input.mT)

        return in_parts(gram, 8 * positions**2, delta, input)

    def direct(delta: Tensor, input: Tensor) -> Tensor:
        return squares(delta.mT @ input)

    return in_parts(direct, 4 * outputs * inputs, delta, input)


FUNCTIONS = {torch.nn.functional.linear: Linear()}
