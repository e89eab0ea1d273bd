"""What all tests and examples share: a small study, recorded by the `cograd` command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import cograd
from cograd import binary

#: Handwritten digits, which the command carries, at two levels of label noise.
EXPERIMENT = """
name = "small"
[data]
source = "digits"
[network]
hidden = [64]
[training]
learning_rate = 0.1
batch = 50
steps = 1500
[grid]
noise = [0.0, 0.25]
seeds = [1]
[[grid.rules]]
name = "sgd"
[sample]
examples = 60
weights_per_layer = 40
[schedule.gradients]
every_step_until = 12
per_decade = 10
[schedule.evaluations]
every_step_until = 5
per_decade = 10
[schedule.snapshots]
every_step_until = 0
per_decade = 1
[schedule.population]
every_step_until = 2
per_decade = 2
"""


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was analysed; tests only read it."""
    directory = tmp_path_factory.mktemp("recorded")
    (directory / "experiment.toml").write_text(EXPERIMENT)
    study = directory / "small"
    binary.run(["record", str(directory / "experiment.toml"), "--out", str(study)], progress=False)
    cograd.open(study).analyze(null_worlds=99, progress=False)
    return study


@pytest.fixture
def study(recorded: Path, tmp_path: Path) -> Path:
    """A copy of that study, for tests that change it."""
    return Path(shutil.copytree(recorded, tmp_path / "small"))


@pytest.fixture(autouse=True)
def _examples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the examples of the documentation beside a study `studies/small`."""
    if isinstance(request.node, pytest.DoctestItem):
        directory = request.getfixturevalue("tmp_path")
        shutil.copytree(request.getfixturevalue("recorded"), directory / "studies" / "small")
        monkeypatch.chdir(directory)
        request.node.dtest.globs.update(cograd=cograd)
