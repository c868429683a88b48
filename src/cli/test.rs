//! `severance test`: whether the rules decide what they should.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::PathBuf,
};

use super::Exit;
use crate::{expect, explain::Desk};

/// What to test.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance test --config severance.yaml rules-test.yaml
  severance test --config severance.yaml --explain tests/*.yaml

A file has `cases`, each with an `event` and what to `expect`:

  cases:
    - name: a sure alert cuts the person
      topic: security.siem
      event: { specversion: \"1.0\", id: \"1\", source: /siem/acme,
               type: io.severance.account.compromised.v1,
               data: { principals: [{ user: jsmith, db: admin }], confidence: 0.9 } }
      expect: { decision: terminate, rule: siem-compromise, principals: [jsmith@admin] }

It asks neither Kafka nor any cluster, and secrets need not be there. Exit code 0: all as expected; 6: some are
not; 2: a file or the configuration cannot be used.")]
pub struct TestArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Show the whole explanation of each case that is decided differently
    #[arg(long)]
    explain: bool,
    /// Files of cases, as YAML
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// The command.
pub fn run(args: &TestArgs) -> Exit {
    let desk = match super::load_without_secrets(&args.config) {
        Ok(config) => Desk::new(config),
        Err(exit) => return exit,
    };
    let (mut cases, mut failed, mut unusable) = (0, 0, false);
    let mut rules = BTreeSet::new();
    let mut written = String::new();
    for path in &args.files {
        let name = path.display().to_string();
        let tested = std::fs::read_to_string(path)
            .map_err(|error| format!("{name}: {error}"))
            .and_then(|text| expect::test(&desk, &name, &text, args.explain));
        match tested {
            Ok(tested) => {
                cases += tested.cases;
                failed += tested.failed;
                rules.extend(tested.rules);
                written.push_str(&tested.text);
            }
            Err(error) => {
                eprintln!("severance: {error}");
                unusable = true;
            }
        }
    }
    let untested = expect::untested(&desk, &rules);
    if cases > 0 && !untested.is_empty() {
        written.push_str(&format!("no case is decided by: {}\n", untested.join(", ")));
    }
    let (noun, verb) = if cases == 1 { ("case", "is") } else { ("cases", "are") };
    match failed {
        0 => written.push_str(&format!("{cases} {noun}: all {verb} decided as expected\n")),
        _ => written.push_str(&format!("{cases} {noun}: {failed} not decided as expected\n")),
    }
    // A reader that has gone away, as `head` does, still gets the exit code.
    let _ = io::stdout().write_all(written.as_bytes());
    match (unusable, failed) {
        (true, _) => Exit::Usage,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Failed,
    }
}
