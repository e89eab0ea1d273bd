"""A forward pass in which every use of a trained parameter is seen.

What a rule knows is kept: the input of the function, and where the gradient of its output will be. Any other use of a
parameter, of a transpose or inside a fused function, is noted, so that its gradient is taken by autograd instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.overrides import TorchFunctionMode

from cograd.errors import DataError
from cograd.torch.probe import Probe, Weights
from cograd.torch.rules import RULES, Use

# They ask what a parameter is like, and make nothing of its values.
_QUESTIONS = {
    *(
        getattr(Tensor, name).__get__
        for name in ("shape", "dtype", "device", "ndim", "layout", "requires_grad")
    ),
    *(
        getattr(Tensor, name).__get__
        for name in ("is_cuda", "is_cpu", "is_leaf", "is_nested", "is_sparse", "is_meta")
    ),
    *(
        Tensor.size,
        Tensor.dim,
        Tensor.numel,
        Tensor.is_floating_point,
        Tensor.is_complex,
        Tensor.element_size,
    ),
    *(Tensor.stride, Tensor.is_contiguous, Tensor.__len__, torch.is_floating_point, torch.numel),
}


class Tape(TorchFunctionMode):
    """Sees the functions that parameters are given to."""

    def __init__(self, trained: Mapping[str, Tensor]) -> None:
        """Watches these tensors, by their identity."""
        super().__init__()
        self._names = {id(value): name for name, value in trained.items()}
        #: Uses that a rule knows, in order.
        self.uses: list[Use] = []
        #: Parameters with any other use.
        self.others: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls the function, and notes which parameters it was given."""
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        names = {
            self._names[id(value)] for value in _flat((*args, *kwargs.values())) if id(value) in self._names
        }
        if names and func not in _QUESTIONS:
            self._note(func, args, kwargs, output, names)
        return output

    def _note(self, func: Any, args: Any, kwargs: Any, output: Any, names: set[str]) -> None:
        rule = RULES.get(func)
        bound = rule.bind(*args, **kwargs) if rule is not None else None
        if rule is None or bound is None:
            self.others |= names
            return
        roles = {role: self._names[id(v)] for role, v in bound.parameters.items() if id(v) in self._names}
        self.others |= names - set(roles.values())
        if output.requires_grad:
            self.uses.append(Use(rule, bound, roles, output.shape, get_gradient_edge(output)))


class Pass:
    """The uses of one forward and backward pass, with the gradients of their outputs."""

    def __init__(self, probe: Probe, weights: Weights, batch: Any, names: Collection[str]) -> None:
        """Runs the model forward; the uses of `names` are kept."""
        trained = {name: value.detach().requires_grad_() for name, value in weights.trained.items()}
        with Tape(trained) as tape:
            self.losses = probe.losses(weights, batch, trained)
        self.others = tape.others
        self.uses = [use for use in tape.uses if any(name in names for name in use.roles.values())]

    def backward(self) -> None:
        """Fills in the gradient of every use's output, of the sum of the losses."""
        edges = [use.edge for use in self.uses]
        found = torch.autograd.grad(self.losses.sum(), edges, allow_unused=True) if edges else ()
        self.losses = self.losses.detach()
        # What the loss does not depend on has no gradient.
        self.uses = [use for use, delta in zip(self.uses, found, strict=True) if delta is not None]
        for use, delta in zip(self.uses, (delta for delta in found if delta is not None), strict=True):
            use.bind_gradient(delta, len(self.losses))

    def uses_of(self, name: str) -> list[tuple[Use, str]]:
        """The uses of a parameter, each with its role there."""
        return [(use, role) for use in self.uses for role, own in use.roles.items() if own == name]


def ruled(probe: Probe, weights: Weights, batches: tuple[Any, Any], sizes: tuple[int, int]) -> list[str]:
    """The parameters that are used, and whose every use has a rule.

    The model is run on two batches of different sizes: the rows of every input and output must be the examples' own.
    """
    few, more = (Pass(probe, weights, batch, probe.names) for batch in batches)
    for run, size in zip((few, more), sizes, strict=True):
        if len(run.losses) != size:
            raise DataError(
                f"the loss of {size} examples is {len(run.losses)} numbers: it must be one number an example"
            )
    if [use.roles for use in few.uses] != [use.roles for use in more.uses]:
        return []
    unfit, used = few.others | more.others, set()
    for small, large in zip(few.uses, more.uses, strict=True):
        used |= set(small.roles.values())
        if small.rows_an_example(sizes[0]) is None or small.rows_an_example(
            sizes[0]
        ) != large.rows_an_example(sizes[1]):
            unfit |= set(small.roles.values())
    return [name for name in probe.names if name in used - unfit]


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value
