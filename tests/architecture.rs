//! What the rooms of the house promise each other, read from the sources themselves.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One line of code that is compiled into the program: no test, no comment.
struct Line {
    file: String,
    number: usize,
    text: String,
}

/// Every line of every source file, without tests and comments.
fn code() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 50, "the sources are not where they were: {}", files.len());
    files.iter().flat_map(|file| lines(&root, file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_tests = path.file_stem().is_some_and(|name| name == "tests" || name == "schema_tests");
        if is_tests {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A module of tests stands at the end of its file, by rustfmt's indentation up to its closing brace.
fn lines(root: &Path, file: &Path) -> Vec<Line> {
    let name = file.strip_prefix(root).expect("below the root").display().to_string();
    let text = fs::read_to_string(file).expect("a source file");
    let mut lines = Vec::new();
    let mut in_tests = false;
    for (index, text) in text.lines().enumerate() {
        if in_tests {
            in_tests = text != "}";
            continue;
        }
        if text == "mod tests {" {
            in_tests = true;
            continue;
        }
        let code =
            text.split_once("//").map_or(text, |(code, _)| if is_inside_string(code) { text } else { code });
        lines.push(Line { file: name.clone(), number: index + 1, text: code.to_owned() });
    }
    lines
}

/// `//` behind an open quotation mark is part of a text, such as a URI.
fn is_inside_string(before: &str) -> bool {
    before.matches('"').count() % 2 == 1
}

/// Where any of these words stands in code outside the folder `but`.
fn found(words: &[&str], but: &str) -> Vec<String> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let has =
        |text: &str, word: &str| text.match_indices(word).any(|(at, _)| !text[..at].ends_with(is_letter));
    code()
        .iter()
        .filter(|line| but.is_empty() || !line.file.starts_with(but))
        .filter(|line| words.iter().any(|word| has(&line.text, word)))
        .map(|line| format!("src/{}:{}: {}", line.file, line.number, line.text.trim()))
        .collect()
}

#[track_caller]
fn assert_nowhere(words: &[&str], but: &str, why: &str) {
    let found = found(words, but);
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

#[test]
fn foreign_servers_are_named_only_at_the_edge() {
    let words =
        ["rdkafka::", "use rdkafka", "mongodb::", "use mongodb", "bson::", "use bson", "axum::", "use axum"];
    assert_nowhere(&words, "edge/", "rdkafka, mongodb, bson and axum are named only under src/edge");
    for word in ["mongodb::", "rdkafka::"] {
        assert!(!found(&[word], "").is_empty(), "{word} is found where it is: the reader reads");
    }
}

#[test]
fn the_kill_is_built_in_one_place() {
    let built: Vec<String> = found(&["killAllSessionsByPattern\":", "killAllSessionsByPattern\" :"], "");
    let [only] = built.as_slice() else { panic!("one place builds the kill:\n{}", built.join("\n")) };
    assert!(only.starts_with("src/edge/mongo_wire.rs:"), "{only}");
    assert!(only.contains("\"killAllSessionsByPattern\": patterns"), "of patterns and nothing else: {only}");
    let others = ["killAllSessions\"", "killSessions\""];
    assert_nowhere(&others, "runbook/", "the other kill commands are not used, only found in runbooks");
    let everybody: Vec<String> = found(&["users\":", "roles\":"], "edge/mongo_lab/")
        .into_iter()
        .filter(|line| line.starts_with("src/edge/") || line.starts_with("src/terminate/"))
        .collect();
    assert!(everybody.is_empty(), "the fields that turn a pattern into everybody:\n{}", everybody.join("\n"));
}

#[test]
fn a_pattern_becomes_a_document_in_one_place() {
    let built = found(&["Pattern::Uid(", "Pattern::Lsid("], "pattern.rs");
    assert!(built.iter().all(|line| line.starts_with("src/edge/mongo_wire.rs:")), "{built:#?}");
    assert_eq!(built.len(), 2, "{built:#?}");
}

#[test]
fn nothing_is_unsafe_unfinished_or_taken_for_granted() {
    assert_nowhere(&["unsafe "], "", "there is no unsafe code");
    assert_nowhere(&["todo!", "unimplemented!", "dbg!"], "", "what is not built is refused, not left open");
    let unwrapped: Vec<String> = code()
        .iter()
        .filter(|line| line.text.contains(".unwrap()"))
        .map(|line| format!("src/{}:{}: {}", line.file, line.number, line.text.trim()))
        .collect();
    assert!(
        unwrapped.is_empty(),
        "an unwrap says nothing to whoever sees it fail:\n{}",
        unwrapped.join("\n")
    );
}

#[test]
fn decide_knows_no_clock_no_chance_and_no_world() {
    for word in
        ["Timestamp::now", "Instant::now", "SystemTime", "rand::", "std::env", "std::fs", "tokio::", "async "]
    {
        let found: Vec<String> =
            found(&[word], "").into_iter().filter(|line| line.starts_with("src/decide/")).collect();
        assert!(found.is_empty(), "decide is pure, but has {word}:\n{}", found.join("\n"));
    }
}

/// Unfinished work is made of what a kill has left; the kill knows nothing of it.
#[test]
fn terminate_knows_no_jobs() {
    let found: Vec<String> =
        found(&["jobs::"], "").into_iter().filter(|line| line.starts_with("src/terminate/")).collect();
    assert!(found.is_empty(), "terminate is below jobs:\n{}", found.join("\n"));
}
