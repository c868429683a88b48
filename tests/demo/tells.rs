//! What the demo shows to a person, in a pipe as on a terminal.

use std::process::Command;

use severance::lab::Signal;

use super::stage::{Demo, SOON};
use crate::support;

/// What differs from run to run becomes a word in brackets.
fn without_what_differs(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        // Times first: they are numbers before a unit.
        let words: Vec<String> = line.split_inclusive(' ').map(str::to_owned).collect();
        let mut line = String::new();
        for (index, word) in words.iter().enumerate() {
            let bare = word.trim_end();
            let unit = words.get(index + 1).map(|next| next.trim_end_matches([' ', ':', ',']));
            let is_time = bare.parse::<f64>().is_ok() && matches!(unit, Some("ms" | "s"));
            let is_port = bare.starts_with("127.0.0.1:");
            let is_case = bare.len() == 37 && bare.ends_with(')') && bare.matches('-').count() == 4;
            let replaced = match () {
                () if is_time => "[time]",
                () if is_port => "127.0.0.1:[port]",
                () if is_case => "[case])",
                () => bare,
            };
            line.push_str(replaced);
            line.push_str(&word[bare.len()..]);
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[test]
fn the_demo_cuts_the_named_and_nobody_else_and_says_so_without_colour() {
    let demo = Demo::start(&[]);
    assert_eq!(demo.exit(), 0, "{}", demo.output());
    let output = demo.output();
    assert!(!output.contains('\u{1b}'), "colour in a pipe:\n{output}");
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("demo", without_what_differs(&output));
    });
    demo.is_gone_within(SOON);
}

#[test]
fn kept_running_it_says_how_to_publish_and_that_works_until_ctrl_c() {
    let demo = Demo::start(&["--keep"]);
    demo.says("  outcomes   ");
    let output = demo.output();
    assert!(output.contains("  connect    mongosh"), "{output}");
    let publish =
        output.lines().find_map(|line| line.trim().strip_prefix("publish    ")).expect("a command line");
    let published = Command::new("sh").args(["-c", publish]).output().expect("a shell");
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    let position = String::from_utf8_lossy(&published.stdout).into_owned();
    assert!(position.starts_with("security.demo[0]@"), "{position}");
    // Whom the event names is cut: that is told on the topic that it also prints.
    let log = demo.output();
    let outcomes = log
        .lines()
        .find_map(|line| line.trim().strip_prefix("outcomes   kcat -C -b "))
        .expect("a command line");
    let (bootstrap, topic) = outcomes.split_once(" -t ").expect("a topic");
    let said = support::topic::Topic::open(bootstrap, topic);
    said.until(SOON, |said| {
        said.iter().any(|raw| {
            let text = String::from_utf8_lossy(raw.value.as_deref().unwrap_or_default());
            text.contains("\"user\":\"alice\"") && text.contains("\"status\":\"terminated\"")
        })
    });
    demo.signal(Signal::Interrupt);
    assert_eq!(demo.exit(), 0, "{}", demo.output());
    demo.is_gone_within(SOON);
}
