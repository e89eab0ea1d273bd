//! Forgeries whose hashes and seals are right, and which agree with all that is in the study: the data set and the recording made again
//! tell them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch, UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float16Type, Float32Type, Float64Type, Int64Type, Schema};
use cograd_audit::{Audit, Claim, Sources, Verdict, audit_with};
use cograd_recorder::{Experiment, record};
use support::{Silent, read, seal, write};

const EXPERIMENT: &str = r#"
name = "sources"
[data]
source = "digits"
[network]
hidden = [6]
[training]
learning_rate = 0.1
batch = 100
steps = 12
[grid]
noise = [0.5]
seeds = [1]
[[grid.rules]]
name = "sgd"
[[grid.rules]]
name = "winsorized"
percent = 4
[sample]
examples = 30
weights_per_layer = 6
[schedule.gradients]
every_step_until = 10
per_decade = 3
[schedule.evaluations]
every_step_until = 4
per_decade = 2
[schedule.snapshots]
every_step_until = 1
per_decade = 1
[schedule.population]
every_step_until = 2
per_decade = 1
"#;
const SGD: &str = "sgd_noise-0.5_seed-1";
const WINSORIZED: &str = "winsorized-4_noise-0.5_seed-1";

/// A study without results.
struct Study(tempfile::TempDir);

impl Study {
    fn record() -> Study {
        Study::new(EXPERIMENT)
    }

    fn new(text: &str) -> Study {
        let directory = tempfile::tempdir().expect("a directory");
        let experiment = Experiment::parse(text, "study.toml").expect("an experiment");
        record(&experiment, directory.path(), &Silent).expect("recorded");
        Study(directory)
    }

    fn run(&self) -> PathBuf {
        self.0.path().join("runs").join(SGD)
    }

    /// With nothing else, with the data set, and recorded again.
    fn audits(&self) -> [Audit; 3] {
        self.audits_against(self.0.path())
    }

    /// The same with the data set in this directory.
    fn audits_against(&self, directory: &Path) -> [Audit; 3] {
        let study = self.0.path();
        [(None, false), (Some(directory.to_path_buf()), false), (None, true)].map(|(data, replay)| {
            let (analysis, report) = (study.join("analysis"), study.join("report"));
            audit_with(study, &analysis, &report, &Sources { data, replay }).expect("a study with runs")
        })
    }

    /// Enters the files of a run as they are.
    fn seal(&self) {
        seal(&self.run(), |name| vec![name.to_string()]);
    }
}

fn edit(path: &Path, edit: impl FnOnce(RecordBatch) -> RecordBatch) {
    write(path, &edit(read(path)));
}

fn with(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of(column).expect("the column")] = values;
    RecordBatch::try_new(batch.schema(), columns).expect("the same columns")
}

/// The part of a table with this step first.
fn part(directory: &Path, step: i64) -> PathBuf {
    let mut paths = fs::read_dir(directory).expect("listed").map(|entry| entry.expect("one").path());
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.strip_prefix("part-")?.parse::<i64>().ok();
    paths.find(|path| number(path) == Some(step)).expect("a part")
}

fn steps(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("step").expect("steps").as_primitive::<Int64Type>().values().to_vec()
}

/// The gradients of a step which has no snapshot are a little smaller.
fn replace_gradients(study: &Study) {
    scale_gradients(study, 5);
}

fn scale_gradients(study: &Study, step: i64) {
    edit(&part(&study.run().join("gradients"), 0), |batch| {
        let steps = steps(&batch);
        let gradients = batch.column_by_name("gradient").expect("gradients").as_fixed_size_list();
        let DataType::FixedSizeList(field, width) = gradients.data_type().clone() else { panic!("no list") };
        let scaled = gradients.values().as_primitive::<Float32Type>().values().iter().enumerate();
        let scaled: Float32Array = scaled
            .map(|(place, value)| if steps[place / width as usize] == step { 0.98 * value } else { *value })
            .collect();
        let scaled = FixedSizeListArray::try_new(field, width, Arc::new(scaled), None).expect("a list");
        with(&batch, "gradient", Arc::new(scaled))
    });
}

/// Everything that the population says of two examples that are not sampled, at one step: each has what the other has.
fn swap_contributions(study: &Study, step: i64) {
    edit(&part(&study.run().join("population"), step), |batch| {
        let of_step: Vec<usize> = (0..batch.num_rows()).filter(|row| steps(&batch)[*row] == step).collect();
        let self_terms = batch.column_by_name("self_term").expect("self terms").as_primitive::<Float64Type>();
        // Two that are alike in size, so that no bound of one is broken by the other.
        let mut by_size = of_step;
        by_size.sort_by(|&a, &b| self_terms.value(a).total_cmp(&self_terms.value(b)));
        let middle = by_size.len() / 2;
        let mut order: Vec<u64> = (0..batch.num_rows() as u64).collect();
        order.swap(by_size[middle], by_size[middle + 7]);
        let swapped = take_record_batch(&batch, &UInt64Array::from(order)).expect("rows");
        let is_value = |name: &&str| name.starts_with("contribution") || name.starts_with("self_term");
        let schema = batch.schema();
        let values = schema.fields().iter().map(|field| field.name().as_str()).filter(is_value);
        values.fold(batch.clone(), |batch, name| with(&batch, name, swapped.column_by_name(name).expect("it").clone()))
    });
}

/// One more test image is right at every evaluation.
fn raise_accuracies(study: &Study) {
    edit(&study.run().join("metrics.parquet"), |batch| {
        let text =
            |name: &str, row: usize| batch.column_by_name(name).expect("it").as_string::<i32>().value(row).to_string();
        let values = batch.column_by_name("value").expect("values").as_primitive::<Float64Type>();
        let sizes = batch.column_by_name("examples").expect("sizes").as_primitive::<arrow::datatypes::UInt64Type>();
        let value = |row: usize| match text("split", row) == "test" && text("metric", row) == "accuracy" {
            true => (values.value(row) * sizes.value(row) as f64 + 9.0).round() / sizes.value(row) as f64,
            false => values.value(row),
        };
        let raised: Float64Array = (0..batch.num_rows()).map(|row| Some(value(row))).collect();
        with(&batch, "value", Arc::new(raised))
    });
}

/// The run of one rule under the name of another.
fn rename_rule(study: &Study) {
    let (other, run) = (study.0.path().join("runs").join(WINSORIZED), study.run());
    for kind in ["gradients", "population", "weights"] {
        for entry in fs::read_dir(other.join(kind)).expect("listed") {
            let path = entry.expect("one").path();
            fs::copy(&path, run.join(kind).join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    for file in ["metrics.parquet", "examples.parquet"] {
        fs::copy(other.join(file), run.join(file)).expect("copied");
    }
}

fn change_learning_rate(study: &Study) {
    let text = EXPERIMENT.replace("learning_rate = 0.1", "learning_rate = 0.11");
    let path = study.0.path().join("study.toml");
    assert!(fs::read_to_string(&path).expect("study.toml").contains("0.1"));
    fs::write(path, text).expect("written");
}

/// Alters a study.
type Forge = fn(&Study);

fn failing(audit: &Audit) -> Vec<String> {
    let fails = audit.claims.iter().filter(|claim| claim.verdict == Verdict::Fail);
    fails.map(|claim| format!("{}, {}: {}", claim.subject, claim.claim, claim.why)).collect()
}

#[test]
fn an_honest_study_is_that_of_its_data_and_of_its_recording() {
    let audits = Study::record().audits();
    assert!(audits.iter().all(Audit::is_clean), "{:#?}", audits.map(|audit| failing(&audit)));
    for (audit, claim) in
        [(&audits[1], "consecutive snapshots"), (&audits[1], "the population is that"), (&audits[2], "recorded again")]
    {
        let claims: Vec<_> = audit.claims.iter().filter(|of| of.claim.starts_with(claim)).collect();
        assert!(claims.len() == 2 && claims.iter().all(|of| of.verdict == Verdict::Pass), "{claims:#?}");
    }
}

#[test]
fn consistent_forgeries_are_told_by_the_data_or_by_recording_again() {
    // Whether nothing else, the data set and recording again tell it.
    let forgeries: [(&str, Forge, [bool; 3]); 6] = [
        ("gradients between snapshots", replace_gradients, [false, false, true]),
        ("contributions swapped at a snapshot", |study| swap_contributions(study, 1), [false, true, true]),
        ("contributions swapped between snapshots", |study| swap_contributions(study, 2), [false, false, true]),
        ("accuracies raised", raise_accuracies, [false, true, true]),
        ("a rule renamed", rename_rule, [false, true, true]),
        ("a learning rate changed", change_learning_rate, [false, true, true]),
    ];
    for (name, forge, told) in forgeries {
        let study = Study::record();
        forge(&study);
        study.seal();
        let audits = study.audits();
        let is_told = [0, 1, 2].map(|which| !audits[which].is_clean());
        assert_eq!(is_told, told, "{name}: {:#?}", audits.map(|audit| failing(&audit)));
    }
}

/// Verdicts of the claims that begin so.
fn verdicts(audit: &Audit, claim: &str) -> Vec<Verdict> {
    let claims = audit.claims.iter().filter(|of| of.claim.starts_with(claim));
    claims.map(|of| of.verdict).collect()
}

#[test]
fn runs_of_other_settings_hold_and_what_cannot_be_checked_says_so() {
    let (pass, unchecked) = (Verdict::Pass, Verdict::NotCheckable);
    let training = |lines: &str| EXPERIMENT.replace("steps = 12", &format!("steps = 12\n{lines}"));
    let grid = |lines: &str| EXPERIMENT.replace("seeds = [1]", &format!("seeds = [1]\n{lines}"));
    let data = |lines: &str| EXPERIMENT.replace("\"digits\"", &format!("\"digits\"\n{lines}"));
    let decayed = "optimizer = { name = \"sgd\", weight_decay = 0.1 }\n";
    for (text, update) in [
        (training(&format!("{decayed}schedule = {{ name = \"cosine\", warm_up = 1 }}")), pass),
        (training("schedule = { name = \"steps\", milestones = [1], decay = 0.5 }"), pass),
        (training("optimizer = { name = \"momentum\", nesterov = true }"), unchecked),
        (training("optimizer = { name = \"adamw\" }\nschedule = { name = \"constant\", warm_up = 3 }"), unchecked),
        (grid("\"network.hidden\" = [[5], [4, 3]]\n\"training.learning_rate\" = [0.1, 0.01]"), pass),
        (grid("\"training.optimizer\" = [{ name = \"adam\" }, { name = \"adam\", beta1 = 0.8 }]"), unchecked),
        (grid("\"data.noise\" = [\"permuted\", \"symmetric\", \"pair-flipped\"]"), pass),
        (grid("\"data.examples\" = [150, 400]"), pass),
        (data("examples = 200\nnoise = \"symmetric\""), pass),
    ] {
        let audits = Study::new(&text).audits();
        audits.iter().for_each(|audit| assert_eq!(failing(audit), [""; 0], "{text}"));
        let of_updates = verdicts(&audits[1], "consecutive snapshots");
        assert!(!of_updates.is_empty() && of_updates.iter().all(|of| *of == update), "{of_updates:?}: {text}");
        let of_replay = verdicts(&audits[2], "recorded again");
        assert!(!of_replay.is_empty() && of_replay.iter().all(|of| *of == pass), "{of_replay:?}: {text}");
    }
}

#[test]
fn another_schedule_or_decay_in_study_toml_is_told() {
    let text = EXPERIMENT.replace("steps = 12", "steps = 12\noptimizer = { name = \"sgd\", weight_decay = 0.5 }");
    for (from, to) in [("weight_decay = 0.5", "weight_decay = 0.25"), ("learning_rate = 0.1", "learning_rate = 0.2")] {
        let study = Study::new(&text);
        let file = study.0.path().join("study.toml");
        let written = fs::read_to_string(&file).expect("readable");
        assert!(written.contains(from), "{written}");
        fs::write(&file, written.replace(from, to)).expect("written");
        let [_, data, replay] = study.audits();
        assert!(!failing(&data).is_empty() && !failing(&replay).is_empty(), "{to}");
    }
}

#[test]
fn a_learning_rate_below_what_f32_tells_apart_holds() {
    for rate in ["1e-41", "1e-45"] {
        let audits =
            Study::new(&EXPERIMENT.replace("learning_rate = 0.1", &format!("learning_rate = {rate}"))).audits();
        assert_eq!(failing(&audits[1]), [""; 0], "{rate}");
        assert_eq!(verdicts(&audits[1], "consecutive snapshots"), [Verdict::Pass; 2], "{rate}");
    }
}

#[test]
fn labels_that_are_too_large_are_not_checkable_where_another_program_wrote_them() {
    let study = Study::record();
    edit(&study.run().join("examples.parquet"), |batch| {
        let labels: UInt64Array = (0..batch.num_rows()).map(|row| Some(u64::MAX - row as u64 % 2)).collect();
        let field = |field: &Arc<Field>| match field.name().as_str() {
            "label" => Arc::new(Field::new("label", DataType::UInt64, field.is_nullable())),
            _ => field.clone(),
        };
        let schema = Arc::new(Schema::new(batch.schema().fields().iter().map(field).collect::<Vec<_>>()));
        let mut columns = batch.columns().to_vec();
        columns[schema.index_of("label").expect("the column")] = Arc::new(labels);
        RecordBatch::try_new(schema, columns).expect("the same columns")
    });
    study.seal();
    let found = |audit: &Audit| {
        let claims =
            audit.claims.iter().filter(|of| of.claim == "the trace is as its format says" && of.subject == SGD);
        claims.map(|of| of.verdict).collect::<Vec<_>>()
    };
    // The recorder writes no such label.
    assert_eq!(found(&study.audits()[0]), [Verdict::Fail]);
    let manifest = study.run().join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("readable");
    fs::write(&manifest, text.replace("cograd-recorder", "another-recorder")).expect("written");
    study.seal();
    assert_eq!(found(&study.audits()[0]), [Verdict::NotCheckable]);
}

/// The run becomes that of another program, with this change of its manifest.
fn foreign(study: &Study, change: [&str; 2]) {
    let manifest = study.run().join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("readable").replace("cograd-recorder", "another-recorder");
    assert!(text.contains(change[0]));
    fs::write(&manifest, text.replace(change[0], change[1])).expect("written");
    study.seal();
}

fn count_labels_from_1(batch: RecordBatch) -> RecordBatch {
    ["label", "original_label"].into_iter().fold(batch, |batch, name| {
        let labels = batch.column_by_name(name).expect("labels").as_primitive::<Int64Type>();
        let labels: Int64Array = labels.unary(|label| label + 1);
        with(&batch, name, Arc::new(labels))
    })
}

fn store_as_f16(batch: RecordBatch) -> RecordBatch {
    let gradients = batch.column_by_name("gradient").expect("gradients").as_fixed_size_list();
    let DataType::FixedSizeList(field, width) = gradients.data_type().clone() else { panic!("no list") };
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    let halves: Float32Array =
        gradients.values().as_primitive::<Float32Type>().unary(|value| Half::from_f32(value).to_f32());
    let halves = FixedSizeListArray::try_new(field, width, Arc::new(halves), None).expect("a list");
    with(&batch, "gradient", Arc::new(halves))
}

#[test]
fn snapshots_of_another_program_are_checked_where_loss_labels_and_digits_are_known() {
    let same = ["format_version", "format_version"];
    let (snapshots, parts) =
        ("recorded gradients are those of the snapshots", "the sample's self terms are parts of the population's");
    let found = |study: &Study, claim: &str| {
        let audit = &study.audits()[0];
        let claims = audit.claims.iter().filter(|of| of.claim == claim && of.subject == SGD);
        claims.map(|of| of.verdict).collect::<Vec<_>>()
    };
    // All that is unknown of another program's run is one line.
    let is_unknown = |study: &Study| {
        let audit = &study.audits()[0];
        let told = |of: &Claim| of.subject == SGD && of.why.contains("gradients and self terms at snapshots");
        audit.is_clean() && audit.claims.iter().any(|of| told(of) && of.verdict == Verdict::NotCheckable)
    };
    let study = Study::record();
    foreign(&study, same);
    assert_eq!(found(&study, snapshots), [Verdict::Pass]);
    assert!(!is_unknown(&study));
    for change in [["\"cross-entropy\"", "\"label-smoothed cross-entropy\""], ["\"float32\"", "\"bfloat16\""]] {
        let study = Study::record();
        foreign(&study, change);
        assert!(is_unknown(&study), "{change:?}");
    }
    let study = Study::record();
    edit(&study.run().join("examples.parquet"), count_labels_from_1);
    foreign(&study, same);
    assert!(is_unknown(&study));
    let study = Study::record();
    edit(&part(&study.run().join("gradients"), 0), store_as_f16);
    foreign(&study, same);
    assert_eq!((found(&study, snapshots), found(&study, parts)), (vec![Verdict::Pass], vec![Verdict::Pass]));
    // The recorder stores f32.
    let study = Study::record();
    edit(&part(&study.run().join("gradients"), 0), store_as_f16);
    study.seal();
    assert_eq!(found(&study, snapshots), [Verdict::Fail]);
}

#[test]
fn a_run_of_an_older_format_cannot_be_recorded_again() {
    let study = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trace/tests/fixtures/version-2");
    let sources = Sources { data: None, replay: true };
    let audit =
        audit_with(&study, &study.join("analysis"), &study.join("report"), &sources).expect("a study with runs");
    let claims: Vec<_> = audit.claims.iter().filter(|of| of.claim.starts_with("recorded again")).collect();
    let is = |of: &&Claim| of.verdict == Verdict::NotCheckable && of.why.contains("trace format 2");
    assert!(claims.len() == 2 && claims.iter().all(is), "{claims:#?}");
}

/// Texts whose labels are their first words.
fn texts() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let text = |number: usize| {
        let words: Vec<String> =
            (0..1 + number * 5 % 7).map(|word| format!("w{}", (number * 7 + word * 11) % 30)).collect();
        format!("{} {}\n", ["A", "B", "C"][number % 3], words.join(" "))
    };
    fs::write(directory.path().join("train.txt"), (0..300).map(text).collect::<String>()).expect("written");
    fs::write(directory.path().join("test.txt"), (300..340).map(text).collect::<String>()).expect("written");
    directory
}

#[test]
fn gradients_of_every_kind_of_network_are_computed_a_second_time() {
    let texts = texts();
    let of_texts = format!("source = \"text\"\ndirectory = {:?}", texts.path());
    for (network, data) in [
        ("kind = \"convnet\"\nchannels = [3, 4]\nkernel = 3\nhidden = [8]", "source = \"digits\""),
        ("kind = \"resnet\"\nchannels = [4, 6]\ngroups = 2", "source = \"digits\""),
        ("kind = \"transformer\"\nwidth = 8\ndepth = 2\nheads = 2\ncontext = 6", &of_texts),
    ] {
        let text = EXPERIMENT.replace("hidden = [6]", network).replace("batch = 100", "batch = 20");
        let study = Study::new(&text.replace("source = \"digits\"", &format!("examples = 60\n{data}")));
        let audits = study.audits_against(texts.path());
        for claim in [
            "the examples are those of the data set",
            "losses and accuracies are those of the data set, at snapshots",
            "learned steps of all examples agree with the snapshots",
            "the population is that of the data set, at snapshots",
            "consecutive snapshots follow the rule and the learning rate",
        ] {
            assert_eq!(verdicts(&audits[1], claim), [Verdict::Pass; 2], "{network}: {claim}");
        }
        for audit in &audits {
            assert!(audit.is_clean(), "{network}: {:#?}", failing(audit));
            let of_gradients = verdicts(audit, "recorded gradients are those of the snapshots");
            assert_eq!(of_gradients, [Verdict::Pass; 2], "{network}");
            let of_population = verdicts(audit, "the population's self terms are those of the snapshots");
            assert_eq!(of_population, [Verdict::Pass; 2], "{network}");
        }
        assert_eq!(verdicts(&audits[2], "recorded again"), [Verdict::Pass; 2]);
        scale_gradients(&study, 1);
        study.seal();
        assert!(!study.audits()[0].is_clean(), "{network}");
    }
}

#[test]
fn preconditioned_gradients_are_not_checkable_until_they_are_recorded_again() {
    for network in ["hidden = [6]", "kind = \"convnet\"\nchannels = [3]\nkernel = 3\nhidden = []"] {
        let (text, _) = EXPERIMENT.split_once("[schedule.population]").expect("it is the last section");
        let text = text.replace("hidden = [6]", network).replace("batch = 100", "batch = 20");
        let text = text.replace("steps = 12", "steps = 12\noptimizer = { name = \"adam\" }");
        let text = text.replace("[sample]", "[sample]\npreconditioned = true");
        let study = Study::new(&text.replace("source = \"digits\"", "source = \"digits\"\nexamples = 60"));
        for audit in study.audits() {
            assert!(audit.is_clean(), "{network}: {:#?}", failing(&audit));
            let of_gradients = verdicts(&audit, "recorded gradients are those of the snapshots");
            assert_eq!(of_gradients, [Verdict::NotCheckable; 2], "{network}");
        }
        assert_eq!(verdicts(&study.audits()[2], "recorded again"), [Verdict::Pass; 2]);
    }
}
