"""Recording from the Trainer of Hugging Face's transformers.

trainer = Trainer(model, arguments, train_dataset=train, callbacks=[cograd.huggingface.Recorder("studies/mine")])
trainer.train()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cograd.errors import CogradError, DataError, ResumeError

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
    from transformers import TrainerCallback
    from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
except ImportError as error:
    raise CogradError(
        "cograd.huggingface needs PyTorch and transformers: pip install 'cograd[huggingface]'"
    ) from error

import cograd.torch

_IGNORED = -100


def example_loss(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    """The loss of every example, as transformers' models compute it of a batch of one.

    Of a classifier, the cross-entropy of its label; of a causal language model, the mean of its tokens' but those that
    are labelled -100. An example without such a token has the loss 0.
    """
    labels, output = (
        _labels(batch),
        model(**{name: value for name, value in batch.items() if name != "labels"}),
    )
    logits = output.logits
    if logits.ndim == 2 and labels.ndim == 1 and not labels.is_floating_point():
        return functional.cross_entropy(logits, labels, reduction="none")
    if not (logits.ndim == 3 and type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))):
        raise DataError(
            f"{type(model).__name__}: only classifiers and causal language models have a default loss; "
            "give `loss`, with loss(model, batch) -> [examples]"
        )
    told, targets = logits[:, :-1], labels[:, 1:]
    losses = functional.cross_entropy(
        told.flatten(0, 1), targets.flatten(), reduction="none", ignore_index=_IGNORED
    )
    return losses.view(targets.shape).sum(1) / (targets != _IGNORED).sum(1).clamp(min=1)


def example_prediction(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    """The class that a classifier says of every example."""
    logits: Tensor = model(**{name: value for name, value in batch.items() if name != "labels"}).logits
    return logits.argmax(-1)


class Recorder(TrainerCallback):
    """A callback that records at the beginning of scheduled optimizer steps.

    `train_set` is the trainer's own by default, in batches that the trainer's collator makes; `loss` is `example_loss`.
    `model` picks what is recorded of the trainer's model, by default all of it. `options` are those of
    cograd.torch.Recorder. Where several processes train, the first records, or with
    `distributed=True` each its share.

    Each of the trainer's checkpoints holds the state of the recording, and a training that is resumed from one goes on
    without loss or repetition.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        train_set: Any = None,
        *,
        model: Callable[[nn.Module], nn.Module] | None = None,
        **options: Any,
    ) -> None:
        """Nothing is checked or written before the training begins."""
        self._path, self._train_set, self._model, self._options = path, train_set, model, options
        self._recorder: cograd.torch.Recorder | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Makes the recorder, and continues from the checkpoint that the training continues from."""
        self.abort()
        if not (state.is_world_process_zero or self._options.get("distributed")):
            return
        model, loader = kwargs["model"], kwargs["train_dataloader"]
        options = dict(self._options)
        options.setdefault("loss", example_loss)
        if options["loss"] is example_loss:
            options["task"] = {"loss": "cross-entropy", **(options.get("task") or {})}
            if "predict" not in options and "ForSequenceClassification" in type(model).__name__:
                options["predict"] = example_prediction
        collate = loader.collate_fn
        options.setdefault("collate", lambda examples: dict(collate(examples)))
        recorder = cograd.torch.Recorder(
            model if self._model is None else self._model(model),
            loader.dataset if self._train_set is None else self._train_set,
            self._path,
            **options,
        )
        if state.global_step > 0:
            recorder.load_state_dict(_load(args, state.global_step))
        self._recorder = recorder

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Records what is scheduled."""
        if self._recorder is not None:
            self._recorder.step(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keeps the state of the recording in the trainer's checkpoint."""
        if self._recorder is None:
            return
        folder = _checkpoint(args, state.global_step)
        name = _state_name(args)
        temporary = folder / f".{name}.partial"
        with temporary.open("wb") as file:
            torch.save(self._recorder.state_dict(), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(folder / name)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Completes the run."""
        if self._recorder is not None:
            self._recorder.close(state.global_step)
            self._recorder = None

    def abort(self) -> None:
        """Leaves the run unfinished, after a training that an exception has ended; transformers does not say so."""
        if self._recorder is not None:
            self._recorder.abort()
            self._recorder = None


def _labels(batch: Mapping[str, Any]) -> Tensor:
    labels = batch.get("labels")
    if not isinstance(labels, Tensor):
        raise DataError("the batches hold no `labels`: give `loss`, with loss(model, batch) -> [examples]")
    return labels


def _checkpoint(args: Any, step: int) -> Path:
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{step}"


def _state_name(args: Any) -> str:
    """The file with the state of this process's recording."""
    return f"cograd-{args.process_index}.pt" if args.process_index else "cograd.pt"


def _load(args: Any, step: int) -> Any:
    """The state of the recording in the checkpoint that a training continues from."""
    named = args.resume_from_checkpoint
    folders = [Path(named)] if isinstance(named, str) and Path(named).is_dir() else []
    folders.append(_checkpoint(args, step))
    name = _state_name(args)
    for folder in folders:
        if (folder / name).exists():
            return torch.load(folder / name, map_location="cpu", weights_only=True)
    raise ResumeError(
        f"{folders[0]} holds no {name}, the state of a recording: resume the training from a checkpoint of a recorded "
        "training, or leave the recorder out"
    )
