"""What the format says of the parameters of a model."""

from __future__ import annotations

import re

from torch import nn

from cograd.torch.probe import Probe
from cograd.writer import Parameter


def kinds(probe: Probe) -> list[Parameter]:
    """The trained parameters, each with the kind of its module: `linear`, `conv2d`, `layer_norm`, …"""
    modules = dict(probe.model.named_modules())
    return [
        Parameter(name, shape, kind=_kind(modules[name.rpartition(".")[0]]))
        for name, shape in probe.shapes.items()
    ]


def _kind(module: nn.Module) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(module).__name__)
    return words.lower()
