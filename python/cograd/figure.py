"""Figures of a study. The `cograd` command draws them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cograd import binary
from cograd.errors import CogradError

#: Widths by name: a column and a page of the usual two-column paper.
WIDTHS = {"column": "3.25in", "page": "6.75in"}
#: What a figure can be saved as.
FORMATS = ("svg", "pdf", "png")


class FigureError(CogradError):
    """A figure cannot be drawn or saved."""


class Figure:
    """A figure of the results of a study; it is drawn when it is saved or shown."""

    def __init__(
        self,
        study: Path,
        analysis: Path,
        name: str,
        width: str | float | None = None,
        font_size: float | None = None,
    ) -> None:
        self.name = name
        self._source = (study, analysis)
        self._style: list[str] = []
        if width is not None:
            self._style += [
                "--width",
                WIDTHS.get(str(width)) or (width if isinstance(width, str) else f"{width}in"),
            ]
        if font_size is not None:
            self._style += ["--font-size", f"{font_size}pt"]
        self._svg: str | None = None

    @property
    def svg(self) -> str:
        """The figure as SVG text."""
        if self._svg is None:
            self._svg = self._draw("svg").decode()
        return self._svg

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Saves the figure as SVG, PDF or PNG, as the ending of `path` says; returns the path."""
        target = Path(path)
        kind = target.suffix.removeprefix(".").lower()
        if kind not in FORMATS:
            raise FigureError(f"{target}: a figure is saved as .svg, .pdf or .png")
        content = self._draw(kind)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o644)
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        return target

    def _draw(self, kind: str) -> bytes:
        study, analysis = self._source
        with tempfile.TemporaryDirectory(prefix="cograd-figure-") as directory:
            out = Path(directory) / "figures"
            command = ["report", str(study), "--analysis", str(analysis), "--out", str(out)]
            chosen = ["--figure", self.name, "--format", kind, *self._style]
            binary.run([*command, *chosen], progress=False)
            return self._find(out, kind).read_bytes()

    def _find(self, out: Path, kind: str) -> Path:
        file = out / f"{self.name}.{kind}"
        if file.is_file():
            return file
        names = sorted(path.stem for path in out.glob(f"*.{kind}"))
        raise FigureError(f"there is no figure {self.name!r}; there are {', '.join(names)}")

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Figure({self.name!r})"
