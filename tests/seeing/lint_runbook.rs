//! `severance lint-runbook`.

use serde_json::Value;

use super::program::{Folder, manifest, severance, severance_reading};

const RUNBOOK: &str = r#"# Cut somebody off

    db.runCommand({ killAllSessionsByPattern: [{ users: [{ user: "jsmith", db: "admin" }] }] })

or, where the name is a variable:

    mongosh --eval "db.adminCommand({killAllSessionsByPattern: [{users: [{user: \"$USER\", db: \"admin\"}]}]})"

Afterwards:

    db.runCommand({ killSessions: [{ id: UUID("0b5a5b7e-7d2c-4b57-9f0c-2f1d8a1f6e55") }] })
"#;

#[test]
fn it_says_where_whom_it_would_really_end_and_what_to_write_instead() {
    let folder = Folder::new();
    let file = folder.file("runbook.md", RUNBOOK);
    let said = severance(&["lint-runbook", &file]);
    assert_eq!((said.exit, said.err.as_str()), (6, ""), "{}", said.out);
    let out = said.out.replace(&file, "runbook.md");
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("lint_runbook", out);
    });
    let said = severance(&["lint-runbook", "--json", &file]);
    assert_eq!(said.exit, 6);
    let lines: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 3, "{}", said.out);
    assert_eq!(lines[0]["file"], file.as_str());
    assert_eq!(lines[0]["meant"][0], "jsmith@admin");
    assert_eq!((lines[0]["line"].as_u64(), lines[0]["level"].as_str()), (Some(3), Some("trap")));
}

#[test]
fn the_language_of_the_file_is_the_language_of_the_correction() {
    let folder = Folder::new();
    let python = folder.file(
        "cut.py",
        "client.admin.command('killAllSessionsByPattern', [{'users': [{'user': 'a', 'db': 'b'}]}])",
    );
    let json =
        folder.file("cut.json", r#"{"killAllSessionsByPattern": [{"users": [{"user": "a", "db": "b"}]}]}"#);
    let said = severance(&["lint-runbook", &python, &json]);
    assert!(said.out.contains("bytes.fromhex(\""), "{}", said.out);
    assert!(said.out.contains("{\"$binary\": {\"base64\": \""), "{}", said.out);
}

#[test]
fn what_is_clean_is_0_whatever_its_bytes_are_and_what_cannot_be_read_is_2() {
    let folder = Folder::new();
    let bytes = folder.file("bytes", [0xff, 0x00, b'k', 0xfe]);
    let said = severance(&["lint-runbook", &bytes, &manifest("deploy/severance.yaml")]);
    assert_eq!((said.exit, said.out.as_str()), (0, "no finding in 2 files\n"), "{}", said.err);
    let said = severance_reading(&["lint-runbook", "-"], b"killAllSessionsByPattern: patterns()}");
    assert_eq!(said.exit, 0, "{}", said.out);
    assert!(said.out.contains("-:1:1: note: "), "{}", said.out);
    let trap = folder.file("trap.js", "killAllSessionsByPattern: []");
    let said = severance(&["lint-runbook", "/not/there", &trap]);
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.out.contains("EVERYBODY"), "the other file is looked at all the same: {}", said.out);
}
