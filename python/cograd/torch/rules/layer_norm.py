"""LayerNorm and RMSNorm: the gradient of the gain is Σ δ x̂ over positions, that of the shift Σ δ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cograd.torch.rules.rule import Bound, Rule, Use


class LayerNorm(Rule):
    """Gain and shift of the last dimensions."""

    rows_are_free = True

    def bind(
        self,
        input: Tensor,
        normalized_shape: list[int],
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Bound | None:
        """Inputs with a dimension for the examples."""
        if input.ndim <= len(normalized_shape):
            return None
        return Bound(input, {"weight": weight, "bias": bias}, {"shape": normalized_shape, "eps": eps})

    def gradient(self, use: Use, role: str) -> Tensor:
        """Σ δ x̂, or Σ δ."""
        shape = use.bound.options["shape"]
        values = use.delta * self.normalised(use) if role == "weight" else use.delta
        return values.reshape(len(values), -1, torch.Size(shape).numel()).sum(1)

    def normalised(self, use: Use) -> Tensor:
        """x̂."""
        return functional.layer_norm(use.input, use.bound.options["shape"], eps=use.bound.options["eps"])


class RmsNorm(LayerNorm):
    """A gain without a shift."""

    def bind(  # type: ignore[override]
        self,
        input: Tensor,
        normalized_shape: list[int],
        weight: Tensor | None = None,
        eps: float | None = None,
    ) -> Bound | None:
        """Inputs with a dimension for the examples."""
        return super().bind(input, normalized_shape, weight, None, eps)  # type: ignore[arg-type]

    def normalised(self, use: Use) -> Tensor:
        """x̂."""
        return functional.rms_norm(use.input, use.bound.options["shape"], eps=use.bound.options["eps"])


FUNCTIONS: dict[Callable[..., Any], Rule] = {functional.layer_norm: LayerNorm()}
if hasattr(functional, "rms_norm"):  # since PyTorch 2.4
    FUNCTIONS[functional.rms_norm] = RmsNorm()
    FUNCTIONS[torch.rms_norm] = RmsNorm()
