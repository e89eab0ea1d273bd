"""Recording from Lightning's Trainer.

trainer = lightning.Trainer(max_steps=1000, callbacks=[cograd.lightning.Recorder("studies/mine")])
trainer.fit(module, loader)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from cograd.errors import CogradError, DataError, ResumeError

try:
    from lightning.pytorch import Callback
    from torch import distributed, nn
    from torch.utils.data import DataLoader, default_collate
except ImportError as error:
    raise CogradError(
        "cograd.lightning needs PyTorch and Lightning: pip install 'cograd[lightning]'"
    ) from error

import cograd.torch


class Recorder(Callback):
    """A callback that records before the first batch of scheduled optimizer steps.

    `train_set` is that of the training loader by default. `model` picks what is recorded of the Lightning module, by
    default all of it: `model=lambda module: module.network`. `options` are those of cograd.torch.Recorder; the default
    loss is the cross-entropy of `model(x)`. Where several processes
    train, the first records, or with `distributed=True` each its share.

    Lightning's checkpoints hold the state of the recording, and a training that is resumed from one goes on without
    loss or repetition.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        train_set: Any = None,
        *,
        model: Callable[[Any], nn.Module] | None = None,
        **options: Any,
    ) -> None:
        """Nothing is checked or written before the training begins."""
        self._path, self._train_set, self._model, self._options = path, train_set, model, options
        self._recorder: cograd.torch.Recorder | None = None
        self._loaded: Mapping[str, Any] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Makes the recorder, and continues from the checkpoint that the training continues from."""
        if not (trainer.is_global_zero or self._options.get("distributed")):
            return
        options, train_set = dict(self._options), self._train_set
        if train_set is None:
            loader = trainer.train_dataloader
            if not isinstance(loader, DataLoader):
                raise DataError(f"the training data are a {type(loader).__name__}: give `train_set`")
            train_set = loader.dataset
            if loader.collate_fn is not default_collate:
                options.setdefault("collate", loader.collate_fn)
        recorder = cograd.torch.Recorder(
            pl_module if self._model is None else self._model(pl_module), train_set, self._path, **options
        )
        if self._loaded:
            # One state for each process that records.
            states = self._loaded["processes"]
            recorder.load_state_dict(states[trainer.global_rank if self._options.get("distributed") else 0])
        elif trainer.global_step > 0:
            raise ResumeError(
                "the checkpoint that the training is resumed from holds no state of a recording: resume from one of a "
                "recorded training, or leave the recorder out"
            )
        self._recorder, self._loaded = recorder, {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Records what is scheduled."""
        if self._recorder is not None:
            self._recorder.step(trainer.global_step)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Completes the run."""
        if self._recorder is not None:
            self._recorder.close(trainer.global_step)
            self._recorder = None

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leaves the run unfinished; it can be continued from a checkpoint."""
        if self._recorder is not None:
            self._recorder.abort()
            self._recorder = None

    def state_dict(self) -> dict[str, Any]:
        """Where the recording is."""
        if self._recorder is None:
            return {}
        states: list[Any] = [self._recorder.state_dict()]
        if self._options.get("distributed"):
            states *= distributed.get_world_size()
            distributed.all_gather_object(states, states[distributed.get_rank()])
        return {"processes": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from there when the training begins."""
        self._loaded = state_dict
