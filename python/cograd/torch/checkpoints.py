"""A run recorded afterwards, from checkpoints that its training left."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cograd.errors import DataError, ModelError
from cograd.schedule import Steps
from cograd.torch.recorder import Recorder


def record_checkpoints(
    checkpoints: Mapping[int, str | os.PathLike[str] | Mapping[str, Any]],
    build_model: Callable[[], nn.Module],
    train_set: Any,
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    steps: int | None = None,
    **options: Any,
) -> Path:
    """Records the weights of checkpoints, step by step, as one run; returns its directory.

    A checkpoint is a state dict of the model, or the name of a file that holds one, or one under `key` (by default
    `model_state_dict`, `state_dict` or `model`, whichever is there). `options` are those of Recorder;
    `population=True` and `snapshots=True` are at every checkpoint, and so are evaluations unless you say otherwise.
    """
    if not checkpoints:
        raise DataError("there are no checkpoints")
    model = build_model()
    chosen = Steps(checkpoints)
    options.setdefault("evaluations", chosen)
    for what in ("population", "evaluations", "snapshots"):
        if options.get(what) is True:
            options[what] = chosen
    last = max(checkpoints)
    with Recorder(model, train_set, path, schedule=chosen, **options) as recorder:
        for step in sorted(checkpoints):
            _load(model, checkpoints[step], key)
            recorder.step(step)
        return recorder.close(last if steps is None else steps)


def _load(model: nn.Module, checkpoint: str | os.PathLike[str] | Mapping[str, Any], key: str | None) -> None:
    name = "the checkpoint" if isinstance(checkpoint, Mapping) else os.fspath(checkpoint)
    if isinstance(checkpoint, Mapping):
        found: Any = checkpoint
    elif name.endswith(".safetensors"):
        from safetensors.torch import load_file

        found = load_file(name)
    else:
        try:
            found = torch.load(name, map_location="cpu", weights_only=True)
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error}") from error
    for inside in (key,) if key else ("model_state_dict", "state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(inside), Mapping):
            found = found[inside]
            break
    try:
        model.load_state_dict(found)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(f"{name} does not fit the model: {error}") from error
