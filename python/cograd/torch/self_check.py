"""What is about to be recorded, compared with plain autograd, one example at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cograd.errors import SelfCheckError
from cograd.torch.engine import Places
from cograd.torch.generic import gradient
from cograd.torch.probe import Probe, Weights

#: A difference above this, relative to the largest value of the gradient, stops a recording.
TOLERANCE = 1e-4
# Gradients that are 0 but for rounding, such as those of an attention's key bias, are measured by the largest of all.
_FLOOR = 1e-3


def self_check(
    probe: Probe, weights: Weights, places: Places, recorded: Tensor, batch: Any, alone: Sequence[Any]
) -> float:
    """The largest relative difference of `recorded`, a row for each batch of one in `alone`.

    Raises SelfCheckError above the tolerance, and names the parameter. `batch` is the one they were recorded in.
    """
    try:
        plain = [_plain(probe, weights, places, one) for one in alone]
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise SelfCheckError(f"the gradients of single examples do not exist: {_TRAINING}") from error
    largest = {name: max(scales[name] for _, scales in plain) for name in places}
    floor = _FLOOR * max(largest.values())
    differences, start = {}, 0
    for name, place in places.items():
        mine = recorded[:, start : start + len(place)]
        theirs = torch.stack([values[name] for values, _ in plain]).to(mine)
        start += len(place)
        scale = max(largest[name], floor)
        differences[name] = float((mine - theirs).abs().max()) / scale if scale > 0 else 0.0
    worst = max(differences, key=lambda name: differences[name])
    if differences[worst] > TOLERANCE:
        raise SelfCheckError(
            f"{worst}: its recorded gradient differs from that of plain autograd, one example at a time, by "
            f"{differences[worst]:.1e} of its largest value, more than {TOLERANCE:.0e}. "
            f"{_cause(probe, weights, batch)}"
        )
    return differences[worst]


def _plain(
    probe: Probe, weights: Weights, places: Places, one: Any
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """An example's gradient at the coordinates, and its largest value, by parameter."""
    chosen = {name: weights.trained[name].detach().clone().requires_grad_() for name in places}
    found = gradient(probe.losses(weights, one, chosen).sum(), chosen)
    values = {name: found[name].reshape(-1)[place] for name, place in places.items()}
    return values, {name: float(found[name].abs().max()) for name in places}


_TRAINING = (
    "a normalisation is in training mode, in which the examples of a batch share one gradient. Let it be in "
    "evaluation mode when the model is"
)


def _cause(probe: Probe, weights: Weights, batch: Any) -> str:
    if changed := probe.changed_buffers(weights):
        return f"The forward pass changed {', '.join(changed[:3])}: {_TRAINING}"
    with torch.no_grad():
        first, second = (probe.losses(weights, batch) for _ in range(2))
    if not torch.equal(first, second):
        return (
            "The loss is random: a dropout is on although the model is in evaluation mode. Turn it off there"
        )
    return "The loss of an example depends on the others of its batch, or the rule of this parameter is wrong"
