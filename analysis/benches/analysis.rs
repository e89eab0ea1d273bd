//! The analysis of a synthetic run of 500 steps × 400 examples × 600 coordinates with 10 000 null worlds, and its parts.
//!
//!     cargo bench -p cograd-analysis

#[path = "../examples/synthesise.rs"]
mod synthesise;

use std::sync::LazyLock;

use cograd_analysis::coherence::{Coherence, Sample};
use cograd_analysis::statistic::contribution::{self, Contributions, StepContributions};
use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::grouping::Grouping;
use cograd_analysis::{Estimate, Estimator, NoObserver, Options, RunAnalysis, analyze};
use cograd_trace::Study;
use divan::{Bencher, black_box};
use tempfile::TempDir;

const STEPS: i64 = 500;
const EXAMPLES: usize = 400;
const POPULATION: usize = 60_000;
const WORLDS: usize = 10_000;

static STUDY: LazyLock<TempDir> = LazyLock::new(|| {
    let study = TempDir::new().expect("a temporary directory");
    synthesise::synthesise(study.path(), STEPS, 1, 0).expect("a synthetic run");
    study
});

fn main() {
    divan::main();
}

/// Reading, hashing, every statistic, 10 000 null worlds, and the results on disk.
#[divan::bench(sample_count = 10)]
fn whole_analysis(bencher: Bencher) {
    let study = STUDY.path();
    let options = Options { null_worlds: WORLDS, ..Options::default() };
    bencher.bench_local(|| analyze(study, None, &options, &NoObserver).expect("an analysis"));
}

/// The same without null worlds and without results: reading, hashing, contributions.
#[divan::bench(sample_count = 10)]
fn reading_and_contributions(bencher: Bencher) {
    let study = Study::open(STUDY.path()).expect("a study");
    let options = Options { null_worlds: 0, ..Options::default() };
    bencher.bench_local(|| RunAnalysis::of(&study.runs()[0], &options, &NoObserver).expect("an analysis"));
}

/// Contributions and self terms of one step, on one core.
#[divan::bench]
fn contributions_of_a_step(bencher: Bencher) {
    let gradients: Vec<f32> = (0..EXAMPLES * 600).map(|i| (i % 977) as f32 - 488.0).collect();
    bencher.bench_local(|| contribution::of_step(black_box(&gradients), EXAMPLES));
}

/// Every coherence statistic of one step of 400 × 600 in two layers, with ten classes, on one core; with and without the 200
/// resamples of its intervals.
#[divan::bench(args = [0, 200])]
fn coherence_of_a_step(bencher: Bencher, bootstrap: usize) {
    let gradients: Vec<f32> = (0..EXAMPLES * 600).map(|i| (i * 7919 % 977) as f32 - 488.0).collect();
    let designation = Designation::new((0..EXAMPLES).map(|i| i % 20 < 11).collect());
    let sample = Sample {
        run: "run",
        population: 60_000,
        pristine: designation.flags(),
        grouping: &Grouping::from(&designation),
        labels: &(0..EXAMPLES).map(|i| (i % 10) as u8).collect::<Vec<u8>>(),
        layer_of_coordinate: &(0..600).map(|j| j / 300).collect::<Vec<u32>>(),
        network: &[784, 2048, 10],
    };
    let coherence = Coherence::new(&sample, &Options { bootstrap, ..Options::default() });
    bencher.bench_local(|| coherence.of_step(black_box(&gradients)));
}

/// 10 000 null worlds of α, of D and of the groups' tests over 500 steps.
#[divan::bench(sample_count = 10)]
fn null_worlds(bencher: Bencher) {
    let options = Options { null_worlds: WORLDS, ..Options::default() };
    let designation = Designation::new((0..EXAMPLES).map(|i| i % 20 < 11).collect());
    bencher.with_inputs(|| synthetic_contributions(STEPS, EXAMPLES)).bench_local_values(|contributions| {
        let grouping = Grouping::from(&designation);
        Estimate::of(Estimator::Paper, contributions, designation.clone(), grouping, "run", &options)
    });
}

/// The same of a population: 60 000 examples, 200 steps, by number of worlds.
#[divan::bench(sample_count = 1, sample_size = 1, args = [1000, 10_000])]
fn population_null_worlds(bencher: Bencher, null_worlds: usize) {
    let options = Options { null_worlds, ..Options::default() };
    let designation = Designation::new((0..POPULATION).map(|i| i % 20 < 11).collect());
    bencher.with_inputs(|| synthetic_contributions(200, POPULATION)).bench_local_values(|contributions| {
        let grouping = Grouping::from(&designation);
        Estimate::of(Estimator::Exact, contributions, designation.clone(), grouping, "run", &options)
    });
}

/// The same with ten groups, all pairs of which are compared.
#[divan::bench(sample_count = 1, sample_size = 1, args = [1000])]
fn population_null_worlds_of_ten_groups(bencher: Bencher, null_worlds: usize) {
    let options = Options { null_worlds, ..Options::default() };
    let designation = Designation::new((0..POPULATION).map(|i| i % 20 < 11).collect());
    let names = (0..10).map(|name| name.to_string()).collect();
    let grouping = Grouping::new(names, (0..POPULATION).map(|i| (i % 10) as u8).collect());
    bencher.with_inputs(|| synthetic_contributions(200, POPULATION)).bench_local_values(|contributions| {
        Estimate::of(Estimator::Exact, contributions, designation.clone(), grouping.clone(), "run", &options)
    });
}

fn synthetic_contributions(steps: i64, examples: usize) -> Contributions {
    let mut contributions = Contributions::new(examples);
    for step in 0..steps {
        let s: Vec<f64> = (0..examples).map(|i| ((i * 7919 + step as usize * 104_729) % 1009) as f64).collect();
        contributions.push(step, StepContributions { self_terms: s.clone(), contributions: s });
    }
    contributions
}
