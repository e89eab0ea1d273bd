"""Studies are analysed by the command, and their results come back as data frames."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cograd
from cograd.binary import CommandFailed
from cograd.figure import FigureError
from cograd.results import ResultsError


def test_every_table_is_an_attribute_in_the_library_that_was_asked_for(recorded: Path) -> None:
    kinds = {"polars": pl.DataFrame, "pandas": pd.DataFrame, "pyarrow": pa.Table}
    for frames, kind in kinds.items():
        study = cograd.open(recorded, frames=frames)
        assert set(study.tables) == {file.stem for file in (recorded / "analysis").glob("*.parquet")}
        for name in study.tables:
            stored = pq.read_table(recorded / "analysis" / f"{name}.parquet")
            assert isinstance(study.tables[name], kind)
            assert pa.table(study.tables[name]).num_rows == stored.num_rows
            assert name in dir(study)
        assert isinstance(study.coherence, kind)
        assert isinstance(study.shares, kind)
        assert isinstance(study.examples, kind)


@pytest.mark.parametrize(
    ("missing", "kind"), [((), pl.DataFrame), (("polars",), pd.DataFrame), (("polars", "pandas"), pa.Table)]
)
def test_frames_are_of_the_first_library_that_is_installed(
    recorded: Path, missing: tuple[str, ...], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find(name))
    assert isinstance(cograd.open(recorded).shares, kind)


@pytest.mark.parametrize(
    ("statistic", "table", "groups"),
    [("share", "shares", ["group"]), ("difference", "differences", ["group_a", "group_b"])],
)
def test_shares_and_differences_have_the_null_distribution_of_their_row(
    recorded: Path, statistic: str, table: str, groups: list[str]
) -> None:
    for frames in ("polars", "pandas", "pyarrow"):
        joined = pa.table(getattr(cograd.open(recorded, frames=frames), table)).to_pylist()
        null = {
            tuple(row[key] for key in ("run", "estimator", "step", "group_a", *groups[1:])): row
            for row in pq.read_table(recorded / "analysis" / "null.parquet").to_pylist()
            if row["statistic"] == statistic
        }
        stored = [
            row
            for row in pq.read_table(recorded / "analysis" / f"{table}.parquet").to_pylist()
            if not row["world"]
        ]
        assert len(joined) == len(stored) > 0
        compared = 0
        for row, actual in zip(joined, stored, strict=True):
            for column in actual.keys() - {"world"}:
                same(row[column], actual[column])
            chance = null.get(tuple(row[key] for key in ("run", "estimator", "step", *groups)), {})
            for column in ("mean", "sd", "lower", "upper"):
                same(row[f"null_{column}"], chance.get(column))
            same(row["p"], chance.get("p"))
            if chance.get("sd"):
                same(row["z"], (actual[statistic] - chance["mean"]) / chance["sd"])
                compared += 1
            else:
                same(row["z"], None)
        assert compared > 10


def same(value: object, expected: object) -> None:
    """Equal, where a missing value may be pandas's NaN."""
    if expected is None:
        assert value is None or value != value
    else:
        assert value == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


def test_examples_are_summed_over_the_steps_and_likely_mislabelled_ones_come_first(recorded: Path) -> None:
    rows = cograd.open(recorded, frames="polars").examples
    contributions = pl.read_parquet(recorded / "analysis" / "contributions.parquet")
    for run in rows["run"].unique():
        of_run = rows.filter(pl.col("run") == run)
        assert of_run["self_term"].is_sorted(descending=True)
        trace = pl.read_parquet(recorded / "runs" / run / "examples.parquet").filter("sampled")
        assert sorted(of_run["example_id"]) == sorted(trace["example_id"])
        known = {row["example_id"]: row for row in trace.to_dicts()}
        for row in of_run.to_dicts():
            its = contributions.filter(pl.col("run") == run, pl.col("example_id") == row["example_id"])
            assert row["contribution"] == pytest.approx(its["contribution"].sum(), rel=1e-9, abs=1e-12)
            assert row["self_term"] == pytest.approx(its["self_term"].sum(), rel=1e-12)
            for column in ("label", "original_label", "learned_step"):
                assert row[column] == known[row["example_id"]][column]
    noisy = rows.filter(pl.col("noise") == 0.25).with_row_index("place")
    corrupt = noisy.filter(pl.col("group") == "corrupt")["place"].mean()
    pristine = noisy.filter(pl.col("group") == "pristine")["place"].mean()
    assert corrupt + 10 < pristine, "corrupt examples are far ahead of pristine ones, of 60"


def test_options_reach_the_analysis(study: Path) -> None:
    analysed = cograd.open(study).analyze(
        null_worlds=20,
        statistics=["shares", "m_coherence"],
        group_by="label",
        steps=range(3, 9),
        layers=["layer.0"],
        halves=0,
        seed=7,
        out=study / "other",
        threads=1,
        progress=False,
    )
    options = analysed.tables.summary["options"]
    assert options["group_by"] == "label"
    assert (options["null_worlds"], options["halves"], options["seed"]) == (20, 0, 7)
    assert sorted(set(analysed.shares.filter(pl.col("estimator") == "paper")["step"])) == [3, 4, 5, 6, 7, 8]
    assert analysed.analysis == study / "other"
    assert analysed.tables.summary["options"]["layers"] == "layer.0" or analysed.tables.summary["options"][
        "layers"
    ] == ["layer.0"]
    with pytest.raises(ResultsError, match="no contributions"):
        _ = analysed.examples


def test_an_error_of_the_command_is_an_exception_with_its_message(study: Path) -> None:
    with pytest.raises(CommandFailed, match="no column `nothing`") as caught:
        cograd.open(study).analyze(group_by="nothing", progress=False)
    assert caught.value.exit_code == 1
    with pytest.raises(cograd.CogradError, match="is not a study"):
        cograd.open(study / "runs" / "nowhere")


@pytest.mark.parametrize("name", ["summary.json", "shares.parquet", "null.parquet"])
def test_altered_results_are_refused_whichever_byte_it_is(study: Path, name: str) -> None:
    file = study / "analysis" / name
    content = file.read_bytes()
    for place in (0, len(content) // 2, len(content) - 2):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ResultsError):
            _ = cograd.open(study).shares
    file.unlink()
    with pytest.raises(ResultsError):
        _ = cograd.open(study).shares


def test_a_trace_that_was_altered_since_it_was_analysed_is_refused(study: Path) -> None:
    file = next((study / "runs").glob("*/examples.parquet"))
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ResultsError, match="not the file that its manifest is about"):
        _ = cograd.open(study).examples


def test_a_figure_is_saved_whole_in_the_format_of_its_ending(recorded: Path, tmp_path: Path) -> None:
    study = cograd.open(recorded)
    figure = study.figure("shares")
    assert figure.save(tmp_path / "shares.svg").read_text() == figure.svg
    assert figure.svg.lstrip().startswith(("<svg", "<?xml"))
    with pytest.raises(FigureError, match="saved as"):
        figure.save(tmp_path / "shares.gif")
    with pytest.raises(cograd.CogradError, match="shares"):
        study.figure("share").save(tmp_path / "share.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["shares.svg"]
    narrow = study.figure("shares", width="column", font_size=8)
    assert narrow.save(tmp_path / "shares.pdf").read_bytes().startswith(b"%PDF")
    assert narrow.save(tmp_path / "shares.png").read_bytes().startswith(b"\x89PNG")
    assert 'width="234pt"' in narrow.svg


def test_the_page_is_written_and_its_path_returned(study: Path) -> None:
    page = cograd.open(study).report(progress=False)
    assert page == study / "report" / "index.html"
    assert "<html" in page.read_text()


def test_a_notebook_shows_a_figure_and_three_sentences_of_the_tables_numbers(study: Path) -> None:
    opened = cograd.open(study, frames="polars")
    card = opened._repr_html_()
    assert card.count("<li>") == 3
    assert "<svg" in card
    tests = opened.tests.filter(
        pl.col("statistic") == "share",
        pl.col("group_a").is_null(),
        pl.col("estimator") == "exact",
        pl.col("p").is_not_null(),
    )
    assert (
        f"|z| = {tests['observed'][0]:.1f} and p {'≤' if tests['exceedances'][0] == 0 else '='} {tests['p'][0]:.2g}"
        in card
    )
    first = opened.coherence.filter(
        pl.col("statistic") == "m_coherence",
        pl.col("layer").is_null(),
        pl.col("estimator") == "exact",
        pl.col("step") == 0,
    )
    assert f"{first['value'].mean():.3g} at step 0" in card
    for file in (study / "analysis").iterdir():
        file.unlink()
    assert "Not analysed yet" in cograd.open(study)._repr_html_()


def test_studies_are_compared(recorded: Path, tmp_path: Path) -> None:
    study = cograd.open(recorded, frames="polars")
    later = study.analyze(null_worlds=9, steps="10..", halves=0, out=tmp_path / "later", progress=False)
    comparison = cograd.compare(study, later, curves=["share"], out=tmp_path / "comparison", progress=False)
    assert comparison.curves["curve"].unique().to_list() == ["share"]
    assert comparison.page.is_file()
    assert comparison.tests.columns[-1] == "p_holm"


def test_importing_cograd_imports_nothing_large() -> None:
    large = "('numpy', 'pyarrow', 'torch', 'narwhals')"
    code = f"import sys, cograd; print([name for name in sys.modules if name.split('.')[0] in {large}])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert printed.strip() == "[]"


def test_names_that_are_not_there_are_attribute_errors(recorded: Path) -> None:
    with pytest.raises(AttributeError, match="no_such_table"):
        _ = cograd.open(recorded).no_such_table
    with pytest.raises(AttributeError, match="no_such_part"):
        _ = cograd.no_such_part
    assert cograd.open is not builtins.open
