"""Seconds and bytes of an analysis per recorded step, over n × d: the cost model of docs/scale.md.

    python benches/scale.py DIRECTORY [LARGEST n × d, default 1e8]

Writes synthetic traces of n = 400 examples to DIRECTORY, and analyses each on one thread. Seconds are those of the
processor (user and system), so that a machine that is shared does not spoil them; those of an analysis of one step are
subtracted, so that what does not grow with the steps does not count.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np

import cograd
from cograd import binary
from cograd.writer import Parameter

EXAMPLES = 400
#: d, and how many steps are recorded.
SIZES = {250: 101, 2_500: 21, 25_000: 6, 250_000: 3}


def synthesise(study: Path, d: int, steps: int) -> None:
    """Normal noise plus a common direction, stronger in pristine examples."""
    random = np.random.default_rng(d)
    pristine = random.random(EXAMPLES) < 0.55
    labels = np.arange(EXAMPLES) % 10
    common = random.standard_normal(d, dtype=np.float32)
    with cograd.Writer(
        study,
        parameters=[Parameter("layer.weight", (d,))],
        coordinates=(np.zeros(d, dtype=np.int64), np.arange(d)),
        train_examples=EXAMPLES,
        sampled=np.arange(EXAMPLES),
        examples={"label": labels, "original_label": np.where(pristine, labels, (labels + 1) % 10)},
        conditions={"seed": 1},
    ) as writer:
        for step in range(steps):
            gradients = random.standard_normal((EXAMPLES, d), dtype=np.float32)
            gradients += np.where(pristine, 0.2, 0.05).astype(np.float32)[:, None] * common
            writer.gradients(step, gradients)
        writer.close(steps)


def analysis(study: Path, steps: str) -> tuple[float, int]:
    """Processor seconds of an analysis of these steps, and its peak memory in bytes."""
    command = [
        binary.find(),
        "analyze",
        study,
        "--out",
        study / "out",
        "--steps",
        steps,
        "--threads",
        "1",
        "-q",
    ]
    child = os.posix_spawn(command[0], [os.fspath(part) for part in command], os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the analysis of {study} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main() -> None:
    directory, largest = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1e8
    print("| n × d | steps | bytes a step, raw | on disk | processor seconds a step | peak memory, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    points = []
    for d, steps in SIZES.items():
        if EXAMPLES * d > largest:
            break
        study = directory / f"scale-{d}"
        shutil.rmtree(study, ignore_errors=True)
        synthesise(study, d, steps)
        stored = sum(file.stat().st_size for file in study.glob("runs/*/gradients/*")) / steps
        once, _ = analysis(study, "0..1")
        seconds, memory = analysis(study, f"0..{steps}")
        each = (seconds - once) / (steps - 1)
        points.append((EXAMPLES * d, each))
        print(
            f"| {EXAMPLES * d:.0e} | {steps} | {4 * EXAMPLES * d:.3g} | {stored:.3g} | {each:.3g} | {memory / 1e6:.0f} |",
            flush=True,
        )
        shutil.rmtree(study)
    sizes, seconds = np.log10(np.array(points)).T
    print(f"slope of log seconds over log(n × d): {np.polyfit(sizes, seconds, 1)[0]:.2f}")


if __name__ == "__main__":
    main()
