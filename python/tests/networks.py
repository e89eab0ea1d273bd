"""What tests of networks share: the experiments' models, tiny, on real data, and gradients one at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))


def data(name: str) -> Path:
    """The directory of the data sets; the test is skipped if the data set is not there."""
    directory = Path(os.environ.get("COGRAD_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (directory / name).is_dir():
        pytest.skip(f"{directory / name} is not there: COGRAD_DATA names the directory of the data sets")
    return directory


def run_directory(study: Path) -> Path:
    """The only run of a study."""
    (run,) = (study / "runs").glob("[!.]*")
    return run


def gradients(run: Path) -> dict[int, np.ndarray]:
    """The recorded gradients [examples, coordinates] by step, whoever wrote them, ascending by example."""
    found: dict[int, list[tuple[int, np.ndarray]]] = {}
    for path in sorted(run.glob("gradients/**/part-*.parquet")):
        table = pq.read_table(path).combine_chunks()
        values = table["gradient"].chunk(0).flatten().to_numpy().reshape(len(table), -1)
        for step, example, row in zip(
            table["step"].to_pylist(), table["example_id"].to_pylist(), values, strict=True
        ):
            found.setdefault(step, []).append((example, row))
    return {
        step: np.stack([row for _, row in sorted(rows, key=lambda pair: pair[0])])
        for step, rows in found.items()
    }


def population(run: Path, step: int) -> dict[str, np.ndarray]:
    """What is recorded of the population at a step, whoever wrote it, ascending by example."""
    files = sorted(run.glob(f"population/**/part-{step:010}.parquet"))
    table = pa.concat_tables([pq.read_table(path) for path in files]).sort_by("example_id")
    return {name: table[name].to_numpy() for name in ("example_id", "contribution")}


def coordinates(run: Path) -> list[tuple[str, np.ndarray]]:
    """The recorded places of each parameter."""
    names = pq.read_table(run / "parameters.parquet")["name"].to_pylist()
    table = pq.read_table(run / "coordinates.parquet").to_pandas()
    return [
        (names[number], rows["index"].to_numpy()) for number, rows in table.groupby("parameter", sort=False)
    ]


def sampled(run: Path) -> list[int]:
    """The sampled examples."""
    table = pq.read_table(run / "examples.parquet")
    return [
        i
        for i, chosen in zip(table["example_id"].to_pylist(), table["sampled"].to_pylist(), strict=True)
        if chosen
    ]


def one_at_a_time(model: Any, loss: Any, batches: list[Any]) -> list[dict[str, np.ndarray]]:
    """The gradients of every example by plain autograd, batch of one, in evaluation mode."""
    import torch

    training = model.training
    model.eval()
    names, values = zip(*model.named_parameters(), strict=True)
    found = []
    for batch in batches:
        taken = torch.autograd.grad(loss(model, batch).sum(), values, allow_unused=True)
        found.append(
            {
                name: np.zeros(value.shape) if one is None else one.double().numpy()
                for name, value, one in zip(names, values, taken, strict=True)
            }
        )
    model.train(training)
    return found


def assert_recorded(run: Path, step: int, expected: list[dict[str, np.ndarray]]) -> None:
    """Every recorded gradient at a step is that of autograd, to 1e-5 of the parameter's largest value."""
    actual, start = gradients(run)[step], 0
    largest = max(np.abs(g).max() for one in expected for g in one.values())
    for name, places in coordinates(run):
        mine = actual[:, start : start + len(places)]
        theirs = np.stack([one[name].reshape(-1)[places] for one in expected])
        # A gradient that is 0 but for rounding has no digits of its own.
        scale = max(max(np.abs(one[name]).max() for one in expected), 1e-3 * largest)
        assert np.abs(mine - theirs).max() <= 1e-5 * scale, name
        start += len(places)
    assert start == actual.shape[1]


def assert_population(run: Path, step: int, expected: list[dict[str, np.ndarray]]) -> None:
    """Every contribution over all parameters is that of autograd, to 1e-4."""
    total = {name: sum(one[name] for one in expected) for name in expected[0]}
    theirs = np.array([sum((one[name] * total[name]).sum() for name in total) for one in expected])
    mine = population(run, step)["contribution"]
    assert np.abs(mine - theirs).max() <= 1e-4 * np.abs(theirs).max()
