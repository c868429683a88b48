//! `severance completions` and `severance man`: made of the same words as `--help`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Exit};

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance completions bash | sudo tee /etc/bash_completion.d/severance > /dev/null
  severance completions zsh > ~/.zfunc/_severance       # with ~/.zfunc in $fpath
  severance completions fish > ~/.config/fish/completions/severance.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// What to print, or where to put it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance man | man -l -
  severance man explain | man -l -
  severance man --dir /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The command whose page is printed [default: severance itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write every page into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the completions.
pub fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "severance", &mut script);
    print(&script)
}

/// Prints a page, or writes all of them.
pub fn man(args: &ManArgs) -> Exit {
    if let Some(dir) = &args.dir {
        return match clap_mangen::generate_to(Cli::command(), dir) {
            Ok(()) => Exit::Done,
            Err(error) => {
                eprintln!("severance: {}: {error}", dir.display());
                Exit::Failed
            }
        };
    }
    let Some(command) = command(&args.command) else {
        eprintln!(
            "severance: there is no command `{}`; `severance --help` lists them",
            args.command.join(" ")
        );
        return Exit::Usage;
    };
    let mut page = Vec::new();
    match Man::new(command).render(&mut page) {
        Ok(()) => print(&page),
        Err(error) => {
            eprintln!("severance: {error}");
            Exit::OurFault
        }
    }
}

fn command(path: &[String]) -> Option<Command> {
    let mut all = Cli::command();
    all.build();
    let mut command = &all;
    for name in path {
        command = command.find_subcommand(name)?;
    }
    Some(command.clone())
}

fn print(bytes: &[u8]) -> Exit {
    match io::stdout().write_all(bytes) {
        // A reader that has gone away, as `head` does, has what it wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("severance: cannot write: {error}");
            Exit::OurFault
        }
        Ok(()) | Err(_) => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let mut all = Cli::command();
        all.build();
        for command in all.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            let example = help.lines().any(|line| line.trim_start().contains(&format!("severance {name}")));
            assert!(help.starts_with("Examples:") && example, "{name}: {help}");
        }
    }

    /// As a shell divides them; what stands in single quotes is one word.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in line.split('\'').enumerate() {
            match index % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    #[test]
    fn an_example_is_a_command_line_that_is_understood() {
        let mut all = Cli::command();
        all.build();
        let mut tried = 0;
        for command in all.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter_map(|line| line.strip_prefix("  severance ")) {
                let line = line.split(['|', '>', '<', '#']).next().unwrap_or_default();
                let words = ["severance".to_owned()].into_iter().chain(words(line));
                let parsed = Cli::command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried}");
    }
}
