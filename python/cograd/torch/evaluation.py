"""Losses and accuracies of the training set and a test set, and when an example was learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cograd.torch.data import Examples
from cograd.torch.probe import Probe, Weights
from cograd.writer import Writer


class Evaluation:
    """Evaluates all examples, and the pristine and the corrupt ones where both labels are known."""

    def __init__(
        self,
        probe: Probe,
        train: Examples,
        test: Examples | None,
        known: Mapping[str, NDArray[Any]],
        predict: Callable[[nn.Module, Any], Tensor] | None,
        microbatch: int,
    ) -> None:
        """`known` are the columns of labels of the training set."""
        self._probe, self._predict, self._microbatch = probe, predict, microbatch
        self._sets = {"train": train, **({} if test is None else {"test": test})}
        label, original = known.get("label"), known.get("original_label")
        self._labels = {"train": label, "test": None if test is None else test.labels()}
        self._groups = {}
        if label is not None and original is not None:
            pristine = label == original
            self._groups = {"pristine": pristine, "corrupt": ~pristine}
        predicted = predict is not None and label is not None and label.dtype.kind in "iu"
        self._learned = np.full(len(train), -1) if predicted else None
        self._evaluated = False

    def evaluate(self, step: int, weights: Weights, writer: Writer) -> None:
        """Evaluates both sets."""
        for split, examples in self._sets.items():
            losses, right = self._measure(weights, examples, self._labels[split])
            if split == "train" and right is not None and self._learned is not None:
                self._learned[right & (self._learned < 0)] = step
                self._evaluated = True
            groups = {"all": np.full(len(examples), True), **(self._groups if split == "train" else {})}
            for group, members in groups.items():
                if count := int(members.sum()):
                    writer.metric(step, split, "loss", float(losses[members].mean()), count, group)
                    if right is not None:
                        writer.metric(step, split, "accuracy", float(right[members].mean()), count, group)

    def columns(self) -> dict[str, Any]:
        """The step at which each example was learned, if it is known."""
        if self._learned is None or not self._evaluated:
            return {}
        return {"learned_step": pa.array(self._learned, pa.int64(), mask=self._learned < 0)}

    def state(self) -> dict[str, Any]:
        """The steps so far."""
        learned = None if self._learned is None else torch.as_tensor(self._learned.copy())
        return {"learned": learned, "evaluated": self._evaluated}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state."""
        self._evaluated = bool(state["evaluated"])
        if state["learned"] is not None:
            self._learned = np.asarray(state["learned"]).copy()

    def _measure(
        self, weights: Weights, examples: Examples, labels: NDArray[Any] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """The loss of each example, and whether its label is predicted."""
        losses, said = [], []
        with torch.no_grad():
            for batch in self._batches(examples):
                losses.append(self._probe.losses(weights, batch).double().cpu().numpy())
                if self._predict is not None and self._learned is not None:
                    said.append(self._probe.output(self._predict, weights, batch).cpu().numpy())
        right = np.concatenate(said) == labels if said and labels is not None else None
        return np.concatenate(losses), right

    def _batches(self, examples: Examples) -> Iterator[Any]:
        # Without gradients more examples fit.
        return examples.chunks(np.arange(len(examples)), 4 * self._microbatch)
