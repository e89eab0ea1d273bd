"""ResNet-8 on CIFAR-10 with label noise: one run of a study.

    python resnet.py studies/resnet --data shared/data --norm group --noise 0.5 --seed 0

Three stages of one residual block (He et al. 2016), with GroupNorm or BatchNorm; SGD with momentum.
"""

from typing import Any

import torch
from common import arguments, cifar10, permuted, recording, train_plainly
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import cograd


def norm(kind: str, channels: int) -> nn.Module:
    """GroupNorm or BatchNorm."""
    return nn.GroupNorm(4, channels) if kind == "group" else nn.BatchNorm2d(channels)


class Block(nn.Module):
    """Two convolutions and a shortcut, which is a convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, kind: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = norm(kind, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = norm(kind, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet-8 for images of 32 x 32."""

    def __init__(self, kind: str, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.stem_norm = norm(kind, width)
        self.blocks = nn.Sequential(
            Block(width, width, 1, kind),
            Block(width, 2 * width, 2, kind),
            Block(2 * width, 4 * width, 2, kind),
        )
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(functional.relu(self.stem_norm(self.stem(x))))
        return self.head(x.mean((2, 3)))


def train_by_lightning(model: nn.Module, images: Tensor, labels: Tensor, options: Any, keywords: Any) -> None:
    """Training through Lightning, whose callback records."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, _: int) -> Tensor:
            return functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=options.rate, momentum=0.9)

    recorder = cograd.lightning.Recorder(
        options.study, (images, labels), model=lambda module: module.model, **keywords
    )
    loader = DataLoader(TensorDataset(images, labels), options.batch, shuffle=True, drop_last=True)
    lightning.Trainer(
        max_steps=options.steps, max_epochs=-1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[recorder],
    ).fit(Module(), loader)  # fmt: skip


def main() -> None:
    """Records one run."""
    options = arguments(__doc__, norm="group", width=8, rate=0.05, test_examples=200)
    images, original = cifar10(options.data, "data_batch_1", options.train_examples)
    labels = permuted(original, options.noise, options.seed)
    model = ResNet(options.norm, options.width)
    keywords = recording(options, norm=options.norm)
    keywords |= {"original_labels": original, "task": {"network": "ResNet-8"}}
    keywords["test_set"] = cifar10(options.data, "test_batch", options.test_examples)
    if options.trainer:
        train_by_lightning(model, images, labels, options, keywords)
        return

    def loss(chosen: Tensor) -> Tensor:
        return functional.cross_entropy(model(images[chosen]), labels[chosen])

    optimizer = torch.optim.SGD(model.parameters(), lr=options.rate, momentum=0.9)
    with cograd.torch.Recorder(model, (images, labels), options.study, **keywords) as recorder:
        train_plainly(recorder, loss, optimizer, len(images), options)


if __name__ == "__main__":
    main()
