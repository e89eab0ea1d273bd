"""Recording from JAX: a small convolutional network on CIFAR-10."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("torch")

import jax.numpy as jnp  # noqa: E402
import networks  # noqa: E402

import cograd  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402

OPTIONS: dict[str, Any] = {"examples": 6, "coordinates": 7, "microbatch": 4}


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    import common

    pixels, labels = common.cifar10(networks.data("cifar10"), "data_batch_1", count)
    return pixels.numpy(), labels.numpy()


def parameters() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {"convolution": {"kernel": (8, 3, 3, 3), "bias": (8,)}, "head": [(8, 10), (10,)]}
    return jax.tree.map(
        lambda shape: jnp.asarray(rng.normal(0, 0.3, shape), jnp.float32),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )


def logits(params: Any, image: Any) -> Any:
    kernel = params["convolution"]["kernel"]
    hidden = jax.lax.conv_general_dilated(image[None], kernel, (2, 2), "SAME")[0]
    hidden = jax.nn.relu(hidden + params["convolution"]["bias"][:, None, None])
    return hidden.mean((1, 2)) @ params["head"][0] + params["head"][1]


def loss(params: Any, example: Any) -> Any:
    image, label = example
    return -jax.nn.log_softmax(logits(params, image))[label]


def train(recorder: Any, data: Any, steps: int, first: int = 0, params: Any = None) -> Any:
    gradient = jax.jit(jax.grad(lambda params: jax.vmap(loss, (None, 0))(params, data).mean()))
    params = parameters() if params is None else params
    for step in range(first, steps):
        recorder.step(step, params)
        params = jax.tree.map(lambda value, change: value - 0.1 * change, params, gradient(params))
    return params


def test_every_gradient_and_contribution_is_that_of_jax_grad(tmp_path: Path) -> None:
    data = images(12)
    recorder = cograd.jax.Recorder(loss, tmp_path / "study", data, population=Schedule(1, 0), **OPTIONS)
    recorder.close(train(recorder, data, 3))
    run = networks.run_directory(tmp_path / "study")
    assert sorted(networks.gradients(run)) == [0, 1, 2]
    assert [name for name, _ in networks.coordinates(run)] == [
        "convolution.bias", "convolution.kernel", "head.0", "head.1"
    ]  # fmt: skip
    names = [name for name, _ in networks.coordinates(run)]
    plain = [
        dict(zip(names, map(np.float64, jax.tree.leaves(jax.grad(loss)(parameters(), (x, y)))), strict=True))
        for x, y in zip(*data, strict=True)
    ]
    networks.assert_recorded(run, 0, [plain[i] for i in networks.sampled(run)])
    networks.assert_population(run, 0, plain)


def test_a_recording_continues_from_its_state(tmp_path: Path) -> None:
    data = images(12)

    def recorder(study: str) -> Any:
        def predict(params: Any, example: Any) -> Any:
            return logits(params, example[0]).argmax()

        return cograd.jax.Recorder(
            loss, tmp_path / study, data, predict=predict, original_labels=data[1], **OPTIONS
        )

    whole = recorder("whole")
    whole.close(train(whole, data, 6))
    broken = recorder("broken")
    params = train(broken, data, 3)
    state = json.loads(json.dumps(broken.state_dict()))
    train(broken, data, 5, 3, params)
    broken.abort()
    again = recorder("broken")
    again.load_state_dict(state, params)
    again.close(train(again, data, 6, 3, params))
    manifests = [networks.run_directory(tmp_path / name) / "manifest.json" for name in ("whole", "broken")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()


def test_what_cannot_be_recorded_is_said(tmp_path: Path) -> None:
    data = images(6)
    with pytest.raises(cograd.CogradError, match="they must agree"):
        cograd.jax.Recorder(loss, tmp_path / "a", (data[0], data[1][:3]))
    with pytest.raises(cograd.CogradError, match="a single number"):
        cograd.jax.Recorder(lambda p, e: logits(p, e[0]), tmp_path / "b", data, **OPTIONS).step(
            0, parameters()
        )
    recorder = cograd.jax.Recorder(loss, tmp_path / "c", data, **OPTIONS)
    recorder.step(0, parameters())
    with pytest.raises(cograd.CogradError, match="changed their structure"):
        recorder.step(1, {"head": parameters()["head"]})
    recorder.abort()


def test_a_loss_that_is_random_is_found(tmp_path: Path) -> None:
    calls = iter(range(100))

    def random_loss(params: Any, example: Any) -> Any:
        return loss(params, example) * (1 + next(calls))

    with pytest.raises(cograd.CogradError, match=r"differs from that of jax\.grad"):
        cograd.jax.Recorder(random_loss, tmp_path / "study", images(6), **OPTIONS).step(0, parameters())


def test_a_step_that_is_not_finite_is_skipped(tmp_path: Path) -> None:
    data = images(6)
    recorder = cograd.jax.Recorder(loss, tmp_path / "study", data, evaluations=None, **OPTIONS)
    recorder.step(0, parameters())
    recorder.step(1, jax.tree.map(lambda value: value * np.nan, parameters()))
    manifest = json.loads((recorder.close() / "manifest.json").read_text())
    assert manifest["recorded_steps"] == [0]
    assert manifest["skipped_steps"] == [
        {"step": 1, "reason": "the gradients of 6 of 6 sampled examples were not finite"}
    ]
