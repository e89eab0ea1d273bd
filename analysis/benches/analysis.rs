//! The analysis of a synthetic run of 500 steps × 400 examples × 600 coordinates with 10 000 null worlds, and its parts.
//!
//!     cargo bench -p cograd-analysis

#[path = "../examples/synthesise.rs"]
mod synthesise;

use std::sync::LazyLock;

use cograd_analysis::kernel::contribution::{self, Contributions, StepContributions};
use cograd_analysis::kernel::grouping::Grouping;
use cograd_analysis::kernel::linear::Family;
use cograd_analysis::kernel::null_world::NullWorlds;
use cograd_analysis::kernel::permutation::test_families;
use cograd_analysis::kernel::scores::Scores;
use cograd_analysis::statistic::{Compute, STATISTICS};
use cograd_analysis::{Estimator, NoObserver, Options, Sums, Tested, analyze};
use divan::{Bencher, black_box};
use tempfile::TempDir;

const STEPS: i64 = 500;
const EXAMPLES: usize = 400;
const POPULATION: usize = 60_000;
const WORLDS: usize = 10_000;

static STUDY: LazyLock<TempDir> = LazyLock::new(|| study(STEPS));
static SHORT_STUDY: LazyLock<TempDir> = LazyLock::new(|| study(10));

fn study(steps: i64) -> TempDir {
    let study = TempDir::new().expect("a temporary directory");
    synthesise::synthesise(study.path(), 1, synthesise::Sizes { steps, ..Default::default() })
        .expect("a synthetic run");
    study
}

fn main() {
    divan::main();
}

/// Reading, hashing, every statistic, 10 000 null worlds, and the results on disk.
#[divan::bench(sample_count = 10)]
fn whole_analysis(bencher: Bencher) {
    let options = Options { null_worlds: WORLDS, ..Options::default() };
    bencher.bench_local(|| analyze(STUDY.path(), None, &options, &NoObserver).expect("an analysis"));
}

/// Reading, hashing and contributions alone, and their table on disk.
#[divan::bench(sample_count = 10)]
fn reading_and_contributions(bencher: Bencher) {
    let options = Options { statistics: Some(vec!["contributions".into()]), ..Options::default() };
    bencher.bench_local(|| analyze(STUDY.path(), None, &options, &NoObserver).expect("an analysis"));
}

/// Contributions and self terms of one step, on one core.
#[divan::bench]
fn contributions_of_a_step(bencher: Bencher) {
    let gradients: Vec<f32> = (0..EXAMPLES * 600).map(|i| (i % 977) as f32 - 488.0).collect();
    bencher.bench_local(|| contribution::of_step(black_box(&gradients), EXAMPLES));
}

/// Every statistic of pairs and coordinates at ten steps of 400 × 600, with ten classes, on one core, and their tables; with and
/// without the 199 halves of the intervals.
#[divan::bench(sample_count = 10, args = [0, 199])]
fn coherence_of_ten_steps(bencher: Bencher, halves: usize) {
    let of_steps = STATISTICS.iter().filter(|statistic| statistic.tables == ["coherence"]);
    let statistics = Some(of_steps.map(|statistic| statistic.name.to_string()).collect());
    let options = Options { halves, statistics, ..Options::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    bencher.bench_local(|| {
        pool.install(|| analyze(SHORT_STUDY.path(), None, &options, &NoObserver)).expect("an analysis")
    });
}

/// 10 000 null worlds of the shares, differences and tests of two groups over 500 steps.
#[divan::bench(sample_count = 10)]
fn null_worlds(bencher: Bencher) {
    bench_null_worlds(bencher, &synthetic_contributions(STEPS, EXAMPLES), &groups(2, EXAMPLES), WORLDS);
}

/// The same of a population: 60 000 examples, 200 steps, by number of worlds.
#[divan::bench(sample_count = 1, sample_size = 1, args = [1000, 10_000])]
fn population_null_worlds(bencher: Bencher, worlds: usize) {
    bench_null_worlds(bencher, &synthetic_contributions(200, POPULATION), &groups(2, POPULATION), worlds);
}

/// The same with ten groups, all pairs of which are compared.
#[divan::bench(sample_count = 1, sample_size = 1, args = [1000])]
fn population_null_worlds_of_ten_groups(bencher: Bencher, worlds: usize) {
    bench_null_worlds(bencher, &synthetic_contributions(200, POPULATION), &groups(10, POPULATION), worlds);
}

/// Everything that is tested of these contributions, in null worlds of these groups.
fn bench_null_worlds(bencher: Bencher, contributions: &Contributions, grouping: &Grouping, worlds: usize) {
    bencher.bench_local(|| {
        let (sums, scores) =
            (Sums { estimator: Estimator::Exact, contributions, grouping }, Scores::new(contributions, None));
        let tested = STATISTICS.iter().flat_map(|statistic| match statistic.compute {
            Compute::Contributions { tested, .. } => tested(&scores, &sums),
            _ => Vec::new(),
        });
        let tested: Vec<Tested> = tested.collect();
        let families: Vec<&Family> = tested.iter().map(|tested| &tested.family).collect();
        test_families(&scores, &families, &NullWorlds::new(0, "run", grouping), worlds as u32)
    });
}

/// Groups of examples, 55 % of them in the first of two.
fn groups(count: usize, examples: usize) -> Grouping {
    let group = |i: usize| if count == 2 { usize::from(i % 20 >= 11) } else { i % count };
    Grouping::new((0..count).map(|name| name.to_string()).collect(), (0..examples).map(|i| group(i) as u8).collect())
}

fn synthetic_contributions(steps: i64, examples: usize) -> Contributions {
    let mut contributions = Contributions::new(examples);
    for step in 0..steps {
        let s: Vec<f64> = (0..examples).map(|i| ((i * 7919 + step as usize * 104_729) % 1009) as f64).collect();
        contributions.push(step, StepContributions { self_terms: s.clone(), contributions: s });
    }
    contributions
}
