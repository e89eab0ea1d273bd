"""Recording from JAX: parameters in any pytree, and a loss of one example.

recorder = cograd.jax.Recorder(loss, "studies/mine", (images, labels))
for step in range(1000):
    recorder.step(step, params)
    params = update(params, ...)
recorder.close(params)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from cograd.errors import CogradError, DataError, ModelError, ResumeError, SelfCheckError
from cograd.recording import Recording
from cograd.sample import matching, sample_coordinates, sample_examples
from cograd.schedule import NEVER, Schedule, Steps
from cograd.writer import Columns, Parameter, Value, Writer, check_study, checked_conditions, layers, run_name

try:
    import jax
    import jax.numpy as jnp
    from jax import tree_util
except ImportError as error:
    raise CogradError("cograd.jax needs JAX: pip install jax") from error

#: Gradients that differ by more from those of `jax.grad`, relative to the largest value, stop a recording.
TOLERANCE = 1e-4
# A parameter's gradients that are 0 but for rounding are measured by the largest of all.
_FLOOR = 1e-3

# Arrays that are trained, and the others.
_Leaves = tuple[list[Any], list[Any]]


class Recorder(Recording):
    """Records the gradients of single examples while a model trains.

    Call `step(t, params)` before update t. At scheduled steps it takes gradients of its own on a fixed sample of `data`.

    - `loss(params, example)`: the loss of one example, a single number; nothing in it may be random.
    - `data`: a pytree of arrays with an example in each row, such as (images, labels).
    - `predict(params, example)`: the label of one example. Without it, no accuracy.
    - `labels`: the label of every example; by default the last array of a tuple, if it holds whole numbers.
    - `examples`, `coordinates`: how many examples, and values of each parameter, are recorded; `parameters` are
      patterns of names, which are the paths in the pytree: `encoder.0.kernel`. `microbatch` is the number of examples
      whose gradients are taken together.
    - `schedule`, `population`, `evaluations`: when gradients, the contributions of all examples over all parameters, and
      losses are recorded; None is never.
    - `original_labels`: labels before label noise. `columns`: whatever else is known of the examples.
    - `conditions`: what the runs of a study differ in. `seed` says which repetition this is, and draws the sample.
    """

    def __init__(
        self,
        loss: Callable[[Any, Any], Any],
        path: str | os.PathLike[str],
        data: Any,
        *,
        predict: Callable[[Any, Any], Any] | None = None,
        labels: ArrayLike | None = None,
        original_labels: ArrayLike | None = None,
        examples: int = 400,
        coordinates: int = 300,
        parameters: str | Sequence[str] = "*",
        microbatch: int = 128,
        schedule: Schedule | Steps | None = Schedule(100, 20),  # noqa: B008 (immutable)
        population: Schedule | Steps | None = None,
        evaluations: Schedule | Steps | None = Schedule(10, 20),  # noqa: B008
        population_examples: int | None = None,
        self_terms: bool = True,
        check: int = 2,
        columns: Columns | None = None,
        conditions: Mapping[str, Value] | None = None,
        task: Mapping[str, Any] | None = None,
        seed: int = 0,
        run: str | None = None,
    ) -> None:
        """Checks what can be checked before the first step; writes nothing yet."""
        if microbatch < 1 or check < 1:
            raise DataError(f"microbatch = {microbatch}, check = {check}: each is at least 1")
        self._loss, self._predict, self._data = loss, predict, data
        self._m, self._microbatch, self._check = _rows(data), microbatch, check
        self._sampled = sample_examples(self._m, examples, seed)
        self._in_population = sample_examples(self._m, population_examples or self._m, seed)
        self._patterns, self._coordinates, self._seed = parameters, coordinates, seed
        self._schedules = {"gradients": schedule, "population": population, "evaluations": evaluations}
        self._self_terms = self_terms
        self._labels = _labels(self._m, data, labels, original_labels)
        self._columns = {**self._labels, **(columns or {})}
        self._conditions = checked_conditions({"seed": seed, **(conditions or {})})
        self._task = {"loss": getattr(loss, "__name__", "loss"), "mode": "evaluation", **(task or {})}
        self._path, self._run = Path(path), run or run_name(self._conditions)
        check_study(self._path, self._run, self._conditions)
        known = predict is not None and "label" in self._labels
        self._learned = np.full(self._m, -1) if known else None
        self._writer: Writer | None = None
        self._last, self._due = -1, self._next(0)

    def step(self, t: int, params: Any) -> None:
        """Records what is scheduled at step t, before update t; otherwise returns at once."""
        self._last = t
        if t < self._due:
            return
        self._due = self._next(t + 1)
        leaves = self._leaves(params)
        if self._scheduled("gradients", t):
            self._record(t, leaves)
        if self._scheduled("population", t):
            self._record_population(t, leaves)
        if self._scheduled("evaluations", t):
            self._evaluate(t, leaves)

    def record_metric(
        self, step: int, split: str, metric: str, value: float, examples: int = 0, group: str = "all"
    ) -> None:
        """Records a number that the training measured; after the first step."""
        self._written().metric(step, split, metric, value, examples, group)

    def close(self, params: Any = None, steps: int | None = None) -> Path:
        """Completes the run, of `steps` updates (by default one for each step); evaluates `params`, those at its end."""
        total = self._last + 1 if steps is None else steps
        if params is not None and self._schedules["evaluations"] is not None:
            self._evaluate(total, self._leaves(params))
        learned = {}
        if self._learned is not None and self._schedules["evaluations"] is not None:
            learned = {"learned_step": pa.array(self._learned, pa.int64(), mask=self._learned < 0)}
        return self._written().close(total, learned)

    def abort(self) -> None:
        """Stops without completing the run; it can be continued from the last state."""
        if self._writer is not None:
            self._writer.abort()

    def state_dict(self) -> dict[str, Any]:
        """Where the recording is, in plain values, to be saved beside the training's own checkpoint."""
        return {
            "last": self._last,
            "self_check": self._written().task.get("self_check"),
            "learned": None if self._learned is None else self._learned.tolist(),
            "writer": self._written().state(),
        }

    def load_state_dict(self, state: Mapping[str, Any], params: Any) -> None:
        """Continues from a state, before the first step; `params` are those of the training's checkpoint."""
        if self._last >= 0:
            raise ResumeError("load_state_dict must be called before the first step")
        self._leaves(params)
        self._written().resume(state["writer"])
        if state["self_check"] is not None:
            self._written().task["self_check"] = dict(state["self_check"])
        if state["learned"] is not None:
            self._learned = np.array(state["learned"])
        self._last = int(state["last"])
        self._due = self._next(self._last + 1)

    # When, and of what.

    def _next(self, step: int) -> int:
        return min((s.next(step) for s in self._schedules.values() if s is not None), default=NEVER)

    def _scheduled(self, what: str, t: int) -> bool:
        schedule = self._schedules[what]
        return schedule is not None and t in schedule

    def _written(self) -> Writer:
        if self._writer is None:
            raise DataError("the recorder does not know the parameters before the first step")
        return self._writer

    def _leaves(self, params: Any) -> _Leaves:
        """The parameters that are trained, f32 at least, and the others; the first time, describes them."""
        pairs, structure = tree_util.tree_flatten_with_path(params)
        if self._writer is None:
            self._describe(pairs, structure)
        leaves = [leaf for _, leaf in pairs]
        if structure != self._structure or any(
            np.shape(leaves[place]) != shape for place, shape in zip(self._trained, self._shapes, strict=True)
        ):
            raise ModelError(
                "the parameters changed their structure or shapes while they were recorded: record what they are now as "
                "another run"
            )
        arrays = [jnp.asarray(leaves[place]) for place in self._trained]
        trained = [array.astype(jnp.promote_types(array.dtype, jnp.float32)) for array in arrays]
        return trained, [leaf for place, leaf in enumerate(leaves) if place not in self._trained]

    def _describe(self, pairs: list[tuple[Any, Any]], structure: Any) -> None:
        self._structure = structure
        self._trained = [
            i for i, (_, leaf) in enumerate(pairs) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        ]
        if not self._trained:
            raise ModelError("the parameters hold no array of floating-point numbers")
        self._names = [_name(pairs[place][0]) for place in self._trained]
        self._shapes = [np.shape(pairs[place][1]) for place in self._trained]
        described = [Parameter(name, shape) for name, shape in zip(self._names, self._shapes, strict=True)]
        order = layers(described)
        self._layer = np.array([order.index(parameter.reported_with) for parameter in described])
        recorded = [self._names.index(name) for name in matching(self._names, self._patterns)]
        self._places = {
            number: sample_coordinates(self._shapes[number], self._coordinates, self._seed, number)
            for number in recorded
        }
        self._writer = Writer(
            self._path,
            self._run,
            parameters=described,
            coordinates=(
                np.repeat(recorded, [len(place) for place in self._places.values()]),
                np.concatenate(list(self._places.values())),
            ),
            train_examples=self._m,
            sampled=self._sampled,
            examples=self._columns,
            population=self._in_population,
            conditions=self._conditions,
            task=self._task,
            program=f"cograd (Python), jax {jax.__version__}",
        )

    # Functions of the parameters and one example, compiled once for each size of a batch.

    def _one_loss(self, trained: list[Any], fixed: list[Any], example: Any) -> Any:
        loss = self._loss(self._rebuilt(trained, fixed), example)
        if jnp.shape(loss) != ():
            raise DataError(
                f"the loss of one example has the shape {jnp.shape(loss)}: it must be a single number"
            )
        return loss

    def _rebuilt(self, trained: list[Any], fixed: list[Any]) -> Any:
        mine, others = iter(trained), iter(fixed)
        count = len(trained) + len(fixed)
        whole = [next(mine) if place in self._trained else next(others) for place in range(count)]
        return tree_util.tree_unflatten(self._structure, whole)

    @cached_property
    def _losses(self) -> Any:
        return jax.jit(jax.vmap(self._one_loss, in_axes=(None, None, 0)))

    @cached_property
    def _said(self) -> Any:
        predict = self._predict
        assert predict is not None
        return jax.jit(
            jax.vmap(lambda *args: predict(self._rebuilt(*args[:2]), args[2]), in_axes=(None, None, 0))
        )

    @cached_property
    def _chosen(self) -> Any:
        """The losses of a batch, and the gradients at the coordinates."""

        def one(trained: list[Any], fixed: list[Any], example: Any) -> Any:
            loss, gradient = jax.value_and_grad(self._one_loss)(trained, fixed, example)
            parts = [gradient[number].reshape(-1)[place] for number, place in self._places.items()]
            return loss, jnp.concatenate(parts)

        return jax.jit(jax.vmap(one, in_axes=(None, None, 0)))

    @cached_property
    def _norms_sq(self) -> Any:
        """The squared norms of the gradients of a batch, by parameter."""

        def one(trained: list[Any], fixed: list[Any], example: Any) -> Any:
            gradient = jax.grad(self._one_loss)(trained, fixed, example)
            return jnp.stack([jnp.sum(part**2) for part in gradient])

        return jax.jit(jax.vmap(one, in_axes=(None, None, 0)))

    @cached_property
    def _summed(self) -> Any:
        """The sum of the gradients of a batch."""
        return jax.jit(jax.grad(lambda *args: self._losses(*args).sum()))

    @cached_property
    def _along(self) -> Any:
        """The derivatives of the losses of a batch along a direction."""

        def along(trained: list[Any], fixed: list[Any], direction: list[Any], batch: Any) -> Any:
            return jax.jvp(lambda trained: self._losses(trained, fixed, batch), (trained,), (direction,))[1]

        return jax.jit(along)

    def _batches(self, ids: NDArray[np.int64]) -> Iterator[Any]:
        for start in range(0, len(ids), self._microbatch):
            rows = ids[start : start + self._microbatch]
            yield tree_util.tree_map(lambda array, rows=rows: jnp.asarray(array[rows]), self._data)

    # What is recorded.

    def _record(self, t: int, leaves: _Leaves) -> None:
        found = [self._chosen(*leaves, batch) for batch in self._batches(self._sampled)]
        losses, gradients = (np.concatenate([np.asarray(one[part]) for one in found]) for part in (0, 1))
        finite = np.isfinite(gradients).all(1) & np.isfinite(losses)
        if not finite.all():
            bad = int((~finite).sum())
            self._written().skip(
                t, f"the gradients of {bad} of {len(losses)} sampled examples were not finite"
            )
            return
        if "self_check" not in self._written().task:
            worst = self._self_check(leaves, gradients)
            checked = min(self._check, len(gradients))
            self._written().task["self_check"] = {"largest_relative_difference": worst, "examples": checked}
        self._written().gradients(t, gradients)

    def _self_check(self, leaves: _Leaves, recorded: NDArray[Any]) -> float:
        """The largest relative difference from `jax.grad`, one example at a time, neither vectorised nor compiled."""
        rows = self._sampled[: self._check]
        alone = [
            tree_util.tree_map(lambda array, row=row: jnp.asarray(array[row]), self._data) for row in rows
        ]
        plain = [jax.grad(self._one_loss)(*leaves, example) for example in alone]
        largest = [
            max(float(jnp.abs(one[number]).max()) for one in plain) for number in range(len(leaves[0]))
        ]
        worst, start = 0.0, 0
        for number, place in self._places.items():
            theirs = np.stack([np.asarray(one[number]).reshape(-1)[place] for one in plain])
            mine = recorded[: len(rows), start : start + len(place)]
            start += len(place)
            scale = max(largest[number], _FLOOR * max(largest))
            difference = float(np.abs(mine - theirs).max()) / scale if scale > 0 else 0.0
            if not difference <= TOLERANCE:
                raise SelfCheckError(
                    f"{self._names[number]}: its recorded gradient differs from that of jax.grad, one example at a time, by "
                    f"{difference:.1e} of its largest value, more than {TOLERANCE:.0e}. The loss is random, or depends on "
                    "more than the parameters and the example"
                )
            worst = max(worst, difference)
        return worst

    def _record_population(self, t: int, leaves: _Leaves) -> None:
        total = [np.zeros(shape) for shape in self._shapes]
        for batch in self._batches(self._in_population):
            for sums, part in zip(total, self._summed(*leaves, batch), strict=True):
                sums += np.asarray(part, np.float64)
        layers_of = [self._layer == layer for layer in range(int(self._layer.max()) + 1)]
        directions = [
            [
                jnp.asarray(sums * own, leaf.dtype)
                for sums, own, leaf in zip(total, of, leaves[0], strict=True)
            ]
            for of in layers_of
        ]
        contributions, own = [], []
        for batch in self._batches(self._in_population):
            columns = [
                np.asarray(self._along(*leaves, direction, batch), np.float64) for direction in directions
            ]
            contributions.append(np.stack(columns, 1))
            if self._self_terms:
                own.append(self._by_layer(np.asarray(self._norms_sq(*leaves, batch), np.float64)))
        norms_sq = self._by_layer(np.array([[np.sum(sums**2) for sums in total]]))[0]
        parts = [norms_sq, *contributions, *own]
        if not all(np.isfinite(part).all() for part in parts):
            self._written().skip(t, "the gradients of the population were not finite")
            return
        self_terms = np.concatenate(own) if own else None
        self._written().population(t, np.concatenate(contributions), norms_sq, self_terms)

    def _by_layer(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the parameters of each layer: [rows, parameters] to [rows, layers]."""
        return values @ np.eye(int(self._layer.max()) + 1)[self._layer]

    def _evaluate(self, t: int, leaves: _Leaves) -> None:
        """The mean loss of all examples, and of the pristine and the corrupt ones; their accuracy."""
        values = {"loss": self._each(self._losses, leaves)}
        if self._learned is not None:
            values["accuracy"] = self._each(self._said, leaves) == self._labels["label"]
            self._learned[values["accuracy"] & (self._learned < 0)] = t
        groups = {"all": np.full(self._m, True)}
        if len(self._labels) == 2:
            pristine = self._labels["label"] == self._labels["original_label"]
            groups |= {"pristine": pristine, "corrupt": ~pristine}
        for group, members in groups.items():
            for metric, each in values.items():
                if count := int(members.sum()):
                    mean = float(each[members].mean(dtype=np.float64))
                    self._written().metric(t, "train", metric, mean, count, group)

    def _each(self, function: Callable[..., Any], leaves: _Leaves) -> NDArray[Any]:
        return np.concatenate([np.asarray(function(*leaves, b)) for b in self._batches(np.arange(self._m))])


def _name(path: Sequence[Any]) -> str:
    """A path in a pytree as a name: `encoder.0.kernel`."""
    parts = (getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))) for key in path)
    return ".".join(map(str, parts)) or "parameters"


def _rows(data: Any) -> int:
    """The number of examples of a pytree of arrays."""
    shapes = [np.shape(leaf) for leaf in tree_util.tree_leaves(data)]
    if not shapes or any(len(shape) == 0 for shape in shapes):
        raise DataError("data: a pytree of arrays with an example in each row, such as (images, labels)")
    if len({shape[0] for shape in shapes}) > 1 or shapes[0][0] < 1:
        raise DataError(
            f"the arrays of the data hold {[shape[0] for shape in shapes]} examples: they must agree"
        )
    return int(shapes[0][0])


def _labels(
    m: int, data: Any, labels: ArrayLike | None, original: ArrayLike | None
) -> dict[str, NDArray[Any]]:
    """The columns of labels that are known."""
    if labels is None and isinstance(data, (tuple, list)) and len(data) > 1:
        last = np.asarray(data[-1]) if len(tree_util.tree_leaves(data[-1])) == 1 else np.zeros(0)
        labels = last if last.ndim == 1 and last.dtype.kind in "iu" else None
    if original is not None and labels is None:
        raise DataError("original_labels without labels: give `labels`, those that are trained on")
    found = {"label": labels, "original_label": original}
    columns = {name: np.asarray(values) for name, values in found.items() if values is not None}
    for name, column in columns.items():
        if column.shape != (m,):
            raise DataError(f"{name}s of shape {column.shape} for {m} training examples")
    return columns
