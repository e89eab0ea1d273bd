//! Small studies of every kind of network, read back with `cograd-trace`.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cograd_recorder::{Experiment, Observer, Options, RecordError, record, record_with};
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
    all_with([r#""adam""#, r#""momentum""#, r#""adamw""#, r#""sgd""#])
}

/// The cases with these optimizers.
fn all_with(optimizers: [&str; 4]) -> Vec<Case> {
    let [first, second, third, fourth] = optimizers.map(|settings| format!("optimizer = {{ name = {settings} }}"));
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
        case(experiment(digits, convnet, &first), "conv2d", 64, None),
        case(experiment(digits, resnet, &second), "group_norm", 64, None),
        case(experiment(&of("text", &texts), transformer, &third), "embedding", 7, Some(texts)),
        case(experiment(&of("table", &tables), "hidden = [8]", &fourth), "linear", 5, Some(tables)),
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
fn every_kind_with_every_optimizer_and_rule_goes_on_after_twenty_stops_as_if_it_had_never_stopped() {
    let all =
        [r#""sgd", weight_decay = 0.01"#, r#""momentum""#, r#""momentum", nesterov = true"#, r#""adam""#, r#""adamw""#];
    for optimizer in all {
        goes_on(&all_with([optimizer; 4]), 2, 20);
    }
}

#[test]
fn every_kind_goes_on_as_if_it_had_never_stopped_and_on_any_number_of_threads() {
    goes_on(&all(), 9, 5);
}

/// Name of the variables by which a process learns what to record.
const STUDY: &str = "COGRAD_TEST_STUDY";
const EXPERIMENT: &str = "COGRAD_TEST_EXPERIMENT";
const LIFE: &str = "COGRAD_TEST_LIFE";

/// Dies without a word after so many steps.
struct Mortal(AtomicU64);

impl Observer for Mortal {
    fn step(&self, _: &str, _: u64) {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }
}

/// Does nothing unless the test below starts it.
#[test]
fn a_recording_in_a_process_of_its_own() {
    let variables = [STUDY, EXPERIMENT, LIFE].map(std::env::var);
    if let [Ok(study), Ok(experiment), Ok(life)] = variables {
        let experiment = Experiment::read(Path::new(&experiment)).unwrap();
        record(&experiment, Path::new(&study), &Mortal(life.parse::<u64>().unwrap().into())).unwrap();
    }
}

#[test]
fn every_kind_survives_twenty_kills_byte_for_byte() {
    for Case { experiment, .. } in &mut all() {
        experiment.checkpoint.every_steps = 2;
        let [whole, killed, settings] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        record(experiment, whole.path(), &Silent).map_err(Box::new).unwrap();
        let file = settings.path().join("small.toml");
        fs::write(&file, experiment.to_toml().unwrap()).unwrap();
        let mut kills = 0;
        loop {
            let life = if kills < 20 { (3 + kills % 5).to_string() } else { u64::MAX.to_string() };
            let mut process = std::process::Command::new(std::env::current_exe().unwrap());
            process.args(["--exact", "a_recording_in_a_process_of_its_own"]);
            process.env(STUDY, killed.path()).env(EXPERIMENT, &file).env(LIFE, life);
            let output = process.output().unwrap();
            if output.status.success() {
                break;
            }
            assert!(output.status.code().is_none(), "it was not killed: {}", String::from_utf8_lossy(&output.stdout));
            kills += 1;
        }
        assert_eq!(kills, 20);
        assert!(files(killed.path()) == files(whole.path()), "{}", experiment.network.kind.name());
    }
}

/// Records the cases at once, and again with a stop after so many steps each time, `least` or more of them, on other numbers of threads.
fn goes_on(cases: &[Case], steps: u64, least: usize) {
    for Case { experiment, .. } in cases {
        let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| record(experiment, whole.path(), &Silent).map_err(Box::new)).unwrap();
        let mut stops = 0;
        loop {
            let impatient = Impatient { left: AtomicU64::new(steps), stop: AtomicBool::new(false) };
            let options = Options { stop: Some(&impatient.stop), ..Options::default() };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2 + stops % 2).build().unwrap();
            let recorded =
                pool.install(|| record_with(experiment, stopped.path(), &options, &impatient).map_err(Box::new));
            match recorded {
                Err(error) if matches!(*error, RecordError::Stopped { .. }) => stops += 1,
                result => break assert_eq!(result.unwrap().len(), 5),
            }
        }
        assert!(stops >= least, "{stops}");
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

/// Of each kind of network a run of all data in one batch, every step of it recorded as it is and divided.
#[test]
fn preconditioned_gradients_are_those_that_are_recorded_divided_by_what_adam_remembers() {
    let (beta2, epsilon) = (0.9, 1e-3);
    let optimizer = format!("\"adam\", beta2 = {beta2}, epsilon = {epsilon}");
    for Case { experiment, .. } in all_with([&*optimizer; 4]) {
        let text = experiment.to_toml().unwrap();
        let (before, rules) = text.split_once("[[grid.rules]]").unwrap();
        let rest = &rules[rules.find("\n[sample]").unwrap()..rules.find("\n[schedule.population]").unwrap()];
        let text = format!("{before}\"sample.preconditioned\" = [false, true]\n{rest}");
        let changes = [
            ("batch = 32", "batch = \"full\""),
            ("steps = 20", "steps = 5"),
            ("examples = 200", "examples = 30"),
            ("every_step_until = 3", "every_step_until = 9"),
        ];
        let text = changes.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from} in {text}");
            text.replace(from, to)
        });
        let experiment = Experiment::parse(&text, "small.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
        let [study, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        record(&experiment, study.path(), &Silent).map_err(Box::new).unwrap();
        let [plain, divided] = ["false", "true"]
            .map(|is| Run::open(&study.path().join(format!("runs/sgd_noise-0.5_preconditioned-{is}_seed-1"))).unwrap());
        assert_eq!(divided.manifest().conditions.get("preconditioned"), Some(&true.into()));
        assert_eq!(plain.weights(5).unwrap(), divided.weights(5).unwrap());
        let values = |run: &Run| -> Vec<Vec<f32>> { run.map_steps(|step| step.values.to_vec()).unwrap() };
        let (plain, divided) = (values(&plain), values(&divided));
        let coordinates = plain[0].len() / 30;
        let (mut second, mut moved) = (vec![0.0; coordinates], 0);
        for (step, (plain, divided)) in plain.iter().zip(&divided).enumerate() {
            for (place, second) in second.iter_mut().enumerate() {
                let of_examples = || plain.iter().skip(place).step_by(coordinates).map(|&value| f64::from(value));
                let mean = of_examples().sum::<f64>() / 30.0;
                *second = beta2 * *second + (1.0 - beta2) * mean * mean;
                let root = (*second / (1.0 - beta2.powi(step as i32 + 1))).sqrt();
                let of_divided = divided.iter().skip(place).step_by(coordinates);
                for (&found, value) in of_divided.zip(of_examples()).filter(|_| root > 1e-6) {
                    let expected = value / (root + epsilon);
                    assert!(
                        (f64::from(found) - expected).abs() <= 2e-3 * (expected.abs() + 1e-2),
                        "{found} {expected}"
                    );
                    moved += 1;
                }
            }
        }
        assert!(moved > plain.len() * 30 * coordinates / 4, "{moved}");
        assert_eq!(plain.len(), 5);
        let mut stops = 0;
        loop {
            let impatient = Impatient { left: AtomicU64::new(1), stop: AtomicBool::new(false) };
            let options = Options { stop: Some(&impatient.stop), ..Options::default() };
            match record_with(&experiment, stopped.path(), &options, &impatient).map_err(Box::new) {
                Err(error) if matches!(*error, RecordError::Stopped { .. }) => stops += 1,
                result => break assert_eq!(result.unwrap().len(), 2),
            }
        }
        assert!(stops >= 4, "{stops}");
        assert!(files(stopped.path()) == files(study.path()), "{}", experiment.network.kind.name());
    }
}

#[test]
fn what_does_not_divide_gradients_cannot_be_asked_to() {
    let refused = |training: &str, schedule: &str| {
        let text = format!(
            "name = \"it\"\n[data]\nsource = \"digits\"\n[network]\nhidden = [4]\n[training]\nsteps = 2\n{training}\n[grid]\nnoise = [0.0]\n[sample]\npreconditioned = true\n{schedule}"
        );
        Experiment::parse(&text, "it.toml").unwrap_err().to_string()
    };
    let message = refused("", "");
    assert!(message.contains("it.toml, line") && message.contains("only adam and adamw divide"), "{message}");
    let population = "[schedule.population]\nevery_step_until = 0\nper_decade = 1";
    let message = refused("optimizer = { name = \"adam\" }", population);
    assert!(message.contains("remove schedule.population"), "{message}");
}
