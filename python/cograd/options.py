"""The choices of an analysis, as the `cograd analyze` command takes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

Span = str | range


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is analysed and how; the defaults are those of `cograd analyze`."""

    #: Random permutations of the examples over the groups; the smallest p-value is 1 / (null_worlds + 1).
    null_worlds: int = 1000
    #: Names of the statistics to compute; None: all. `cograd analyze --statistics list` prints them.
    statistics: Sequence[str] | None = None
    #: A column of the examples, COLUMN:K for K quantiles, `learned`, `all`, or the path of a Parquet or CSV file.
    group_by: str | os.PathLike[str] | None = None
    #: Steps, `"0..100"` or `range(100)`; None: all.
    steps: Span | None = None
    #: Names of layers; `*` stands for any text.
    layers: str | Sequence[str] | None = None
    #: Ids of sampled examples, or the path of a Parquet or CSV file with a column `example_id`.
    examples: Span | os.PathLike[str] | None = None
    #: Seed of the null worlds and of the halves.
    seed: int = 0
    #: Random halves of the sample for 95 % intervals; 0: no intervals.
    halves: int = 199

    def arguments(self) -> list[str]:
        """The options of the command; those that are None are left out."""
        given = {
            "--null-worlds": str(self.null_worlds),
            "--statistics": _names(self.statistics),
            "--group-by": _text(self.group_by),
            "--steps": _span(self.steps),
            "--layers": _names(self.layers),
            "--examples": _span(self.examples),
            "--seed": str(self.seed),
            "--halves": str(self.halves),
        }
        return [part for name, value in given.items() if value is not None for part in (name, value)]


def _text(value: str | os.PathLike[str] | None) -> str | None:
    return None if value is None else os.fspath(value)


def _names(names: str | Sequence[str] | None) -> str | None:
    return names if names is None or isinstance(names, str) else ",".join(names)


def _span(span: Span | os.PathLike[str] | None) -> str | None:
    if not isinstance(span, range):
        return _text(span)
    if span.step != 1 or not 0 <= span.start < span.stop:
        raise ValueError(f"{span} is not an ascending range of whole numbers without gaps")
    return f"{span.start}..{span.stop}"
