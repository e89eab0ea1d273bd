"""What is recorded of a batch: gradients at the coordinates, and contributions and self terms by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cograd.torch.generic import Generic, gradient
from cograd.torch.probe import Probe, Tensors, Weights

#: Chosen places of each parameter, in the order of the coordinates.
Places = Mapping[str, Tensor]


@dataclass(frozen=True)
class Recorded:
    """The gradients of a batch at the coordinates, and its losses."""

    losses: Tensor
    gradients: Tensor


class Engine:
    """Takes each parameter's gradients by its rule if it has one, and by autograd alone otherwise."""

    def __init__(self, probe: Probe, places: Places, layers: Mapping[str, int]) -> None:
        """`layers` says the place of each parameter's layer."""
        self._probe, self._places, self._layers = probe, places, dict(layers)
        self._generic = Generic(probe)

    def record(self, weights: Weights, batch: Any) -> Recorded:
        """The gradients of a batch at the coordinates."""
        with torch.no_grad():
            losses = self._probe.losses(weights, batch)
        found = self._generic.each(
            weights,
            batch,
            list(self._places),
            lambda g: {name: g[name].reshape(-1)[place] for name, place in self._places.items()},
        )
        return Recorded(losses, torch.cat([found[name] for name in self._places], dim=1))

    def total(self, weights: Weights, batch: Any) -> Tensors:
        """The sum of the gradients of a batch, over all parameters."""
        chosen = {name: value.detach().requires_grad_() for name, value in weights.trained.items()}
        return gradient(self._probe.losses(weights, batch, chosen).sum(), chosen)

    def population(
        self, weights: Weights, batch: Any, total: Tensors, self_terms: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Contributions and self terms of a batch, [examples, layers] in f64."""
        return self._contributions(weights, batch, total), self._self_terms(
            weights, batch
        ) if self_terms else None

    def norms_sq(self, total: Tensors) -> NDArray[np.float64]:
        """‖g‖² of a summed gradient by layer."""
        norms = np.zeros(max(self._layers.values()) + 1)
        for name, layer in self._layers.items():
            norms[layer] += float(total[name].double().square().sum())
        return norms

    def _contributions(self, weights: Weights, batch: Any, total: Tensors) -> Tensor:
        columns = []
        for layer in range(max(self._layers.values()) + 1):
            names = [name for name, own in self._layers.items() if own == layer]
            direction = {name: total[name] for name in names}
            columns.append(self._generic.along(weights, batch, direction).double())
        return torch.stack(columns, dim=1)

    def _self_terms(self, weights: Weights, batch: Any) -> Tensor:
        names = list(self._layers)
        found = self._generic.each(
            weights, batch, names, lambda g: {name: g[name].double().square().sum() for name in names}
        )
        columns = [torch.zeros_like(found[names[0]]) for _ in range(max(self._layers.values()) + 1)]
        for name, layer in self._layers.items():
            columns[layer] = columns[layer] + found[name]
        return torch.stack(columns, dim=1)
