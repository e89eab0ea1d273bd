"""What all examples contribute over all parameters, in two passes over the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cograd.torch.data import Examples
from cograd.torch.engine import Engine
from cograd.torch.probe import Tensors, Weights
from cograd.torch.workers import NotFiniteError, Workers


@dataclass(frozen=True)
class Contributions:
    """Of every example of the population, by layer: [examples, layers]; and ‖g‖² [layers]."""

    contributions: NDArray[np.float64]
    self_terms: NDArray[np.float64] | None
    gradient_norms_sq: NDArray[np.float64]


class Population:
    """The population of a training set."""

    def __init__(
        self,
        engine: Engine,
        examples: Examples,
        ids: NDArray[np.int64],
        microbatch: int,
        self_terms: bool,
        workers: Workers,
    ) -> None:
        """`ids` are the examples of the population that are this worker's."""
        self._engine, self._examples, self._ids, self._workers = engine, examples, ids, workers
        self._microbatch, self._self_terms = microbatch, self_terms

    def record(self, weights: Weights) -> Contributions:
        """Takes the sum of all gradients, then every example's part in it; raises NotFiniteError."""
        total = self._total(weights)
        if not all(bool(value.isfinite().all()) for value in total.values()):
            raise NotFiniteError("the sum of the gradients of all examples was not finite")
        single = {name: value.to(weights.trained[name].dtype) for name, value in total.items()}
        parts = [
            self._engine.population(weights, batch, single, self._self_terms)
            for batch in self._examples.chunks(self._ids, self._microbatch)
        ]
        contributions = torch.cat([part for part, _ in parts])
        own = [part for _, part in parts if part is not None]
        self_terms = torch.cat(own) if own else None
        if not all(bool(part.isfinite().all()) for part in (contributions, self_terms) if part is not None):
            raise NotFiniteError("the contributions of all examples were not finite")
        return Contributions(
            contributions.cpu().numpy(),
            None if self_terms is None else self_terms.cpu().numpy(),
            self._engine.norms_sq(total),
        )

    def _total(self, weights: Weights) -> Tensors:
        """The sum of all gradients: within a batch as the model computes, over batches in f64."""
        total = {
            name: torch.zeros_like(value, dtype=torch.float64) for name, value in weights.trained.items()
        }
        for batch in self._examples.chunks(self._ids, self._microbatch):
            for name, value in self._engine.total(weights, batch).items():
                total[name] += value
        self._workers.add(total)
        return total
