"""Compares the results of cograd 0.1 with today's, on the same studies: every number equal to 1e-12, or the reason said.

    python tests/compare_results.py OLD_ANALYSIS NEW_ANALYSIS

OLD_ANALYSIS was written by version 0.1 (commit a92d1f5), NEW_ANALYSIS by this version, from the same study with the same options. Needs
pandas and pyarrow. Exit code 1 if a number differs.
"""
import json
import sys

import numpy as np
import pandas as pd

old_directory, new_directory = sys.argv[1:3]
TOLERANCE = 1e-12
failed = False


def old(name):
    return pd.read_parquet(f"{old_directory}/{name}.parquet")


def new(name):
    return pd.read_parquet(f"{new_directory}/{name}.parquet")


def compare(what, left, right, keys, values, scale=None):
    """Every row of `left` has one in `right` with the same keys, and equal values; relative to 1, the value, or the curve's scale."""
    global failed
    joined = left.merge(right, on=keys, how="outer", suffixes=("_old", "_new"), indicator=True)
    missing = (joined._merge != "both").sum()
    worst, nulls = 0.0, 0
    for value in values:
        a, b = joined[f"{value}_old"].astype(float), joined[f"{value}_new"].astype(float)
        nulls += (a.isna() != b.isna()).sum()
        size = np.maximum(a.abs(), 1.0) if scale is None else np.maximum(a.abs(), a.abs().max() if len(a) else 1.0)
        difference = ((a - b).abs() / size).max()
        worst = max(worst, 0.0 if np.isnan(difference) else difference)
    right_ = missing == 0 and nulls == 0 and worst <= TOLERANCE
    failed |= not right_
    print(f"{'equal ' if right_ else 'DIFFER'} {what}: {len(joined)} rows, {missing} without a partner, {nulls} null in one, largest difference {worst:.1e}")


def grouped(frame, columns):
    """α, β and the like by group, as the new tables have them."""
    return pd.concat([frame.rename(columns=names).assign(**groups) for names, groups in columns], ignore_index=True)


keys = ["run", "estimator", "step", "world", "group"]
d = old("decomposition")
shares = grouped(d, [({"alpha": "share", "alpha_lower": "lower", "alpha_upper": "upper"}, {"group": "pristine"}),
                     ({"beta": "share"}, {"group": "corrupt", "lower": np.nan, "upper": np.nan})])
n = new("shares")
# New: β has an interval too, and so has every group.
alpha = n[n.group == "pristine"]
compare("shares: α and its interval", shares[shares.group == "pristine"], alpha, keys, ["share", "lower", "upper"])
compare("shares: β", shares[shares.group == "corrupt"], n[n.group == "corrupt"], keys, ["share"])

c = old("cumulative")
cumulative = grouped(c, [({"pristine": "cumulative", "pristine_lower": "lower", "pristine_upper": "upper"}, {"group": "pristine"}),
                         ({"corrupt": "cumulative", "corrupt_lower": "lower", "corrupt_upper": "upper"}, {"group": "corrupt"})])
compare("cumulative: i^p, i^c", cumulative, new("cumulative"), keys, ["cumulative", "lower", "upper"])
differences = c.drop(columns=["pristine", "corrupt"]).rename(columns={"difference_lower": "lower", "difference_upper": "upper"})
compare("differences: D", differences, new("differences"), keys[:4], ["difference", "lower", "upper"])

norms = d[d.world == 0]
compare("gradient_norms", norms, new("gradient_norms"), keys[:3], ["gradient_norm_sq"])

null = new("null")
null = null[(null.group_a == "pristine")].assign(statistic=null.statistic.replace("share", "alpha"))
compare("null: moments, bands, p", old("null"), null, ["run", "estimator", "statistic", "step"], ["mean", "sd", "lower", "upper", "p"])

tests = new("tests")
pristine = tests[tests.group_a == "pristine"].copy()
pristine["statistic"] = pristine.statistic.replace("share", "alpha")
names = old("tests").statistic.unique()
compare("tests", old("tests"), pristine[pristine.statistic.isin(names)], ["run", "estimator", "statistic"],
        ["observed", "worlds", "exceedances", "p", "p_lower", "p_upper"])
group_tests = old("group_tests")
both = old("groups").groupby("run").sampled.min() > 0
# New: a share of one group is of nothing, so that its tests are missing where 0.1 had a z of 0.
group_tests = group_tests[group_tests.run.map(both)]
statistics = group_tests.statistic.unique()
fill = lambda frame: frame.fillna({"group_a": "", "group_b": ""})
compare("tests of groups", fill(group_tests), fill(tests[tests.statistic.isin(statistics) & tests.run.map(both)]),
        ["run", "estimator", "statistic", "group_a", "group_b"], ["observed", "exceedances", "p", "p_lower", "p_upper", "p_holm"])

compare("groups", old("groups"), new("groups"), ["run", "group"], ["order", "examples", "sampled"])
contributions = new("contributions")
compare("contributions", old("contributions"), contributions, ["run", "step", "example_id"], ["contribution", "self_term"], scale=True)
compare("cross_terms", old("cross_terms"), new("cross_terms"), ["run", "estimator", "step", "group_a", "group_b"], ["value", "fraction"], scale=True)

coherence, before = new("coherence"), old("coherence")
before["layer"] = before.layer.map(lambda layer: "" if pd.isna(layer) else f"layer.{int(layer)}")
fill = lambda frame: frame.fillna({"group_a": "", "group_b": "", "layer": ""})
coherence = coherence[coherence.statistic.isin(before.statistic.unique())]
compare("coherence", fill(before), fill(coherence), ["run", "estimator", "layer", "statistic", "group_a", "group_b", "step"], ["value", "lower", "upper"], scale=True)

curves = old("curves").melt(["run", "step", "split", "subset", "examples"], ["loss", "accuracy"], "metric", "value")
compare("metrics", curves.rename(columns={"subset": "group"}), new("metrics"), ["run", "step", "split", "group", "metric"], ["value", "examples"])
compare("learned", old("learned").rename(columns={"subset": "group"}), new("learned"), ["run", "step", "group"], ["examples", "learned", "fraction"])
compare("overfit", old("overfit"), new("overfit"), ["run", "step"], ["train_accuracy", "test_accuracy", "overfit", "proper_accuracy"])

summary = json.load(open(f"{old_directory}/summary.json"))
runs = pd.DataFrame([{"run": r["run"], "updates": r["steps"], "train_examples": r["train_examples"], "sampled_examples": r["sampled_examples"],
                      "coordinates": r["coordinates"], "recorded_steps": r["recorded_steps"], "contiguous_steps": r["contiguous_steps"],
                      "trace_bytes": r["trace_bytes"], "max_train_accuracy": r["max_train_accuracy"], "final_overfit": r["overfit"]["final"],
                      "overfit_slope": r["overfit"]["slope"], "proper_accuracy": r["pristine_fraction"],
                      **{f"final_{name}": value for name, value in r["final"].items()}} for r in summary["runs"]])
compare("runs", runs, new("runs"), ["run"], [name for name in runs.columns if name != "run"])

verdicts = {p["prediction"].replace("\u00a0", " "): p["verdict"] for p in summary["predictions"]}
statements = ["slower_learning", "pristine_first", "pristine_slower", "smaller_gradient", "crosses_over", "early_contribution",
              "less_overfit", "lower_accuracy", "proper_accuracy", "slower_overfit"]
p = new("predictions")
whole = p[p.quantity.isna()].set_index("prediction").verdict
differing = [name for name, verdict in zip(statements, verdicts.values()) if whole[name] != verdict]
failed |= bool(differing)
print(f"{'DIFFER' if differing else 'equal '} predictions: {len(statements)} verdicts {differing}")
if summary["matched"]:
    m = new("matched")
    percent = m.get("winsorization", pd.Series(np.nan, m.index))
    m["rule"] = [r if pd.isna(c) or r == "sgd" else f"{r}-{c:g}" for r, c in zip(m.rule, percent)]
    compare("matched", pd.DataFrame(summary["matched"]), m, ["noise", "rule"], ["train_accuracy", "step", "test_accuracy", "overfit"], scale=True)
sys.exit(failed)
