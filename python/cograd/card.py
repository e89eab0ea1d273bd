"""What a notebook shows of a study: one figure, and what was found, in three sentences."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from cograd.errors import CogradError
from cograd.results import Results

if TYPE_CHECKING:
    from cograd.study import Study

#: Figures that give an overview, the best first.
_OVERVIEWS = ("overview", "shares-null-band", "learning")
#: The estimators, the best first.
_ESTIMATORS = ("exact", "paper", "population")


def card(study: Study) -> str:
    """The study as HTML."""
    title = f"<h3 style='margin:0 0 .5em'>{html.escape(study.path.name)}</h3>"
    if not (study.analysis / "summary.json").is_file():
        return f"{title}<p>Not analysed yet: call <code>analyze()</code>.</p>"
    sentences = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in found(study.tables))
    return f"<div>{title}<ul>{sentences}</ul>{_overview(study)}</div>"


def _overview(study: Study) -> str:
    for name in _OVERVIEWS:
        try:
            return study.figure(name).svg
        except CogradError as error:
            reason = str(error)
    return f"<p>No figure: {html.escape(reason)}</p>"


def found(results: Results) -> list[str]:
    """What was found, a sentence for each of shares, differences and coherence that the results have."""
    return [
        sentence
        for sentence in (
            _against_chance(results, "share", "The groups' shares of the gradient"),
            _against_chance(results, "difference", "The groups' cumulative contributions"),
            _coherence(results),
        )
        if sentence
    ]


def _against_chance(results: Results, statistic: str, subject: str) -> str | None:
    """In how many runs a statistic leaves its null worlds, and the run and step at which it does most."""
    if "tests" not in results:
        return None
    tests = nw.from_native(results.arrow("tests"), eager_only=True)
    whole = (nw.col("statistic") == statistic) & nw.col("group_a").is_null() & ~nw.col("p").is_null()
    tests = _best_estimator(tests.filter(whole))
    if tests.is_empty():
        return None
    (row,) = tests.sort("p", "observed", descending=[False, True]).head(1).rows(named=True)
    below = tests.filter(nw.col("p") <= 0.05).shape[0]
    sign = "≤" if row["exceedances"] == 0 else "="
    most = f"most in {row['run']}, with |z| = {row['observed']:.1f} and p {sign} {row['p']:.2g}"
    return (
        f"{subject} differ from {row['worlds']} null worlds at p ≤ 0.05 in {below} of {tests.shape[0]} runs"
        f" ({_basis(row['estimator'])}), {most}{_at_most(results, statistic, row)}."
    )


def _at_most(results: Results, statistic: str, test: dict[str, Any]) -> str:
    """The step at which a statistic is furthest from its null distribution, in numbers."""
    from cograd.study import with_null

    rows = with_null(results, statistic)
    rows = rows.filter(
        nw.col("run") == test["run"], nw.col("estimator") == test["estimator"], ~nw.col("z").is_null()
    )
    if rows.is_empty():
        return ""
    (row,) = rows.with_columns(far=nw.col("z").abs()).sort("far", descending=True).head(1).rows(named=True)
    chance = f"chance gives {row['null_mean']:.3g} ± {row['null_sd']:.2g}"
    if statistic == "share":
        return (
            f": at step {row['step']} {row['group']} examples have {row['share']:.3g} of it, where {chance}"
        )
    pair = f"a mean {row['group_a']} example has contributed {row['difference']:.3g} more than a mean {row['group_b']} one"
    return f": by step {row['step']} {pair}, where {chance}"


def _coherence(results: Results) -> str | None:
    """m-coherence of all layers together, at the first and the last step, as the mean over the runs."""
    if "coherence" not in results:
        return None
    rows = nw.from_native(results.arrow("coherence"), eager_only=True)
    rows = rows.filter(
        nw.col("statistic") == "m_coherence", nw.col("layer").is_null(), nw.col("group_a").is_null()
    )
    rows = _best_estimator(rows.filter(~nw.col("value").is_null()))
    if rows.is_empty():
        return None
    ends = [_mean_at(rows, step) for step in (rows["step"].min(), rows["step"].max())]
    runs = rows["run"].n_unique()
    over = f"mean over {runs} runs; " if runs > 1 else ""
    return f"m-coherence of all layers together is {ends[0]} and {ends[1]} ({over}{_basis(rows['estimator'][0])})."


def _mean_at(rows: nw.DataFrame[Any], step: int) -> str:
    at = rows.filter(nw.col("step") == step)
    interval = ""
    if at.shape[0] == 1 and at["lower"][0] is not None and at["upper"][0] is not None:
        interval = f" (95 % interval {at['lower'][0]:.3g} to {at['upper'][0]:.3g})"
    return f"{at['value'].mean():.3g}{interval} at step {step}"


def _best_estimator(rows: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    there = set(rows["estimator"].to_list())
    best = next((estimator for estimator in _ESTIMATORS if estimator in there), None)
    return rows.filter(nw.col("estimator") == best)


def _basis(estimator: str) -> str:
    return {
        "exact": "all examples and parameters",
        "paper": "the sample",
        "population": "estimated for all examples",
    }[estimator]
