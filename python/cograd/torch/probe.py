"""The model at its present weights, in evaluation mode, with nothing of it changed afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from cograd.errors import DataError, ModelError

Loss = Callable[[nn.Module, Any], Tensor]
Tensors = dict[str, Tensor]

_HALF = (torch.float16, torch.bfloat16)


def cross_entropy(model: nn.Module, batch: Any) -> Tensor:
    """The cross-entropy of `model(x)` of every example of a batch (x, y)."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise DataError(
            "the default loss takes examples (x, y): give `loss`, with loss(model, batch) -> [examples]"
        )
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="none")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, without the wrappers of data parallelism and compilation."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod
        else:
            return model


@dataclass(frozen=True)
class Weights:
    """What the model is made of at one moment, detached."""

    #: The parameters that are trained, by their names.
    trained: Tensors
    #: Buffers, copied, and what else had to be widened.
    fixed: Tensors


class _Function(nn.Module):
    """A function of a model and a batch as a module."""

    def __init__(self, model: nn.Module, function: Loss) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, batch: Any) -> Tensor:
        return self.function(self.model, batch)


class Probe:
    """Losses of a model's trained parameters as a function, while the model stays as it is."""

    def __init__(self, model: nn.Module, loss: Loss, seed: int) -> None:
        """Raises ModelError if the model has no parameters to record, or they share no device."""
        self.model, self._seed = unwrapped(model), seed
        self._losses = _Function(self.model, loss)
        trained = [(name, value) for name, value in self.model.named_parameters() if value.requires_grad]
        if not trained:
            raise ModelError("no parameter of the model is trained (requires_grad)")
        for name, value in trained:
            if isinstance(value, nn.parameter.UninitializedParameter):
                raise ModelError(
                    f"{name} has no shape yet: run the model on one batch before the recorder is made"
                )
        devices = {value.device for value in self.model.parameters()}
        if len(devices) > 1:
            raise ModelError(f"the parameters are on {sorted(map(str, devices))}: they must share one device")
        self.device = devices.pop()
        self.shapes = {name: tuple(value.shape) for name, value in trained}
        #: What is computed in: parameters of half precision are widened.
        self.dtype = torch.float64 if all(v.dtype == torch.float64 for _, v in trained) else torch.float32

    @property
    def names(self) -> list[str]:
        """The parameters that are trained."""
        return list(self.shapes)

    @contextmanager
    def weights(self) -> Iterator[Weights]:
        """The trained parameters as they are now, detached; until the end the model is in evaluation mode."""
        with ExitStack() as stack:
            stack.enter_context(_evaluation_mode(self.model))
            stack.enter_context(_own_random_state(self._seed, self.device))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.autocast(self.device.type, enabled=False))
            yield self._weights()

    def losses(self, weights: Weights, batch: Any, trained: Tensors | None = None) -> Tensor:
        """The loss of every example of a batch, [examples]; `trained` replaces parameters of the same names."""
        losses = self.output(self._losses, weights, batch, trained)
        if not isinstance(losses, Tensor) or losses.ndim != 1 or not losses.is_floating_point():
            shape = list(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise DataError(
                f"the loss of a batch is {shape}: it must be one number an example, [examples], "
                'for instance by reduction="none"'
            )
        return losses

    def output(
        self, function: Loss | _Function, weights: Weights, batch: Any, trained: Tensors | None = None
    ) -> Tensor:
        """What a function of the model and a batch gives at these weights."""
        module = function if isinstance(function, _Function) else _Function(self.model, function)
        values = {**weights.fixed, **weights.trained, **(trained or {})}
        return functional_call(module, {f"model.{name}": value for name, value in values.items()}, (batch,))

    def changed_buffers(self, weights: Weights) -> list[str]:
        """The buffers that the model changed in the copies that it was given."""
        buffers = self.model.named_buffers()
        return [name for name, value in buffers if not torch.equal(_widened(value), weights.fixed[name])]

    def _weights(self) -> Weights:
        now = dict(self.model.named_parameters())
        for name, shape in self.shapes.items():
            if name not in now or tuple(now[name].shape) != shape:
                there = f"has the shape {tuple(now[name].shape)}" if name in now else "is not there any more"
                raise ModelError(
                    f"the model changed while it was recorded: {name}, of shape {shape}, {there}; "
                    "record what it is now as another run"
                )
        frozen = {name: value.detach() for name, value in now.items() if name not in self.shapes}
        # Running statistics are those of the training: what is computed with is a copy.
        buffers = {name: value.detach().clone() for name, value in self.model.named_buffers()}
        return Weights(
            {name: _widened(now[name].detach()) for name in self.shapes},
            {name: _widened(value) for name, value in {**frozen, **buffers}.items()},
        )


def _widened(value: Tensor) -> Tensor:
    return value.float() if value.dtype in _HALF else value


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of its own: those of the training go on as if nothing had been drawn."""
    python, numpy_state = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
