"""Recording from PyTorch.

with cograd.torch.Recorder(model, train_set, "studies/mine") as recorder:
    for step, batch in enumerate(loader):
        recorder.step(step)
        train_step(model, batch)
"""

from __future__ import annotations

from cograd.errors import CogradError

try:
    import torch
except ImportError as error:
    raise CogradError("cograd.torch needs PyTorch: pip install torch") from error

if tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2]) < (2, 2):
    raise CogradError(f"cograd.torch needs PyTorch 2.2 or later, and this is {torch.__version__}")

from cograd.schedule import Schedule
from cograd.torch.checkpoints import record_checkpoints
from cograd.torch.recorder import Recorder

__all__ = ["Recorder", "Schedule", "record_checkpoints"]
