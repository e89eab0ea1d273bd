"""Per-example gradients by rule: a file for each kind of layer, listed here by the functions it knows.

For one example, a is its input to the function and δ the gradient of its own loss with respect to the output, at every
position. A rule says what the gradient of a parameter is at chosen places, its inner product with a given direction, and
its squared norm, without materialising it where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cograd.torch.rules.addmm import FUNCTIONS as ADDMM
from cograd.torch.rules.batch_norm import FUNCTIONS as BATCH_NORM
from cograd.torch.rules.convolution import FUNCTIONS as CONVOLUTION
from cograd.torch.rules.embedding import FUNCTIONS as EMBEDDING
from cograd.torch.rules.group_norm import FUNCTIONS as GROUP_NORM
from cograd.torch.rules.layer_norm import FUNCTIONS as LAYER_NORM
from cograd.torch.rules.linear import FUNCTIONS as LINEAR
from cograd.torch.rules.rule import Bound, Rule, Use

#: The rule of each function.
RULES: dict[Callable[..., Any], Rule] = {
    **ADDMM,
    **BATCH_NORM,
    **CONVOLUTION,
    **EMBEDDING,
    **GROUP_NORM,
    **LAYER_NORM,
    **LINEAR,
}

__all__ = ["RULES", "Bound", "Rule", "Use"]
