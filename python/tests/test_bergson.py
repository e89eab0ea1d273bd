"""Gradient stores laid out as bergson 0.26 and 2.5 write them become one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

yaml = pytest.importorskip("yaml")

import networks  # noqa: E402

import cograd  # noqa: E402
from cograd import binary  # noqa: E402
from cograd.bergson import import_stores, main  # noqa: E402

SIZES = {"layers.0.mlp": 6, "layers.1.mlp": 4}
EXAMPLES = 5


def values(step: int) -> np.ndarray:
    return np.random.default_rng(step).normal(size=(EXAMPLES, 10)).astype(np.float16)


def store(directory: Path, step: int, info: Any = None, settings: Any = None, preprocess: Any = None) -> Path:
    """What `bergson build` leaves of one checkpoint."""
    directory.mkdir(parents=True)
    about = {"attribute_tokens": False, "num_items": EXAMPLES, "num_grads": EXAMPLES, "grad_sizes": SIZES}
    (directory / "info.json").write_text(json.dumps(about | {"base_dtype": "float16"} | (info or {})))
    values(step).tofile(directory / "gradients.bin")
    index = {"run_path": str(directory), "model": f"out/checkpoint-{step}", "loss_fn": "ce", "loss_reduction": "sum",
             "precision": "fp16", "projection_dim": 2} | (settings or {})  # fmt: skip
    built = {"index_cfg": index, "preprocess_cfg": {"aggregation": "none"} | (preprocess or {})}
    (directory / "config.yaml").write_text(yaml.safe_dump({"steps": [{"build": built}], "metadata": {}}))
    data = directory / "data.hf"
    data.mkdir()
    table = pa.table({"length": [3, 4, 5, 6, 7], "text": list("abcde"), "labels": [[1]] * 5,
                      "loss": np.full(5, 10.0 - step, np.float32)})  # fmt: skip
    with (
        pa.OSFile(str(data / "data-00000-of-00001.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    (data / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return directory


def test_stores_become_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores = [store(tmp_path / f"store-{step}", step) for step in (4, 0)]
    assert main([*map(str, stores), "--out", str(tmp_path / "study")]) == 0
    run = networks.run_directory(tmp_path / "study")
    found = networks.gradients(run)
    assert list(found) == [0, 4]
    assert all(np.array_equal(found[step], values(step).astype(np.float32)) for step in found)
    assert [name for name, _ in networks.coordinates(run)] == list(SIZES)
    columns = networks.pq.read_table(run / "examples.parquet")
    assert columns["tokens"].to_pylist() == [3, 4, 5, 6, 7]
    assert columns["text"].to_pylist() == list("abcde")
    assert networks.pq.read_table(run / "metrics.parquet")["value"].to_pylist() == [10.0, 6.0]
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["steps"] == 4
    assert manifest["task"]["network"] == "out"
    assert "Next: cograd analyze" in capsys.readouterr().out


def test_examples_and_values_can_be_sampled(tmp_path: Path) -> None:
    run = import_stores([store(tmp_path / "a", 0)], tmp_path / "study", examples=3, coordinates=2)
    places = np.concatenate(
        [start + place for start, (_, place) in zip((0, 6), networks.coordinates(run), strict=True)]
    )
    assert np.array_equal(
        networks.gradients(run)[0], values(0)[networks.sampled(run)][:, places].astype(np.float32)
    )


def test_a_step_beyond_the_type_is_skipped(tmp_path: Path) -> None:
    stores = [store(tmp_path / "a", 0), store(tmp_path / "b", 1)]
    clamped = values(1)
    clamped[2, 3] = np.finfo(np.float16).max
    clamped.tofile(stores[1] / "gradients.bin")
    manifest = json.loads((import_stores(stores, tmp_path / "study") / "manifest.json").read_text())
    assert manifest["recorded_steps"] == [0]
    assert (
        manifest["skipped_steps"][0]["reason"]
        == "the gradients of 1 of 5 examples were not finite, or beyond float16"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"info": {"attribute_tokens": True}}, "a row for each token"),
        ({"info": {"num_grads": 6}}, "bytes, and info.json says"),
        ({"info": {"grad_sizes": "many"}}, "cannot be read as bergson writes it"),
        ({"preprocess": {"unit_normalize": True}}, "built with unit_normalize"),
        ({"preprocess": {"aggregation": "mean"}}, "built with aggregation"),
        ({"settings": {"optimizer_state": "x"}}, "built with optimizer_state"),
        ({"settings": {"loss_reduction": "mean"}}, "loss_reduction is 'mean'"),
        ({"settings": {"model": "gpt2"}}, "named after a step"),
    ],
)
def test_what_is_no_gradient_of_an_example_at_a_step_is_refused(
    tmp_path: Path, change: Any, message: str
) -> None:
    stores = [store(tmp_path / "a", 0), store(tmp_path / "b", 1, **change)]
    with pytest.raises(cograd.CogradError, match=message):
        import_stores(stores, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_stores_of_the_training_callback_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The callback leaves gradients and info.json by epoch, and neither examples nor a configuration.
    made = store(tmp_path / "train" / "epoch_0", 0)
    shutil.rmtree(made / "data.hf")
    (made / "config.yaml").unlink()
    assert main([str(made), "--out", str(tmp_path / "study")]) == 1
    assert "training callback takes each row at other weights" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_the_command_imports_by_the_python_beside_it_or_says_what_is_missing(tmp_path: Path) -> None:
    stores = [str(store(tmp_path / f"checkpoint-{step}", step)) for step in (0, 10)]

    def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = os.environ | {"COGRAD_PYTHON": sys.executable} | environment
        line = [binary.find(), "import", "bergson", *arguments]
        return subprocess.run(line, env=known, capture_output=True, text=True, check=False)

    made = command(*stores, "--out", str(tmp_path / "study"))
    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / "study" / "runs").iterdir())) == 1
    assert "--steps" in command("--help").stdout
    # Without site-packages and the path there is no package.
    without = tmp_path / "python"
    without.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    without.chmod(0o755)
    missing = command(*stores, "--out", str(tmp_path / "other"), COGRAD_PYTHON=str(without))
    assert missing.returncode == 1
    assert "pip install ./python" in missing.stderr
