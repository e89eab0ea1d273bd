"""What is recorded of a batch: gradients at the coordinates, and contributions and self terms by layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cograd.torch.generic import Generic, gradient
from cograd.torch.probe import Probe, Tensors, Weights
from cograd.torch.tape import Pass

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
        #: The parameters that rules take.
        self.ruled: list[str] = []

    def record(self, weights: Weights, batch: Any) -> Recorded:
        """The gradients of a batch at the coordinates."""
        run = self._pass(weights, batch, [name for name in self._places if name in self.ruled])
        rest = {name: place for name, place in self._places.items() if name not in self.ruled}
        found: Tensors = {}
        if rest:
            found = self._generic.each(
                weights,
                batch,
                list(rest),
                lambda g: {name: g[name].reshape(-1)[place] for name, place in rest.items()},
            )
        with torch.no_grad():
            for name in self._places:
                if name in self.ruled:
                    found[name] = self._by_rule(run, name)
        return Recorded(run.losses, torch.cat([found[name] for name in self._places], dim=1))

    def total(self, weights: Weights, batch: Any) -> Tensors:
        """The sum of the gradients of a batch, over all parameters."""
        chosen = {name: value.detach().requires_grad_() for name, value in weights.trained.items()}
        return gradient(self._probe.losses(weights, batch, chosen).sum(), chosen)

    def population(
        self, weights: Weights, batch: Any, total: Tensors, self_terms: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Contributions and self terms of a batch, [examples, layers] in f64."""
        run = self._pass(weights, batch, self.ruled)
        contributions = self._columns(run)
        with torch.no_grad():
            for name in self.ruled:
                for use, role in run.uses_of(name):
                    contributions[self._layers[name]] += use.rule.contribution(use, role, total[name])
        for layer, column in enumerate(contributions):
            direction = {
                name: total[name]
                for name, own in self._layers.items()
                if own == layer and name not in self.ruled
            }
            if direction:
                column += self._generic.along(weights, batch, direction)
        own = self._self_terms(weights, batch, run) if self_terms else None
        return torch.stack(contributions, dim=1), own

    def norms_sq(self, total: Tensors) -> NDArray[np.float64]:
        """‖g‖² of a summed gradient by layer."""
        norms = np.zeros(max(self._layers.values()) + 1)
        for name, layer in self._layers.items():
            norms[layer] += float(total[name].double().square().sum())
        return norms

    def _self_terms(self, weights: Weights, batch: Any, run: Pass) -> Tensor:
        """Self terms do not add up over the uses of a parameter: those used more than once are left to autograd."""
        columns = self._columns(run)
        once = [name for name in self.ruled if len(run.uses_of(name)) <= 1]
        with torch.no_grad():
            for name in once:
                for use, role in run.uses_of(name):
                    columns[self._layers[name]] += use.rule.self_term(use, role)
        rest = [name for name in self._layers if name not in once]
        if rest:
            found = self._generic.each(
                weights, batch, rest, lambda g: {name: g[name].double().square().sum() for name in rest}
            )
            for name in rest:
                columns[self._layers[name]] += found[name]
        return torch.stack(columns, dim=1)

    def _by_rule(self, run: Pass, name: str) -> Tensor:
        """The gradients of a parameter at its places, added up over its uses."""
        place = self._places[name]
        parts = [use.rule.gradient_at(use, role, place) for use, role in run.uses_of(name)]
        return sum(parts[1:], parts[0]) if parts else run.losses.new_zeros(len(run.losses), len(place))

    def _pass(self, weights: Weights, batch: Any, names: Collection[str]) -> Pass:
        """A pass for `names`; a parameter that this batch uses in another way than by its rules loses them."""
        run = Pass(self._probe, weights, batch, names)
        if run.others.intersection(self.ruled):
            self.ruled = [name for name in self.ruled if name not in run.others]
        run.backward()
        return run

    def _columns(self, run: Pass) -> list[Tensor]:
        shape = len(run.losses)
        return [
            torch.zeros(shape, dtype=torch.float64, device=run.losses.device)
            for _ in range(max(self._layers.values()) + 1)
        ]
