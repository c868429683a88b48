//! Runbooks as people write them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;

/// One line a finding.
fn found(text: &str) -> Vec<String> {
    lint(text.as_bytes(), Dialect::Mongosh)
        .iter()
        .map(|finding| {
            let Finding { line, column, level, message, meant, .. } = finding;
            let what = match message.split([':', ' ']).next() {
                _ if *level == Level::Unclear => "unclear",
                Some("ends") if message.starts_with(EVERYBODY) => "everybody",
                Some(word) => word,
                None => "",
            };
            format!("{line}:{column} {what} {}", meant.join(" ")).trim_end().to_owned()
        })
        .collect()
}

#[track_caller]
fn check<const N: usize>(text: &str, expected: [&str; N]) {
    assert_eq!(found(text), expected, "{text}");
}

#[test]
fn the_manuals_own_command_ends_everybody_and_says_whom_it_means() {
    check(
        r#"db.runCommand( { killAllSessionsByPattern: [ { users: [ { user: "jsmith", db: "admin" } ] } ] } )"#,
        ["1:18 everybody jsmith@admin"],
    );
}

#[test]
fn every_pattern_that_selects_nobody_ends_everybody() {
    check("killAllSessionsByPattern: []", ["1:1 everybody"]);
    check("killAllSessionsByPattern: [{}]", ["1:1 everybody"]);
    check("killAllSessionsByPattern: [ { roles: [ { role: 'r', db: 'd' } ] } ]", ["1:1 everybody"]);
    check("killAllSessionsByPattern: [{uid: BinData(0, 'x')}, {}]", ["1:1 everybody"]);
    check("killAllSessionsByPattern: [{users}]", ["1:1 everybody"]);
    check("killAllSessionsByPattern: [{users: people}]", ["1:1 everybody"]);
    check("killAllSessionsByPattern: [{user: 'a', db: 'b'}]", ["1:1 everybody"]);
}

#[test]
fn what_selects_somebody_is_left_alone() {
    check("killAllSessionsByPattern: [{uid: BinData(0, 'x')}]", []);
    check("killAllSessionsByPattern: [{uid: BinData(0, 'x'), users: [{user: 'a', db: 'b'}]}]", []);
    check("killAllSessionsByPattern: [{lsid: {id: UUID('x'), uid: BinData(0, 'x')}}]", []);
    check("killAllSessionsByPattern: [{lsid: session}]", []);
    check("killSessions: [{id: UUID('x'), uid: BinData(0, 'x')}]", []);
}

#[test]
fn the_other_commands_have_traps_of_their_own() {
    check("killAllSessions: []", ["1:1 everybody"]);
    check("killAllSessions: [{user: 'a', db: 'admin'}]", ["1:1 fails a@admin"]);
    check("killSessions: [{id: UUID('x')}]", ["1:1 answers"]);
    check("killSessions: []", ["1:1 ends"]);
    check("killAllSessionsByPattern: [{lsid: {id: UUID('x')}}]", ["1:1 fails"]);
}

#[test]
fn it_is_found_in_every_language() {
    check(r#"{"killAllSessionsByPattern": [{"users": [{"user": "a", "db": "b"}]}]}"#, ["1:3 everybody a@b"]);
    check(
        "client.admin.command('killAllSessionsByPattern', [{'users': [{'user': 'a', 'db': '$external'}]}])",
        ["1:23 everybody a@$external"],
    );
    check("SON([('killAllSessionsByPattern', [])])", ["1:8 everybody"]);
    check("dict(killAllSessionsByPattern=[{}])", ["1:6 everybody"]);
    check(
        "['killAllSessionsByPattern' => [['users' => [['user' => 'a', 'db' => 'b']]]]]",
        ["1:3 everybody a@b"],
    );
    check(
        r#"mongosh --eval "db.adminCommand({killAllSessionsByPattern: [{users: [{user: \"a\", db: \"b\"}]}]})""#,
        ["1:34 everybody a@b"],
    );
    check(
        r#"{"source": "db.runCommand({\n  \"killAllSessionsByPattern\": [\n  {\"users\": [{\"user\": \"a\", \"db\": \"b\"}]}\n]})"}"#,
        ["1:34 everybody a@b"],
    );
    check("Run `killAllSessionsByPattern: [{}]` at night.", ["1:6 everybody"]);
    check("killAllSessionsByPattern: [ // all of them\n  { /* of */ users: [ ] },\n]", ["1:1 everybody"]);
}

#[test]
fn a_yaml_block_is_read_to_its_end_and_no_further() {
    let block = "\
- name: cut
  command:
    killAllSessionsByPattern:
      - users:
          - user: a
            db: admin
          - user: \"{{ who }}\"
            db: admin
    comment: night
- killAllSessionsByPattern:  # right
  - uid: !!binary abcd
  users: none
- killAllSessionsByPattern:
    - {}
";
    check(block, ["3:5 everybody a@admin", "13:3 everybody"]);
}

#[test]
fn a_mention_is_no_command() {
    for text in [
        "killAllSessionsByPattern ends sessions.",
        "killAllSessionsByPattern: ends the sessions that match.",
        "killAllSessionsByPattern, killOp and others",
        "| `killAllSessionsByPattern` | [docs] |",
        "xkillAllSessionsByPattern: []",
        "killAllSessionsByPatterns: []",
        "killAllSessionsByPattern(",
        "killAllSessionsByPattern:",
        "killAllSessionsByPattern == []",
    ] {
        check(text, []);
    }
}

#[test]
fn what_is_not_written_out_is_told_and_is_no_trap() {
    check("run({killAllSessionsByPattern: patterns})", ["1:6 unclear"]);
    check("run({killAllSessionsByPattern: patternsOf(people), comment: 1})", ["1:6 unclear"]);
    check("killAllSessionsByPattern: [pattern]", ["1:1 unclear"]);
    check("killAllSessionsByPattern: [{...pattern}]", ["1:1 unclear"]);
    check("killAllSessionsByPattern: [].concat(patterns)", ["1:1 unclear"]);
    check("killAllSessionsByPattern: [ <pattern>, ... ]", ["1:1 unclear"]);
    check("killAllSessionsByPattern: [ {users: [", ["1:1 unclear"]);
}

#[test]
fn whoever_is_not_written_out_has_no_digest() {
    let instead = |who: &str| {
        let text = format!("killAllSessionsByPattern: [{{users: [{who}]}}]");
        lint(text.as_bytes(), Dialect::Mongosh).remove(0).instead.unwrap()
    };
    // `printf jsmith@admin | openssl dgst -sha256 -binary | base64`
    let jsmith = "db.adminCommand({ killAllSessionsByPattern: [{ uid: BinData(0, \"+g+H4Q7HoQRaca+d2FF4rTzutxN/wMBFbq85i24ucfs=\") }] })";
    assert_eq!(instead("{user: 'jsmith', db: 'admin'}"), jsmith);
    for who in [
        "{user: user, db: 'admin'}",
        "{user: '$USER', db: 'admin'}",
        "{user: `${user}`, db: 'admin'}",
        "{user: 'j' + rest, db: 'admin'}",
        "{user: '<user>', db: 'admin'}",
        "{user: 'jsmith', db: 'admin'}, somebody",
        "{user: 'jsmith', db: 'a@b'}",
        "{user: 'jsmith'}",
        "",
    ] {
        let instead = instead(who);
        assert!(
            instead.contains("BinData(0, \"UID\")") && instead.contains("openssl dgst -sha256"),
            "{who}: {instead}"
        );
    }
}

#[test]
fn the_right_command_is_clean_in_every_language() {
    for dialect in [Dialect::Mongosh, Dialect::Json, Dialect::Python] {
        for text in [
            "killAllSessionsByPattern: [{users: [{user: 'jsmith', db: 'admin'}, {user: 'a', db: 'b'}]}]",
            "killAllSessionsByPattern: [{roles: [{role: 'r', db: 'd'}]}]",
            "killAllSessions: [{user: 'jsmith', db: 'admin'}]",
            "killSessions: [{id: x}]",
        ] {
            let instead = lint(text.as_bytes(), dialect).remove(0).instead.unwrap();
            assert_eq!(lint(instead.as_bytes(), dialect), [], "{instead}");
        }
    }
    insta::assert_snapshot!(
        [Dialect::Mongosh, Dialect::Json, Dialect::Python]
            .map(|dialect| {
                let text = "killAllSessionsByPattern: [{users: [{user: 'jsmith', db: 'admin'}]}]";
                lint(text.as_bytes(), dialect).remove(0).instead.unwrap()
            })
            .join("\n")
    );
}

#[test]
fn a_line_that_says_so_is_left_alone() {
    check("killAllSessionsByPattern: [] // lint-runbook: allow", []);
    check("# lint-runbook: allow\nkillAllSessionsByPattern: []", []);
    check("# lint-runbook: allow\n\nkillAllSessionsByPattern: []", ["3:1 everybody"]);
    check("killAllSessionsByPattern: []\n// lint-runbook: allow", ["1:1 everybody"]);
}

#[test]
fn our_own_documents_hold_no_trap_but_the_one_that_they_warn_of() {
    let readme = include_bytes!("../../README.md");
    let traps: Vec<_> =
        lint(readme, Dialect::Mongosh).into_iter().filter(|finding| finding.level == Level::Trap).collect();
    assert!(traps.iter().all(|trap| trap.meant == ["jsmith@admin"]), "{traps:#?}");
    assert!(!traps.is_empty());
}

#[test]
fn much_of_it_is_read_in_a_moment() {
    let began = std::time::Instant::now();
    for piece in [
        "killAllSessionsByPattern: [",
        "killAllSessionsByPattern: [{users: [{user: '",
        "killAllSessionsByPattern:\n- a: [",
    ] {
        let _ = lint(piece.repeat(1_000).as_bytes(), Dialect::Mongosh);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Pieces that mean something here, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "killAllSessionsByPattern",
        "killAllSessions",
        "killSessions",
        ":",
        ",",
        "=",
        "=>",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "users",
        "roles",
        "uid",
        "lsid",
        "user",
        "db",
        "'",
        "\"",
        "`",
        "\\\"",
        "\\",
        "\\n",
        "\n",
        "\n  - ",
        " ",
        "//",
        "#",
        "/*",
        "*/",
        "...",
        "**",
        "$x",
        "é",
        "\u{2028}",
        "a",
        ".",
        "+",
        "lint-runbook: allow",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = lint(&bytes, Dialect::Mongosh);
        let _ = lint(&[b"killAllSessionsByPattern: [".as_slice(), &bytes].concat(), Dialect::Json);
    }

    #[test]
    fn what_looks_like_a_command_makes_it_panic_no_more(text in pieces(), more in pieces()) {
        let _ = lint(text.as_bytes(), Dialect::Mongosh);
        for finding in lint(format!("\nkillAllSessionsByPattern:{text}\n{more}").as_bytes(), Dialect::Python) {
            prop_assert!(finding.line >= 1 && finding.column >= 1);
        }
    }

    #[test]
    fn whoever_is_named_gets_the_digest_of_their_name(user in "[a-zA-Z0-9_.@ -]{1,20}", db in "[a-zA-Z0-9_$-]{1,10}") {
        prop_assume!(!db.contains('$'));
        let command = serde_json::json!({"killAllSessionsByPattern": [{"users": [{"user": user, "db": db}]}]});
        let finding = lint(command.to_string().as_bytes(), Dialect::Json).remove(0);
        let who = Principal::new(user, db).unwrap();
        prop_assert_eq!(&finding.meant, &[who.to_string()]);
        prop_assert!(finding.instead.unwrap().contains(&BASE64_STANDARD.encode(who.digest().as_bytes())));
    }
}
