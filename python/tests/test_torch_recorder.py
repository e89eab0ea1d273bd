"""The recorder beside a training: what it leaves alone, what it refuses, and how it goes on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.data import Dataset, IterableDataset  # noqa: E402

import cograd  # noqa: E402
from cograd.errors import CogradError, DataError, ModelError, ResumeError, StudyError  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

torch.set_num_threads(1)
M = 40
SOME = Schedule(2, 4)
OPTIONS: dict[str, Any] = {
    "examples": 16,
    "coordinates": 10,
    "microbatch": 7,
    "schedule": SOME,
    "population": SOME,
}


def examples() -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels with noise, and labels without."""
    generator = torch.Generator().manual_seed(5)
    x, clean = torch.randn(M, 6, generator=generator), torch.randint(0, 3, (M,), generator=generator)
    noisy = clean.clone()
    noisy[:10] = clean[:10][torch.randperm(10, generator=generator)]
    return x, noisy, clean


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


class Training:
    """A training whose batches and dropout are random."""

    def __init__(self) -> None:
        self.x, self.y, self.clean = examples()
        self.model = network()
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def step(self) -> None:
        chosen = torch.randint(0, M, (8,))
        chosen[0] = random.randrange(M)
        chosen[1] = int(np.random.randint(M))
        self.optimiser.zero_grad()
        functional.cross_entropy(self.model(self.x[chosen]), self.y[chosen]).backward()
        self.optimiser.step()

    def recorder(self, path: Path, **changes: Any) -> cograd.torch.Recorder:
        options = {"original_labels": self.clean, "snapshots": Schedule(0, 1), **OPTIONS, **changes}
        return cograd.torch.Recorder(self.model, (self.x, self.y), path, **options)


def seeded() -> None:
    torch.manual_seed(11)
    np.random.seed(11)
    random.seed(11)


def content(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_training_is_the_same_with_and_without_a_recorder(tmp_path: Path) -> None:
    alone = Training()
    seeded()
    for _ in range(12):
        alone.step()
    beside = Training()
    seeded()
    with beside.recorder(tmp_path) as recorder:
        for t in range(12):
            before = [None if p.grad is None else p.grad.clone() for p in beside.model.parameters()]
            modes = [module.training for module in beside.model.modules()]
            recorder.step(t)
            assert modes == [module.training for module in beside.model.modules()]
            for p, grad in zip(beside.model.parameters(), before, strict=True):
                assert (p.grad is None) == (grad is None) and (grad is None or torch.equal(p.grad, grad))
            beside.step()
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, beside.model.state_dict()[name]), name


def test_what_is_known_of_a_run_is_in_its_trace(tmp_path: Path) -> None:
    training = Training()
    seeded()
    with training.recorder(
        tmp_path,
        conditions={"width": 8, "seed": 4},
        columns={"weight": np.arange(M) / M},
        test_set=(training.x, training.clean),
    ) as recorder:
        for t in range(30):
            recorder.step(t)
            recorder.record_metric(t, "train", "learning_rate", 0.1)
            training.step()
    run = tmp_path / "runs/width-8_seed-4"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["steps"] == 30
    assert manifest["recorded_steps"] == SOME.up_to(29) == manifest["population_steps"]
    assert manifest["task"] | {"self_check": None} == {
        "loss": "cross-entropy",
        "mode": "evaluation",
        "dtype": "float32",
        "network": "Sequential",
        "classes": 3,
        "self_check": None,
    }
    table = pq.read_table(run / "examples.parquet")
    assert table["label"].to_pylist() == training.y.tolist() and "weight" in table.column_names
    metrics = pq.read_table(run / "metrics.parquet").to_pylist()
    assert {(row["split"], row["group"], row["metric"]) for row in metrics} >= {
        *(
            ("train", group, metric)
            for group in ("all", "pristine", "corrupt")
            for metric in ("loss", "accuracy")
        ),
        ("test", "all", "accuracy"),
        ("train", "all", "learning_rate"),
    }
    last = [
        row["value"]
        for row in metrics
        if (row["step"], row["split"], row["group"], row["metric"]) == (30, "train", "all", "accuracy")
    ]
    training.model.eval()
    assert last == [pytest.approx(float((training.model(training.x).argmax(1) == training.y).float().mean()))]
    assert [path.name for path in sorted((run / "weights").iterdir())] == [
        f"weights/step-{t:08}.safetensors".removeprefix("weights/") for t in (0, 1, 10, 30)
    ]


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_a_recording_continues_from_a_checkpoint_with_the_same_bytes(stop: int, tmp_path: Path) -> None:
    whole = Training()
    seeded()
    with whole.recorder(tmp_path / "whole") as recorder:
        for t in range(12):
            recorder.step(t)
            whole.step()

    first, saved = Training(), tmp_path / "checkpoint.pt"
    seeded()
    recorder = first.recorder(tmp_path / "other")
    for t in range(stop + 2):
        recorder.step(t)
        first.step()
        if t == stop:
            torch.save(
                {
                    "model": first.model.state_dict(),
                    "optimiser": first.optimiser.state_dict(),
                    "recorder": recorder.state_dict(),
                    "torch": torch.get_rng_state(),
                },
                saved,
            )
            others = random.getstate(), np.random.get_state()
    recorder.abort()

    second, checkpoint = Training(), torch.load(saved)
    second.model.load_state_dict(checkpoint["model"])
    second.optimiser.load_state_dict(checkpoint["optimiser"])
    torch.set_rng_state(checkpoint["torch"])
    random.setstate(others[0])
    np.random.set_state(others[1])
    with second.recorder(tmp_path / "other") as recorder:
        recorder.load_state_dict(checkpoint["recorder"])
        recorder.step(stop)  # once more: recorded already, and so ignored
        for t in range(stop + 1, 12):
            recorder.step(t)
            second.step()
    assert content(tmp_path / "other/runs/seed-0") == content(tmp_path / "whole/runs/seed-0")


def test_an_exception_leaves_the_run_unfinished(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Training().recorder(tmp_path) as recorder:
        recorder.step(0)
        raise ZeroDivisionError
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [".seed-0.partial"]


def test_a_step_with_losses_that_are_not_finite_is_skipped(tmp_path: Path) -> None:
    training = Training()
    with training.recorder(tmp_path, snapshots=None) as recorder:
        recorder.step(0)
        with torch.no_grad():
            saved = training.model[0].weight.clone()
            training.model[0].weight.fill_(float("nan"))
        recorder.step(1)
        with torch.no_grad():
            training.model[0].weight.copy_(saved)
        recorder.step(2)
    manifest = json.loads((tmp_path / "runs/seed-0/manifest.json").read_text())
    assert manifest["recorded_steps"] == manifest["population_steps"] == [0, 2]
    (skipped,) = manifest["skipped_steps"]
    assert (
        skipped["step"] == 1
        and "the losses of 16 of 16 sampled examples were not finite" in skipped["reason"]
    )


def test_a_run_is_recorded_afterwards_from_checkpoints(tmp_path: Path) -> None:
    training, files = Training(), {}
    with training.recorder(
        tmp_path / "live", schedule=cograd.schedule.Steps([0, 4]), population=None
    ) as recorder:
        for t in range(9):
            recorder.step(t)
            if t in (0, 4):
                files[t] = tmp_path / f"{t}.pt"
                torch.save({"model_state_dict": training.model.state_dict()}, files[t])
            training.step()
    files[9] = tmp_path / "9.pt"
    torch.save(training.model.state_dict(), files[9])
    run = cograd.torch.record_checkpoints(
        files,
        network,
        (training.x, training.y),
        tmp_path / "after",
        examples=16,
        coordinates=10,
        microbatch=7,
    )
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["steps"], manifest["recorded_steps"]) == (9, [0, 4, 9])
    live, after = (
        pq.read_table(path / "gradients/part-00000.parquet")["gradient"].to_pylist()
        for path in (tmp_path / "live/runs/seed-0", run)
    )
    assert live == after[: len(live)]
    with pytest.raises(ModelError, match=r"0\.pt does not fit the model"):
        cograd.torch.record_checkpoints(
            files, lambda: nn.Linear(6, 3), (training.x, training.y), tmp_path / "no"
        )


class Endless(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        yield torch.zeros(6), 0


class Ragged(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 9

    def __getitem__(self, number: int) -> Any:
        return torch.zeros(6 if number != 7 else 5), 0


def mean_loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


def loss_of_positions(model: nn.Module, batch: Any) -> Tensor:
    return model(batch[0]).flatten()


class Halves(nn.Linear):
    def __init__(self) -> None:
        super().__init__(6, 3)
        self.bias = nn.Parameter(torch.zeros(3, device="meta"))


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"train_set": Endless()}, DataError, "Endless has no length"),
        (
            {"train_set": Ragged()},
            DataError,
            r"example 7 is \(\(5,\), \(\)\), and example 0 is \(\(6,\), \(\)\)",
        ),
        ({"train_set": (torch.zeros(3, 6), torch.zeros(4))}, DataError, r"\[3, 4\] examples"),
        ({"loss": mean_loss}, DataError, "one number an example"),
        ({"loss": loss_of_positions}, DataError, "one number an example"),
        ({"train_set": torch.zeros(5, 6)}, DataError, "the default loss takes examples"),
        ({"model": Halves()}, ModelError, "cpu', 'meta"),
        ({"model": nn.LazyLinear(3)}, ModelError, "has no shape yet"),
        (
            {"model": nn.Linear(6, 3).requires_grad_(False)},
            ModelError,
            "no parameter of the model is trained",
        ),
        ({"parameters": "mlp.*"}, DataError, r"matches 'mlp\.\*'; there are 0\.weight"),
        ({"original_labels": [1, 2]}, DataError, "original_labels: 2 for 40"),
        ({"labels": [1, 2]}, DataError, "labels: 2 for 40"),
        ({"columns": {"age": [1, 2]}}, DataError, "column age: 2 values for 40"),
        ({"conditions": {"rates": [1, 2]}}, DataError, "condition rates"),
        ({"examples": 0}, DataError, "examples = 0"),
        ({"coordinates": 0}, DataError, "coordinates = 0"),
        ({"microbatch": 0}, DataError, "microbatch = 0"),
    ],
)
def test_what_cannot_be_recorded_is_a_clear_error_and_writes_no_run(
    changes: Any, kind: type[CogradError], said: str, tmp_path: Path
) -> None:
    x, y, _ = examples()
    arguments = {"model": network(), "train_set": (x, y), "path": tmp_path, "microbatch": 50, **changes}
    with pytest.raises(kind, match=said):
        recorder = cograd.torch.Recorder(**arguments)
        with recorder:
            recorder.step(0)
    assert not list(tmp_path.glob("runs/*/manifest.json"))


def test_a_model_that_changes_between_steps_is_an_error(tmp_path: Path) -> None:
    training = Training()
    recorder = training.recorder(tmp_path)
    recorder.step(0)
    training.model[4] = nn.Linear(8, 4)
    with pytest.raises(ModelError, match=r"4\.weight, of shape \(3, 8\), has the shape \(4, 8\)"):
        recorder.step(1)
    training.model[4] = nn.Identity()
    with pytest.raises(ModelError, match=r"4\.weight, of shape \(3, 8\), is not there any more"):
        recorder.step(2)
    recorder.abort()


def test_a_directory_with_another_study_is_an_error(tmp_path: Path) -> None:
    with Training().recorder(tmp_path) as recorder:
        recorder.step(0)
    with pytest.raises(StudyError, match="recorded already"):
        Training().recorder(tmp_path)
    with pytest.raises(StudyError, match="same conditions"):
        Training().recorder(tmp_path, run="another")
    with Training().recorder(tmp_path, seed=1) as recorder:
        recorder.step(0)


def test_a_state_is_loaded_before_the_first_step_only(tmp_path: Path) -> None:
    recorder = Training().recorder(tmp_path)
    recorder.step(0)
    with pytest.raises(ResumeError, match="before the first step"):
        recorder.load_state_dict(recorder.state_dict())
    recorder.abort()


def test_a_version_of_torch_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.setattr(torch, "__version__", "2.1.0+cpu")
    with pytest.raises(CogradError, match=r"PyTorch 2\.2 or later, and this is 2\.1\.0"):
        importlib.reload(cograd.torch)
    monkeypatch.undo()
    importlib.reload(cograd.torch)


def test_parameters_are_chosen_by_patterns_and_frozen_ones_are_none(tmp_path: Path) -> None:
    training = Training()
    training.model[0].requires_grad_(False)
    with training.recorder(tmp_path, parameters=["4.*", "1.bias"]) as recorder:
        recorder.step(0)
    run = tmp_path / "runs/seed-0"
    names = pq.read_table(run / "parameters.parquet")["name"].to_pylist()
    assert names == ["1.weight", "1.bias", "4.weight", "4.bias"]
    recorded = set(pq.read_table(run / "coordinates.parquet")["parameter"].to_pylist())
    assert recorded == {1, 2, 3}
