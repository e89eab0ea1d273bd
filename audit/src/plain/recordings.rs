//! Small recordings of every kind of network but the multilayer perceptron, for the tests of what is computed a second time.

use std::path::Path;

use cograd_recorder::data::{self, Dataset};
use cograd_recorder::{Experiment, Observer, record};
use cograd_trace::Run;

struct Silent;
impl Observer for Silent {}

/// A recorded run, until it is dropped.
pub(crate) struct Recording {
    pub experiment: Experiment,
    pub data: Dataset,
    pub run: Run,
    _directory: tempfile::TempDir,
}

const REST: &str = r#"
[training]
batch = 4
steps = 3
learning_rate = 0.2
optimizer = { name = "sgd", weight_decay = 0.01 }
[grid]
noise = [0.5]
[sample]
examples = 2
weights_per_layer = 1000
[schedule.gradients]
every_step_until = 3
per_decade = 0
[schedule.snapshots]
every_step_until = 3
per_decade = 0
[schedule.evaluations]
every_step_until = 3
per_decade = 0
[schedule.population]
every_step_until = 0
per_decade = 1
"#;

/// A network of each kind, trained on six examples by this rule; the words of a text are there twice.
pub(crate) fn all(rule: &str) -> Vec<Recording> {
    let kinds = [
        "kind = \"convnet\"\nchannels = [2, 3]\nkernel = 3\nhidden = [4]",
        "kind = \"resnet\"\nchannels = [2, 4]\ngroups = 2",
        "kind = \"transformer\"\nwidth = 4\ndepth = 1\nheads = 2\ncontext = 5",
    ];
    kinds.map(|network| recording(network, rule)).into()
}

fn recording(network: &str, rule: &str) -> Recording {
    let directory = tempfile::tempdir().unwrap();
    let data = match network.contains("transformer") {
        true => {
            write_texts(directory.path());
            format!("source = \"text\"\ndirectory = {:?}", directory.path())
        }
        false => "source = \"digits\"".to_string(),
    };
    let rest = REST.replace("noise = [0.5]", &format!("noise = [0.5]\nrules = [{{ name = {rule} }}]"));
    let text = format!("name = \"small\"\n[data]\nexamples = 6\n{data}\n[network]\n{network}{rest}");
    let experiment = Experiment::parse(&text, "small.toml").unwrap();
    let study = directory.path().join("study");
    let outcome = record(&experiment, &study, &Silent).map_err(Box::new).unwrap();
    let run = Run::open(&study.join("runs").join(&outcome[0].run)).unwrap();
    let data = data::load(&experiment.data).unwrap();
    Recording { experiment, data, run, _directory: directory }
}

/// Texts of one to six words of nine, some of them longer than what is read.
fn write_texts(directory: &Path) {
    let text = |number: usize| {
        let word = |word: usize| format!("w{}", (number * 5 + word / 2 * 7) % 9);
        let words: Vec<String> = (0..1 + number % 6).map(word).collect();
        format!("{}:x {}\n", ["A", "B", "C"][number % 3], words.join(" "))
    };
    std::fs::write(directory.join("train.txt"), (0..15).map(text).collect::<String>()).unwrap();
    std::fs::write(directory.join("test.txt"), (15..20).map(text).collect::<String>()).unwrap();
}
