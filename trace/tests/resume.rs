//! Runs that are interrupted and continued, and what cannot be continued.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cograd_trace::{Conditions, Progress, Resumed, RunDescription, RunWriter, SoFar, Study, TraceError, copy_so_far};
use common::{
    POPULATION_STEPS, SAMPLED, STEPS, columns, description, directory, gradients, metrics, of_one_parameter, weights,
    write_population,
};

fn partial(study: &Path) -> PathBuf {
    study.join(format!("runs/.{}.partial", description().run))
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path).into_iter().map(|(name, bytes)| (directory.join(name), bytes)));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files.into_iter().map(|(path, bytes)| (path.strip_prefix(directory).unwrap().to_path_buf(), bytes)).collect()
}

fn continued(study: &Path) -> (RunWriter, Vec<u8>) {
    match RunWriter::resume(study, &description()).unwrap() {
        Resumed::Continued(writer, state) => (*writer, state),
        other => panic!("{other:?}"),
    }
}

fn write_step(writer: &mut RunWriter, step: i64) {
    writer.write_weights(step, &weights(step)).unwrap();
    if step == 3 {
        writer.skip_step(4, "not finite").unwrap();
    }
    writer.write_gradients(step, &gradients(step)).unwrap();
    if POPULATION_STEPS.contains(&step) {
        write_population(writer, step).unwrap();
    }
}

#[test]
fn a_run_continued_from_any_checkpoint_is_the_same_files() {
    let whole = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(whole.path(), description()).unwrap();
    STEPS.iter().for_each(|step| write_step(&mut writer, *step));
    let manifest = writer.finish(&columns(), &metrics()).unwrap();

    for checkpoint in 0..STEPS.len() {
        let study = tempfile::tempdir().unwrap();
        let mut writer = RunWriter::create(study.path(), description()).unwrap();
        for (place, step) in STEPS.iter().enumerate() {
            if place == checkpoint {
                writer.checkpoint(b"state\nof \xff any bytes").unwrap();
            }
            write_step(&mut writer, *step);
        }
        drop(writer);

        // Continued twice, as if the first continuation had been interrupted at once.
        drop(continued(study.path()));
        let (mut writer, state) = continued(study.path());
        assert_eq!(state, b"state\nof \xff any bytes");
        for step in &STEPS[checkpoint..] {
            write_step(&mut writer, *step);
            writer.checkpoint(b"another").unwrap();
        }
        assert_eq!(writer.finish(&columns(), &metrics()).unwrap(), manifest);
        assert!(files(&directory(study.path())) == files(&directory(whole.path())), "from {checkpoint}");
        assert_eq!(fs::read_dir(study.path().join("runs")).unwrap().count(), 1);
    }
}

#[test]
fn what_an_unfinished_run_has_recorded_can_be_read_and_is_left_alone() {
    for recorded in 1..STEPS.len() {
        let (study, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let so_far = |progress| SoFar { finished: Vec::new(), unfinished: vec![(description().run, progress)] };
        let mut writer = RunWriter::create(study.path(), description()).unwrap();
        STEPS[..recorded].iter().for_each(|step| write_step(&mut writer, *step));
        assert_eq!(copy_so_far(study.path(), copy.path()).unwrap(), so_far(None));
        writer.checkpoint(b"without tables").unwrap();
        assert_eq!(copy_so_far(study.path(), copy.path()).unwrap(), so_far(None));
        let known: Vec<_> = metrics().into_iter().filter(|metric| metric.step <= STEPS[recorded - 1]).collect();
        writer.checkpoint_with(b"state", &columns(), &known).unwrap();
        // The recording goes on meanwhile.
        write_step(&mut writer, STEPS[recorded]);

        let before = files(&partial(study.path()));
        let last = STEPS[recorded - 1];
        let expected = Progress { step: last as u64, steps: description().steps };
        assert_eq!(copy_so_far(study.path(), copy.path()).unwrap(), so_far(Some(expected)));
        assert!(files(&partial(study.path())) == before);
        let found = Study::open(copy.path()).unwrap();
        let found = &found.runs()[0];
        found.verify().unwrap();
        assert_eq!(found.manifest().recorded_steps, STEPS[..recorded]);
        assert_eq!(found.metrics().unwrap(), known);
        assert_eq!(found.examples().unwrap().sampled_ids(), SAMPLED);
        assert!(found.example_column("label").unwrap().is_some());
        let read = found.map_steps(|step| (step.step, step.values.to_vec())).unwrap();
        assert_eq!(read, STEPS[..recorded].iter().map(|step| (*step, gradients(*step))).collect::<Vec<_>>());
        assert_eq!(found.population_steps().len(), POPULATION_STEPS.iter().filter(|step| **step <= last).count());

        STEPS[recorded + 1..].iter().for_each(|step| write_step(&mut writer, *step));
        writer.finish(&columns(), &metrics()).unwrap();
        let copy = tempfile::tempdir().unwrap();
        let finished = SoFar { finished: vec![description().run], unfinished: Vec::new() };
        assert_eq!(copy_so_far(study.path(), copy.path()).unwrap(), finished);
        Study::open(copy.path()).unwrap().runs()[0].verify().unwrap();
    }
}

#[test]
fn without_a_checkpoint_there_is_nothing_to_continue() {
    let study = tempfile::tempdir().unwrap();
    assert!(matches!(RunWriter::resume(study.path(), &description()).unwrap(), Resumed::Nothing));
    drop(RunWriter::create(study.path(), description()).unwrap());
    assert!(matches!(RunWriter::resume(study.path(), &description()).unwrap(), Resumed::Nothing));
}

#[test]
fn a_run_that_only_lacks_its_name_is_given_it() {
    let study = tempfile::tempdir().unwrap();
    let manifest = common::record(study.path()).unwrap().manifest().clone();
    let expected = files(&directory(study.path()));
    fs::rename(directory(study.path()), partial(study.path())).unwrap();
    fs::write(partial(study.path()).join("checkpoint"), "of a moment before").unwrap();
    fs::write(partial(study.path()).join("journal-00000"), "of a moment before").unwrap();
    match RunWriter::resume(study.path(), &description()).unwrap() {
        Resumed::Finished(finished) => assert_eq!(*finished, manifest),
        other => panic!("{other:?}"),
    }
    assert!(files(&directory(study.path())) == expected);
}

/// The error after `damage` to an unfinished run with a checkpoint.
fn error_after(damage: impl FnOnce(&Path), description: &RunDescription) -> String {
    let study = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(study.path(), common::description()).unwrap();
    write_step(&mut writer, 0);
    writer.checkpoint(b"state").unwrap();
    drop(writer);
    damage(&partial(study.path()));
    match RunWriter::resume(study.path(), description).unwrap_err() {
        error @ TraceError::Checkpoint { .. } => error.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn what_cannot_be_continued_says_why() {
    let altered = |name: &'static str, place: usize| {
        move |run: &Path| {
            let mut bytes = fs::read(run.join(name)).unwrap();
            let place = place.min(bytes.len() - 1);
            bytes[place] ^= 1;
            fs::write(run.join(name), bytes).unwrap();
        }
    };
    let same = description();
    assert!(error_after(altered("checkpoint", 0), &same).contains("another version"));
    for place in [25, 300, usize::MAX] {
        assert!(error_after(altered("checkpoint", place), &same).contains("SHA-256"));
    }
    assert!(error_after(|run| fs::write(run.join("checkpoint"), "").unwrap(), &same).contains("first line"));
    let part = "population/part-0000000000.parquet";
    assert!(error_after(|run| fs::remove_file(run.join(part)).unwrap(), &same).contains("missing"));
    assert!(error_after(altered("journal-00000", 20), &same).contains("checksum"));
    assert!(error_after(|run| fs::remove_file(run.join("journal-00000")).unwrap(), &same).contains("missing"));
    let cut = |run: &Path| fs::write(run.join("journal-00000"), "short").unwrap();
    assert!(error_after(cut, &same).contains("too short"));
    let snapshot = "weights/step-00000000.safetensors";
    assert!(error_after(|run| fs::write(run.join(snapshot), "").unwrap(), &same).contains("not as it was written"));
    let mut bias = description();
    bias.coordinates[6].parameter = 1;
    bias.coordinates[6].index = 0;
    for other in [
        RunDescription { example_ids: SAMPLED[..4].to_vec(), ..description() },
        RunDescription { conditions: Conditions::new(Some(1)).with("rule", "sgd"), ..description() },
        RunDescription { population_ids: Some(vec![0]), ..description() },
        bias,
    ] {
        assert!(error_after(|_| {}, &other).contains("other settings"));
    }
}

/// Edits the text of the writer's place in a checkpoint, whose hash is right again.
fn edit_checkpoint(run: &Path, edit: impl Fn(String) -> String) {
    let path = run.join("checkpoint");
    let bytes = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = bytes.splitn(3, |byte| *byte == b'\n').collect();
    let place = edit(String::from_utf8(lines[1].to_vec()).unwrap());
    let content = [place.as_bytes(), b"\n", lines[2]].concat();
    let version = String::from_utf8(lines[0].to_vec()).unwrap();
    let version = version.rsplit_once(' ').unwrap().0;
    let header = format!("{version} {}\n", cograd_files::sha256(&content));
    fs::write(&path, [header.as_bytes(), &content].concat()).unwrap();
}

#[test]
fn a_checkpoint_names_files_by_plain_paths_within_the_run() {
    for name in ["a/./b", "./journal-00000", "a//b", "a/", "/a", "../a", ".", ""] {
        let named = |run: &Path| edit_checkpoint(run, |place| place.replace("journal-00000", name));
        assert!(error_after(named, &description()).contains("outside of the run"), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_unfinished_run_is_not_continued_through_a_link() {
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("weights");
    let linked = |run: &Path| {
        fs::rename(run.join("weights"), &moved).unwrap();
        std::os::unix::fs::symlink(&moved, run.join("weights")).unwrap();
    };
    assert!(error_after(linked, &description()).contains("it is a link"));
    assert_eq!(fs::read_dir(&moved).unwrap().count(), 1, "what the link leads to is left alone");
}

#[test]
fn journals_go_with_the_part_files_they_are_for() {
    let study = tempfile::tempdir().unwrap();
    // 32 MiB a step, all zero: only the raw size ends a part file, every 8 steps.
    let (n, d) = (16, 524_288);
    let description = RunDescription {
        steps: 100,
        train_examples: n,
        example_ids: (0..n as u32).collect(),
        ..of_one_parameter(d, description())
    };
    let zeros = vec![0.0; n * d as usize];
    let mut writer = RunWriter::create(study.path(), description.clone()).unwrap();
    let journals = || {
        let names = fs::read_dir(partial(study.path())).unwrap().map(|entry| entry.unwrap().file_name());
        let mut journals: Vec<_> =
            names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with("journal")).collect();
        journals.sort();
        journals
    };
    writer.write_gradients(0, &zeros).unwrap();
    writer.checkpoint(b"").unwrap();
    (1..9).for_each(|step| writer.write_gradients(step, &zeros).unwrap());
    // The checkpoint still needs the first.
    assert_eq!(journals(), ["journal-00000", "journal-00001"]);
    writer.checkpoint(b"").unwrap();
    assert_eq!(journals(), ["journal-00001"]);
    drop(writer);
    let Resumed::Continued(mut writer, _) = RunWriter::resume(study.path(), &description).unwrap() else {
        panic!("there is a checkpoint");
    };
    (9..24).for_each(|step| writer.write_gradients(step, &zeros).unwrap());
    assert_eq!(journals(), ["journal-00001"]);
    let manifest_parts = fs::read_dir(partial(study.path()).join("gradients")).unwrap().count();
    assert_eq!(manifest_parts, 3);
}
