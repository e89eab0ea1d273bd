"""Recording a data-parallel training of two processes, by gloo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import networks  # noqa: E402

import cograd  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

OPTIONS: dict[str, Any] = {
    "examples": 7, "coordinates": 7, "microbatch": 4, "evaluations": Schedule(0, 0), "population": Schedule(0, 0),
    "population_examples": 9,
}  # fmt: skip


def train(rank: int, directory: Path, processes: int, distributed: bool) -> None:
    """Three steps of a ResNet, each process on its half of the minibatch."""
    import common
    import resnet

    torch.set_num_threads(1)
    if processes > 1:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{directory}/rendezvous", rank=rank, world_size=processes
        )
    torch.manual_seed(0)
    images, labels = common.cifar10(networks.data("cifar10"), "data_batch_1", 16)
    model: Any = resnet.ResNet("group", 4)
    if processes > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    recorder = None
    if rank == 0 or distributed:
        recorder = cograd.torch.Recorder(
            model, (images, labels), directory / "study", distributed=distributed, **OPTIONS
        )
    for step in range(3):
        if recorder:
            recorder.step(step)
        optimizer.zero_grad()
        mine = slice(rank, None, processes)
        torch.nn.functional.cross_entropy(model(images[mine]), labels[mine]).backward()
        optimizer.step()
    if recorder:
        recorder.close()
    if processes > 1:
        torch.distributed.destroy_process_group()


def record(directory: Path, processes: int, distributed: bool) -> Path:
    directory.mkdir()
    if processes == 1:
        train(0, directory, 1, False)
    else:
        torch.multiprocessing.spawn(train, (directory, processes, distributed), processes)
    return networks.run_directory(directory / "study")


@pytest.mark.parametrize("distributed", [False, True], ids=["rank 0 records", "ranks share the sample"])
def test_two_processes_record_what_one_does(tmp_path: Path, distributed: bool) -> None:
    networks.data("cifar10")
    one, two = record(tmp_path / "one", 1, False), record(tmp_path / "two", 2, distributed)
    manifest = json.loads((two / "manifest.json").read_text())
    workers = {name.split("/")[1] for name in manifest["files"] if name.startswith("gradients/")}
    assert len(workers) == (2 if distributed else 1)
    expected, actual = networks.gradients(one), networks.gradients(two)
    assert list(actual) == [0, 1, 2]
    for step in actual:
        assert np.abs(actual[step] - expected[step]).max() <= 1e-5 * np.abs(expected[step]).max()
    contributions = [networks.population(run, 0) for run in (one, two)]
    assert contributions[0]["example_id"].tolist() == contributions[1]["example_id"].tolist()
    theirs, mine = (found["contribution"] for found in contributions)
    assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()
