//! Odd but honest studies: whatever gradients, labels, sizes and copies of folders there may be, nothing was altered, so that each
//! is analysed and reported without an error, and no claim of it fails.

mod support;

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::UInt32Type;
use cograd_analysis::{GroupBy, NoObserver, Options, analyze};
use cograd_audit::{Sources, Verdict, audit_with};
use cograd_recorder::{Experiment, RecordError, record};
use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Metric, Parameter, PopulationLayer, PopulationRows, RunDescription,
    RunWriter, Task,
};
use support::{Random, Silent, files_below, read, seal, write};

const WRITTEN: u64 = 200;
const RECORDED: u64 = 40;

/// What the gradients of a step are like.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Noise,
    CommonDirection,
    Cancelling,
    NearlyCancelling,
    Constant,
    ConstantInTwoGroups,
    Zero,
    Dead,
    Saturated,
    Denormal,
    Huge,
    Signs,
    OneHot,
    MixedRanges,
    Parallel,
    Outlier,
    WholeNumbers,
}

const KINDS: [Kind; 17] = [
    Kind::Noise,
    Kind::CommonDirection,
    Kind::Cancelling,
    Kind::NearlyCancelling,
    Kind::Constant,
    Kind::ConstantInTwoGroups,
    Kind::Zero,
    Kind::Dead,
    Kind::Saturated,
    Kind::Denormal,
    Kind::Huge,
    Kind::Signs,
    Kind::OneHot,
    Kind::MixedRanges,
    Kind::Parallel,
    Kind::Outlier,
    Kind::WholeNumbers,
];

impl Kind {
    /// Gradients of m examples, `width` values each.
    fn gradients(self, m: usize, width: usize, random: &mut Random) -> Vec<Vec<f32>> {
        let mut rows: Vec<Vec<f32>> = (0..m).map(|_| random.values(width)).collect();
        let common = random.values(width);
        let each = |rows: &mut Vec<Vec<f32>>, of: &mut dyn FnMut(usize, usize, f32) -> f32| {
            for (example, row) in rows.iter_mut().enumerate() {
                row.iter_mut().enumerate().for_each(|(place, value)| *value = of(example, place, *value));
            }
        };
        match self {
            Kind::Noise => {}
            Kind::CommonDirection => each(&mut rows, &mut |_, place, value| 0.3 * value + common[place]),
            Kind::Cancelling => {
                for pair in rows.chunks_mut(2) {
                    match pair {
                        [one, other] => *other = one.iter().map(|value| -value).collect(),
                        alone => alone[0].fill(0.0),
                    }
                }
            }
            Kind::NearlyCancelling => {
                let sums: Vec<f32> = (0..width).map(|place| rows[1..].iter().map(|row| row[place]).sum()).collect();
                rows[0] = sums.iter().map(|sum| -sum).collect();
            }
            Kind::Constant => each(&mut rows, &mut |_, place, _| common[place]),
            Kind::ConstantInTwoGroups => {
                each(&mut rows, &mut |example, place, _| common[(place + example % 2) % width])
            }
            Kind::Zero => each(&mut rows, &mut |_, _, _| 0.0),
            Kind::Dead => each(&mut rows, &mut |example, place, value| match (example % 3, place % 2) {
                (0, _) | (_, 0) => 0.0,
                _ => value,
            }),
            Kind::Saturated => each(&mut rows, &mut |_, _, value| value * 1e-30),
            Kind::Denormal => each(&mut rows, &mut |_, _, value| value * 1e-42),
            Kind::Huge => each(&mut rows, &mut |_, _, value| value * 1e30),
            Kind::Signs => each(&mut rows, &mut |_, _, value| value.signum()),
            Kind::OneHot => each(&mut rows, &mut |example, place, _| f32::from(u8::from(example % width == place))),
            Kind::MixedRanges => each(&mut rows, &mut |_, place, value| value * [1e-42, 1e3][place % 2]),
            Kind::Parallel => each(&mut rows, &mut |example, place, _| common[place] * (example as f32 - 1.5)),
            Kind::Outlier => each(&mut rows, &mut |example, _, value| if example == 0 { value * 1e7 } else { value }),
            Kind::WholeNumbers => each(&mut rows, &mut |_, _, value| (3.0 * value).round()),
        }
        rows
    }
}

/// A study of another program.
struct Written {
    m: usize,
    sampled: Vec<u32>,
    population: Option<Vec<u32>>,
    self_terms: bool,
    parameters: Vec<Parameter>,
    coordinates: Vec<Coordinate>,
    classes: usize,
    steps: Vec<i64>,
    kind: Kind,
    is_mixed: bool,
    is_frozen: bool,
}

impl Written {
    fn new(random: &mut Random) -> Written {
        let m = *random.one_of(&[1, 2, 3, 4, 7, 8, 9, 16, 24, 40]);
        let some = |random: &mut Random| -> Vec<u32> {
            let percent = *random.one_of(&[10, 50, 100]);
            let mut ids: Vec<u32> = (0..m as u32).filter(|_| random.is(percent)).collect();
            ids.extend(ids.is_empty().then_some(0));
            ids
        };
        let shapes: [(&str, &[u64]); 5] = [
            ("embed.weight", &[4, 2]),
            ("head.weight", &[1, 3]),
            ("head.bias", &[2]),
            ("scale", &[]),
            ("blocks.0.attention.query.weight", &[2, 2]),
        ];
        let parameters = random.below(shapes.len()) + 1;
        let parameters: Vec<Parameter> =
            shapes[..parameters].iter().map(|(name, shape)| Parameter::new(name, shape, None)).collect();
        let percent = *random.one_of(&[30, 80, 100]);
        let mut coordinates: Vec<Coordinate> = places(&parameters).into_iter().filter(|_| random.is(percent)).collect();
        coordinates.extend(coordinates.is_empty().then_some(Coordinate { parameter: 0, index: 0 }));
        let mut step = *random.one_of(&[-1, -1, -1, 4]);
        let steps = (0..*random.one_of(&[1, 2, 5, 11, 14])).map(|_| {
            step += *random.one_of(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 6]);
            step
        });
        Written {
            steps: steps.collect(),
            sampled: some(random),
            population: random.is(40).then(|| some(random)),
            m,
            self_terms: random.is(60),
            parameters,
            coordinates,
            classes: *random.one_of(&[1, 2, 3, 10, 256]),
            kind: *random.one_of(&KINDS),
            is_mixed: random.is(30),
            is_frozen: random.is(15),
        }
    }

    fn description(&self, run: &str, conditions: Conditions) -> RunDescription {
        RunDescription {
            run: run.to_string(),
            conditions,
            task: Task { classes: Some(self.classes as u64).filter(|_| self.m != 7), ..Task::default() },
            steps: self.steps.last().map_or(0, |last| *last as u64 + 1),
            writer: "elsewhere 2.0".to_string(),
            train_examples: self.m,
            example_ids: self.sampled.clone(),
            population_ids: self.population.clone(),
            parameters: self.parameters.clone(),
            coordinates: self.coordinates.clone(),
        }
    }

    /// Records one run of it.
    fn write(&self, study: &Path, run: &str, conditions: Conditions, with_population: bool, random: &mut Random) {
        let mut writer = RunWriter::create(study, self.description(run, conditions)).expect("a run");
        let places = places(&self.parameters);
        let mut gradients = self.kind.gradients(self.m, places.len(), random);
        let (skips, diverges) = (random.is(20), random.is(10));
        for (at, &step) in self.steps.iter().enumerate() {
            let kind = if self.is_mixed && random.is(50) { *random.one_of(&KINDS) } else { self.kind };
            if !self.is_frozen {
                gradients = kind.gradients(self.m, places.len(), random);
            }
            if at > 0 && (skips && random.is(30) || diverges && at > self.steps.len() / 2) {
                writer.skip_step(step, "the loss is NaN").expect("skipped");
                continue;
            }
            let recorded = |id: &u32| {
                let of_example = &gradients[*id as usize];
                let place = |of: &Coordinate| places.iter().position(|place| place == of).expect("a place");
                self.coordinates.iter().map(|of| of_example[place(of)]).collect::<Vec<f32>>()
            };
            let values: Vec<f32> = self.sampled.iter().flat_map(recorded).collect();
            writer.write_gradients(step, &values).expect("gradients");
            if with_population && at % 2 == 0 {
                self.write_population(&mut writer, step, &gradients, &places);
            }
        }
        writer.finish(&self.columns(random), &self.metrics(random)).expect("a finished run");
    }

    fn write_population(&self, writer: &mut RunWriter, step: i64, gradients: &[Vec<f32>], places: &[Coordinate]) {
        let everyone: Vec<u32> = (0..self.m as u32).collect();
        let population = self.population.as_ref().unwrap_or(&everyone);
        let mut names: Vec<&str> = Vec::new();
        for parameter in &self.parameters {
            if !names.contains(&parameter.layer.as_str()) {
                names.push(&parameter.layer);
            }
        }
        let (mut contributions, mut self_terms, mut norms) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let is_of_layer = |place: &usize| self.parameters[places[*place].parameter as usize].layer == name;
            let layer: Vec<usize> = (0..places.len()).filter(is_of_layer).collect();
            let row = |id: &u32| layer.iter().map(|&place| f64::from(gradients[*id as usize][place])).collect();
            let rows: Vec<Vec<f64>> = population.iter().map(row).collect();
            let sum: Vec<f64> = (0..layer.len()).map(|place| rows.iter().map(|row| row[place]).sum()).collect();
            let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
            contributions.push(rows.iter().map(|row| dot(row, &sum)).collect::<Vec<f64>>());
            self_terms.push(rows.iter().map(|row| dot(row, row)).collect::<Vec<f64>>());
            norms.push(dot(&sum, &sum));
        }
        let layers = contributions.iter().zip(&self_terms).map(|(contributions, own)| PopulationLayer {
            contributions,
            self_terms: self.self_terms.then_some(own.as_slice()),
        });
        let layers: Vec<PopulationLayer<'_>> = layers.collect();
        let rows = PopulationRows { layers: &layers, gradient_norms_sq: &norms };
        writer.write_population(step, &rows).expect("a population");
    }

    fn columns(&self, random: &mut Random) -> Vec<(&'static str, ExampleColumn)> {
        let mut columns = Vec::new();
        let original: Vec<i64> = (0..self.m).map(|_| random.below(self.classes) as i64).collect();
        // Symmetric noise: another class, whatever becomes of their numbers.
        let noise = *random.one_of(&[0, 40, 100]);
        let noisy = |label: &i64| if random.is(noise) { (label + 1) % self.classes as i64 } else { *label };
        let labels: Vec<i64> = original.iter().map(noisy).collect();
        match random.below(5) {
            0 => {}
            1 => columns.push(("label", ExampleColumn::Integers(labels.iter().copied().map(Some).collect()))),
            2 => {
                let text = |label: &i64| Some(format!("class <{label}> & \u{e9}"));
                columns.push(("label", ExampleColumn::Texts(labels.iter().map(text).collect())));
            }
            _ => {
                let pristine = labels.iter().zip(&original).map(|(label, original)| Some(label == original));
                columns.push(("pristine", ExampleColumn::Booleans(pristine.collect())));
                columns.push(("label", ExampleColumn::Integers(labels.iter().copied().map(Some).collect())));
                columns.push(("original_label", ExampleColumn::Integers(original.iter().copied().map(Some).collect())));
            }
        }
        let tokens = (0..self.m).map(|id| (id % 5 > 0).then_some((id / 3) as f64));
        columns.push(("tokens", ExampleColumn::Numbers(tokens.collect())));
        if random.is(60) {
            let last = self.steps.len();
            let learned = (0..self.m).map(|_| random.is(70).then_some(self.steps[random.below(last)]));
            columns.push(("learned_step", ExampleColumn::Integers(learned.collect())));
        }
        columns
    }

    fn metrics(&self, random: &mut Random) -> Vec<Metric> {
        let mut metrics = Vec::new();
        let (is_evaluated, is_finite) = (random.is(70), random.is(70));
        for &step in self.steps.iter().filter(|step| is_evaluated && *step % 2 == 0) {
            let loss = match (is_finite, step) {
                (false, 2) => f64::INFINITY,
                (false, 4..) => f64::NAN,
                _ => f64::from(random.value().abs()),
            };
            let right = random.below(self.m + 1) as f64 / self.m as f64;
            for (split, metric, value) in [
                ("train", "loss", loss),
                ("train", "accuracy", right),
                ("test", "loss", loss),
                ("test", "accuracy", right),
                ("held out", "perplexity", 7.5),
            ] {
                let [split, group, metric] = [split, "all", metric].map(str::to_string);
                metrics.push(Metric { step, split, group, metric, value, examples: self.m as u64 });
            }
        }
        metrics
    }
}

/// Every value of every parameter.
fn places(parameters: &[Parameter]) -> Vec<Coordinate> {
    let of_parameter = |(parameter, of): (usize, &Parameter)| {
        (0..of.shape.iter().product()).map(move |index| Coordinate { parameter: parameter as u32, index })
    };
    parameters.iter().enumerate().flat_map(of_parameter).collect()
}

/// Gives the gradients and the population of a run to two workers, every second example to each.
fn split_over_workers(run: &Path) {
    for kind in ["gradients", "population"] {
        let directory = run.join(kind);
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        let parts: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        for part in parts.iter().filter(|part| part.to_string_lossy().contains("/part-")) {
            let batch = read(part);
            let ids = batch.column_by_name("example_id").expect("ids").as_primitive::<UInt32Type>();
            let mut distinct: Vec<u32> = ids.values().to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            if distinct.len() < 2 {
                continue;
            }
            for worker in 0..2 {
                let is_its =
                    |row: &u32| distinct.binary_search(&ids.value(*row as usize)).expect("an example") % 2 == worker;
                let rows: Vec<u32> = (0..batch.num_rows() as u32).filter(is_its).collect();
                let path = directory.join(format!("rank={worker}")).join(part.file_name().expect("a name"));
                fs::create_dir_all(path.parent().expect("a worker")).expect("created");
                write(&path, &take_record_batch(&batch, &UInt32Array::from(rows)).expect("rows"));
            }
            fs::remove_file(part).expect("removed");
        }
    }
    seal(run, |name| match name.split_once('/') {
        Some((kind, part)) if !run.join(name).exists() => {
            [0, 1].map(|worker| format!("{kind}/rank={worker}/{part}")).to_vec()
        }
        _ => vec![name.to_string()],
    });
}

/// What programs that copy folders leave: files of their own, and other line ends in texts.
fn copy_carelessly(study: &Path, random: &mut Random) {
    let (has_droppings, has_other_line_ends) = (random.is(70), random.is(70));
    for path in files_below(study) {
        let is_text = ["toml", "svg", "html", "json"].iter().any(|end| path.extension().is_some_and(|of| of == *end));
        if let (true, true, Ok(text)) = (has_other_line_ends, is_text, fs::read_to_string(&path)) {
            fs::write(&path, text.replace("\r\n", "\n").replace('\n', "\r\n")).expect("written");
        }
        if has_droppings {
            let droppings = [".DS_Store", "Thumbs.db", "desktop.ini", "._manifest.json"];
            fs::write(path.with_file_name(random.one_of(&droppings)), "left here").expect("written");
        }
    }
}

/// Analyses, reports and audits a study; what is wrong if anything is.
fn problems(study: &Path, options: &Options, sources: &Sources, copied: Option<&mut Random>) -> Vec<String> {
    let (analysis, report) = (study.join("analysis"), study.join("report"));
    if let Err(error) = analyze(study, None, options, &NoObserver) {
        return vec![format!("analyze: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))];
    }
    if let Err(error) = cograd_reports::report(&analysis, &report) {
        return vec![format!("report: {error}")];
    }
    if let Some(random) = copied {
        copy_carelessly(study, random);
    }
    match audit_with(study, &analysis, &report, sources) {
        Err(error) => vec![format!("audit: {error}")],
        Ok(audit) => {
            let failing = audit.claims.into_iter().filter(|claim| claim.verdict == Verdict::Fail);
            failing.map(|claim| format!("{}, {}: {}", claim.subject, claim.claim, claim.why)).collect()
        }
    }
}

/// The seeds of so many studies, or those of `COGRAD_ODD_STUDIES`, which is a number of them or `FIRST..END`.
fn seeds(count: u64) -> Range<u64> {
    let Ok(chosen) = std::env::var("COGRAD_ODD_STUDIES") else { return 0..count };
    let number = |text: &str| text.parse::<u64>().expect("a number, or one .. another");
    chosen.split_once("..").map_or_else(|| 0..number(&chosen), |(first, end)| number(first)..number(end))
}

/// Makes a study from each of so many seeds, two at once, and tells all that have problems.
fn judge(count: u64, of_seed: impl Fn(u64) -> (String, Vec<String>) + Sync) {
    let (seeds, next) = (seeds(count), AtomicU64::new(0));
    let problem = |seed: u64| match catch_unwind(AssertUnwindSafe(|| of_seed(seed))) {
        Err(_) => Some(format!("study {seed}: panicked")),
        Ok((_, problems)) if problems.is_empty() => None,
        Ok((about, problems)) => Some(format!("study {seed}, {about}:\n    {}", problems.join("\n    "))),
    };
    let take = || seeds.clone().nth(next.fetch_add(1, Ordering::Relaxed) as usize);
    let work = || std::iter::from_fn(take).filter_map(problem).collect::<Vec<String>>();
    let wrong = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(work)).map(|worker| worker.join().expect("panics are caught")).concat()
    });
    let studies = seeds.end - seeds.start;
    assert!(wrong.is_empty(), "{} of {studies}; COGRAD_ODD_STUDIES=N..M tries some\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn odd_studies_of_other_programs_are_analysed_and_nobody_is_accused() {
    judge(WRITTEN, |seed| {
        let directory = tempfile::tempdir().expect("a directory");
        let study = directory.path();
        let mut random = Random::new(seed);
        let written = Written::new(&mut random);
        let (runs, with_population) = (*random.one_of(&[1, 1, 2, 3]), random.is(60));
        let (has_seed, is_labelled) = (random.is(70), random.is(50));
        for run in 0..runs {
            let seed = has_seed.then_some(run as u64 * (u64::MAX / 2));
            let conditions = match (is_labelled, has_seed) {
                (true, true) => Conditions::new(seed).with("rule", "sgd").with("noise", 0.4),
                (false, true) => Conditions::new(seed).with("opt.imizer", "adam <&>").with("width", 1e300),
                _ => Conditions::new(None).with("augmented", run == 0).with("width", i64::from(run)),
            };
            written.write(study, &format!("run-{run}"), conditions, with_population, &mut random);
        }
        if random.is(25) {
            (0..runs).for_each(|run| split_over_workers(&study.join("runs").join(format!("run-{run}"))));
        }
        let group_by = match random.below(6) {
            0 => Some(GroupBy::All),
            // The first example has none.
            1 if written.m > 1 => Some(GroupBy::Quantiles("tokens".to_string(), 2 + random.below(3))),
            _ => None,
        };
        let options = Options {
            null_worlds: *random.one_of(&[39, 39, 0]),
            halves: *random.one_of(&[40, 40, 5, 0]),
            group_by,
            ..Options::default()
        };
        let Written { m, sampled, classes, kind, is_mixed, is_frozen, .. } = &written;
        let about =
            format!("{kind:?}, mixed {is_mixed}, frozen {is_frozen}, m {m}, n {}, {classes} classes", sampled.len());
        let is_copied = random.is(30);
        (about, problems(study, &options, &Sources::default(), is_copied.then_some(&mut random)))
    });
}

/// Writes one IDX file of bytes.
fn write_idx(path: &Path, sizes: &[u32], bytes: &[u8]) {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(bytes);
    fs::write(path, file).expect("written");
}

/// Writes a data set, and returns the sizes of the training set and of an image.
fn write_data(directory: &Path, random: &mut Random) -> (usize, usize) {
    let train = *random.one_of(&[2, 3, 9, 20, 60]);
    let pixels = *random.one_of(&[1, 2, 6]);
    let classes = *random.one_of(&[1, 2, 10, 256]);
    let images = *random.one_of(&["random", "black", "grey", "two values", "white"]);
    for (name, count) in [("train", train), ("t10k", *random.one_of(&[1, 7]))] {
        let pixel = |random: &mut Random| match images {
            "random" => random.below(256) as u8,
            "black" => 0,
            "grey" => 77,
            "white" => 255,
            _ => 255 * random.below(2) as u8,
        };
        let bytes: Vec<u8> = (0..count * pixels).map(|_| pixel(random)).collect();
        write_idx(&directory.join(format!("{name}-images-idx3-ubyte")), &[count as u32, 1, pixels as u32], &bytes);
        let labels: Vec<u8> = (0..count).map(|_| random.below(classes) as u8).collect();
        write_idx(&directory.join(format!("{name}-labels-idx1-ubyte")), &[count as u32], &labels);
    }
    (train, pixels)
}

#[test]
fn odd_studies_of_the_recorder_are_those_of_their_data_and_of_their_recording() {
    judge(RECORDED, |seed| {
        let directory = tempfile::tempdir().expect("a directory");
        let (study, data) = (directory.path().join("study"), directory.path().join("data"));
        fs::create_dir(&data).expect("created");
        let mut random = Random::new(seed);
        let (train, pixels) = write_data(&data, &mut random);
        let hidden = *random.one_of(&["[]", "[1]", "[5]", "[3, 2]"]);
        let smallest = if hidden == "[]" { 2 * pixels } else { 1 };
        let text = format!(
            "name = 'odd'\n\
             [data]\nsource = 'idx'\ndirectory = '{}'\nclasses = 256\n\
             [network]\nhidden = {hidden}\n\
             [training]\nlearning_rate = {}\nbatch = {}\nsteps = {}\n\
             [grid]\nnoise = {}\nseeds = {}\nrules = [{}]\n\
             [sample]\nexamples = {}\nweights_per_layer = {}\n\
             [schedule.gradients]\nevery_step_until = {}\nper_decade = 5\n\
             [schedule.evaluations]\nevery_step_until = 3\nper_decade = 3\n\
             [schedule.snapshots]\nevery_step_until = {}\nper_decade = 2\n{}",
            data.display(),
            random.one_of(&["0.1", "1e-30", "3.0", "1e4"]),
            random.one_of(&["1", "2", "'full'"]),
            random.one_of(&[1, 2, 12, 20]),
            random.one_of(&["[0.0]", "[0.5]", "[1.0]", "[0.0, 0.3]"]),
            random.one_of(&["[1]", "[0, 9223372036854775807]"]),
            random.one_of(&[
                "{ name = 'sgd' }",
                "{ name = 'winsorized', percent = 20 }",
                "{ name = 'median-of-means', groups = 1 }",
                "{ name = 'rolling-median' }",
                "{ name = 'norm-clipped', norm = 1e-30 }",
                "{ name = 'norm-clipped', norm = 0.5, noise = 1.0 }",
            ]),
            random.one_of(&[1, 2, train]),
            random.one_of(&[1, smallest]),
            random.one_of(&[0, 5, 12]),
            random.one_of(&[0, 2]),
            random.one_of(&["", "[schedule.population]\nevery_step_until = 3\nper_decade = 2\n"]),
        );
        let experiment = match Experiment::parse(&text, "odd.toml") {
            Ok(experiment) => experiment,
            Err(error) => return (text, vec![format!("experiment: {error}")]),
        };
        match record(&experiment, &study, &Silent) {
            Ok(_) => {}
            // Of what diverged there is nothing to analyse, unless another run came to its end.
            Err(RecordError::Diverged { .. } | RecordError::NotFinite { .. }) => {
                let runs =
                    fs::read_dir(study.join("runs")).expect("runs").map(|entry| entry.expect("an entry").file_name());
                if runs.into_iter().all(|name| name.to_string_lossy().starts_with('.')) {
                    return (text, Vec::new());
                }
            }
            Err(error) => return (text, vec![format!("record: {error}")]),
        }
        let options = Options { null_worlds: 39, halves: 40, ..Options::default() };
        let is_copied = random.is(30);
        let sources = Sources { data: Some(data), replay: true };
        let problems = problems(&study, &options, &sources, is_copied.then_some(&mut random));
        (text, problems)
    });
}
