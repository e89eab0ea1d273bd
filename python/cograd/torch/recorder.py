"""The recorder: at scheduled steps it takes gradients of its own, and leaves the training as it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from cograd.errors import DataError, ResumeError
from cograd.recording import Recording
from cograd.sample import matching, sample_coordinates, sample_examples
from cograd.schedule import NEVER, Schedule
from cograd.torch.data import Collate, Examples
from cograd.torch.engine import Engine
from cograd.torch.evaluation import Evaluation
from cograd.torch.kinds import kinds
from cograd.torch.population import Population
from cograd.torch.probe import Loss, Probe, Weights, cross_entropy
from cograd.torch.self_check import self_check
from cograd.torch.tape import ruled
from cograd.torch.workers import NotFiniteError, Workers
from cograd.writer import Columns, Value, Writer, layers

# Batches of different sizes, to see which rows of a layer's input are the examples'.
_SIZES = (2, 3)


class Steps(Protocol):
    """At which steps something is recorded."""

    def next(self, step: int) -> int:
        """The first of them that is not before `step`."""

    def __contains__(self, step: int) -> bool:
        """Whether `step` is one of them."""


class Recorder(Recording):
    """Records the gradients of single examples while a model trains.

    Call `step(t)` before update t. At scheduled steps it runs forward and backward passes of its own on a fixed sample
    of `train_set`, in evaluation mode; model, gradients and random numbers of the training stay as they are.

    - `train_set`: a data set with a length, or tensors (x, y). `collate` makes a batch of a list of its examples.
    - `loss(model, batch)`: the loss of every example, [examples]; by default the cross-entropy of `model(x)`.
    - `predict(model, batch)`: the label of every example; by default the largest output. Without it, no accuracy.
    - `examples`, `coordinates`: how many examples, and values of each parameter, are recorded; `parameters` are
      patterns of names. `microbatch` is the number of examples that go through the model together.
    - `schedule`, `population`, `evaluations`, `snapshots`: when gradients, the contributions of all examples over all
      parameters, losses and accuracies, and weights are recorded; None is never.
    - `original_labels`: labels before label noise. `columns`: whatever else is known of the examples.
    - `distributed`: the sample and the population are shared out over the ranks of torch.distributed; all of them
      make a recorder and call the same methods. Otherwise make one on rank 0 only.
    - `conditions`: what the runs of a study differ in. `seed` says which repetition this is, and draws the sample.
    """

    def __init__(
        self,
        model: nn.Module,
        train_set: Any,
        path: str | os.PathLike[str],
        *,
        original_labels: ArrayLike | None = None,
        loss: Loss | None = None,
        predict: Callable[[nn.Module, Any], Tensor] | None = None,
        examples: int = 400,
        coordinates: int = 300,
        parameters: str | Sequence[str] = "*",
        microbatch: int = 128,
        schedule: Steps | None = Schedule(100, 20),  # noqa: B008 (immutable)
        population: Steps | None = None,
        evaluations: Steps | None = Schedule(10, 20),  # noqa: B008
        snapshots: Steps | None = None,
        test_set: Any = None,
        labels: ArrayLike | None = None,
        columns: Columns | None = None,
        conditions: Mapping[str, Value] | None = None,
        task: Mapping[str, Any] | None = None,
        population_examples: int | None = None,
        self_terms: bool = True,
        check: int = 2,
        collate: Collate | None = None,
        distributed: bool = False,
        seed: int = 0,
        run: str | None = None,
    ) -> None:
        """Checks everything that can be checked before the first step; writes nothing yet."""
        if microbatch < 1 or check < 1:
            raise DataError(f"microbatch = {microbatch}, check = {check}: each is at least 1")
        self._workers = Workers(distributed)
        self._probe = Probe(model, loss or cross_entropy, seed)
        self._examples = Examples(train_set, collate, self._probe.device)
        m, names = len(self._examples), self._probe.names
        sampled = sample_examples(m, examples, seed)
        self._sampled = self._workers.share(sampled)
        recorded = matching(names, parameters)
        places = {
            name: sample_coordinates(self._probe.shapes[name], coordinates, seed, names.index(name))
            for name in recorded
        }
        described = kinds(self._probe)
        order = layers(described)
        of_layer = {parameter.name: order.index(parameter.reported_with) for parameter in described}
        self._places = {
            name: torch.as_tensor(place, device=self._probe.device) for name, place in places.items()
        }
        self._engine = Engine(self._probe, self._places, of_layer)
        self._chunks = list(self._examples.chunks(self._sampled, microbatch))
        self._check = min(check, len(self._sampled))
        self._begun = self._planned = self._checked = False

        known = _label_columns(self._examples, labels, original_labels)
        in_population = sample_examples(m, population_examples or m, seed)
        self._schedule, self._population_steps = schedule, population
        self._evaluation_steps, self._snapshot_steps = evaluations, snapshots
        own = self._workers.share(in_population)
        self._population = Population(
            self._engine, self._examples, own, microbatch, self_terms, self._workers
        )
        if predict is None and loss is None:
            predict = _largest_output
        test = None if test_set is None else Examples(test_set, collate, self._probe.device)
        self._evaluation = Evaluation(self._probe, self._examples, test, known, predict, microbatch)
        self._writer = Writer(
            path,
            run,
            parameters=described,
            coordinates=(
                np.repeat(
                    [names.index(name) for name in recorded], [len(place) for place in places.values()]
                ),
                np.concatenate(list(places.values())),
            ),
            train_examples=m,
            sampled=sampled,
            examples={**known, **(columns or {})},
            population=in_population,
            worker=self._workers.name,
            workers=self._workers.names,
            share=(self._sampled, own),
            conditions={**({} if "seed" in (conditions or {}) else {"seed": seed}), **(conditions or {})},
            task={**self._task(loss, known), **(task or {})},
            program=f"cograd (Python), torch {torch.__version__}",
        )
        self._last, self._due = -1, self._next(0)

    def step(self, t: int) -> None:
        """Records what is scheduled at step t, before update t; otherwise returns at once."""
        if t < self._due:
            self._last = t
            return
        self._last, self._due = t, self._next(t + 1)
        self._begin()
        with self._probe.weights() as weights:
            if not self._planned:
                self._engine.ruled, self._planned = self._ruled(weights), True
            self._record(t, weights)
            if self._workers.leads and _scheduled(self._evaluation_steps, t):
                self._evaluation.evaluate(t, weights, self._writer)
            if self._workers.leads and _scheduled(self._snapshot_steps, t):
                self._snapshot(t, weights)

    def record_metric(
        self, step: int, split: str, metric: str, value: float, examples: int = 0, group: str = "all"
    ) -> None:
        """Records a number that the training measured, for instance a validation loss or a learning rate."""
        self._writer.metric(step, split, metric, value, examples, group)

    def skip(self, step: int, reason: str) -> None:
        """Says why a step that was due is not recorded."""
        self._writer.skip(step, reason)

    def close(self, steps: int | None = None) -> Path:
        """Completes the run, of `steps` updates (by default one for each call of `step`); returns its directory."""
        total = self._last + 1 if steps is None else steps
        if self._workers.leads and total == self._last + 1 and self._last >= 0:
            with self._probe.weights() as weights:
                if self._evaluation_steps is not None:
                    self._evaluation.evaluate(total, weights, self._writer)
                if self._snapshot_steps is not None:
                    self._snapshot(total, weights)
        self._begin()
        self._workers.in_turn(lambda: self._writer.close(total, self._evaluation.columns()), first=False)
        return self._writer.directory

    def abort(self) -> None:
        """Stops without completing the run; it can be continued from the last state."""
        self._writer.abort()

    def state_dict(self) -> dict[str, Any]:
        """Where the recording is, to be saved beside the training's own checkpoint."""
        self._begin()
        own = {
            "last": self._last,
            "self_check": self._writer.task.get("self_check"),
            "evaluation": self._evaluation.state(),
            "writer": self._writer.state(),
        }
        return {"workers": self._workers.gather(own)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a state, before the first step: what was recorded after it is dropped."""
        if self._last >= 0:
            raise ResumeError("load_state_dict must be called before the first step")
        every = state["workers"]
        if len(every) != max(1, len(self._workers.names)):
            raise ResumeError(f"the state is of {len(every)} processes: go on with as many")
        state = every[self._workers.number]
        self._writer.resume(state["writer"])
        self._begun = True
        self._evaluation.resume(state["evaluation"])
        if state["self_check"] is not None:
            self._writer.task["self_check"] = dict(state["self_check"])
        self._last = int(state["last"])
        self._due = self._next(self._last + 1)

    def _next(self, step: int) -> int:
        """The first step, not before `step`, at which anything is due."""
        schedules = (self._schedule, self._population_steps, self._evaluation_steps, self._snapshot_steps)
        return min((schedule.next(step) for schedule in schedules if schedule is not None), default=NEVER)

    def _begin(self) -> None:
        """Begins the run, the leading worker first, unless it continues from a state."""
        if not self._begun:
            self._workers.in_turn(self._writer.begin, first=True)
            self._begun = True

    def _record(self, t: int, weights: Weights) -> None:
        """Records gradients and population, if they are due and finite; a step that has one has both."""
        gradients = contributions = None
        try:
            if _scheduled(self._schedule, t):
                gradients = self._workers.agree(lambda: self._gradients(weights))
                self._self_check(weights, gradients)
            if _scheduled(self._population_steps, t):
                contributions = self._workers.agree(lambda: self._population.record(weights))
        except NotFiniteError as error:
            self._writer.skip(t, str(error))
            return
        if gradients is not None:
            self._writer.gradients(t, gradients.float().cpu().numpy())
        if (found := contributions) is not None:
            self._writer.population(t, found.contributions, found.gradient_norms_sq, found.self_terms)

    def _gradients(self, weights: Weights) -> Tensor:
        found = [self._engine.record(weights, chunk) for chunk in self._chunks]
        losses = torch.cat([one.losses for one in found])
        gradients = torch.cat([one.gradients for one in found])
        for what, finite in (("losses", losses.isfinite()), ("gradients", gradients.isfinite().all(1))):
            if bad := int((~finite).sum()):
                raise NotFiniteError(f"the {what} of {bad} of {len(losses)} sampled examples were not finite")
        return gradients

    def _self_check(self, weights: Weights, gradients: Tensor) -> None:
        """Compares the first recorded step with plain autograd."""
        if self._checked:
            return
        alone = [self._examples.batch(self._sampled[row : row + 1]) for row in range(self._check)]
        mine, first = gradients[: self._check], self._chunks[0]
        worst = self._workers.agree(
            lambda: self_check(self._probe, weights, self._places, mine, first, alone)
        )
        found = {
            "largest_relative_difference": self._workers.largest(worst),
            "examples": sum(self._workers.gather(self._check)),
        }
        self._writer.task.setdefault("self_check", found)
        self._checked = True

    def _ruled(self, weights: Weights) -> list[str]:
        few, more = (np.arange(size) % len(self._examples) for size in _SIZES)
        return ruled(self._probe, weights, (self._examples.batch(few), self._examples.batch(more)), _SIZES)

    def _snapshot(self, t: int, weights: Weights) -> None:
        self._writer.snapshot(
            t, {name: value.cpu().numpy().copy() for name, value in weights.trained.items()}
        )

    def _task(self, loss: Loss | None, known: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        label = known.get("label")
        whole = label is not None and label.dtype.kind in "iu"
        return {
            "loss": "cross-entropy" if loss is None else getattr(loss, "__name__", type(loss).__name__),
            "mode": "evaluation",
            "dtype": str(self._probe.dtype).removeprefix("torch."),
            "network": type(self._probe.model).__name__,
            **({"classes": int(label.max()) + 1} if whole and label is not None else {}),
        }


def _scheduled(steps: Steps | None, t: int) -> bool:
    return steps is not None and t in steps


def _largest_output(model: nn.Module, batch: Any) -> Tensor:
    return model(batch[0]).argmax(1)


def _label_columns(
    examples: Examples, labels: ArrayLike | None, original: ArrayLike | None
) -> dict[str, NDArray[Any]]:
    """The columns of labels that are known."""
    found = examples.labels() if labels is None else _plain(labels)
    columns = {} if found is None else {"label": found}
    if original is not None:
        columns["original_label"] = _plain(original)
        if found is None:
            raise DataError("original_labels without labels: give `labels`, those that are trained on")
    for name, column in columns.items():
        if len(column) != len(examples):
            raise DataError(f"{name}s: {len(column)} for {len(examples)} training examples")
    return columns


def _plain(values: ArrayLike) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
