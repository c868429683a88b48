//! `severance test`.

use super::program::{Folder, annotated, manifest, severance};

#[test]
fn the_shipped_cases_pass_on_the_shipped_configuration() {
    let said = severance(&["test", "--config", &annotated(), &manifest("deploy/rules-test.yaml")]);
    assert_eq!((said.exit, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(!said.out.contains("no case is decided by"), "{}", said.out);
    let said = said.out.replace(&manifest(""), "");
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("test", said);
    });
}

const CASE: &str = "\
cases:
  - name: nobody listens
    event: { specversion: '1.0', id: '1', source: /s, type: other }
    expect: { decision: terminate }
";

#[test]
fn one_case_that_is_decided_differently_is_exit_code_6_and_a_file_that_cannot_be_used_is_2() {
    let folder = Folder::new();
    let wrong = folder.file("wrong.yaml", CASE);
    let right = folder.file("right.yaml", CASE.replace("terminate", "no_rule"));
    let broken = folder.file("broken.yaml", CASE.replace("expect", "expects"));
    let test = |files: &[&str]| severance(&[&["test", "--config", &annotated()], files].concat());
    assert_eq!(test(&[&right]).exit, 0);
    let said = test(&[&right, &wrong]);
    assert_eq!(said.exit, 6, "{}", said.out);
    assert!(said.out.ends_with("2 cases: 1 not decided as expected\n"), "{}", said.out);
    let said = test(&["--explain", &wrong]);
    assert!(said.out.contains("| event 1: 1 from /s"), "{}", said.out);
    let said = test(&[&broken, &wrong]);
    assert_eq!(said.exit, 2, "{}", said.out);
    assert!(said.err.contains("broken.yaml:4:5"), "{}", said.err);
    assert!(said.out.contains("FAIL  nobody listens"), "the other file is tested all the same: {}", said.out);
    assert_eq!(test(&[]).exit, 2);
}
