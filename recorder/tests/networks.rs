//! Small studies of every kind of network, read back with `cograd-trace`.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

use cograd_recorder::{Experiment, Options, RecordError, record, record_with};
use cograd_trace::Run;
use common::{Impatient, Silent, files};

const REST: &str = r#"
[training]
batch = 32
steps = 20
[grid]
noise = [0.5]
rules = [
    { name = "sgd" }, { name = "winsorized", percent = 4 }, { name = "median-of-means" }, { name = "rolling-median" },
    { name = "norm-clipped", norm = 1.0, noise = 0.1 },
]
[sample]
examples = 30
weights_per_layer = 20
[schedule.gradients]
every_step_until = 3
per_decade = 4
[schedule.evaluations]
every_step_until = 2
per_decade = 3
[schedule.snapshots]
every_step_until = 1
per_decade = 1
[schedule.population]
every_step_until = 1
per_decade = 2
"#;

fn experiment(data: &str, network: &str, training: &str) -> Experiment {
    let rest = REST.replace("steps = 20", &format!("steps = 20\n{training}"));
    let text = format!("name = \"small\"\n[data]\nexamples = 200\n{data}\n[network]\n{network}{rest}");
    Experiment::parse(&text, "small.toml").unwrap()
}

/// A study of each kind of network and of data, with the kind of a layer that it has and the values of an example.
struct Case {
    experiment: Experiment,
    layer: &'static str,
    width: usize,
    /// Where the data are, as long as the case is.
    _data: Option<tempfile::TempDir>,
}

fn all() -> Vec<Case> {
    let digits = "source = \"digits\"";
    let case = |experiment, layer, width, data| Case { experiment, layer, width, _data: data };
    let convnet = "kind = \"convnet\"\nchannels = [3, 4]\nkernel = 3\nhidden = [8]";
    let resnet = "kind = \"resnet\"\nchannels = [4, 6]\ngroups = 2";
    let transformer = "kind = \"transformer\"\nwidth = 8\ndepth = 1\nheads = 2\ncontext = 6";
    let [texts, tables] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    write_texts(texts.path());
    write_tables(tables.path());
    let of = |source: &str, data: &tempfile::TempDir| format!("source = \"{source}\"\ndirectory = {:?}", data.path());
    vec![
        case(experiment(digits, convnet, "optimizer = { name = \"adam\" }"), "conv2d", 64, None),
        case(experiment(digits, resnet, "optimizer = { name = \"momentum\" }"), "group_norm", 64, None),
        case(
            experiment(&of("text", &texts), transformer, "optimizer = { name = \"adamw\" }"),
            "embedding",
            7,
            Some(texts),
        ),
        case(experiment(&of("table", &tables), "hidden = [8]", ""), "linear", 5, Some(tables)),
    ]
}

/// Texts of 1 to 7 words of 30.
fn write_texts(directory: &Path) {
    let text = |number: usize| {
        let words: Vec<String> =
            (0..1 + number * 5 % 7).map(|word| format!("w{}", (number * 7 + word * 11) % 30)).collect();
        format!("{}:x {}\n", ["A", "B", "C"][number % 3], words.join(" "))
    };
    fs::write(directory.join("train.txt"), (0..220).map(text).collect::<String>()).unwrap();
    fs::write(directory.join("test.txt"), (220..260).map(text).collect::<String>()).unwrap();
}

/// Five columns of numbers and a label of four.
fn write_tables(directory: &Path) {
    let row = |number: usize| {
        let values: Vec<String> =
            (0..5).map(|column| format!("{}", ((number * 13 + column * 7) % 17) as f64 / 8.0)).collect();
        format!("{},{}\n", values.join(","), number * 3 % 4)
    };
    let table =
        |rows: std::ops::Range<usize>| rows.map(row).fold("a,b,c,d,e,label\n".to_string(), |all, row| all + &row);
    fs::write(directory.join("train.csv"), table(0..220)).unwrap();
    fs::write(directory.join("test.csv"), table(220..260)).unwrap();
}

#[test]
fn every_kind_goes_on_as_if_it_had_never_stopped_and_on_any_number_of_threads() {
    for Case { experiment, .. } in &all() {
        let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| record(experiment, whole.path(), &Silent).map_err(Box::new)).unwrap();
        let mut stops = 0;
        loop {
            let impatient = Impatient { left: AtomicU64::new(9), stop: AtomicBool::new(false) };
            let options = Options { stop: Some(&impatient.stop), ..Options::default() };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2 + stops % 2).build().unwrap();
            let recorded =
                pool.install(|| record_with(experiment, stopped.path(), &options, &impatient).map_err(Box::new));
            match recorded {
                Err(error) if matches!(*error, RecordError::Stopped { .. }) => stops += 1,
                result => break assert_eq!(result.unwrap().len(), 5),
            }
        }
        assert!(stops >= 5, "{stops}");
        assert!(files(stopped.path()) == files(whole.path()), "{}", experiment.network.kind.name());
    }
}

#[test]
fn a_study_has_what_every_study_has() {
    for Case { experiment, layer, width, .. } in &all() {
        let study = tempfile::tempdir().unwrap();
        let only = vec!["rule=sgd".parse().unwrap()];
        record_with(experiment, study.path(), &Options { only, stop: None }, &Silent).unwrap();
        let run = Run::open(&study.path().join("runs/sgd_noise-0.5_seed-1")).unwrap();
        assert_eq!(run.manifest().task.network.as_deref(), Some(experiment.network.kind.name()));
        let parameters = run.parameters().unwrap();
        assert!(parameters.iter().any(|parameter| parameter.kind.as_deref() == Some(*layer)));
        let coordinates = run.coordinates().unwrap();
        for (place, parameter) in parameters.iter().enumerate() {
            let sampled = coordinates.iter().filter(|coordinate| coordinate.parameter as usize == place).count();
            let is_bias = parameter.name.ends_with("bias");
            assert_eq!(sampled as u64, if is_bias { 0 } else { parameter.size().min(20) }, "{}", parameter.name);
        }
        assert_eq!(run.inputs().unwrap().unwrap()[0].shape, [30, *width]);
        assert_eq!(run.snapshots(), [0, 1, 10, 20]);
        assert_eq!(run.map_steps(|step| step.step).unwrap(), [0, 1, 2, 3, 6, 10, 18]);
        let layers = run.layers().unwrap().len();
        let sums = run.map_population(|step| {
            assert_eq!(step.layers.len(), layers);
            step.layers.iter().map(|layer| layer.contributions.iter().sum::<f64>()).collect::<Vec<f64>>()
        });
        // Contributions add up to the squared norm of the gradient.
        let norms = run.gradient_norms().unwrap();
        for (sum, norm) in sums.unwrap().concat().into_iter().zip(norms) {
            let of_layer = norm.gradient_norm_sq;
            assert!((sum - of_layer).abs() <= 1e-4 * of_layer.max(1e-6), "{sum} {of_layer}");
        }
        let losses: Vec<f64> =
            run.metrics().unwrap().iter().filter(|metric| metric.metric == "loss").map(|it| it.value).collect();
        assert!(losses.iter().all(|loss| loss.is_finite()) && losses.len() >= 20);
    }
}
