//! Small studies of every kind of network, read back with `cograd-trace`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cograd_recorder::{Experiment, Observer, Options, RecordError, record, record_with};
use cograd_trace::Run;

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

fn experiment(network: &str, training: &str) -> Experiment {
    let data = "name = \"small\"\n[data]\nsource = \"digits\"\nexamples = 200\n[network]\n";
    let rest = REST.replace("steps = 20", &format!("steps = 20\n{training}"));
    Experiment::parse(&format!("{data}{network}{rest}"), "small.toml").unwrap()
}

fn all() -> [Experiment; 2] {
    [
        experiment(
            "kind = \"convnet\"\nchannels = [3, 4]\nkernel = 3\nhidden = [8]",
            "optimizer = { name = \"adam\" }",
        ),
        experiment("kind = \"resnet\"\nchannels = [4, 6]\ngroups = 2", "optimizer = { name = \"momentum\" }"),
    ]
}

struct Silent;
impl Observer for Silent {}

/// Asks to stop after so many steps.
struct Impatient {
    left: AtomicU64,
    stop: AtomicBool,
}

impl Observer for Impatient {
    fn step(&self, _: &str, _: u64) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Every file below a directory with its bytes, by its path there.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            files.extend(self::files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn every_kind_goes_on_as_if_it_had_never_stopped_and_on_any_number_of_threads() {
    for experiment in all() {
        let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| record(&experiment, whole.path(), &Silent).map_err(Box::new)).unwrap();
        let mut stops = 0;
        loop {
            let impatient = Impatient { left: AtomicU64::new(9), stop: AtomicBool::new(false) };
            let options = Options { stop: Some(&impatient.stop), ..Options::default() };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2 + stops % 2).build().unwrap();
            let recorded =
                pool.install(|| record_with(&experiment, stopped.path(), &options, &impatient).map_err(Box::new));
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
    for experiment in all() {
        let study = tempfile::tempdir().unwrap();
        let only = vec!["rule=sgd".parse().unwrap()];
        record_with(&experiment, study.path(), &Options { only, stop: None }, &Silent).unwrap();
        let run = Run::open(&study.path().join("runs/sgd_noise-0.5_seed-1")).unwrap();
        assert_eq!(run.manifest().task.network.as_deref(), Some(experiment.network.kind.name()));
        let parameters = run.parameters().unwrap();
        assert!(parameters.iter().any(|parameter| parameter.kind.as_deref() == Some("conv2d")));
        let coordinates = run.coordinates().unwrap();
        for (place, parameter) in parameters.iter().enumerate() {
            let sampled = coordinates.iter().filter(|coordinate| coordinate.parameter as usize == place).count();
            let is_bias = parameter.name.ends_with("bias");
            assert_eq!(sampled as u64, if is_bias { 0 } else { parameter.size().min(20) }, "{}", parameter.name);
        }
        assert_eq!(run.inputs().unwrap().unwrap()[0].shape, [30, 64]);
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
