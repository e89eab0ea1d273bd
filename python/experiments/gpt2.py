"""GPT-2's architecture, small and with random weights, as a language model on Shakespeare: one run of a study.

    python gpt2.py studies/gpt2 --data shared/data --noise 0.5 --seed 0

An example is a block of 64 characters. Noise: in a fraction of the blocks the characters are shuffled, so that there is
nothing to learn in them but which characters are frequent; those blocks are the corrupt ones. AdamW.
"""

from typing import Any

import numpy as np
import torch
from common import Rows, arguments, recording, shakespeare, train_plainly, trainer_options
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import cograd


def build(characters: int, context: int, width: int = 64, depth: int = 2) -> nn.Module:
    """GPT-2 with tied embedding and head."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=characters,
            n_positions=context,
            n_embd=width,
            n_layer=depth,
            n_head=4,
            use_cache=False,
            attn_implementation="eager",
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def cross_entropy(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The mean loss of the characters of each block."""
    text = batch["input_ids"]
    # The causal mask is given, so that nothing has to look at the values.
    hidden = torch.full((text.shape[1],) * 2, torch.finfo(torch.float32).min, device=text.device).triu(1)
    said = model(input_ids=text, attention_mask=hidden[None, None].expand(len(text), -1, -1, -1)).logits
    losses = functional.cross_entropy(said[:, :-1].flatten(0, 1), text[:, 1:].flatten(), reduction="none")
    return losses.view(len(text), -1).mean(1)


def shuffled(blocks: Tensor, noise: float, seed: int) -> tuple[Tensor, np.ndarray]:
    """Blocks of which a fraction has its characters shuffled, and which were left as they are."""
    rng = np.random.default_rng([seed, 1])
    pristine, noisy = np.full(len(blocks), True), blocks.clone()
    for row in rng.permutation(len(blocks))[: round(noise * len(blocks))]:
        noisy[row] = blocks[row, torch.from_numpy(rng.permutation(blocks.shape[1]))]
        pristine[row] = False
    return noisy, pristine


class LanguageTrainer(Trainer):
    """A trainer of the loss above."""

    def compute_loss(self, model: nn.Module, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        loss = cross_entropy(model, inputs).mean()
        return (loss, {}) if return_outputs else loss


def main() -> None:
    """Records one run."""
    options = arguments(__doc__, context=64, rate=3e-3)
    blocks, characters = shakespeare(options.data, options.context, options.train_examples)
    blocks, pristine = shuffled(blocks, options.noise, options.seed)
    train, model = Rows(input_ids=blocks), build(characters, options.context)
    keywords = recording(options) | {
        "loss": cross_entropy,
        "columns": {"pristine": pristine, "tokens": np.full(len(blocks), options.context - 1)},
        "task": {"loss": "cross-entropy", "reduction": "mean", "network": "GPT-2, 2 layers of 64"},
    }
    if options.trainer:
        settings = TrainingArguments(**trainer_options(options))
        recorder = cograd.huggingface.Recorder(options.study, train, **keywords)
        LanguageTrainer(model, settings, train_dataset=train, callbacks=[recorder]).train()
        return
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.01)
    with cograd.torch.Recorder(model, train, options.study, **keywords) as recorder:
        train_plainly(
            recorder,
            lambda chosen: cross_entropy(model, train[chosen]).mean(),
            optimizer,
            len(train),
            options,
        )


if __name__ == "__main__":
    main()
