//! What a reader of a report sees, from made-up results.

mod synthetic;

use std::fs;

use cograd_reports::{ReportError, report};
use polars::prelude::{ParquetReader, SerReader};
use synthetic::Study;
use tempfile::TempDir;

const FIGURES: [&str; 5] =
    ["figure-1.svg", "figure-2.svg", "figure-2-null-band.svg", "figure-3.svg", "figure-3-null-band.svg"];

/// Of every study with gradients.
const CROSS_TERMS: &str = "figure-cross-terms.svg";

/// Of studies with a record of the population.
const POPULATION_FIGURES: [&str; 5] = [
    "figure-population.svg",
    "figure-2-population.svg",
    "figure-2-population-null-band.svg",
    "figure-3-population.svg",
    "figure-3-population-null-band.svg",
];

const GROUP_FIGURES: [&str; 4] = [
    "figure-groups-shares.svg",
    "figure-groups-cumulative.svg",
    "figure-groups-shares-population.svg",
    "figure-groups-cumulative-population.svg",
];

const COHERENCE_FIGURES: [&str; 14] = [
    "coherence-m-coherence.svg",
    "coherence-diversity.svg",
    "coherence-aligned-fraction.svg",
    "coherence-stiffness-cosine.svg",
    "coherence-stiffness-sign.svg",
    "coherence-confusion.svg",
    "coherence-gsnr.svg",
    "coherence-same-sign.svg",
    "coherence-noise-scale.svg",
    "coherence-normalised-variance.svg",
    "coherence-disparity.svg",
    "coherence-stiffness-groups.svg",
    "coherence-stiffness-classes.svg",
    "figure-class-stiffness.svg",
];

/// Of studies with winsorized runs, and with several rules.
const RULE_FIGURES: [&str; 2] = ["figure-4.svg", "figure-4-rules.svg"];

/// A directory with `analysis` and, after a report, `report`.
fn reported(study: &Study) -> TempDir {
    let directory = analysed(study);
    report(&directory.path().join("analysis"), &directory.path().join("report")).unwrap();
    directory
}

fn analysed(study: &Study) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let analysis = directory.path().join("analysis");
    fs::create_dir(&analysis).unwrap();
    synthetic::write(&analysis, study);
    directory
}

fn read(directory: &TempDir, file: &str) -> String {
    fs::read_to_string(directory.path().join("report").join(file)).unwrap()
}

fn failure(directory: &TempDir) -> ReportError {
    let out = directory.path().join("report");
    let error = report(&directory.path().join("analysis"), &out).unwrap_err();
    assert!(!out.join("index.html").exists());
    error
}

#[test]
fn every_figure_and_the_page_are_written_and_nothing_else() {
    let directory = analysed(&Study::default());
    let out = directory.path().join("report");
    let written = report(&directory.path().join("analysis"), &out).unwrap();
    let expected = FIGURES.iter().chain(&[CROSS_TERMS, "index.html", "manifest.json"]);
    let expected: Vec<_> = expected.map(|file| out.join(file)).collect();
    assert_eq!(written, expected);
    assert_eq!(fs::read_dir(&out).unwrap().count(), expected.len());
}

#[test]
fn figures_are_whole_titled_documents_of_modest_size() {
    let directory = reported(&Study::default());
    for file in FIGURES {
        let svg = read(&directory, file);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{file}");
        assert!(svg.contains("<title>Figure "), "{file}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{file}");
        assert!(svg.len() < 300_000, "{file}: {} bytes", svg.len());
    }
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let (first, second) = (reported(&Study::default()), reported(&Study::default()));
    for file in FIGURES.iter().copied().chain(["index.html"]) {
        assert_eq!(read(&first, file), read(&second, file), "{file}");
    }
}

#[test]
fn the_page_needs_no_network_and_no_identifiers() {
    let page = read(&reported(&Study::default()), "index.html");
    let without_namespace = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for reference in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link", " id="] {
        assert!(!without_namespace.contains(reference), "{reference}");
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
        // Group size, α first and last, crossover.
        "0.775",
        "0.932",
        "0.414",
        "0.312",
        // p at the floor and above it, with intervals; D after ten steps.
        "≤\u{a0}0.001",
        "[0.00070,\u{a0}0.0014]",
        "0.038",
        "[0.027,\u{a0}0.053]",
        "0.0123",
        // Sizes.
        "6\u{202f}000",
        "1\u{202f}500",
        "118\u{a0}MiB",
        "64–512–10",
    ];
    for number in measured {
        assert!(page.contains(number), "{number}");
    }
}

#[test]
fn the_page_shows_every_prediction_with_its_verdict() {
    let page = read(&reported(&Study::default()), "index.html");
    for text in
        ["2 hold<", "1 fails<", "1 not checkable<", "<tr class=\"fails\">", "Steps to 90 %: 90, 210, 480, 890, 1 410"]
    {
        assert!(page.contains(text), "{text}");
    }
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
        "cograd 0.1.0".to_owned(),
        "cograd-recorder 0.1.0".to_owned(),
        "sgd_noise-0.25_seed-1".to_owned(),
    ] {
        assert!(page.contains(&text), "{text}");
    }
}

#[test]
fn p_values_are_written_into_the_panels_as_bounds_at_the_floor() {
    let directory = reported(&Study::default());
    let svg = read(&directory, "figure-2-null-band.svg");
    assert!(svg.contains("crossover p ≤ 0.001") && svg.contains("simultaneous p = 0.028"), "{svg}");
    assert!(read(&directory, "figure-3-null-band.svg").contains("D₁₀ p ≤ 0.001"));
}

#[test]
fn a_study_without_corrupt_examples_says_so_instead_of_drawing_groups() {
    let directory = reported(&Study { noise: vec![0.0], ..Study::default() });
    assert!(
        read(&directory, "figure-2.svg")
            .contains("No run has recorded gradients of both pristine and corrupt examples.")
    );
    assert!(read(&directory, "figure-1.svg").contains("Training accuracy"));
    assert!(read(&directory, "index.html").contains("so there is nothing to compare"));
}

#[test]
fn unusual_studies_are_drawn() {
    let studies = [
        Study { noise: vec![0.5], ..Study::default() },
        Study { noise: vec![0.25, 0.5], seeds: vec![1, 2, 3], ..Study::default() },
        Study { noise: (1..=9).map(|tenths| f64::from(tenths) / 10.0).collect(), ..Study::default() },
        Study { steps: 1, contiguous: 1, ..Study::default() },
        Study { steps: 7, contiguous: 7, ..Study::default() },
        Study { steps: 100_000, contiguous: 0, ..Study::default() },
        Study { missing: 1, ..Study::default() },
        Study { missing: 3, ..Study::default() },
        Study { noise: vec![], ..Study::default() },
    ];
    for study in studies {
        let directory = reported(&study);
        for file in FIGURES {
            let svg = read(&directory, file);
            assert!(svg.trim_end().ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{file}");
        }
    }
}

#[test]
fn a_study_of_winsorized_sgd_has_the_papers_grid_and_the_rules_at_matched_accuracy() {
    let directory = reported(&Study::winsorized());
    for file in FIGURES.iter().chain(&RULE_FIGURES) {
        let svg = read(&directory, file);
        assert!(svg.trim_end().ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{file}");
        assert!(svg.len() < 300_000, "{file}: {} bytes", svg.len());
    }
    let grid = read(&directory, "figure-4.svg");
    for text in [
        "noise 0.25",
        "noise 1",
        "c = 0 %",
        "c = 8 %",
        "20",
        "60",
        "Training step (thousands)",
        "proper accuracy |P|/m",
        "overfit",
    ] {
        assert!(grid.contains(&format!("\n{text}\n")), "{text}");
    }
    let rules = read(&directory, "figure-4-rules.svg");
    for text in ["sgd", "winsorized-8", "matched accuracy", "Test accuracy (%)", "Training accuracy (%)"] {
        assert!(rules.contains(&format!("\n{text}\n")), "{text}");
    }
}

#[test]
fn the_page_states_what_was_measured_of_winsorized_sgd_and_of_the_rules() {
    let page = read(&reported(&Study::winsorized()), "index.html");
    let measured = [
        // Figure 4: c, proper and largest accuracy, overfit and its slope, from the smallest to the largest c.
        "<td>0.25</td><td>8</td><td>77.5\u{a0}%</td><td>99.1\u{a0}%</td>",
        "<td>26.6\u{a0}%</td><td>0.432</td>",
        "From c\u{a0}=\u{a0}0 to c\u{a0}=\u{a0}8\u{a0}% overfit after the last update goes from 34.6\u{a0}% to 26.6\u{a0}% (growth",
        "(growth 0.432 to 0.432) at noise\u{a0}0;",
        // The rules.
        "<td>winsorized-2</td><td>0.25</td><td>54.3\u{a0}%</td><td>1\u{202f}235</td><td>82.0\u{a0}%</td><td>7.6\u{a0}%</td>",
        "80.0\u{a0}% (sgd) to 88.0\u{a0}% (winsorized-8) at noise\u{a0}0.5",
        // Which rule a row and Figures 1 to 3 are of.
        "<td>winsorized-8</td><td>0.75</td><td>32.5\u{a0}%</td>",
        "Figures 1 to 3 show sgd",
        "update rules sgd, winsorized-1",
    ];
    for text in measured {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_study_of_one_rule_has_neither_figure_4_nor_a_column_of_rules() {
    let directory = reported(&Study::default());
    let page = read(&directory, "index.html");
    for absent in ["Figure 4", "<th scope=\"col\">Rule</th>", "Figures 1 to 3 show", "Update rule:"] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(RULE_FIGURES.iter().all(|file| !directory.path().join("report").join(file).exists()));
}

#[test]
fn other_rules_than_winsorized_sgd_are_compared_without_its_grid() {
    let directory = reported(&Study { rules: vec!["median-of-means-3", "rolling-median"], ..Study::default() });
    let page = read(&directory, "index.html");
    assert!(page.contains("The update rules at matched training accuracy"));
    assert!(page.contains("Figures 1 to 3 show median-of-means-3") && !page.contains("of winsorized SGD."));
    assert!(!directory.path().join("report/figure-4.svg").exists());
    assert!(read(&directory, "figure-4-rules.svg").contains("rolling-median"));
}

#[test]
fn winsorized_sgd_at_level_0_stands_for_sgd_where_a_study_has_both() {
    let rules = vec!["sgd", "winsorized-0", "winsorized-10", "winsorized-2"];
    let directory = reported(&Study { rules, noise: vec![0.5], ..Study::default() });
    let page = read(&directory, "index.html");
    assert!(page.contains("Figures 1 to 3 show winsorized-0;"));
    assert_eq!(page.matches("<tr><td>0.5</td><td>0</td><td>55.0").count(), 1);
    let grid = read(&directory, "figure-4.svg");
    let place = |text: &str| grid.find(text).unwrap();
    assert!(place("c = 0 %") < place("c = 2 %") && place("c = 2 %") < place("c = 10 %"), "in order of c");
}

#[test]
fn unusual_studies_of_rules_are_drawn() {
    let studies = [
        Study { noise: vec![0.5], seeds: vec![1, 2, 3], ..Study::winsorized() },
        Study { noise: (1..=9).map(|tenths| f64::from(tenths) / 10.0).collect(), ..Study::winsorized() },
        Study { rules: vec!["winsorized-2"], noise: vec![0.0], ..Study::default() },
        Study { test_set: false, ..Study::winsorized() },
        Study { steps: 1, contiguous: 1, ..Study::winsorized() },
        Study { steps: 0, ..Study::winsorized() },
    ];
    for study in studies {
        let directory = reported(&study);
        for file in RULE_FIGURES.iter().filter(|file| study.rules.len() > 1 || **file == "figure-4.svg") {
            let svg = read(&directory, file);
            assert!(svg.trim_end().ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{file}");
        }
    }
    let page = read(&reported(&Study { test_set: false, ..Study::winsorized() }), "index.html");
    assert!(!page.contains("overfit after the last update goes") && !page.contains("Test accuracy there"));
}

#[test]
fn seeds_have_a_column_where_there_are_several() {
    let page = read(&reported(&Study { noise: vec![0.5], seeds: vec![7, 8], ..Study::winsorized() }), "index.html");
    assert!(page.contains("<td>winsorized-1</td><td>0.5</td><td>8</td>"));
    assert!(page.contains("<td>0.5</td><td>1</td><td>7</td>"));
}

#[test]
fn a_study_without_gradients_has_its_curves_and_says_what_is_missing() {
    let directory = reported(&Study { gradients: false, ..Study::winsorized() });
    for file in &FIGURES[1..] {
        assert!(read(&directory, file).contains("No run has recorded gradients"), "{file}");
    }
    assert!(read(&directory, "figure-1.svg").contains("Training accuracy"));
    assert!(read(&directory, "figure-4.svg").contains("c = 8 %"));
    assert_eq!(read(&directory, "index.html").matches("so there is nothing to compare").count(), 2);
}

#[test]
fn a_pair_of_noise_and_c_that_was_not_recorded_is_an_empty_panel() {
    let directory = analysed(&Study { noise: vec![0.25, 0.5], ..Study::winsorized() });
    let path = directory.path().join("analysis/summary.json");
    let mut summary: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // A rule that says c = 3 of one run makes a row with one panel filled.
    summary["runs"][2]["winsorization"] = 3.into();
    fs::write(&path, summary.to_string()).unwrap();
    report(&directory.path().join("analysis"), &directory.path().join("report")).unwrap();
    assert_eq!(read(&directory, "figure-4.svg").matches("not recorded").count(), 2);
}

/// The names of the figures in a report, sorted.
fn figures(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path().join("report")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut figures: Vec<String> = names.filter(|name| name.ends_with(".svg")).collect();
    figures.sort();
    figures
}

fn assert_drawn(directory: &TempDir, files: &[&str]) {
    for file in files {
        let svg = read(directory, file);
        assert!(svg.trim_end().ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{file}");
        assert!(svg.len() < 600_000, "{file}: {} bytes", svg.len());
    }
}

fn has_text(svg: &str, text: &str) -> bool {
    svg.contains(&format!("\n{text}\n"))
}

#[test]
fn a_whole_study_has_every_figure_of_population_and_coherence() {
    let directory = reported(&Study::whole());
    assert_drawn(&directory, &FIGURES);
    assert_drawn(&directory, &POPULATION_FIGURES);
    assert_drawn(&directory, &COHERENCE_FIGURES);
    assert_drawn(&directory, &[CROSS_TERMS]);
    let number = FIGURES.len() + POPULATION_FIGURES.len() + COHERENCE_FIGURES.len() + 1;
    assert_eq!(figures(&directory).len(), number, "no figure of groups: the paper's show them");
}

#[test]
fn the_sample_is_held_against_the_population() {
    let directory = reported(&Study::whole());
    let svg = read(&directory, "figure-population.svg");
    for text in [
        "exact, whole population",
        "estimated from the sample",
        "95 % bootstrap interval",
        "the paper’s estimator",
        "α covered at 67 of 71",
        "D covered at 17 of 20",
    ] {
        assert!(has_text(&svg, text), "{text}");
    }
    assert!(read(&directory, "figure-2-population.svg").contains("group size |P|/m"));
    assert!(read(&directory, "figure-3-population-null-band.svg").contains("D₁₀ p ≤ 0.001"));
    let page = read(&directory, "index.html");
    let covered =
        "<td>71</td><td>0.775</td><td>0.812</td><td>0.523</td><td>67\u{a0}of\u{a0}71</td><td>17\u{a0}of\u{a0}20</td>";
    assert!(page.contains(covered) && page.contains("somewhat significant but not overwhelmingly so"));
}

#[test]
fn figures_follow_the_groups() {
    let groups: Vec<&str> = vec!["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let directory = reported(&Study { grouping: "label", groups, ..Study::whole() });
    assert_drawn(&directory, &GROUP_FIGURES);
    assert_drawn(&directory, &[CROSS_TERMS, "coherence-stiffness-groups.svg"]);
    let svg = read(&directory, "figure-groups-shares.svg");
    assert!(has_text(&svg, "all groups p ≤ 0.001") && has_text(&svg, "9") && has_text(&svg, "null world 3"));
    let page = read(&directory, "index.html");
    for text in [
        "Groups by label",
        "<td>all at once</td><td>≤\u{a0}0.001</td>",
        "<td>3</td><td>0.012\u{a0}(0.12)</td>",
        "<td>0 − 1</td><td>≤\u{a0}0.001\u{a0}(0.045)</td>",
        "<details><summary>Mean share of one group less that of another, sample</summary>",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let without =
        reported(&Study { population: false, grouping: "learned", groups: vec!["early", "late"], ..Study::whole() });
    let drawn = figures(&without);
    assert!(GROUP_FIGURES.iter().take(2).all(|file| drawn.iter().any(|name| name == file)));
    assert!(!drawn.iter().any(|name| name.contains("population")));
    assert!(has_text(&read(&without, "coherence-stiffness-groups.svg"), "early with late"));
}

#[test]
fn long_and_odd_names_of_groups_are_cut_and_escaped() {
    let groups = vec!["plain", "a <b> & much longer name than fits", "c"];
    let directory = reported(&Study { grouping: "groups.csv", groups, ..Study::whole() });
    assert_drawn(&directory, &GROUP_FIGURES);
    assert!(read(&directory, CROSS_TERMS).contains("a &lt;b&gt; &amp; much"), "as XML");
    assert!(read(&directory, "index.html").contains("a &lt;b&gt; &amp; much longer name than fits"));
}

#[test]
fn several_seeds_are_drawn_as_their_mean_with_its_interval() {
    let directory = reported(&Study { seeds: vec![1, 2, 3], ..Study::whole() });
    for file in FIGURES.iter().chain(&POPULATION_FIGURES).chain(&COHERENCE_FIGURES[..13]) {
        assert!(has_text(&read(&directory, file), "mean over seeds, 95 % t interval"), "{file}");
    }
    let page = read(&directory, "index.html");
    assert_eq!(page.matches("<code>over_seeds.parquet</code>").count(), page.matches("<p class=\"sources\">").count());
    let winsorized = reported(&Study { seeds: vec![1, 2], noise: vec![0.5], ..Study::winsorized() });
    for file in RULE_FIGURES {
        assert!(has_text(&read(&winsorized, file), "mean over seeds, 95 % t interval"), "{file}");
    }
    assert!(!read(&reported(&Study::whole()), "index.html").contains("over_seeds"), "one seed has no mean");
}

#[test]
fn every_figure_of_the_page_names_its_tables() {
    for study in [Study::whole(), Study::winsorized(), Study { grouping: "label", ..Study::whole() }] {
        let directory = reported(&study);
        let page = read(&directory, "index.html");
        let drawn = figures(&directory);
        assert_eq!(page.matches("<svg ").count(), drawn.len());
        for figure in drawn {
            let place = page.find(&format!("<p class=\"sources\">{figure}, drawn from <code>")).expect(&figure);
            assert!(
                page[..place].ends_with("</svg>\n</div>\n") || page[..place].trim_end().ends_with("</div>"),
                "{figure}"
            );
            let tables = page[place..].split("</p>").next().unwrap();
            for table in tables.split("<code>").skip(1) {
                let file = table.split("</code>").next().unwrap();
                assert!(directory.path().join("analysis").join(file).is_file(), "{figure}: {file}");
            }
        }
    }
}

#[test]
fn results_of_an_older_analysis_are_drawn_without_what_they_lack() {
    let directory = analysed(&Study::default());
    let analysis = directory.path().join("analysis");
    for file in ["groups", "shares", "group_tests", "cross_terms", "coherence", "over_seeds"] {
        fs::remove_file(analysis.join(format!("{file}.parquet"))).unwrap();
    }
    for file in ["decomposition", "cumulative", "null", "tests"] {
        let path = analysis.join(format!("{file}.parquet"));
        let frame = ParquetReader::new(fs::File::open(&path).unwrap()).finish().unwrap();
        let dropped = ["estimator", "alpha_lower", "alpha_upper", "difference_lower", "difference_upper"];
        synthetic::write_frame(&path, frame.drop_many(dropped));
    }
    let mut summary: serde_json::Value =
        serde_json::from_slice(&fs::read(analysis.join("summary.json")).unwrap()).unwrap();
    for key in ["options", "files"] {
        summary.as_object_mut().unwrap().remove(key);
    }
    fs::write(analysis.join("summary.json"), summary.to_string()).unwrap();
    report(&analysis, &directory.path().join("report")).unwrap();
    let mut expected = FIGURES.map(str::to_owned);
    expected.sort();
    assert_eq!(figures(&directory), expected);
    assert!(read(&directory, "figure-2.svg").contains("null world 3"));
}

#[test]
fn a_table_that_the_summary_lists_must_be_there() {
    let directory = analysed(&Study::whole());
    fs::remove_file(directory.path().join("analysis/coherence.parquet")).unwrap();
    let message = failure(&directory).to_string();
    assert!(message.contains("coherence.parquet is missing"), "{message}");
}

#[test]
fn the_manifest_is_sealed_and_has_the_hash_of_every_file() {
    let directory = reported(&Study::whole());
    let out = directory.path().join("report");
    let text = fs::read(out.join("manifest.json")).unwrap();
    cograd_trace::check_seal(&text).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let hash = |path: &std::path::Path| cograd_trace::sha256_of_file(path).unwrap();
    assert_eq!(manifest["analysis_sha256"], hash(&directory.path().join("analysis/summary.json")));
    let files = manifest["files"].as_object().unwrap();
    assert_eq!(files.len() + 1, fs::read_dir(&out).unwrap().count(), "all but itself");
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
    report(&directory.path().join("analysis"), &directory.path().join("report")).unwrap();
    assert_eq!(figures(&directory).len(), FIGURES.len() + 1);
    assert!(directory.path().join("report/notes.txt").exists(), "what no report wrote is left alone");
}

#[test]
fn unusual_studies_of_population_and_coherence_are_drawn() {
    let studies = [
        Study { noise: vec![0.0], ..Study::whole() },
        Study { noise: vec![0.0, 0.5], groups: vec!["only"], grouping: "one.csv", ..Study::whole() },
        Study { steps: 1, contiguous: 1, ..Study::whole() },
        Study { steps: 0, contiguous: 1, ..Study::whole() },
        Study { contiguous: 0, ..Study::whole() },
        Study { gradients: false, population: false, coherence: false, ..Study::whole() },
        Study { noise: (1..=9).map(|tenths| f64::from(tenths) / 10.0).collect(), seeds: vec![1, 2], ..Study::whole() },
    ];
    for study in studies {
        let directory = reported(&study);
        let drawn = figures(&directory);
        assert_drawn(&directory, &drawn.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_missing_results_file_is_named_with_what_to_do() {
    for file in ["summary.json", "curves.parquet", "overfit.parquet", "tests.parquet"] {
        let directory = analysed(&Study::default());
        fs::remove_file(directory.path().join("analysis").join(file)).unwrap();
        let message = failure(&directory).to_string();
        assert!(message.contains(file) && message.contains("cograd analyze"), "{message}");
    }
}

#[test]
fn a_missing_or_mistyped_column_is_named() {
    let directory = analysed(&Study::default());
    let path = directory.path().join("analysis/decomposition.parquet");
    let frame = ParquetReader::new(fs::File::open(&path).unwrap()).finish().unwrap();

    synthetic::write_frame(&path, frame.drop("alpha").unwrap());
    let message = failure(&directory).to_string();
    assert!(message.contains("decomposition.parquet: column `alpha` is missing"), "{message}");

    let mut mistyped = frame.clone();
    mistyped.rename("alpha", "other".into()).unwrap().rename("estimator", "alpha".into()).unwrap();
    synthetic::write_frame(&path, mistyped);
    let message = failure(&directory).to_string();
    assert!(message.contains("column `alpha` has type str, not a number"), "{message}");
}

#[test]
fn damaged_results_are_an_error_that_names_the_file() {
    for file in ["summary.json", "null.parquet"] {
        let directory = analysed(&Study::default());
        fs::write(directory.path().join("analysis").join(file), b"PAR1 not really").unwrap();
        let message = failure(&directory).to_string();
        assert!(message.contains(file) && message.contains("cograd analyze"), "{message}");
    }
}

#[test]
fn tables_of_another_analysis_are_refused() {
    let (directory, other) = (analysed(&Study::default()), analysed(&Study { noise: vec![0.1], ..Study::default() }));
    fs::copy(other.path().join("analysis/curves.parquet"), directory.path().join("analysis/curves.parquet")).unwrap();
    let message = failure(&directory).to_string();
    assert!(message.contains("curves.parquet") && message.contains("sgd_noise-0.1_seed-1"), "{message}");
}

#[test]
fn an_output_that_cannot_be_created_is_named() {
    let directory = analysed(&Study::default());
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let message = report(&directory.path().join("analysis"), &file.join("report")).unwrap_err().to_string();
    assert!(message.contains("cannot write") && message.contains("report"), "{message}");
}
