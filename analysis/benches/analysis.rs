//! The analysis of a synthetic run of 500 steps × 400 examples × 600 coordinates with 10 000 null worlds, and its parts.
//!
//!     cargo bench -p cograd-analysis

#[path = "../examples/synthesise.rs"]
mod synthesise;

use std::sync::LazyLock;

use cograd_analysis::statistic::contribution::{self, Contributions, StepContributions};
use cograd_analysis::statistic::designation::Designation;
use cograd_analysis::statistic::null_world::NullWorlds;
use cograd_analysis::statistic::{cumulative, decomposition, permutation};
use cograd_analysis::{NoObserver, Options, RunAnalysis, analyze};
use cograd_trace::Study;
use divan::{Bencher, black_box};
use tempfile::TempDir;

const STEPS: i64 = 500;
const EXAMPLES: usize = 400;
const WORLDS: usize = 10_000;

static STUDY: LazyLock<TempDir> = LazyLock::new(|| {
    let study = TempDir::new().expect("a temporary directory");
    synthesise::synthesise(study.path(), STEPS, 1).expect("a synthetic run");
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

/// 10 000 null worlds of α and of D over 500 steps.
#[divan::bench(sample_count = 10)]
fn null_worlds(bencher: Bencher) {
    let contributions = synthetic_contributions();
    let designation = Designation::new((0..EXAMPLES).map(|i| i % 20 < 11).collect());
    let worlds = NullWorlds::new(0, "run", &designation);
    let alpha = decomposition::linear(&contributions, &designation);
    let difference = cumulative::linear(&contributions, &designation);
    bencher.bench_local(|| permutation::test_families(&[&alpha, &difference], &designation, &worlds, WORLDS as u32));
}

/// Drawing 10 000 designations, on one core.
#[divan::bench(sample_count = 10)]
fn designations(bencher: Bencher) {
    let worlds = NullWorlds::new(0, "run", &Designation::new((0..EXAMPLES).map(|i| i % 20 < 11).collect()));
    let (mut mask, mut order) = (vec![0.0; EXAMPLES], Vec::new());
    bencher.bench_local(|| {
        (1..=WORLDS as u64).for_each(|world| worlds.fill_mask(world, black_box(&mut mask), &mut order))
    });
}

fn synthetic_contributions() -> Contributions {
    let mut contributions = Contributions::new(EXAMPLES);
    for step in 0..STEPS {
        let s: Vec<f64> = (0..EXAMPLES).map(|i| ((i * 7919 + step as usize * 104_729) % 1009) as f64).collect();
        contributions.push(step, &StepContributions { self_terms: s.clone(), contributions: s });
    }
    contributions
}
