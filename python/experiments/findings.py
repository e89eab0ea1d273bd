"""The tables of docs/findings-networks.md, from the results of a study that `cograd analyze` has left.

python findings.py studies/resnet [--where norm=group] [--layers 0,10,200]
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

# Student's t at 97.5 %, by degrees of freedom.
QUANTILES = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571}


def interval(values: list[float], digits: int = 2) -> str:
    """A mean over seeds and its 95 % interval by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return f"{mean:.{digits}f}"
    half = QUANTILES[n - 1] * float(np.std(values, ddof=1)) / math.sqrt(n)
    return f"{mean:.{digits}f} ({mean - half:.{digits}f} to {mean + half:.{digits}f})"


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    """Prints a table of runs, one of means over seeds, and m-coherence by layer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--where", default="", help="only runs with this condition: name=value")
    parser.add_argument("--layers", default="0,10,100", help="steps of the table by layer")
    options = parser.parse_args()

    def table(name: str, **equal: object):
        found = pq.read_table(options.study / "analysis" / f"{name}.parquet").to_pylist()
        name, _, value = options.where.partition("=")
        return [
            r for r in found
            if (not name or str(r[name]) == value) and all(r[column] == wanted for column, wanted in equal.items())
        ]  # fmt: skip

    tests = {
        (r["run"], r["statistic"]): r for r in table("tests", group_a="pristine") if r["estimator"] == "paper"
    }
    shares = table("shares", world=0, group="pristine", estimator="paper")
    band = {(r["run"], r["step"]): r for r in table("null", statistic="share", group_a="pristine")}
    # Without noise all examples are pristine, and there is nothing to be told apart.
    runs = sorted(
        {
            (r["noise"], r["run"])
            for r in shares
            if tests.get((r["run"], "difference_10"), {}).get("p") is not None
        }
    )
    mean = {run: [r["share"] for r in shares if r["run"] == run] for _, run in runs}
    print("\n## Runs\n")
    row(
        "run",
        "α, step 0",
        "α, mean of the first ten",
        "above, below the null band",
        "p of α",
        "D₁₀ (p)",
        "crossover (p)",
    )
    row(*["---"] * 7)
    for _, run in runs:
        own = [r for r in shares if r["run"] == run]
        inside = [(r["share"], band.get((run, r["step"]))) for r in own]
        above = sum(b is not None and s > b["upper"] for s, b in inside)
        below = sum(b is not None and s < b["lower"] for s, b in inside)
        said = [
            f"{tests[run, s]['observed']:.2f} ({tests[run, s]['p']:.3f})"
            for s in ("difference_10", "crossover")
        ]
        p = tests[run, "mean_share"]["p"] if (run, "mean_share") in tests else tests[run, "share"]["p"]
        early = float(np.mean(mean[run][:10]))
        row(
            run,
            f"{own[0]['share']:.2f}",
            f"{early:.2f}",
            f"{above}, {below} of {len(own)}",
            f"{p:.3f}",
            *said,
        )

    print("\n## Over seeds (95 % interval, Student's t)\n")
    row("noise", "seeds", "α, first ten steps", "α, last five", "D₁₀", "crossover")
    row(*["---"] * 6)
    for noise in sorted({noise for noise, _ in runs}):
        mine = [run for own, run in runs if own == noise]
        row(
            noise, len(mine), interval([float(np.mean(mean[run][:10])) for run in mine]),
            interval([float(np.mean(mean[run][-5:])) for run in mine]),
            interval([tests[run, "difference_10"]["observed"] for run in mine]),
            interval([tests[run, "crossover"]["observed"] for run in mine]),
        )  # fmt: skip

    print("\n## m-coherence by layer, mean over seeds and noise (95 % interval)\n")
    steps = [int(step) for step in options.layers.split(",")]
    coherence = table("coherence", statistic="m_coherence", estimator="paper", group_a=None)
    row("layer", *(f"step {step}" for step in steps))
    row(*["---"] * (1 + len(steps)))
    for layer in dict.fromkeys(r["layer"] for r in coherence):
        values = [
            [r["value"] for r in coherence if r["layer"] == layer and r["step"] == step] for step in steps
        ]
        row(layer or "all", *(interval(v, 1) if len(v) < 7 else f"{np.mean(v):.1f}" for v in values if v))


if __name__ == "__main__":
    main()
