//! An analysis in shards, as on several machines.

use crate::common::{Workplace, files_below};

#[test]
fn the_results_of_shards_are_those_of_one_analysis_to_the_byte() {
    let place = Workplace::new();
    place.record_tiny();
    let options = ["--null-worlds", "50", "--halves", "40", "-q"];
    let cograd = |arguments: &[&str]| place.cograd(arguments.iter().copied().chain(options));
    cograd(&["analyze", "tiny", "--out", "whole"]).assert().success();
    for (number, threads) in [("1", "2"), ("2", "1"), ("3", "2")] {
        let (shard, part) = (format!("{number}/3"), format!("part-{number}"));
        cograd(&["analyze", "tiny", "--shard", &shard, "--out", &part, "--threads", threads]).assert().success();
    }
    let missing = cograd(&["analyze", "tiny", "--from", "part-3", "part-1", "--out", "gathered"]).output().unwrap();
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(missing.status.code() == Some(1) && error.contains("shard 2/3 is missing"), "{error}");
    assert!(!place.path("gathered").exists());
    let all = ["analyze", "tiny", "--from", "part-3", "part-1", "part-2", "--out", "gathered"];
    cograd(&[&all[..], &["--threads", "1"]].concat()).assert().success();
    assert!(files_below(&place.path("gathered")) == files_below(&place.path("whole")));

    let again =
        place.cograd(["analyze", "tiny", "--shard", "2/3", "--out", "part-2", "--null-worlds", "50", "--halves", "40"]);
    let said = String::from_utf8({ again }.output().unwrap().stdout).unwrap();
    assert!(said.contains("part-2 holds shard 2/3 already") && said.contains("cograd analyze tiny --from"), "{said}");
}

#[test]
fn a_shard_has_a_number_and_a_directory_of_its_own() {
    let place = Workplace::new();
    for arguments in [
        &["analyze", "study", "--shard", "1/3"][..],
        &["analyze", "study", "--shard", "4/3", "--out", "part"],
        &["analyze", "study", "--shard", "1/3", "--out", "part", "--from", "part"],
        &["analyze", "study", "--from"],
    ] {
        place.cograd(arguments.iter().copied()).assert().code(2);
    }
}
