mod synthetic;
use synthetic::Study;
#[test]
fn scratch() {
    let root = std::path::PathBuf::from("/tmp/look");
    let studies = [
        ("five", Study::default()),
        ("one", Study { noise: vec![0.5], ..Study::default() }),
        ("seeds", Study { noise: vec![0.25, 0.5], seeds: vec![1, 2, 3], ..Study::default() }),
        ("nine", Study { noise: (1..=9).map(|tenths| f64::from(tenths) / 10.0).collect(), ..Study::default() }),
        ("few", Study { steps: 7, contiguous: 7, missing: 3, ..Study::default() }),
        ("zero", Study { noise: vec![0.0], ..Study::default() }),
        ("long", Study { steps: 100_000, contiguous: 10, ..Study::default() }),
    ];
    let demo = std::path::Path::new("/tmp/demo/analysis");
    if demo.exists() {
        cograd_reports::report(demo, &root.join("real/report")).unwrap();
    }
    for (name, study) in studies {
        let a = root.join(name).join("analysis");
        std::fs::create_dir_all(&a).unwrap();
        synthetic::write(&a, &study);
        cograd_reports::report(&a, &root.join(name).join("report")).unwrap();
    }
}
