"""Time of recording from PyTorch, beside what a researcher would write by hand.

    python benches/record.py [--threads 1] [--runs 30]

One JSON object, medians in milliseconds, taken in turns so that other load meets all alike: `hooks` takes 400 examples x
600 weights of 784-2048-10 from one forward and one backward pass written by hand, `vmap` by torch.func, `step` is the
recorder's whole step of the same, and `step_and_disk` that and its writing. `idle_microseconds` is a step at which
nothing is due, and `import` the import of the package.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import cograd
from cograd.schedule import Schedule


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def by_hooks(net: nn.Sequential, x: Tensor, y: Tensor, i1: Tensor, i2: Tensor) -> Callable[[], Tensor]:
    """By hand: activations and deltas of one pass over all examples."""
    first, second = net[0], net[2]

    def record() -> Tensor:
        with torch.no_grad():
            z = first(x)
            h = z.relu()
            d2 = second(h).softmax(1) - functional.one_hot(y, 10).float()
            d1 = (d2 @ second.weight) * (z > 0)
            return torch.cat([d1[:, i1 // 784] * x[:, i1 % 784], d2[:, i2 // 2048] * h[:, i2 % 2048]], 1)

    return record


def by_vmap(net: nn.Sequential, x: Tensor, y: Tensor, i1: Tensor, i2: Tensor) -> Callable[[], Tensor]:
    """As the documentation of torch.func teaches it."""

    def loss(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(net, weights, (x[None],)), y[None])

    def record() -> Tensor:
        weights = {name: value.detach() for name, value in net.named_parameters()}
        g = vmap(grad(loss), in_dims=(None, 0, 0), chunk_size=100)(weights, x, y)
        return torch.cat([g["0.weight"].flatten(1)[:, i1], g["2.weight"].flatten(1)[:, i2]], 1)

    return record


def main() -> None:
    """Measures, and prints."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--runs", type=int, default=30)
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 10))
    x, y = torch.rand(400, 784), torch.randint(0, 10, (400,))
    with tempfile.TemporaryDirectory() as folder:
        recorder = cograd.torch.Recorder(
            net,
            (x, y),
            Path(folder, "study"),
            parameters="*.weight",
            microbatch=400,
            schedule=Schedule(10**6, 0),
            evaluations=None,
        )
        recorder.step(0)
        i1, i2 = recorder._places["0.weight"], recorder._places["2.weight"]
        hooks, vmapped = by_hooks(net, x, y, i1, i2), by_vmap(net, x, y, i1, i2)
        times: dict[str, list[float]] = {"hooks": [], "step": [], "step_and_disk": []}
        for run in range(chosen.runs):
            times["hooks"].append(milliseconds(hooks))
            times["step"].append(milliseconds(lambda run=run: recorder.step(2 * run + 1)))
            recorder._writer._wait()

            def whole(run: int = run) -> None:
                recorder.step(2 * run + 2)
                recorder._writer._wait()

            times["step_and_disk"].append(milliseconds(whole))
        found = {name: round(statistics.median(values), 3) for name, values in times.items()}
        found["vmap"] = round(statistics.median(milliseconds(vmapped) for _ in range(3)), 3)
        recorder.close()

        idle = cograd.torch.Recorder(
            net, (x, y), Path(folder, "idle"), schedule=Schedule(0, 0), evaluations=None
        )
        idle.step(0)
        found["idle_microseconds"] = round(
            milliseconds(lambda: [idle.step(t) for t in range(1, 100_001)]) / 100, 3
        )
        idle.close()
    command = "import time; s = time.perf_counter(); import cograd; print(1e3 * (time.perf_counter() - s))"
    imports = [
        float(
            subprocess.run([sys.executable, "-c", command], capture_output=True, check=True, text=True).stdout
        )
        for _ in range(5)
    ]
    found["import"] = round(statistics.median(imports), 3)
    found |= {
        "step_to_hooks": round(found["step"] / found["hooks"], 3),
        "vmap_to_step": round(found["vmap"] / found["step"], 1),
    }
    print(json.dumps({"torch": torch.__version__, "threads": chosen.threads, **found}, indent=1))


main()
