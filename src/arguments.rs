//! The command line as it is typed: one struct a command, its help and its example beside its flags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use cograd_analysis::{ExampleSelection, Shard, Span};
use cograd_fetch::{SOURCES, Source};
use cograd_recorder::Selection;

/// The statistics of per-example gradients: record once, analyse many times.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = "Example:\n  cograd demo")]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,

    /// Print errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Threads to work with [default: one a core]; no result depends on it
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
}

#[derive(Subcommand)]
pub enum Command {
    Demo(Demo),
    Init(Init),
    Record(Record),
    Analyze(Analyze),
    Report(Report),
    Compare(Compare),
    Export(Export),
    Inspect(Inspect),
    Audit(Audit),
    Watch(Watch),
    Data(Data),
    Import(Import),
    Completions(Completions),
}

/// Record, analyse and report the embedded handwritten digits, in under a minute
///
/// Two studies: label noise at five levels, and winsorized SGD at two levels of noise and three of winsorization.
#[derive(Args)]
#[command(after_help = "Example:\n  cograd demo --out studies/demo")]
pub struct Demo {
    /// Directory of the study of label noise; that of winsorized SGD is beside it, STUDY-winsorize
    #[arg(long, value_name = "STUDY", default_value = "studies/demo")]
    pub out: PathBuf,
}

/// Write a commented experiment to begin with
///
/// Beside it goes the schema of experiments, by which editors complete and check its keys. A file that is there is never overwritten.
#[derive(Args)]
#[command(after_help = "Example:\n  cograd init experiment.toml")]
pub struct Init {
    /// The file to write
    #[arg(default_value = "experiment.toml")]
    pub file: PathBuf,
}

/// Train the networks of an experiment and record their per-example gradients
///
/// Run again on the same directory it continues where it stopped: interrupted runs from their last checkpoint, and finished
/// runs are left alone. Ctrl-C stops it between two steps (docs/recording.md).
#[derive(Args)]
#[command(after_help = "Example:\n  cograd record experiments/label-noise-small.toml --out studies/label-noise-small")]
pub struct Record {
    /// The experiment, a TOML file (docs/experiments.md)
    pub experiment: PathBuf,

    /// Directory of the study [default: studies/NAME, NAME being the experiment's]
    #[arg(long, value_name = "STUDY")]
    pub out: Option<PathBuf>,

    /// Directory of the IDX files, in place of the experiment's `data.directory`
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,

    /// Record only the runs that meet all of these conditions on noise, rule, seed and run (its name); may be repeated for further runs
    #[arg(long, value_name = "noise=0.25,rule=sgd,seed=1")]
    pub only: Vec<Selection>,
}

/// Compute every statistic of a recorded study
#[derive(Args)]
#[command(
    after_help = "Example:\n  cograd analyze studies/demo --null-worlds 10000\n  cograd analyze studies/demo --group-by label --steps 0..100 --out by-label\n  cograd analyze studies/demo --statistics shares,cumulative --out shares\n  cograd analyze studies/demo --shard 1/2 --out part-1; cograd analyze studies/demo --shard 2/2 --out part-2\n  cograd analyze studies/demo --from part-1 part-2\n  cograd analyze --statistics list"
)]
pub struct Analyze {
    /// Directory of the study
    #[arg(required_unless_present = "statistics")]
    pub study: Option<PathBuf>,

    /// Directory of the results [default: STUDY/analysis], or of the shard
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,

    /// Analyse only shard K of N, a part of the steps, on this machine, and write what is found to --out for --from; a shard that
    /// is there already is not made again
    #[arg(long, value_name = "K/N", requires = "out", conflicts_with = "from")]
    pub shard: Option<Shard>,

    /// Put the analysis together from the directories of all its shards, made with the same options
    #[arg(long, value_name = "PART", num_args = 1..)]
    pub from: Vec<PathBuf>,

    /// Compute only these statistics, and read no more than they need; `list` prints all, a line each [default: all]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub statistics: Option<Vec<String>>,

    /// Random permutations of the examples over the groups; the smallest p-value is 1 / (N + 1)
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub null_worlds: u32,

    /// Seed of the null worlds and of the halves
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Random halves of the sample for 95 % intervals, of which at least 39 are needed; 0: no intervals
    #[arg(long, alias = "bootstrap", value_name = "N", default_value_t = 199)]
    pub halves: u32,

    /// What shares, cumulative contributions and tests are grouped by: a column of examples.parquet (pristine, label, …), COLUMN:K
    /// for K quantiles of its numbers, learned (early or late), all (one group), or a Parquet or CSV file with columns
    /// example_id and group, given with its ending or as a path [default: pristine; without label noise label, if there are
    /// at most 20]
    #[arg(long, value_name = "GROUPS")]
    pub group_by: Option<OsString>,

    /// Analyse these steps only: A..B (without B), A..=B, A.. or ..B
    #[arg(long, value_name = "A..B")]
    pub steps: Option<Span>,

    /// Analyse the layers with these names only; `*` stands for any text, as in 'blocks.*.attention.*'
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub layers: Option<Vec<String>>,

    /// Analyse only those sampled examples with these ids, A..B, or in column example_id of a Parquet or CSV file
    #[arg(long, value_name = "A..B|FILE", value_parser = OsStringValueParser::new().try_map(examples))]
    pub examples: Option<ExampleSelection>,

    /// Print what was written, and the summary of the results, as JSON
    #[arg(long)]
    pub json: bool,
}

impl Analyze {
    /// The analysis of a study with every default.
    pub fn with_defaults(study: &Path) -> Analyze {
        Analyze {
            study: Some(study.to_path_buf()),
            out: None,
            shard: None,
            from: Vec::new(),
            null_worlds: 1000,
            seed: 0,
            halves: 199,
            group_by: None,
            steps: None,
            layers: None,
            statistics: None,
            examples: None,
            json: false,
        }
    }
}

/// Draw the figures and write the page from the results of `analyze`
#[derive(Args)]
#[command(after_help = "Example:\n  cograd report studies/demo")]
pub struct Report {
    #[command(flatten)]
    pub results: Results,

    /// Directory of the figures and the page [default: STUDY/report, or beside the results that --analysis names; STUDY/figures
    /// where the page is left out]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,

    /// Open the page in a browser
    #[arg(long)]
    pub open: bool,

    #[command(flatten)]
    pub figures: Figures,
}

/// Figures for a paper: with any of these there is no page
#[derive(Args, Default)]
#[command(next_help_heading = "Figures alone, without the page")]
pub struct Figures {
    /// A figure, by the name of its file without ending; may be repeated [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub figure: Vec<String>,

    /// A format of the figures; may be repeated [default: svg]
    #[arg(long, value_name = "FORMAT", value_delimiter = ',')]
    pub format: Vec<FigureFormat>,

    /// Width of each figure, in in, cm, mm or pt, as 3.25in: panels that do not fit side by side stand one below the other
    #[arg(long, value_name = "LENGTH", value_parser = figure_width)]
    pub width: Option<f64>,

    /// Size of the figures' text, as 8pt [default: 8.5pt]
    #[arg(long, value_name = "LENGTH", value_parser = font_size)]
    pub font_size: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub enum FigureFormat {
    /// Vector graphics for browsers and editors
    Svg,
    /// Vector graphics with their fonts, for LaTeX
    Pdf,
    /// 300 pixels an inch
    Png,
}

fn figure_width(text: &str) -> Result<f64, String> {
    length(text, 72.0..=2880.0, "1in to 40in, as 3.25in")
}

fn font_size(text: &str) -> Result<f64, String> {
    length(text, 4.0..=40.0, "4pt to 40pt, as 8pt")
}

/// A length on paper in points, 72 an inch.
fn length(text: &str, range: std::ops::RangeInclusive<f64>, allowed: &str) -> Result<f64, String> {
    let units = [("in", 72.0), ("cm", 72.0 / 2.54), ("mm", 7.2 / 2.54), ("pt", 1.0)];
    let in_unit = |(unit, points): (&str, f64)| Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * points);
    let points = units.into_iter().find_map(in_unit).filter(|points| range.contains(points));
    points.ok_or_else(|| format!("give {allowed}; units: in, cm, mm, pt"))
}

/// Results of a study
#[derive(Args)]
pub struct Results {
    /// Directory of the study, or of results
    pub study: PathBuf,

    /// Directory of the results [default: STUDY/analysis]
    #[arg(long, value_name = "DIRECTORY")]
    pub analysis: Option<PathBuf>,
}

impl Results {
    /// Those of a study as analysed by default.
    pub fn usual(study: &Path) -> Results {
        Results { study: study.to_path_buf(), analysis: None }
    }

    /// Their directory.
    ///
    /// # Errors
    /// There is no such study.
    pub fn directory(&self) -> anyhow::Result<PathBuf> {
        existing(&self.study)?;
        Ok(self.analysis.clone().unwrap_or_else(|| cograd_results::results_in(&self.study)))
    }

    /// Where something made of them is: in the study, or beside other results of it, which must not replace it.
    pub fn made(&self, what: &str) -> PathBuf {
        match &self.analysis {
            Some(analysis) if *analysis != self.study.join("analysis") => {
                let mut name = analysis.file_name().unwrap_or_default().to_os_string();
                name.push(format!("-{what}"));
                analysis.with_file_name(name)
            }
            _ => self.study.join(what),
        }
    }
}

/// Lay any curves of several analysed studies over each other and test where they differ
///
/// Conditions are matched by label noise, and by whatever else varies within a study. With two seeds or more on both sides
/// Welch's t test compares the studies at every step they have in common, and over the mean of those steps.
#[derive(Args)]
#[command(after_help = "Example:\n  cograd compare studies/one studies/other --curve test_accuracy --curve alpha")]
pub struct Compare {
    /// Directories of the studies, or of results
    #[arg(required = true, num_args = 2.., value_name = "STUDY")]
    pub studies: Vec<PathBuf>,

    /// A curve to compare, of all layers and groups it has; may be repeated [default: the usual ones of all layers together]
    #[arg(long, value_name = "NAME")]
    pub curve: Vec<String>,

    /// An estimator to compare, paper, population or exact; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub estimator: Vec<String>,

    /// Directory of the tables, the figures and the page
    #[arg(long, value_name = "DIRECTORY", default_value = "comparison")]
    pub out: PathBuf,

    /// Print what was written, and the tests of means over the steps, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Write the results of `analyze`, or of `compare`, in other formats
#[derive(Args)]
#[command(
    after_help = "Example:\n  cograd export studies/demo --format json --table tests --table shares\n  cograd export studies/demo --format tex --out paper/tables\n  cograd export studies/demo --format tensorboard --out runs"
)]
pub struct Export {
    #[command(flatten)]
    pub results: Results,

    /// A format; may be repeated
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: Vec<ExportFormat>,

    /// A table, by the name of its file without `.parquet`; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub table: Vec<String>,

    /// Directory of the files [default: STUDY/export, or beside the results that --analysis names]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values
    Csv,
    /// An array of one object a row
    Json,
    /// LaTeX tables with booktabs, of the rows that are of no single step
    Tex,
    /// Vega-Lite charts of the tables of curves, with their data
    VegaLite,
    /// TensorBoard event files of every curve, a directory a run
    Tensorboard,
}

/// Tell what a study holds: runs, steps, sizes, columns
#[derive(Args)]
#[command(after_help = "Example:\n  cograd inspect studies/demo --verify")]
pub struct Inspect {
    /// Directory of the study
    pub study: PathBuf,

    /// Also read every file and compare it with its SHA-256
    #[arg(long)]
    pub verify: bool,

    /// Print the manifest of every run as JSON
    #[arg(long)]
    pub json: bool,
}

/// Recompute every published number of a study from its raw trace, and check everything it claims
///
/// Needs nothing but the study's directory. Prints a table of claims, each with pass, FAIL or not checkable and why; the
/// exit code is 1 if a claim fails (docs/audit.md).
#[derive(Args)]
#[command(after_help = "Example:\n  cograd audit studies/demo")]
pub struct Audit {
    #[command(flatten)]
    pub results: Results,

    /// Directory of the figures and the page [default: STUDY/report, or beside the results that --analysis names]
    #[arg(long, value_name = "DIRECTORY")]
    pub report: Option<PathBuf>,

    /// Directory of the data set, to recompute what the trace says of every example at every snapshot; of the digits any directory
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,

    /// Record every run again from study.toml and compare it byte by byte
    #[arg(long)]
    pub replay: bool,

    /// Print every claim, not only those that do not pass
    #[arg(long)]
    pub all: bool,

    /// Print every claim as JSON
    #[arg(long, conflicts_with = "all")]
    pub json: bool,
}

/// Show on a page of this machine what a study holds while it is recorded
///
/// The page is the report of what every run had recorded at its last checkpoint. It is marked as unfinished, loads itself again
/// when there is more, and is served to this machine only. Nothing in the study is changed; nothing is kept.
#[derive(Args)]
#[command(after_help = "Example:\n  cograd watch studies/label-noise-small --port 8000")]
pub struct Watch {
    /// Directory of the study
    pub study: PathBuf,

    /// Port of the page on 127.0.0.1; 0: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
}

/// Public data sets: list them, download one
///
/// Every file is compared with its SHA-256 before it is used. Downloads are part of a cograd that is built with `--features fetch`;
/// another one checks files that are there, and prints how to download them.
#[derive(Args)]
#[command(after_help = "Example:\n  cograd data list\n  cograd data fetch mnist --out data/mnist")]
pub struct Data {
    #[command(subcommand)]
    pub action: DataAction,
}

#[derive(Subcommand)]
pub enum DataAction {
    /// Print every data set with its size and licence
    List,
    Fetch(Fetch),
}

/// Download a data set
///
/// Files that are there already, and right, are not downloaded again. No file is overwritten.
#[derive(Args)]
#[command(after_help = "Example:\n  cograd data fetch mnist --out data/mnist")]
pub struct Fetch {
    /// The data set
    #[arg(value_name = "NAME", value_parser = data_sets().try_map(data_set))]
    pub source: &'static Source,

    /// Directory of its files [default: data/NAME]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,

    /// Address of a mirror, in place of scheme and host of the data set's own: `http://mirror.example/data` has
    /// `http://mirror.example/data/cvdf-datasets/mnist/train-images-idx3-ubyte.gz`
    #[arg(long, value_name = "URL", env = "COGRAD_MIRROR")]
    pub mirror: Option<String>,
}

/// Make a run of what another program stored
///
/// bergson: gradient stores that `bergson build` made of several checkpoints of one training, a directory each. The importers are part of
/// the Python package, which must be installed.
#[derive(Args)]
#[command(
    after_help = "Example:\n  cograd import bergson stores/checkpoint-0 stores/checkpoint-1000 --out studies/mine"
)]
pub struct Import {
    #[command(subcommand)]
    pub kind: Stored,
}

#[derive(Subcommand)]
pub enum Stored {
    /// Gradient stores of `bergson build`; `--help` lists the options
    #[command(disable_help_flag = true)]
    Bergson {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Print the completion script of a shell
#[derive(Args)]
#[command(after_help = "Example:\n  cograd completions bash > ~/.local/share/bash-completion/completions/cograd")]
pub struct Completions {
    pub shell: Shell,
}

/// The directory of a study, if there is one.
///
/// # Errors
/// There is no such directory.
pub fn existing(study: &Path) -> anyhow::Result<&Path> {
    match study.is_dir() {
        true => Ok(study),
        false => anyhow::bail!("{} does not exist; name the directory of a study", study.display()),
    }
}

/// A span or a path, which may be any.
fn examples(text: OsString) -> Result<ExampleSelection, String> {
    text.to_str().map_or_else(|| Ok(ExampleSelection::File(text.clone().into())), str::parse)
}

fn data_sets() -> PossibleValuesParser {
    PossibleValuesParser::new(SOURCES.iter().map(|source| PossibleValue::new(source.name).help(source.about)))
}

fn data_set(name: String) -> Result<&'static Source, &'static str> {
    SOURCES.iter().find(|source| source.name == name).ok_or("there is no such data set")
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("a whole number from 1 to 1024 is expected".into()),
    }
}
