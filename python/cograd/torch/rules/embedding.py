"""Embedding: row v of the gradient is Σ δ over the positions whose token is v."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from cograd.torch.rules.rule import Bound, Rule, Use, in_parts, inner


class Embedding(Rule):
    """A weight [tokens, width], looked up."""

    rows_are_free = True

    def bind(
        self,
        input: Tensor,
        weight: Tensor,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Bound | None:
        """Without renormalisation or scaling by frequency, which would mix examples."""
        if max_norm is not None or scale_grad_by_freq:
            return None
        padding = None if padding_idx is None else padding_idx % weight.shape[0]
        return Bound(input, {"weight": weight}, {"padding": padding})

    def gradient_at(self, use: Use, role: str, places: Tensor) -> Tensor:
        """Σ_t [x_t = v] δ_{t,c}."""
        tokens, delta = _sequence(use)
        width = delta.shape[-1]
        rows, columns = places.div(width, rounding_mode="floor"), places % width

        def chosen(tokens: Tensor, delta: Tensor) -> Tensor:
            return (delta.index_select(-1, columns) * (tokens[..., None] == rows)).sum(1)

        return in_parts(chosen, 9 * tokens.shape[1] * len(places), tokens, delta)

    def contribution(self, use: Use, role: str, direction: Tensor) -> Tensor:
        """Σ_t δ_t · G[x_t]."""
        tokens, delta = _sequence(use)
        return inner(delta, functional.embedding(tokens, direction))

    def self_term(self, use: Use, role: str) -> Tensor:
        """Σ_{t,t'} [x_t = x_t'] δ_t · δ_t'."""

        def gram(tokens: Tensor, delta: Tensor) -> Tensor:
            return inner(delta @ delta.mT, tokens[:, :, None] == tokens[:, None, :])

        tokens, delta = _sequence(use)
        return in_parts(gram, 9 * tokens.shape[1] ** 2, tokens, delta)


def _sequence(use: Use) -> tuple[Tensor, Tensor]:
    """Tokens [examples, positions], and δ [examples, positions, width], 0 for padding."""
    tokens = use.input.reshape(len(use.input), -1)
    delta = use.delta.reshape(*tokens.shape, -1)
    padding = use.bound.options["padding"]
    return tokens, delta if padding is None else delta * (tokens != padding)[..., None]


FUNCTIONS = {torch.nn.functional.embedding: Embedding()}
