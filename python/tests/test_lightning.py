"""Recording through Lightning: ResNet-8 with GroupNorm and with BatchNorm on CIFAR-10."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning")

import networks  # noqa: E402

import cograd  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

torch.set_num_threads(1)
OPTIONS: dict[str, Any] = {"examples": 6, "coordinates": 7, "microbatch": 4, "evaluations": None}


class Module(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x)

    def training_step(self, batch: Any, _: int) -> Any:
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


class Stop(lightning.Callback):  # type: ignore[misc]
    """Breaks a training off."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 5:
            raise RuntimeError("broken off")


def network(kind: str) -> Any:
    import resnet

    torch.manual_seed(0)
    return resnet.ResNet(kind, 4)


def fit(
    directory: Path, kind: str, steps: int, callbacks: list[Any], resume: Path | None = None, **more: Any
) -> None:
    import common

    images, labels = common.cifar10(networks.data("cifar10"), "data_batch_1", 16)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), 4)
    lightning.Trainer(
        max_steps=steps, max_epochs=-1, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=directory, callbacks=callbacks,
        **({"enable_checkpointing": False} | more),
    ).fit(Module(network(kind)), loader, ckpt_path=resume)  # fmt: skip


@pytest.mark.parametrize("kind", ["group", "batch"])
def test_every_gradient_of_a_resnet_is_that_of_autograd(tmp_path: Path, kind: str) -> None:
    import common

    options = OPTIONS | {"population": Schedule(0, 0), "population_examples": 6}
    recorder = cograd.lightning.Recorder(tmp_path / "study", model=lambda module: module.network, **options)
    fit(tmp_path, kind, 3, [recorder])
    run = networks.run_directory(tmp_path / "study")
    assert sorted(networks.gradients(run)) == [0, 1, 2]
    images, labels = common.cifar10(networks.data("cifar10"), "data_batch_1", 16)
    batches = [(images[i : i + 1], labels[i : i + 1]) for i in networks.sampled(run)]
    expected = networks.one_at_a_time(
        network(kind), lambda m, b: torch.nn.functional.cross_entropy(m(b[0]), b[1]), batches
    )
    networks.assert_recorded(run, 0, expected)
    networks.assert_population(run, 0, expected)


def test_a_training_resumed_from_a_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    def train(study: str, *more: Any, resume: Path | None = None) -> None:
        # An epoch has four batches: Lightning goes on from its beginning.
        saver = lightning.pytorch.callbacks.ModelCheckpoint(
            tmp_path, "{step}", every_n_train_steps=4, save_top_k=-1
        )
        recorder = cograd.lightning.Recorder(tmp_path / study, **OPTIONS)
        fit(tmp_path, "batch", 7, [recorder, saver, *more], resume, enable_checkpointing=True)

    train("whole")
    with pytest.raises(RuntimeError, match="broken off"):
        train("broken", Stop())
    assert not list((tmp_path / "broken" / "runs").glob("[!.]*"))
    (checkpoint,) = tmp_path.glob("*step=4-v1.ckpt")
    train("broken", resume=checkpoint)
    whole, broken = (networks.run_directory(tmp_path / name) for name in ("whole", "broken"))
    assert (whole / "manifest.json").read_bytes() == (broken / "manifest.json").read_bytes()


def test_a_checkpoint_without_a_recording_is_refused(tmp_path: Path) -> None:
    saver = lightning.pytorch.callbacks.ModelCheckpoint(tmp_path / "a", every_n_train_steps=3, save_top_k=-1)
    fit(tmp_path, "group", 3, [saver], enable_checkpointing=True)
    (checkpoint,) = (tmp_path / "a").glob("*.ckpt")
    with pytest.raises(cograd.CogradError, match="holds no state of a recording"):
        fit(tmp_path, "group", 5, [cograd.lightning.Recorder(tmp_path / "study", **OPTIONS)], checkpoint)
