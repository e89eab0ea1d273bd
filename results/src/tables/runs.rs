//! Sizes, provenance and last evaluation of every run.

use crate::table::{Column, Scope, Table, count, integer, number, text};

/// One row a run.
pub const RUNS: Table = Table {
    name: "runs",
    about: "One row for each run: its sizes, where it comes from, and its last evaluation.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 26] = [
    count("updates", "updates made, T"),
    count("train_examples", "training examples, m"),
    count("population_examples", "examples of the population record; null without one"),
    count("sampled_examples", "sampled examples that were analysed, n"),
    count("coordinates", "recorded coordinates that were analysed, d"),
    count("parameter_count", "parameters of the network; null if they are not known"),
    count("recorded_steps", "analysed steps with gradients"),
    count("contiguous_steps", "how many of the recorded steps are 0, 1, 2, … without a gap"),
    count("population_steps", "analysed steps of the population record; null without one, or if it is left out"),
    count(
        "population_contiguous_steps",
        "how many of the population steps are 0, 1, 2, … without a gap; null as `population_steps`",
    ),
    count("skipped_steps", "steps that have no gradients because these were not finite"),
    count("trace_bytes", "bytes of the files of the run"),
    text("manifest_sha256", "SHA-256 of the run's manifest, which holds those of its other files"),
    text("writer", "program that recorded the run, and its version"),
    text("loss_name", "the loss of an example, in words; null if the trace does not say"),
    text("network_name", "the network, in words; null if the trace does not say"),
    number("final_train_loss", "unit of the loss", "mean training loss at the last evaluation; null without one"),
    number("final_train_accuracy", "", "training accuracy at the last evaluation"),
    number("final_test_loss", "unit of the loss", "mean test loss at the last evaluation"),
    number("final_test_accuracy", "", "test accuracy at the last evaluation"),
    number("max_train_accuracy", "", "largest training accuracy of all evaluations"),
    number("final_overfit", "", "overfit at the last evaluation [S 4.1]; null without both accuracies"),
    number("overfit_slope", "per 1 000 steps", "least-squares slope of overfit over the run"),
    number("proper_accuracy", "", "|P|/m, the share of pristine examples; null if it is not known which are"),
    text("population_left_out", "why the population record was left out; null if it was not, or there is none"),
    integer("class_count", "number of classes; null if it is not known"),
];
