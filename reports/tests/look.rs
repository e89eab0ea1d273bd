mod synthetic;
use synthetic::Study;
#[test]
fn look() {
    let all = |study: Study, name: &str| {
        let out = std::path::PathBuf::from("/tmp/rep/look").join(name);
        std::fs::create_dir_all(out.join("analysis")).unwrap();
        synthetic::write(&out.join("analysis"), &study);
        cograd_reports::report(&out.join("analysis"), &out.join("report")).unwrap();
    };
    all(Study::whole(), "whole");
    all(Study { seeds: vec![1, 2, 3], ..Study::whole() }, "seeds");
    all(
        Study { grouping: "label", groups: vec!["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], ..Study::whole() },
        "label",
    );
    all(Study { grouping: "learned", groups: vec!["early", "late"], noise: vec![0.5], ..Study::whole() }, "learned");
    all(
        Study {
            grouping: "a file",
            groups: vec!["ordinary", "a very long name of a group", "third"],
            noise: vec![0.0, 0.25, 0.5, 0.75, 1.0],
            ..Study::whole()
        },
        "five",
    );
    all(Study { seeds: vec![1, 2, 3], ..Study::winsorized() }, "winsorized");
}
