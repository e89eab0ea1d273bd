"""The README's Python block works as written, on real data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("COGRAD_DATA", ROOT / ".." / "shared" / "data")) / "mnist"


@pytest.mark.skipif(not DATA.is_dir(), reason="COGRAD_DATA names no directory with mnist in it")
def test_the_python_block_of_the_readme_works_as_written(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(DATA.resolve())
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "shares.svg").read_text().count("<svg") == 1
    assert (tmp_path / "studies" / "mine" / "analysis" / "summary.json").is_file()
