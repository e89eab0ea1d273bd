"""BatchNorm with its running statistics: the gradient of a channel's gain is Σ δ x̂, that of its shift Σ δ."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from cograd.torch.rules.group_norm import ChannelScale
from cograd.torch.rules.rule import Bound, Use


class BatchNorm(ChannelScale):
    """Channels are normalised by statistics that are given."""

    def bind(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Bound | None:
        """In training mode examples have no gradient of their own."""
        if training or running_mean is None or running_var is None:
            return None
        options = {"mean": running_mean, "variance": running_var, "eps": eps}
        return Bound(input, {"weight": weight, "bias": bias}, options)

    def normalised(self, use: Use) -> Tensor:
        """x̂."""
        options = use.bound.options
        return functional.batch_norm(use.input, options["mean"], options["variance"], eps=options["eps"])


FUNCTIONS = {functional.batch_norm: BatchNorm()}
