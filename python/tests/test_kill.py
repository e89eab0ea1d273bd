"""A training that is killed at any moment continues from its checkpoint, to the same bytes."""

from __future__ import annotations

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import cograd  # noqa: E402
from cograd import journal  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

STEPS = 90


def train(path: Path, said: Connection) -> None:
    """Trains from the last checkpoint on, if there is one, and says each step."""
    torch.set_num_threads(1)
    journal._ROW_GROUP_BYTES, journal._PART_BYTES = 20_000, 60_000
    torch.manual_seed(0)
    x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    options = {
        "examples": 30,
        "coordinates": 20,
        "schedule": Schedule(STEPS, 0),
        "population": Schedule(3, 3),
    }
    recorder = cograd.torch.Recorder(model, (x, y), path, **options)
    saved, start = path.with_suffix(".pt"), 0
    if saved.exists():
        state = torch.load(saved)
        start = state["step"]
        model.load_state_dict(state["model"])
        recorder.load_state_dict(state["recorder"])
    for t in range(start, STEPS):
        if t % 7 == 0 and t > start:
            state = {"step": t, "model": model.state_dict(), "recorder": recorder.state_dict()}
            torch.save(state, f"{saved}.new")
            Path(f"{saved}.new").replace(saved)
        said.send((start, t))
        recorder.step(t)
        chosen = torch.arange(10) * 5 + t % 5
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimiser.step()
    recorder.close()


def content(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_killed_training_continues_to_the_same_bytes(tmp_path: Path) -> None:
    # A server has torch imported, so that a new process takes no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "cograd.torch"])

    def run(name: str, kill_after: int | None) -> tuple[int, bool]:
        """Where a process began, and whether it was killed, after so many steps and a moment."""
        mine, its = context.Pipe(duplex=False)
        process = context.Process(target=train, args=(tmp_path / name, its))
        process.start()
        its.close()
        began, count = -1, 0
        try:
            while kill_after is None or count < kill_after:
                began = mine.recv()[0]
                count += 1
            time.sleep(moments.uniform(0, 0.03))
            process.kill()
        except EOFError:
            pass
        process.join()
        return began, process.exitcode != 0

    moments = random.Random(0)
    assert run("whole", None) == (0, False)
    begun, killed = [], True
    while killed and len(begun) < 12:
        start, killed = run("killed", moments.randrange(3, 30))
        begun.append(start)
        # Whatever has a manifest is whole, even if the process was killed right after.
        killed = killed and not (tmp_path / "killed/runs/seed-0").exists()
    if killed:
        run("killed", None)
    assert len(begun) > 2 and len(set(begun)) > 1, begun
    assert content(tmp_path / "killed/runs/seed-0") == content(tmp_path / "whole/runs/seed-0")
