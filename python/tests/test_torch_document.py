"""The programs of docs/python.md run as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.parametrize("run", ["mine", "bare"])
def test_a_program_of_the_document_runs(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    (program,) = [
        p for p in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S) if f"studies/{run}" in p
    ]
    exec(compile(program, str(DOCUMENT), "exec"), {})
    assert (tmp_path / "studies" / run / "runs" / "seed-0" / "manifest.json").exists()
