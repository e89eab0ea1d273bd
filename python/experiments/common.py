"""What the experiments share: real data as tensors, label noise as the paper makes it, options, and the plain loop."""

import argparse
import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cograd.schedule import Schedule


class Rows(Dataset):
    """Tensors with an example in each row: item i is a dictionary of row i of each."""

    def __init__(self, **columns: Tensor) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: Any) -> dict[str, Tensor]:
        return {name: column[index] for name, column in self.columns.items()}


def cifar10(data: Path, part: str, limit: int) -> tuple[Tensor, Tensor]:
    """The first images of a part (`data_batch_1`, `test_batch`), standardised, [m, 3, 32, 32], and their labels."""
    with gzip.open(data / "cifar10" / f"{part}.bin.gz") as file:
        records = np.frombuffer(file.read(limit * 3073), np.uint8).reshape(-1, 3073)
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    return (images - 0.4734) / 0.2516, torch.from_numpy(records[:, 0].astype(np.int64))


TREC_CLASSES = ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]


def trec(data: Path, part: str, limit: int) -> tuple[list[str], Tensor]:
    """Questions of a part (`train_5500`, `TREC_10`), shuffled once and for all, and their coarse classes."""
    lines = (data / "trec" / f"{part}.label").read_text(encoding="latin-1").splitlines()
    found = [re.match(r"(\w+):\S+ (.*)", lines[i]) for i in np.random.default_rng(0).permutation(len(lines))]
    pairs = [match.groups() for match in found if match][:limit]
    return [question for _, question in pairs], torch.tensor([TREC_CLASSES.index(name) for name, _ in pairs])


def shakespeare(data: Path, context: int, limit: int) -> tuple[Tensor, int]:
    """Blocks of characters [m, context], evenly spread over the text, and how many characters there are."""
    text = np.array(list((data / "shakespeare" / "input.txt").read_text()))
    characters, codes = np.unique(text, return_inverse=True)
    blocks = codes[: len(codes) // context * context].reshape(-1, context)
    return torch.from_numpy(blocks[np.linspace(0, len(blocks) - 1, limit).astype(int)]), len(characters)


def permuted(values: Tensor, noise: float, seed: int) -> Tensor:
    """Rows of which a fraction is permuted among themselves."""
    rng = np.random.default_rng([seed, 1])
    chosen = rng.permutation(len(values))[: round(noise * len(values))]
    noisy = values.clone()
    noisy[torch.from_numpy(chosen)] = values[torch.from_numpy(rng.permutation(chosen))]
    return noisy


def batches(m: int, size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """Numbers of the examples of each minibatch: fresh permutations, cut into whole minibatches."""
    generator, queue = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(queue) < size:
            queue = torch.randperm(m, generator=generator)
        yield queue[:size]
        queue = queue[size:]


def train_plainly(
    recorder: Any, loss: Callable[[Tensor], Tensor], optimizer: Any, m: int, options: argparse.Namespace
) -> None:
    """A training loop as people write it, and the line that records."""
    for step, chosen in enumerate(batches(m, options.batch, options.steps, options.seed)):
        recorder.step(step)
        optimizer.zero_grad()
        loss(chosen).backward()
        optimizer.step()


def arguments(text: str | None, **defaults: Any) -> argparse.Namespace:
    """The options of an experiment; `defaults` may replace those below."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="directory of the study")
    parser.add_argument("--data", type=Path, required=True, help="directory of the data sets")
    parser.add_argument("--trainer", action="store_true", help="train through the trainer of the ecosystem")
    known = {"noise": 0.5, "seed": 0, "steps": 200, "batch": 32, "train_examples": 1000, "examples": 200,
             "coordinates": 100, "microbatch": 50, "per_decade": 8, "population": 0}  # fmt: skip
    for name, value in {**known, **defaults}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    return options


def recording(options: argparse.Namespace, **conditions: Any) -> dict[str, Any]:
    """What the experiments ask of their recorders."""
    return {
        "examples": options.examples,
        "coordinates": options.coordinates,
        "microbatch": options.microbatch,
        "schedule": Schedule(10, options.per_decade),
        "evaluations": Schedule(0, 4),
        "population": Schedule(0, 2) if options.population else None,
        "population_examples": options.population or None,
        "self_terms": False,
        "snapshots": Schedule(0, 0),
        "seed": options.seed,
        "conditions": {**conditions, "noise": options.noise, "seed": options.seed},
    }


def trainer_options(options: argparse.Namespace) -> dict[str, Any]:
    """What the trainer of transformers is told, so that it trains as the plain loop does."""
    return {
        "output_dir": f"{options.study}-trainer",
        "max_steps": options.steps,
        "per_device_train_batch_size": options.batch,
        "learning_rate": options.rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.01,
        "seed": options.seed,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
