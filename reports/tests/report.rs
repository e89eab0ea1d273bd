//! What a reader of a report sees, from made-up results.

mod synthetic;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use cograd_reports::{FigureOptions, Format, ReportError, draw_figures, report, report_comparison};
use cograd_results::summary::Statistic;
use serde_json::json;
use synthetic::{Built, Study, noise, rules};
use tempfile::TempDir;

/// Of every study with gradients and groups.
const FIGURES: [&str; 8] = [
    "contributions-null-band.svg",
    "contributions.svg",
    "cross-terms.svg",
    "learning-groups.svg",
    "learning.svg",
    "overview.svg",
    "shares-null-band.svg",
    "shares.svg",
];

/// Of studies with a record of the population.
const POPULATION_FIGURES: [&str; 5] = [
    "contributions-population-null-band.svg",
    "contributions-population.svg",
    "population.svg",
    "shares-population-null-band.svg",
    "shares-population.svg",
];

/// Of the statistics of the made-up results.
const COHERENCE_FIGURES: [&str; 9] = [
    "coherence-class-stiffness-cosine-pairs.svg",
    "coherence-confusion.svg",
    "coherence-m-coherence.svg",
    "coherence-noise-scale.svg",
    "coherence-same-sign.svg",
    "coherence-stiffness-classes.svg",
    "coherence-stiffness-cosine-groups.svg",
    "coherence-stiffness-cosine.svg",
    "coherence-stiffness-sign.svg",
];

/// A directory with `analysis` and, after a report, `report`.
fn reported(study: &Study) -> TempDir {
    let directory = analysed(study);
    report_of(&directory);
    directory
}

fn analysed(study: &Study) -> TempDir {
    written(synthetic::build(study))
}

fn written(built: Built) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    built.write(&directory.path().join("analysis"));
    directory
}

fn report_of(directory: &TempDir) {
    report(&directory.path().join("analysis"), &directory.path().join("report")).unwrap();
}

fn read(directory: &TempDir, file: &str) -> String {
    fs::read_to_string(directory.path().join("report").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn failure(directory: &TempDir) -> ReportError {
    let out = directory.path().join("report");
    let error = report(&directory.path().join("analysis"), &out).unwrap_err();
    assert!(!out.join("index.html").exists());
    error
}

/// The names of the figures in a report, sorted.
fn figures(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path().join("report")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut figures: Vec<String> = names.filter(|name| name.ends_with(".svg")).collect();
    figures.sort();
    figures
}

/// Checks every figure of a report.
fn assert_drawn(directory: &TempDir) {
    for file in figures(directory) {
        let svg = read(directory, &file);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{file}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{file}");
        assert!(svg.matches("<path").count() > 1, "{file} is empty");
        assert!(svg.len() < 900_000, "{file}: {} bytes", svg.len());
    }
    let page = read(directory, "index.html");
    assert!(!page.contains("undefined") && !page.contains("NaN"));
}

fn has_text(svg: &str, text: &str) -> bool {
    svg.contains(&format!(">{text}<"))
}

/// Whether every word stands in a figure, whose headings are broken into lines.
fn has_words(svg: &str, words: &str) -> bool {
    words.split(' ').all(|word| svg.contains(word))
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_figure_and_the_page_are_written_and_nothing_else() {
    let directory = analysed(&Study::default());
    let out = directory.path().join("report");
    let written = report(&directory.path().join("analysis"), &out).unwrap();
    assert_eq!(figures(&directory), FIGURES);
    assert_drawn(&directory);
    // And the marker of the command.
    assert_eq!(fs::read_dir(&out).unwrap().count(), written.len() + 1);
    let names = written.iter().rev().map(|path| path.file_name().unwrap().to_str().unwrap());
    assert_eq!(names.take(2).collect::<Vec<_>>(), ["manifest.json", "index.html"]);
}

#[test]
fn figures_alone_have_the_width_and_the_formats_asked_for() {
    let directory = analysed(&Study::default());
    let out = directory.path().join("figures");
    let formats = vec![Format::Svg, Format::Pdf, Format::Png];
    let figures = vec!["shares-null-band".to_owned()];
    let options = FigureOptions { figures, formats, width: Some(234.0), font_size: 8.0 };
    let written = draw_figures(&directory.path().join("analysis"), &out, &options).unwrap();
    let names: Vec<&str> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let endings = ["svg", "pdf", "png", "csv"].map(|ending| format!("shares-null-band.{ending}"));
    assert_eq!(names, [&endings.each_ref().map(String::as_str)[..], &["manifest.json"]].concat());
    let content = |name: &str| fs::read(out.join(name)).unwrap();
    let svg = String::from_utf8(content("shares-null-band.svg")).unwrap();
    assert!(svg.contains("width=\"234pt\"") && has_text(&svg, "label noise ε = 0.75"), "{svg}");
    let pdf = content("shares-null-band.pdf");
    let has = |part: &str| pdf.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(pdf.starts_with(b"%PDF-1.7") && has("/MediaBox [0 0 234 ") && has("/FontFile2") && has("/ToUnicode"));
    let png = content("shares-null-band.png");
    assert!(png.starts_with(b"\x89PNG") && (975..=976).contains(&u32::from_be_bytes(png[16..20].try_into().unwrap())));
    let csv = String::from_utf8(content("shares-null-band.csv")).unwrap();
    assert!(csv.starts_with("panel,row,axis,series,step,value,lower,upper\nlabel noise ε = 0.25,"), "{csv}");
    assert!(csv.contains(",null worlds,0,") && csv.contains(",\"α, pristine\",0,"), "{csv}");
}

#[test]
fn a_figure_that_there_is_not_is_answered_with_those_there_are() {
    let directory = analysed(&Study::default());
    let options = FigureOptions { figures: vec!["figure-1".to_owned()], ..FigureOptions::default() };
    let out = directory.path().join("figures");
    let error = draw_figures(&directory.path().join("analysis"), &out, &options).unwrap_err().to_string();
    assert!(error.contains("no figure figure-1") && error.contains("shares-null-band"), "{error}");
    assert!(!out.join("manifest.json").exists());
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let study = Study { seeds: vec![1, 2], ..Study::whole() };
    let (first, second) = (reported(&study), reported(&study));
    for file in figures(&first).iter().map(String::as_str).chain(["index.html", "manifest.json"]) {
        assert_eq!(read(&first, file), read(&second, file), "{file}");
    }
}

#[test]
fn the_page_needs_no_network_and_its_links_lead_somewhere() {
    let directory = reported(&Study::whole());
    let page = read(&directory, "index.html");
    let without_namespace = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for reference in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        assert!(!without_namespace.contains(reference), "{reference}");
    }
    let values = |attribute: &str| -> Vec<String> {
        let before = format!(" {attribute}=\"");
        let parts = page.split(&before).skip(1);
        parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
    };
    let named = values("id");
    assert_eq!(named.iter().collect::<std::collections::BTreeSet<_>>().len(), named.len(), "{named:?}");
    for link in values("href") {
        let is_beside = directory.path().join("report").join(&link).is_file();
        assert!(link.strip_prefix('#').is_some_and(|id| named.iter().any(|name| name == id)) || is_beside, "{link}");
    }
}

#[test]
fn the_page_states_each_measured_number() {
    let page = read(&reported(&Study::default()), "index.html");
    let measured = [
        // Proper and final accuracies, losses.
        "77.5\u{a0}%",
        "98.8\u{a0}%",
        "87.6\u{a0}%",
        "0.0123",
        "1.23",
        // Group size, crossover.
        "0.775",
        "0.312",
        // p at the floor and above it, with intervals; D after ten steps.
        "≤\u{a0}0.001",
        "[0.00070,\u{a0}0.0014]",
        "0.028",
        "[0.020,\u{a0}0.039]",
        // Sizes and names.
        "6\u{202f}000",
        "1\u{202f}500",
        "118\u{a0}MiB",
        "64–512–10",
        "The loss of an example: cross-entropy.",
        "5 runs. Label noise ε: 0, 0.25, 0.5, 0.75, 1; rule: sgd; network: 64–512–10; seed 1.",
    ];
    for number in measured {
        assert!(page.contains(number), "{number}");
    }
}

#[test]
fn predictions_are_sentences_made_of_their_numbers() {
    let page = read(&reported(&Study::default()), "index.html");
    for text in [
        "1 holds<",
        "1 fails<",
        "1 not checkable<",
        "<tr class=\"fails\">",
        "More noise, slower learning",
        "Half of the initial training loss is reached at step 90 (ε\u{a0}=\u{a0}0.25), 1\u{202f}410 (ε\u{a0}=\u{a0}0.5), never (ε\u{a0}=\u{a0}1).",
        "α at step 0 against the group size: 0.930 against 0.775 (ε\u{a0}=\u{a0}0.25), 0.600 against 0.550 (ε\u{a0}=\u{a0}0.5).",
        "The crossover statistic: 0.312 (ε\u{a0}=\u{a0}0.25, p\u{a0}≤\u{a0}0.001), −0.250 (ε\u{a0}=\u{a0}0.5, p\u{a0}=\u{a0}0.20, fails).",
        "Runs differ in optimizer, too.",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn without_predictions_there_is_no_section_of_them() {
    let page = read(&reported(&Study::without_noise()), "index.html");
    assert!(!page.contains("Predictions of the paper") && !page.contains("The paper’s predictions"));
}

#[test]
fn names_are_escaped_in_the_page() {
    let page = read(&reported(&Study::default()), "index.html");
    assert!(page.contains("demo &lt;&amp;&gt;") && !page.contains("demo <&>"));
}

#[test]
fn the_page_gives_the_provenance() {
    let page = read(&reported(&Study::default()), "index.html");
    for text in [
        "cd34".repeat(16),
        "ab12".repeat(16),
        "cograd 0.1.0".into(),
        "cograd-recorder 0.1.0".into(),
        "noise-0.25_sgd_seed-1".into(),
    ] {
        assert!(page.contains(&text), "{text}");
    }
}

#[test]
fn p_values_are_written_over_the_panels_as_bounds_at_the_floor() {
    let directory = reported(&Study::default());
    let svg = read(&directory, "shares-null-band.svg");
    assert!(has_text(&svg, "crossover p ≤ 0.001") && has_text(&svg, "simultaneous p = 0.028"), "{svg}");
    assert!(has_text(&read(&directory, "contributions-null-band.svg"), "D₁₀ p ≤ 0.001"));
}

#[test]
fn shares_of_pristine_and_corrupt_examples_are_alpha_and_beta() {
    let directory = reported(&Study::default());
    let svg = read(&directory, "shares.svg");
    for text in ["α, pristine", "β, corrupt", "null world 3", "group sizes"] {
        assert!(has_text(&svg, text), "{text}");
    }
    assert!(has_words(&svg, "label noise ε = 0.25"));
    assert!(read(&directory, "index.html").contains("<th scope=\"col\">α first</th>"));
    assert!(has_text(&read(&directory, "contributions.svg"), "mean corrupt example"));
}

#[test]
fn a_condition_with_a_single_group_is_left_out_of_the_shares_and_nothing_is_drawn_empty() {
    let directory = reported(&Study::default());
    let svg = read(&directory, "shares.svg");
    let headings = ["ε = 0.25", "ε = 0.5", "ε = 0.75", "ε = 1"].map(|text| format!("label noise {text}"));
    assert!(headings.iter().all(|heading| has_text(&svg, heading)) && svg.matches("ε = ").count() == headings.len());
    assert!(!svg.contains("ε = 0<"), "without noise all examples are pristine");
    let single = reported(&Study { conditions: noise(&[0.0]), ..Study::default() });
    assert_eq!(figures(&single), ["contributions.svg", "learning-groups.svg", "learning.svg", "overview.svg"]);
    assert_drawn(&single);
}

#[test]
fn a_study_without_gradients_has_its_curves_only() {
    let directory = reported(&Study { gradients: false, ..Study::winsorized() });
    let drawn = figures(&directory);
    assert!(
        drawn
            .iter()
            .all(|name| ["overview", "learning", "winsorization", "matched"].iter().any(|kind| name.starts_with(kind)))
    );
    assert_drawn(&directory);
}

#[test]
fn unusual_studies_are_drawn() {
    let nine: Vec<f64> = (1..=9).map(|tenths| f64::from(tenths) / 10.0).collect();
    let studies = [
        Study { conditions: noise(&[0.5]), ..Study::default() },
        Study { conditions: noise(&[0.25, 0.5]), seeds: vec![1, 2, 3], ..Study::default() },
        Study { conditions: noise(&nine), ..Study::default() },
        Study { steps: 1, contiguous: 1, ..Study::default() },
        Study { steps: 7, contiguous: 7, ..Study::default() },
        Study { steps: 100_000, contiguous: 0, ..Study::default() },
        Study { missing: 1, ..Study::default() },
        Study { missing: 3, ..Study::default() },
        Study { conditions: noise(&[0.0]), ..Study::whole() },
        Study { conditions: noise(&[0.0, 0.5]), groups: vec!["all"], grouping: "all", ..Study::whole() },
        Study { steps: 1, contiguous: 1, ..Study::whole() },
        Study { steps: 0, contiguous: 1, ..Study::whole() },
        Study { contiguous: 0, ..Study::whole() },
        Study { gradients: false, population: false, coherence: false, ..Study::whole() },
        Study { conditions: noise(&nine), seeds: vec![1, 2], ..Study::whole() },
        Study { conditions: rules(&["winsorized-2"], &[0.0]), ..Study::default() },
        Study { test_set: false, ..Study::winsorized() },
        Study { steps: 1, contiguous: 1, ..Study::winsorized() },
        Study { steps: 0, ..Study::winsorized() },
    ];
    for study in studies {
        assert_drawn(&reported(&study));
    }
}

#[test]
fn a_study_without_runs_has_a_page() {
    let directory = reported(&Study { conditions: vec![], ..Study::default() });
    assert!(figures(&directory).is_empty());
    assert!(read(&directory, "index.html").contains("0 runs."));
}

#[test]
fn a_study_of_winsorized_sgd_has_the_papers_grid_and_the_conditions_at_matched_accuracy() {
    let directory = reported(&Study::winsorized());
    assert_drawn(&directory);
    let grid = read(&directory, "winsorization.svg");
    for text in ["c = 0 %", "c = 8 %", "proper accuracy |P|/m", "overfit"] {
        assert!(has_text(&grid, text), "{text}");
    }
    let matched = read(&directory, "matched.svg");
    for text in
        ["rule = sgd", "winsorization c = 8 %", "matched accuracy", "Test accuracy (%)", "Training accuracy (%)"]
    {
        assert!(has_text(&matched, text), "{text}");
    }
    let page = read(&directory, "index.html");
    let measured = [
        "<td>0.25</td><td>winsorized</td><td>8\u{a0}%</td><td>77.5\u{a0}%</td><td>99.1\u{a0}%</td>",
        "<td>26.6\u{a0}%</td><td>0.432</td>",
        "From c\u{a0}=\u{a0}0 to c\u{a0}=\u{a0}8\u{a0}% overfit after the last update goes from 34.6\u{a0}% to 26.6\u{a0}% (growth",
        "(growth 0.432 to 0.432) at label noise ε\u{a0}=\u{a0}0;",
        "<td>0.25</td><td>54.3\u{a0}%</td><td>1\u{202f}235</td><td>82.0\u{a0}%</td><td>7.6\u{a0}%</td>",
        "80.0\u{a0}% (rule\u{a0}=\u{a0}sgd) to 88.0\u{a0}% (winsorization c\u{a0}=\u{a0}8\u{a0}%) at label noise",
    ];
    for text in measured {
        assert!(page.contains(text), "{text}");
    }
    let without_test_set = read(&reported(&Study { test_set: false, ..Study::winsorized() }), "index.html");
    assert!(
        !without_test_set.contains("overfit after the last update goes")
            && !without_test_set.contains("Test accuracy there")
    );
}

#[test]
fn a_level_that_was_not_recorded_at_a_noise_is_an_empty_panel_and_level_0_stands_for_sgd() {
    let mut conditions = rules(&["sgd", "winsorized-0", "winsorized-10"], &[0.25, 0.5]);
    conditions.extend(rules(&["winsorized-2"], &[0.25]));
    let directory = reported(&Study { conditions, ..Study::default() });
    let grid = read(&directory, "winsorization.svg");
    assert_eq!(grid.matches("not recorded").count(), 1);
    let place = |text: &str| grid.find(text).unwrap();
    assert!(place("c = 0 %") < place("c = 2 %") && place("c = 2 %") < place("c = 10 %"), "in order of c");
}

#[test]
fn only_studies_with_winsorization_and_matches_have_figures_of_them() {
    let directory = reported(&Study::default());
    assert!(!read(&directory, "index.html").contains("winsorization"));
    let names = ["median-of-means-3", "rolling-median"];
    let directory = reported(&Study { conditions: rules(&names, &[0.25, 0.5]), ..Study::default() });
    let drawn = figures(&directory);
    assert!(drawn.contains(&"matched.svg".to_owned()) && !drawn.iter().any(|name| name.starts_with("winsorization")));
    assert!(has_text(&read(&directory, "matched.svg"), "rule = rolling-median"));
}

#[test]
fn no_condition_vanishes_however_many_there_are() {
    let directory = reported(&Study::winsorized());
    let sheets: Vec<String> = (1..=5).map(|number| read(&directory, &format!("shares-{number}.svg"))).collect();
    assert!(!directory.path().join("report/shares.svg").exists());
    for (number, rule) in ["rule = sgd", "winsorization c = 1 %"].into_iter().enumerate() {
        assert!(has_words(&sheets[number], rule), "{rule}");
        assert!(has_words(&sheets[number], "label noise ε = 0.25 ε = 1"));
    }
    let page = read(&directory, "index.html");
    for file in figures(&directory) {
        assert!(page.contains(&format!(">{file}</a>")), "{file}");
    }
    let nine: Vec<f64> = (1..=9).map(|tenths| f64::from(tenths) / 10.0).collect();
    let directory = reported(&Study { conditions: noise(&nine), ..Study::default() });
    let drawn = ["shares-1.svg", "shares-2.svg"].map(|file| read(&directory, file));
    assert!(nine.iter().all(|noise| drawn.iter().any(|svg| has_words(svg, &format!("ε = {noise}")))));
}

#[test]
fn conditions_of_any_name_and_type_tell_runs_apart() {
    let conditions = vec![
        json!({ "noise": 0.25, "optimizer": "adamw", "nesterov": false, "layers": 2 }),
        json!({ "noise": 0.25, "optimizer": "sgd", "nesterov": true, "layers": 2 }),
        json!({ "noise": 0.5, "optimizer": "sgd", "nesterov": true, "layers": 3 }),
        json!({ "noise": 0.5, "optimizer": "sgd", "nesterov": true }),
    ];
    let directory = reported(&Study { conditions, ..Study::whole() });
    assert_drawn(&directory);
    for file in ["shares.svg", "contributions-null-band.svg", "population.svg", "coherence-m-coherence.svg"] {
        let svg = read(&directory, file);
        assert!(has_words(&svg, "optimizer = adamw nesterov = false layers = 3 label noise ε = 0.5"), "{file}");
    }
    let page = read(&directory, "index.html");
    for title in ["Label noise ε", "Optimizer", "Nesterov", "Layers"] {
        assert!(page.contains(&format!("<th scope=\"col\">{title}</th>")), "{title}");
    }
    assert!(!page.contains("Update rule"));
}

#[test]
fn a_study_without_label_noise_is_drawn_by_its_own_groups() {
    let directory = reported(&Study::without_noise());
    assert_drawn(&directory);
    let all = FIGURES.iter().chain(&POPULATION_FIGURES).chain(&COHERENCE_FIGURES);
    assert_eq!(figures(&directory), sorted(all.chain(&["matched.svg"])));
    let svg = read(&directory, "shares.svg");
    for text in ["rare", "common", "missing"] {
        assert!(has_text(&svg, text), "{text}");
    }
    assert!(has_words(&svg, "optimizer = adamw optimizer = sgd") && !svg.contains("noise"));
    let bands = read(&directory, "contributions-null-band.svg");
    assert!(has_text(&bands, "rare − common") && has_text(&bands, "common − missing"));
    let page = read(&directory, "index.html");
    for absent in ["pristine", "roper accuracy is", "roper accuracy</th>", "verfit is", "α first", "Nothing", "No run"]
    {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("Examples are grouped by frequency.") && page.contains("<td>rare − missing</td>"));
}

#[test]
fn many_groups_are_told_apart() {
    let groups: Vec<&str> = vec!["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let directory = reported(&Study { grouping: "label", groups, ..Study::whole() });
    assert_drawn(&directory);
    let page = read(&directory, "index.html");
    for text in [
        "<td>all at once</td>",
        "<td>0 − 1</td>",
        "Mean share of one group less that of another",
        "Of 45 pairs of groups the figure shows the 10 with the smallest p-values; the table has all.",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // As a matrix: curves of 55 pairs tell nothing.
    let svg = read(&directory, "coherence-stiffness-cosine-groups.svg");
    assert!(svg.matches("zM").count() + svg.matches("z\"").count() > 300);
}

#[test]
fn long_and_odd_names_of_groups_are_cut_and_escaped() {
    let groups = vec!["plain", "a <b> & much longer name than fits", "c"];
    let directory = reported(&Study { grouping: "groups.csv", groups, ..Study::whole() });
    assert_drawn(&directory);
    assert!(read(&directory, "cross-terms.svg").contains("a &lt;b&gt; …ame than fits"), "as XML");
    assert!(read(&directory, "index.html").contains("a &lt;b&gt; …ame than fits"));
}

#[test]
fn examples_that_are_similar_are_drawn_as_matrices_and_told() {
    let mut built = synthetic::build(&Study { conditions: noise(&[0.25, 0.5]), ..Study::whole() });
    for run in 0..2 {
        for step in [0, 1, 5, 10, 100, 6000] {
            for (order, names) in [("class", ["0", "0", "7"]), ("learned_step", ["0 – 4", "4 – 50", "60 – never"])]
            {
                for (a, b) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)] {
                    let cosine = if (a, b) == (1, 1) { None } else { Some(0.5 - 0.2 * (a + b) as f64) };
                    let row = json!({ "step": step, "order": order, "block_a": a, "block_b": b, "name_a": names[a],
                        "name_b": names[b], "pairs": 12, "cosine": cosine });
                    built.add("similarity", run, row);
                }
            }
            let row = json!({ "step": step, "estimator": "paper", "statistic": "similarity_nearest_same_class", "value": 0.975 });
            built.add("coherence", run, row);
        }
    }
    let directory = written(built);
    report_of(&directory);
    let class = read(&directory, "similarity-class.svg");
    assert!(
        ["step 0", "step 10", "step 100", "Class", "mean cosine"].iter().all(|text| has_text(&class, text)),
        "{class}"
    );
    assert!(has_text(&read(&directory, "similarity-learned-step.svg"), "60"), "where the last block begins");
    let csv = read(&directory, "similarity-class.csv");
    assert_eq!(csv.lines().count(), 1 + 2 * 4 * 6);
    assert!(csv.contains("step 0,label noise ε = 0.25,,0 (0) × 7 (2),0,0.09999999999999998,,"), "{csv}");
    assert!(csv.contains(",0 (1) × 0 (1),6000,,,"), "{csv}");
    let nearest = read(&directory, "coherence-similarity-nearest-same-class.csv");
    assert!(nearest.contains(",Nearest neighbours of the same class (%),,0,97.5,"), "in percent: {nearest}");
    assert!(read(&directory, "index.html").contains("<code>similarity.parquet</code>"));
}

#[test]
fn several_seeds_are_drawn_as_their_mean_with_its_interval() {
    let directory = reported(&Study { seeds: vec![1, 2, 3], ..Study::whole() });
    let matrices = ["cross-terms.svg", "coherence-class-stiffness-cosine-pairs.svg"];
    for file in figures(&directory).iter().filter(|file| !matrices.contains(&file.as_str())) {
        // Where curves of several colours have intervals beside grey null bands, the key says which are which.
        let key = if file == "overview.svg" { ", in the curve's colour" } else { "" };
        assert!(has_text(&read(&directory, file), &format!("mean over seeds, 95 % t interval{key}")), "{file}");
    }
    let page = read(&directory, "index.html");
    assert_eq!(page.matches("<code>over_seeds.parquet</code>").count(), page.matches(", from <code>").count());
    assert!(page.contains("<th scope=\"col\">Seed</th>"));
    assert_eq!(page.matches(" with every seed)").count(), 2, "the sentences of the overview");
    assert_eq!(page.matches(" (means over the seeds, the largest p).").count(), 2);
    let conditions = rules(&["sgd", "winsorized-2"], &[0.5]);
    let winsorized = reported(&Study { seeds: vec![1, 2], conditions, ..Study::winsorized() });
    for file in ["winsorization.svg", "matched.svg"] {
        assert!(has_text(&read(&winsorized, file), "mean over seeds, 95 % t interval"), "{file}");
    }
    assert!(!read(&reported(&Study::whole()), "index.html").contains("over_seeds"), "one seed has no mean");
}

#[test]
fn of_many_conditions_the_sentence_about_differences_names_the_two_ends() {
    let page = |study: &Study| read(&reported(study), "index.html");
    let conditions = rules(&["sgd", "winsorized-2", "winsorized-4"], &[0.25, 0.5]);
    assert!(
        page(&Study { conditions, ..Study::whole() })
            .contains(" of 6 tested conditions (two-sided p &lt; 0.05): from D₁₀")
    );
    assert!(page(&Study::whole()).contains(" of 3 tested conditions (two-sided p &lt; 0.05): D₁₀"));
}

#[test]
fn every_figure_of_the_page_names_its_tables() {
    for study in [Study::whole(), Study::winsorized(), Study { grouping: "label", ..Study::whole() }] {
        let directory = reported(&study);
        let page = read(&directory, "index.html");
        let drawn = figures(&directory);
        let linked: usize = page
            .split("<ul class=\"linked\">")
            .skip(1)
            .map(|list| list.split("</ul>").next().unwrap().matches("<li>").count())
            .sum();
        assert_eq!(page.matches("class=\"parts\"").count() + linked, drawn.len());
        for figure in drawn {
            let place = page.find(&format!("<a href=\"{figure}\">")).expect(&figure);
            let tables = page[place..].split("</p>").next().unwrap().split("</li>").next().unwrap();
            assert!(tables.contains("<code>"), "{figure}");
            for table in tables.split("<code>").skip(1) {
                let file = table.split("</code>").next().unwrap();
                assert!(directory.path().join("analysis").join(file).is_file(), "{figure}: {file}");
            }
        }
    }
}

#[test]
fn the_sample_is_held_against_the_population() {
    let directory = reported(&Study::whole());
    assert_eq!(figures(&directory), sorted(FIGURES.iter().chain(&POPULATION_FIGURES).chain(&COHERENCE_FIGURES)));
    let svg = read(&directory, "population.svg");
    for text in [
        "exact, whole population",
        "estimated from the sample",
        "95 % interval over halves of the sample",
        "the paper’s estimator",
        "α covered at 67 of 71",
        "D covered at 17 of 20",
    ] {
        assert!(has_text(&svg, text), "{text}");
    }
    assert!(has_text(&read(&directory, "contributions-population-null-band.svg"), "D₁₀ p ≤ 0.001"));
    let page = read(&directory, "index.html");
    assert!(page.contains("<td>71</td><td>67\u{a0}of\u{a0}71</td><td>17\u{a0}of\u{a0}20</td>"));
}

#[test]
fn a_statistic_that_nothing_is_known_of_has_its_figure_by_its_definition() {
    let mut built = synthetic::build(&Study::default());
    for step in [0, 1, 10, 100, 1000, 6000] {
        for layer in [None, Some("hidden"), Some("head")] {
            let row = json!({ "estimator": "paper", "step": step, "layer": layer, "statistic": "sharpness_of_a_kind",
                "value": 3.0 / (1.0 + f64::from(step)), "lower": null, "upper": null });
            built.add("coherence", 1, row);
        }
    }
    built.summary.statistics.push(Statistic {
        name: "sharpness".into(),
        about: "how sharp the minimum is".into(),
        unit: "per step".into(),
        tables: vec!["coherence".into()],
    });
    let directory = written(built);
    report_of(&directory);
    let svg = read(&directory, "coherence-sharpness-of-a-kind.svg");
    // One run has it; its axis is logarithmic, for it falls over decades.
    for text in ["hidden", "head", "all layers", "0.01"] {
        assert!(has_text(&svg, text), "{text}");
    }
    assert!(has_words(&svg, "Sharpness of a kind (per step)"));
    assert!(read(&directory, "index.html").contains("<strong>Sharpness of a kind.</strong> How sharp the minimum is."));
}

#[test]
fn a_metric_that_nothing_is_known_of_has_its_panel() {
    let mut built = synthetic::build(&Study::default());
    for step in [0, 100, 6000] {
        built.add(
            "metrics",
            0,
            json!({ "step": step, "split": "validation", "group": "all", "metric": "perplexity", "value": 40 }),
        );
    }
    let directory = written(built);
    report_of(&directory);
    assert!(has_text(&read(&directory, "learning.svg"), "(g) Validation perplexity"));
}

#[test]
fn what_is_drawn_is_bounded_by_the_picture_and_not_by_the_steps() {
    let mut built = synthetic::build(&Study::default());
    for step in -1000..60_000_i64 {
        let value = if step == 54_321 { 77.0 } else { (step % 7) as f64 };
        let row =
            json!({ "step": step, "split": "validation", "group": "all", "metric": "perplexity", "value": value });
        built.add("metrics", 0, row);
    }
    let directory = written(built);
    report_of(&directory);
    assert_drawn(&directory);
    let svg = read(&directory, "learning.svg");
    assert!(has_text(&svg, "(g) Validation perplexity") && svg.len() < 200_000, "{} bytes", svg.len());
    // The one high value is not lost: the axis reaches up to it.
    assert!(has_text(&svg, "60") || has_text(&svg, "80"), "{svg}");
}

#[test]
fn any_name_gives_well_formed_documents_and_files_of_their_own() {
    let mut built = synthetic::build(&Study::default());
    let names = ["a.b c/\u{0}\u{1b}<&>", "a b.c\\\u{0}\u{1b}<&>", &"long ".repeat(200)];
    for name in names {
        for step in [0, 10, 1000] {
            let row = json!({ "estimator": "paper", "step": step, "layer": null, "statistic": name, "value": 1.5 });
            built.add("coherence", 1, row);
        }
    }
    built.summary.study.name = "study \u{8}</title>".to_owned();
    let directory = written(built);
    report_of(&directory);
    let drawn = figures(&directory);
    assert_eq!(drawn.len(), FIGURES.len() + names.len(), "{drawn:?}");
    for file in drawn.iter().map(String::as_str).chain(["index.html"]) {
        let text = read(&directory, file);
        let forbidden = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
        assert!(!text.contains(forbidden) && !text.contains("<&>"), "{file}");
    }
    assert!(read(&directory, "index.html").contains("<title>study \u{fffd}&lt;&#x2f;title&gt;"));
}

#[test]
fn unknown_tables_and_columns_are_passed_over() {
    let mut built = synthetic::build(&Study::whole());
    let column = |name: &str, values: ArrayRef| (name.to_owned(), values, true);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let rows = [column("what", texts), column("how_many", numbers)];
    built.others.push(("novelties", RecordBatch::try_from_iter_with_nullable(rows).unwrap()));
    let directory = written(built);
    report_of(&directory);
    let expected = reported(&Study::whole());
    for file in figures(&expected) {
        assert_eq!(read(&directory, &file), read(&expected, &file), "{file}");
    }
}

#[test]
fn many_layers_are_a_heat_map_with_their_names() {
    let layers: Vec<String> = (0..26).map(|layer| format!("encoder.layers.{layer}.self_attn")).collect();
    let directory = reported(&Study { layers, ..Study::whole() });
    assert_drawn(&directory);
    let svg = read(&directory, "coherence-m-coherence.svg");
    assert!((0..26).all(|layer| svg.contains(&format!("{layer}.self_attn"))));
    assert!(svg.matches("zM").count() + svg.matches("z\"").count() > 500);
    // No legend of 26 lines: a bar says what the colours are, of the sample and of the population.
    assert!(["sample", "population"].iter().all(|kind| svg.contains(&format!("m-coherence by layer, {kind}"))));
    let numbers = read(&directory, "coherence-m-coherence.csv");
    assert!((0..26).all(|layer| numbers.contains(&format!("encoder.layers.{layer}.self_attn"))));
    assert!(svg.len() < 500_000, "{} bytes", svg.len());
}

#[test]
fn two_networks_have_the_layers_of_their_own() {
    let conditions = vec![json!({ "network": "cnn", "noise": 0.3 }), json!({ "network": "vit", "noise": 0.3 })];
    let mut built = synthetic::build(&Study { conditions, layers: vec![], ..Study::whole() });
    for (run, layers) in [(0, 3), (1, 9)] {
        for layer in 0..layers {
            for step in [0, 10, 1000] {
                let row = json!({ "estimator": "paper", "step": step, "layer": format!("net{run}.{layer}"),
                    "statistic": "m_coherence", "value": 1.0 + f64::from(layer) });
                built.add("coherence", run, row);
            }
        }
    }
    let directory = written(built);
    report_of(&directory);
    assert_drawn(&directory);
    let svg = read(&directory, "coherence-m-coherence.svg");
    assert!(has_words(&svg, "network = cnn network = vit") && has_text(&svg, "net0.2") && has_text(&svg, "net1.8"));
    for file in ["shares.svg", "contributions.svg", "population.svg"] {
        assert!(has_words(&read(&directory, file), "network = cnn network = vit"), "{file}");
    }
}

#[test]
fn the_manifest_is_sealed_and_has_the_hash_of_every_file() {
    let directory = reported(&Study::whole());
    let out = directory.path().join("report");
    let text = fs::read(out.join("manifest.json")).unwrap();
    cograd_files::check_seal(&text).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let hash = |path: &Path| cograd_files::sha256_of_file(path).unwrap();
    assert_eq!(manifest["analysis_sha256"], hash(&directory.path().join("analysis/summary.json")));
    let files = manifest["files"].as_object().unwrap();
    assert_eq!(files.len() + 2, fs::read_dir(&out).unwrap().count(), "all but itself and the marker");
    for (name, entry) in files {
        assert_eq!(entry["sha256"], hash(&out.join(name)), "{name}");
        assert_eq!(entry["bytes"], fs::metadata(out.join(name)).unwrap().len(), "{name}");
    }
}

#[test]
fn figures_of_an_earlier_report_do_not_stay_behind() {
    let directory = reported(&Study::whole());
    fs::write(directory.path().join("report/notes.txt"), "mine").unwrap();
    synthetic::write(&directory.path().join("analysis"), &Study::default());
    report_of(&directory);
    assert_eq!(figures(&directory), FIGURES);
    assert!(directory.path().join("report/notes.txt").exists(), "what no report wrote is left alone");
}

#[test]
fn results_that_are_missing_or_altered_are_refused_with_their_name() {
    let change = |file: &str, change: fn(&Path)| {
        let directory = analysed(&Study::whole());
        change(&directory.path().join("analysis").join(file));
        let message = failure(&directory).to_string();
        assert!(message.contains("cograd analyze"), "{message}");
        message
    };
    for file in ["shares.parquet", "curves.parquet", "tests.parquet"] {
        assert!(change(file, |path| fs::remove_file(path).unwrap()).contains(&format!("{file} is missing")));
        let message = change(file, |path| fs::write(path, b"PAR1 not really").unwrap());
        assert!(message.contains(file) && message.contains("altered or truncated"), "{message}");
        let message = change(file, |path| {
            let mut bytes = fs::read(path).unwrap();
            // Within the data, where a parser might not even look.
            bytes[100] ^= 1;
            fs::write(path, bytes).unwrap();
        });
        assert!(message.contains(file) && message.contains("altered or truncated"), "{message}");
    }
    let message = change("summary.json", |path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace("\"noise\": 0.25", "\"noise\": 0.26")).unwrap();
    });
    assert!(message.contains("summary.json") && message.contains("seal"), "{message}");
    assert!(change("summary.json", |path| fs::remove_file(path).unwrap()).contains("no results"));
}

#[test]
fn tables_of_another_analysis_are_refused() {
    let (directory, other) = (analysed(&Study::default()), analysed(&Study { seeds: vec![2], ..Study::default() }));
    fs::copy(other.path().join("analysis/curves.parquet"), directory.path().join("analysis/curves.parquet")).unwrap();
    let message = failure(&directory).to_string();
    assert!(message.contains("curves.parquet"), "{message}");
}

#[test]
fn an_output_that_cannot_be_created_is_named() {
    let directory = analysed(&Study::default());
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let message = report(&directory.path().join("analysis"), &file.join("report")).unwrap_err().to_string();
    assert!(message.contains("cannot create") && message.contains("file"), "{message}");
}

#[test]
fn a_comparison_lays_studies_over_each_other() {
    let directory = tempfile::tempdir().unwrap();
    synthetic::write_comparison(directory.path(), noise(&[0.25, 0.5]));
    let written = report_comparison(directory.path()).unwrap();
    let names: Vec<&str> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let drawn = ["test-accuracy", "m-coherence-paper", "share-paper"];
    let mut expected: Vec<String> =
        drawn.iter().flat_map(|name| [format!("{name}.svg"), format!("{name}.csv")]).collect();
    expected.extend(["index.html", "manifest.json"].map(str::to_owned));
    assert_eq!(names, expected);
    let svg = fs::read_to_string(directory.path().join("test-accuracy.svg")).unwrap();
    for text in ["first", "second &lt;b&gt;", "mean: p = 0.0012", "differ, Holm-corrected p ≤ 0.05"] {
        assert!(has_text(&svg, text), "{text}");
    }
    assert!(has_words(&svg, "label noise ε = 0.5"));
    let by_layer = fs::read_to_string(directory.path().join("m-coherence-paper.svg")).unwrap();
    assert!(has_text(&by_layer, "head") && has_text(&by_layer, "all layers"));
    let of_group = fs::read_to_string(directory.path().join("share-paper.svg")).unwrap();
    assert!(has_text(&of_group, "corrupt"), "what it is of is said");
    let page = fs::read_to_string(directory.path().join("index.html")).unwrap();
    for text in [
        "Comparison of first, second &lt;b&gt;",
        "(label noise ε)",
        "<td>0.25</td><td>3, 3</td><td>−10.0 [−15.0,\u{a0}−5.00]</td><td>0.0012</td><td>1\u{a0}of\u{a0}2</td>",
        "<td>head</td><td>3, 3</td><td>−0.100 [−0.150,\u{a0}−0.0500]</td>",
        "comparison_tests.parquet",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_comparison_is_of_any_conditions() {
    let directory = tempfile::tempdir().unwrap();
    let conditions = ["a", "b", "c", "d", "e", "f", "g"].map(|network| json!({ "network": network }));
    synthetic::write_comparison(directory.path(), conditions.into());
    report_comparison(directory.path()).unwrap();
    let read = |file: &str| fs::read_to_string(directory.path().join(file)).unwrap();
    assert!(
        has_words(&read("test-accuracy-1.svg"), "network = a")
            && has_words(&read("test-accuracy-2.svg"), "network = g")
    );
    assert!(read("index.html").contains("<th scope=\"col\">Network</th>"));
    fs::write(directory.path().join("comparison.parquet"), b"PAR1").unwrap();
    let message = report_comparison(directory.path()).unwrap_err().to_string();
    assert!(message.contains("comparison.parquet was altered"), "{message}");
}
