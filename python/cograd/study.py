"""Recorded studies: analysing them, and their results as data frames, figures and pages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw

from cograd import binary
from cograd.errors import CogradError
from cograd.figure import Figure
from cograd.options import Options, Span
from cograd.results import Results

Location = str | os.PathLike[str]


def open(
    path: Location,
    *,
    analysis: Location | None = None,
    frames: str | None = None,
    cache: Location | None = None,
) -> Study:
    """The study at `path`, with the results that it has already, if any.

    `path` is a directory, or a URL that fsspec knows, such as `s3://bucket/studies/mine`: then the study is copied to
    `cache` first and every file checked against the hashes of its manifests. `analysis` is the directory of the results
    (default `analysis` in the study). `frames` is the library that tables come back as, `polars`, `pandas` or `pyarrow`;
    by default the first of them that is installed.

    >>> study = cograd.open("studies/small")
    >>> study
    Study('studies/small')
    """
    if "://" in os.fspath(path):
        from cograd import remote

        path = remote.fetch(os.fspath(path), cache)
    return Study(path, analysis=analysis, frames=frames)


class Study:
    """A directory of recorded runs, and the results of analysing them.

    Every table of the results is an attribute, by its name: `study.coherence`, `study.tests`, `study.metrics`, and so on as
    `study.tables` lists them. `shares` and `differences` come with their null bands and p-values.
    """

    def __init__(
        self, path: Location, *, analysis: Location | None = None, frames: str | None = None
    ) -> None:
        self.path = Path(path)
        #: Directory of the results.
        self.analysis = Path(analysis) if analysis is not None else self.path / "analysis"
        self._frames = frames
        self._results: Results | None = None
        if not (self.path / "runs").is_dir() and not (self.path / "study.toml").is_file():
            raise CogradError(f"{self.path} is not a study: it has neither study.toml nor a directory runs")

    def analyze(
        self,
        *,
        null_worlds: int = 1000,
        statistics: Sequence[str] | None = None,
        group_by: Location | None = None,
        steps: Span | None = None,
        layers: str | Sequence[str] | None = None,
        examples: Span | os.PathLike[str] | None = None,
        seed: int = 0,
        halves: int = 199,
        out: Location | None = None,
        threads: int | None = None,
        progress: bool = True,
    ) -> Study:
        """Analyses the study with the `cograd` command, and returns it with the results.

        `cograd.options.Options` says what the options mean. The results are written to `out`, by default to `analysis` in
        the study, where they replace those of an earlier analysis.

        >>> study = cograd.open("studies/small").analyze(null_worlds=99, statistics=["shares"], progress=False)
        >>> "shares" in study.tables, "coherence" in study.tables
        (True, False)
        """
        options = Options(
            null_worlds=null_worlds,
            statistics=statistics,
            group_by=group_by,
            steps=steps,
            layers=layers,
            examples=examples,
            seed=seed,
            halves=halves,
        )
        return self.analyze_with(options, out=out, threads=threads, progress=progress)

    def analyze_with(
        self,
        options: Options,
        *,
        parts: Sequence[Path] = (),
        out: Location | None = None,
        threads: int | None = None,
        progress: bool = True,
    ) -> Study:
        """As `analyze`, from the shards in `parts` if there are any (docs/scale.md)."""
        analysis = Path(out) if out is not None else self.path / "analysis"
        command = ["analyze", str(self.path), "--out", str(analysis), *options.arguments()]
        command += ["--from", *map(str, parts)] if parts else []
        command += ["--threads", str(threads)] if threads is not None else []
        binary.run(command, progress=progress)
        return Study(self.path, analysis=analysis, frames=self._frames)

    @property
    def tables(self) -> Results:
        """Every table of the results by name, as it is on disk; docs/results.md says what is in it."""
        if self._results is None:
            self._results = Results(self.analysis, self._frames)
        return self._results

    @property
    def shares(self) -> Any:
        """Each group's share of the squared gradient norm, with what chance gives and the p-value at every step.

        >>> study = cograd.open("studies/small", frames="pyarrow")
        >>> study.shares.column_names[-7:]
        ['upper', 'null_mean', 'null_sd', 'null_lower', 'null_upper', 'z', 'p']
        """
        return self.tables.frame(with_null(self.tables, "share"))

    @property
    def differences(self) -> Any:
        """The difference of the mean cumulative contributions of two groups, with what chance gives and the p-values."""
        return self.tables.frame(with_null(self.tables, "difference"))

    @property
    def examples(self) -> Any:
        """A row for each run and sampled example, the most likely mislabelled first within a run.

        The columns are `contribution` and `self_term`, both summed over the analysed steps, and what the trace knows of the
        example: label, learned step, and so on. Mislabelled examples keep large gradients of their own; so the order is that
        of the self terms. In the study of `cograd demo` a corrupt example is before a pristine one with probability 0.99,
        0.93 and 0.74 at label noise 0.25, 0.5 and 0.75. The score was chosen among 15 on that study: these are
        optimistic.

        >>> study = cograd.open("studies/small", frames="pyarrow")
        >>> first, second = study.examples["self_term"].to_pylist()[:2]
        >>> first >= second
        True
        """
        from cograd.examples import of_runs

        return self.tables.frame(of_runs(self.path, self.tables))

    def figure(
        self, name: str, *, width: str | float | None = None, font_size: float | None = None
    ) -> Figure:
        """A figure of the report by name (docs/reports.md), such as `shares` or `coherence-m-coherence`.

        `width` is `column`, `page`, a length such as `"8cm"`, or a number of inches; `font_size` is in points.

        >>> cograd.open("studies/small").figure("shares").save("shares.svg").name
        'shares.svg'
        """
        return Figure(self.path, self.tables.directory, name, width, font_size)

    def report(self, out: Location | None = None, *, progress: bool = True) -> Path:
        """Draws all figures and writes the page; returns the path of the page."""
        default = self.analysis.with_name(
            "report" if self.analysis == self.path / "analysis" else f"{self.analysis.name}-report"
        )
        directory = Path(out) if out is not None else default
        binary.run(
            ["report", str(self.path), "--analysis", str(self.tables.directory), "--out", str(directory)],
            progress=progress,
        )
        return directory / "index.html"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self.tables[name]
        except (KeyError, CogradError) as error:
            raise AttributeError(f"the study has no {name!r}: {error.args[0]}") from error

    def __dir__(self) -> list[str]:
        has = (self.analysis / "summary.json").is_file()
        return sorted({*super().__dir__(), *(self.tables if has else ())})

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r})"

    def _repr_html_(self) -> str:
        from cograd.card import card

        return card(self)


def with_null(results: Results, statistic: str) -> nw.DataFrame[Any]:
    """The table of a statistic, in the actual world, joined with the null distribution at every step."""
    table, groups = {"share": ("shares", ["group"]), "difference": ("differences", ["group_a", "group_b"])}[
        statistic
    ]
    actual = nw.from_native(results.arrow(table), eager_only=True)
    actual = actual.filter((nw.col("world") == 0) | nw.col("world").is_null()).drop("world")
    null = nw.from_native(results.arrow("null"), eager_only=True).filter(nw.col("statistic") == statistic)
    if len(groups) == 1:
        null = null.rename({"group_a": groups[0]})
    keys = ["run", "estimator", "step", *groups]
    null = null.select(
        *keys, "p", **{f"null_{name}": nw.col(name) for name in ("mean", "sd", "lower", "upper")}
    )
    joined = actual.with_row_index("row").join(null, on=keys, how="left").sort("row").drop("row")
    z = (nw.col(actual.columns[-3]) - nw.col("null_mean")) / nw.col("null_sd")
    joined = joined.with_columns(z=nw.when(nw.col("null_sd") > 0).then(z))
    ordered: nw.DataFrame[Any] = joined.select(*(name for name in joined.columns if name != "p"), "p")
    return ordered


class Comparison:
    """Curves of several studies, and where they differ: what `cograd compare` wrote."""

    def __init__(self, path: Location, *, frames: str | None = None) -> None:
        self.path = Path(path)
        #: The tables of the comparison.
        self.tables = Results(self.path, frames)
        #: The page with all figures.
        self.page = self.path / "index.html"

    @property
    def curves(self) -> Any:
        """Every curve over the seeds of each study."""
        return self.tables["comparison"]

    @property
    def tests(self) -> Any:
        """Welch's test of every pair of studies, at every step and of the mean over the steps."""
        return self.tables["comparison_tests"]

    def __repr__(self) -> str:
        return f"Comparison({str(self.path)!r})"


def compare(
    *studies: Study | Location,
    curves: Sequence[str] = (),
    estimators: Sequence[str] = (),
    out: Location = "comparison",
    frames: str | None = None,
    progress: bool = True,
) -> Comparison:
    """Lays curves of analysed studies over each other, and tests where they differ.

    `curves` are names of docs/results.md, by default the usual ones.

    >>> study = cograd.open("studies/small")
    >>> later = study.analyze(null_worlds=9, steps="10..", out="later", progress=False)
    >>> cograd.compare(study, later, curves=["share"], progress=False)
    Comparison('comparison')
    """
    named = [str(study.analysis) if isinstance(study, Study) else os.fspath(study) for study in studies]
    choices = [part for curve in curves for part in ("--curve", curve)]
    choices += [part for estimator in estimators for part in ("--estimator", estimator)]
    binary.run(["compare", *named, *choices, "--out", os.fspath(out)], progress=progress)
    return Comparison(out, frames=frames)
