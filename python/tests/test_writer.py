"""The bare trace format: what is written, what is refused, and that a run goes on from any state with the same bytes."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cograd import binary, journal, progress
from cograd.errors import DataError, ResumeError, StudyError, WriteError
from cograd.schedule import NEVER, Schedule, Steps
from cograd.writer import Parameter, Writer

M, SAMPLED = 12, [1, 4, 5, 9]
PARAMETERS = [Parameter("a.weight", (3, 2)), Parameter("a.bias", (3,)), Parameter("scale", ())]


def writer(study: Path, run: str | None = None, **changes: Any) -> Writer:
    described: dict[str, Any] = {
        "parameters": PARAMETERS,
        "coordinates": ([0, 0, 1, 2], [1, 5, 2, 0]),
        "train_examples": M,
        "sampled": SAMPLED,
        "examples": {"label": np.arange(M) % 3},
        "conditions": {"width": 512, "seed": 1},
    }
    return Writer(study, run, **{**described, **changes})


def record(to: Writer, steps: range) -> None:
    """Made-up numbers that depend on the step alone."""
    for step in steps:
        rng = np.random.default_rng(step)
        if step == 3:
            to.skip(step, "an overflow")
            continue
        to.gradients(step, rng.standard_normal((len(SAMPLED), 4)))
        own = rng.standard_normal((M, 2))
        to.population(step, own * own.sum(0), own.sum(0) ** 2, own**2)
        to.metric(step, "train", "loss", math.exp(-step), M)
        if step % 4 == 0:
            to.snapshot(step, {"scale": rng.standard_normal(())})


def content(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_an_unfinished_run_can_be_watched_and_keeps_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    whole = writer(tmp_path / "whole")
    record(whole, range(12))
    expected = content(whole.close())

    monkeypatch.setattr(progress, "_FIRST", 0.0)
    study = tmp_path / "study"
    to = writer(study)
    record(to, range(6))
    to.state()
    command = [str(binary.find()), "watch", str(study)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout is not None
            address = watch.stdout.readline().split()[0]
            page, deadline = "", time.monotonic() + 60
            while f"{to.run}: step 5" not in page or "<svg" not in page:
                assert time.monotonic() < deadline, page
                with urllib.request.urlopen(address) as answer:
                    page = answer.read().decode()
                time.sleep(0.1)
        finally:
            watch.send_signal(signal.SIGINT)
    assert watch.returncode == 0
    record(to, range(6, 12))
    assert content(to.close()) == expected


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 2 steps, and part files of 4."""
    monkeypatch.setattr(journal, "_ROW_GROUP_BYTES", 2 * 4 * 16)
    monkeypatch.setattr(journal, "_PART_BYTES", 4 * 4 * 16)


def test_a_run_appears_whole_and_sealed(tmp_path: Path, small_parts: None) -> None:
    with writer(tmp_path) as to:
        record(to, range(11))
        assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()] == [
            ".width-512_seed-1.partial"
        ]
    run = tmp_path / "runs" / "width-512_seed-1"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name]
    text = (run / "manifest.json").read_bytes()
    manifest = json.loads(text)
    seal = manifest["seal"]
    assert hashlib.sha256(text.replace(seal.encode(), b"")).hexdigest() == seal
    assert set(manifest["files"]) | {"manifest.json"} == set(content(run))
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == entry["sha256"]
    assert manifest["recorded_steps"] == [0, 1, 2, *range(4, 11)]
    assert manifest["skipped_steps"] == [{"step": 3, "reason": "an overflow"}]
    assert (manifest["steps"], manifest["sampled_examples"], manifest["coordinates"]) == (11, 4, 4)
    parts = sorted((run / "gradients").iterdir())
    assert [pq.ParquetFile(part).num_row_groups for part in parts] == [2, 2, 1]
    table = pq.read_table(parts[0])
    assert table["example_id"].to_pylist() == 4 * SAMPLED
    first = np.array(table["gradient"].to_pylist()[:4], np.float32)
    assert np.array_equal(first, np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32))
    assert json.loads(pq.read_schema(parts[0]).metadata[b"cograd"])["table"] == "gradients"


@pytest.mark.parametrize("kept", range(12))
@pytest.mark.parametrize("lost", [0, 1, 5])
def test_a_run_that_goes_back_to_a_state_has_the_same_bytes(
    kept: int, lost: int, tmp_path: Path, small_parts: None
) -> None:
    with writer(tmp_path / "whole") as to:
        record(to, range(17))
    interrupted = writer(tmp_path / "other")
    record(interrupted, range(kept))
    state = json.loads(json.dumps(interrupted.state()))
    record(interrupted, range(kept, kept + lost))
    interrupted.abort()
    continued = writer(tmp_path / "other")
    continued.resume(state)
    record(continued, range(kept, 17))
    assert content(continued.close()) == content(tmp_path / "whole/runs/width-512_seed-1")


def test_without_a_state_a_run_begins_again(tmp_path: Path) -> None:
    first = writer(tmp_path)
    record(first, range(7))
    first.abort()
    with writer(tmp_path) as second:
        record(second, range(2))
    assert json.loads((second.close() / "manifest.json").read_text())["recorded_steps"] == [0, 1]


def test_a_state_of_another_recording_is_refused(tmp_path: Path) -> None:
    first = writer(tmp_path)
    record(first, range(3))
    state = first.state()
    first.abort()
    with pytest.raises(ResumeError, match="another recording"):
        writer(tmp_path, sampled=[1, 4, 5, 10]).resume(state)
    (tmp_path / "runs/.width-512_seed-1.partial/population/part-0000000001.parquet").write_bytes(b"damaged")
    second = writer(tmp_path)
    with pytest.raises(ResumeError, match="part-0000000001"):
        second.resume(state)
    second.abort()


def test_two_recorders_of_one_run_exclude_each_other(tmp_path: Path) -> None:
    first = writer(tmp_path)
    record(first, range(1))
    second = writer(tmp_path)
    with pytest.raises(StudyError, match="another recorder is writing this run"):
        record(second, range(1))
    first.close()
    with pytest.raises(StudyError, match="recorded already"):
        writer(tmp_path)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda path: path.write_text("a file"), "is a file"),
        (lambda path: (path.mkdir(), (path / "holiday.jpg").touch()), "not empty, and no study"),
        (
            lambda path: (path.mkdir(), (path / "runs").mkdir(), (path / "study.toml").touch()),
            "experiment file",
        ),
        (lambda path: writer(path, "other").close(), "same conditions"),
    ],
)
def test_a_directory_that_holds_something_else_is_refused(what: Any, said: str, tmp_path: Path) -> None:
    what(tmp_path / "study")
    with pytest.raises(StudyError, match=said):
        writer(tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"conditions": {"rate": math.nan}}, "condition rate"),
        ({"conditions": {"2nd": 1}}, "condition '2nd'"),
        ({"conditions": {"seed": -1}}, "condition seed"),
        ({"sampled": [4, 1]}, "sampled examples"),
        ({"sampled": []}, "sampled examples"),
        ({"coordinates": ([0], [6])}, "outside of its parameter"),
        ({"coordinates": ([0, 0], [1, 1])}, "twice"),
        ({"coordinates": ([3], [0])}, "not there"),
        ({"examples": {"label": [1, 2]}}, "column label: 2 values for 12"),
        ({"examples": {"sampled": [True] * M}}, "column sampled"),
    ],
)
def test_a_description_that_cannot_be_is_refused(changes: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        writer(tmp_path, **changes)


def test_values_that_cannot_be_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    to = writer(tmp_path)
    with pytest.raises(DataError, match="not finite"):
        to.gradients(0, np.full((4, 4), np.nan))
    with pytest.raises(DataError, match="shape"):
        to.gradients(0, np.zeros((4, 3)))
    with pytest.raises(DataError, match="accuracy"):
        to.metric(0, "train", "accuracy", 1.5)
    assert not list(tmp_path.iterdir())
    record(to, range(2))
    with pytest.raises(DataError, match="step 1 after step 1"):
        to.gradients(1, np.zeros((4, 4)))
    with pytest.raises(DataError, match="step 1 has rows"):
        to.skip(1, "no reason")
    to.skip(2, "an overflow")
    with pytest.raises(DataError, match="step 2 is skipped"):
        to.gradients(2, np.zeros((4, 4)))
    to.abort()


def test_a_disk_that_fills_is_an_error_and_the_run_goes_on_later(
    tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer(tmp_path / "whole") as to:
        record(to, range(9))
    full = writer(tmp_path / "full")
    record(full, range(2))
    state = full.state()

    def no_space(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.GradientFiles, "_write_part", no_space)
        with pytest.raises(WriteError, match="No space left on device"):
            record(full, range(2, 9))
            full.close()
    full.abort()
    assert not list((tmp_path / "full/runs").glob("*/manifest.json"))
    later = writer(tmp_path / "full")
    later.resume(state)
    record(later, range(2, 9))
    assert content(later.close()) == content(tmp_path / "whole/runs/width-512_seed-1")


def test_several_workers_write_one_run(tmp_path: Path) -> None:
    workers = ["rank-0", "rank-1"]
    shares = [([1, 5], list(range(0, M, 2))), ([4, 9], list(range(1, M, 2)))]
    to = [writer(tmp_path, worker=w, workers=workers, share=s) for w, s in zip(workers, shares, strict=True)]
    for one, (sampled, population) in zip(to, shares, strict=True):
        for step in range(3):
            one.gradients(step, np.full((len(sampled), 4), step))
            ones = np.ones((len(population), 2))
            one.population(step, M * ones, [M * M, M * M], ones)
    with pytest.raises(WriteError, match="rank-1 has not closed"):
        writer(tmp_path / "alone", worker="rank-0", workers=workers, share=shares[0]).close()
    to[1].close()
    files = json.loads((to[0].close() / "manifest.json").read_text())["files"]
    assert {"gradients/rank-0/part-00000.parquet", "gradients/rank-1/part-00000.parquet"} <= set(files)


def by_definition(every_step_until: int, per_decade: int, last: int) -> list[int]:
    """docs/experiments.md: every step up to the first, then round(10^(k / per_decade)), each once."""
    steps = set(range(min(every_step_until, last) + 1))
    k = 0
    while per_decade and (step := math.floor(10 ** (k / per_decade) + 0.5)) <= last:
        steps |= {step} if step > every_step_until else set()
        k += 1
    return sorted(steps)


@pytest.mark.parametrize("every_step_until", [0, 1, 3, 10, 100])
@pytest.mark.parametrize("per_decade", [0, 1, 2, 8, 20, 333, 10_000])
def test_a_schedule_is_that_of_experiments(every_step_until: int, per_decade: int) -> None:
    schedule = Schedule(every_step_until, per_decade)
    expected = by_definition(every_step_until, per_decade, 3000)
    assert schedule.up_to(3000) == expected
    assert [step for step in range(3001) if step in schedule] == expected
    assert Schedule(5, 0).next(6) == NEVER and Steps([8, 2]).next(3) == 8
