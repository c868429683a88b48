//! `severance completions` and `severance man`.

use std::fs;

use super::program::{Folder, severance};

/// The commands as `--help` lists them.
fn commands() -> Vec<String> {
    let help = severance(&["--help"]).out;
    let (_, listed) = help.split_once("Commands:\n").expect("a list of commands");
    let names = listed.lines().take_while(|line| !line.is_empty());
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_shell_completes_every_command() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = severance(&["completions", shell]);
        assert_eq!((said.exit, said.err.as_str()), (0, ""), "{shell}");
        for command in &commands {
            assert!(said.out.contains(command), "{shell} does not know {command}");
        }
    }
    let said = severance(&["completions", "tcsh"]);
    assert_eq!(said.exit, 2, "{}", said.err);
}

#[test]
fn bash_takes_its_completions() {
    let folder = Folder::new();
    let script = folder.file("severance.bash", severance(&["completions", "bash"]).out);
    let line = format!(
        "source {script} && COMP_WORDS=(severance exp) COMP_CWORD=1 && _severance severance exp severance && \
         echo \"${{COMPREPLY[*]}}\""
    );
    let output = std::process::Command::new("bash").args(["-c", &line]).output().expect("there is a bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "explain", "{output:?}");
}

#[test]
fn every_command_has_its_page() {
    let page = severance(&["man"]);
    assert_eq!((page.exit, page.err.as_str()), (0, ""), "{}", page.out);
    assert!(
        page.out.contains(".TH severance 1") && page.out.contains("severance\\-explain(1)"),
        "{}",
        page.out
    );
    let page = severance(&["man", "explain"]);
    assert!(page.out.contains("severance\\-explain \\- ") && page.out.contains("Examples:"), "{}", page.out);
    let page = severance(&["man", "dead-letters", "list"]);
    assert_eq!(page.exit, 0, "{}", page.err);
    let none = severance(&["man", "nothing"]);
    assert_eq!((none.exit, none.out.as_str()), (2, ""), "{}", none.err);

    let folder = Folder::new();
    let dir = folder.path();
    assert_eq!(severance(&["man", "--dir", &dir]).exit, 0);
    for command in commands().iter().filter(|command| *command != "help") {
        let page = fs::read_to_string(format!("{dir}/severance-{command}.1")).expect(command);
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(severance(&["man", "--dir", "/not/there"]).exit, 6);
}
