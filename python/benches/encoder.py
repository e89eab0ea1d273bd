"""Time of one probe of the encoder, beside one forward and backward pass over the same examples.

    python benches/encoder.py --data shared/data [--threads 1] [--runs 5] [--microbatch 50]

One JSON object: seconds, medians, taken in turns; the ratio; and the peak memory of the process after the passes alone and
after the probes, MB. The probe is the recorder's: 400 questions of TREC × 300 values of each parameter of MiniLM-L6-H384.
The passes take the examples in batches of the same size.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))

from common import Rows, trec
from encoder import build, cross_entropy, tokens

import cograd
from cograd.schedule import Schedule

EXAMPLES = 400


def seconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak() -> int:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Measures, and prints."""
    arguments = ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--microbatch", type=int, default=50)
    arguments.add_argument("--length", type=int, default=16)
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    questions, labels = trec(chosen.data, "train_5500", EXAMPLES)
    data = Rows(**tokens(questions, chosen.length), labels=labels)
    model = build().eval()

    def passes() -> None:
        for first in range(0, EXAMPLES, chosen.microbatch):
            model.zero_grad()
            cross_entropy(model, data[first : first + chosen.microbatch]).sum().backward()

    times: dict[str, list[float]] = {"passes": [seconds(passes)], "probe": []}
    found: dict[str, float] = {"peak_of_passes": peak()}
    with tempfile.TemporaryDirectory() as folder:
        recorder = cograd.torch.Recorder(
            model, data, Path(folder, "study"), loss=cross_entropy, examples=EXAMPLES, coordinates=300,
            microbatch=chosen.microbatch, schedule=Schedule(10**6, 0), evaluations=None,
        )  # fmt: skip
        recorder.step(0)
        for run in range(chosen.runs):
            times["passes"].append(seconds(passes))
            times["probe"].append(seconds(lambda run=run: recorder.step(run + 1)))
            recorder._writer._wait()
        recorder.close()
    found |= {name: round(statistics.median(values), 3) for name, values in times.items()}
    found |= {"ratio": round(found["probe"] / found["passes"], 3), "peak_of_probes": peak()}
    settings = {"torch": torch.__version__, "threads": chosen.threads, "microbatch": chosen.microbatch}
    print(json.dumps(settings | found, indent=1))


main()
