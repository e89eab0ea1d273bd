"""GroupNorm: the gradient of a channel's gain is Σ δ x̂ over positions, that of its shift Σ δ."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from cograd.torch.rules.rule import Bound, Rule, Use


class ChannelScale(Rule):
    """Gain and shift of each channel, the second dimension."""

    def gradient(self, use: Use, role: str) -> Tensor:
        """Σ δ x̂, or Σ δ."""
        values = use.delta * self.normalised(use) if role == "weight" else use.delta
        return values if values.ndim == 2 else values.flatten(2).sum(2)

    def normalised(self, use: Use) -> Tensor:
        """x̂."""
        raise NotImplementedError


class GroupNorm(ChannelScale):
    """Groups of channels are normalised."""

    def bind(
        self,
        input: Tensor,
        num_groups: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Bound | None:
        """Any call."""
        return Bound(input, {"weight": weight, "bias": bias}, {"groups": num_groups, "eps": eps})

    def normalised(self, use: Use) -> Tensor:
        """x̂."""
        return functional.group_norm(use.input, use.bound.options["groups"], eps=use.bound.options["eps"])


FUNCTIONS = {functional.group_norm: GroupNorm()}
