"""The notebook runs from its first cell to its last, on real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("COGRAD_DATA", ROOT / ".." / "shared" / "data")) / "mnist"


@pytest.mark.skipif(not DATA.is_dir(), reason="COGRAD_DATA names no directory with mnist in it")
def test_the_notebook_runs_and_finds_the_wrong_labels(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("torch")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(DATA.resolve())
    notebook = nbformat.read(ROOT / "python" / "notebooks" / "first-study.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [
        output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output
    ]
    (card,) = [data["text/html"] for data in shown if "<svg" in data.get("text/html", "")]
    assert card.count("<li>") == 3
    corrupt = next(int(data["text/plain"]) for data in shown if data["text/plain"].isdigit())
    assert corrupt >= 10, "of twenty, where chance gives four or five"
    assert (tmp_path / "shares.svg").is_file()
    assert (tmp_path / "studies" / "first" / "report" / "index.html").is_file()
