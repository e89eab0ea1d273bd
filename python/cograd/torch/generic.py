"""Per-example gradients of any parameter: by `vmap(grad)` where the model allows it, otherwise one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map

from cograd.errors import CogradError
from cograd.torch.data import batch_size
from cograd.torch.probe import Probe, Tensors, Weights

# What the gradients of one chunk of examples may take.
_CHUNK_BYTES = 256 << 20

#: What is made of an example's gradients, by parameter.
Summary = Callable[[Tensors], Tensors]


class Generic:
    """Gradients by autograd alone, of chosen parameters."""

    def __init__(self, probe: Probe) -> None:
        """Tries `vmap` first."""
        self._probe = probe
        self._one_at_a_time = False
        self._without_jvp = False

    def each(self, weights: Weights, batch: Any, names: Sequence[str], summary: Summary) -> Tensors:
        """The summaries of every example's gradients of `names`, stacked."""
        if not self._one_at_a_time and batch_size(batch) is not None:
            try:
                return self._vectorised(weights, batch, names, summary)
            except (torch.OutOfMemoryError, CogradError):
                raise
            except (RuntimeError, NotImplementedError, ValueError, TypeError):
                self._one_at_a_time = True
        return self._loop(weights, batch, names, summary)

    def along(self, weights: Weights, batch: Any, direction: Tensors) -> Tensor:
        """The derivative of every example's loss along `direction`, [examples]: its gradient's inner product with it."""
        names = list(direction)
        if not self._without_jvp:
            try:
                return self._forward_mode(weights, batch, direction)
            except (torch.OutOfMemoryError, CogradError):
                raise
            except (RuntimeError, NotImplementedError):
                self._without_jvp = True
        found = self.each(
            weights, batch, names, lambda g: {"": sum((g[name] * direction[name]).sum() for name in names)}
        )
        return found[""]

    def _forward_mode(self, weights: Weights, batch: Any, direction: Tensors) -> Tensor:
        def losses(trained: Tensors) -> Tensor:
            return self._probe.losses(weights, batch, trained)

        chosen = {name: weights.trained[name] for name in direction}
        tangents = {name: value.to(chosen[name].dtype) for name, value in direction.items()}
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            return jvp(losses, (chosen,), (tangents,))[1]

    def _vectorised(self, weights: Weights, batch: Any, names: Sequence[str], summary: Summary) -> Tensors:
        chosen = {name: weights.trained[name] for name in names}

        def loss(trained: Tensors, example: Any) -> Tensor:
            alone = tree_map(lambda leaf: leaf[None] if isinstance(leaf, Tensor) else leaf, example)
            return self._probe.losses(weights, alone, trained).sum()

        def summarised(trained: Tensors, example: Any) -> Tensors:
            return summary(grad(loss)(trained, example))

        size = sum(4 * math.prod(self._probe.shapes[name]) for name in names)
        chunk = max(1, _CHUNK_BYTES // max(size, 1))
        mapped = vmap(summarised, in_dims=(None, 0), randomness="different", chunk_size=chunk)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            return mapped(chosen, batch)

    def _loop(self, weights: Weights, batch: Any, names: Sequence[str], summary: Summary) -> Tensors:
        """One backward pass for each example: the losses of one forward pass of them all."""
        chosen = {name: weights.trained[name].detach().requires_grad_() for name in names}
        losses = self._probe.losses(weights, batch, chosen)
        found = []
        for loss in losses:
            gradients = gradient(loss, chosen, retain_graph=True)
            with torch.no_grad():
                found.append(summary(gradients))
        return {name: torch.stack([one[name] for one in found]) for name in found[0]}


def gradient(loss: Tensor, chosen: Tensors, retain_graph: bool = False) -> Tensors:
    """The gradient of a loss with respect to parameters; 0 where it does not depend on one."""
    if not loss.requires_grad:
        return {name: torch.zeros_like(value) for name, value in chosen.items()}
    found = torch.autograd.grad(loss, list(chosen.values()), retain_graph=retain_graph, allow_unused=True)
    return {
        name: torch.zeros_like(value) if one is None else one
        for (name, value), one in zip(chosen.items(), found, strict=True)
    }
