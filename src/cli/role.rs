//! `severance role`: the responder's role and user as a script for mongosh.

use std::fmt::Write as _;

use clap::Args;

use super::Exit;
use crate::privilege::{Besides, ROLE};

/// What to print.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  severance role | tee severance-role.js
  severance role --user CN=severance --external --sharded")]
pub struct RoleArgs {
    /// The responder's user name
    #[arg(long, default_value = "severance")]
    user: String,
    /// The cluster is reached through mongos
    #[arg(long)]
    sharded: bool,
    /// Rules target roles
    #[arg(long)]
    roles: bool,
    /// The user is external (x.509, LDAP, OIDC): no password, in the database $external
    #[arg(long)]
    external: bool,
}

/// Prints the script.
pub fn role(args: &RoleArgs) -> Exit {
    print!("{}", script(&args.user, Besides { sharded: args.sharded, roles: args.roles }, args.external));
    Exit::Done
}

fn script(user: &str, besides: Besides, external: bool) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line("// The least that Severance needs on a cluster. Run as a user administrator:");
    line("//   mongosh \"mongodb://...\" --file severance-role.js");
    line("// Safe to run again: an existing role is brought up to date, an existing user is left alone.");
    line("// Not granted, on purpose: impersonate. Without it the server refuses the users/roles forms of");
    line("// killAllSessionsByPattern, which end everybody's sessions.");
    line("const admin = db.getSiblingDB(\"admin\");");
    line("const privileges = [");
    for privilege in besides.needed() {
        line(&format!("  // {}", privilege.purpose));
        line(&format!(
            "  {{ resource: {}, actions: [\"{}\"] }},",
            privilege.resource.document(),
            privilege.action
        ));
    }
    line("];");
    line(&format!(
        "if (admin.getRole(\"{ROLE}\")) admin.updateRole(\"{ROLE}\", {{ privileges, roles: [] }});"
    ));
    line(&format!("else admin.createRole({{ role: \"{ROLE}\", privileges, roles: [] }});"));
    let (database, password) = match external {
        true => ("$external", ""),
        false => ("admin", ", pwd: passwordPrompt()"),
    };
    let _ = writeln!(text, "const home = db.getSiblingDB(\"{database}\");");
    let name = serde_json::Value::from(user);
    let _ = writeln!(
        text,
        "if (!home.getUser({name})) home.createUser({{ user: {name}{password}, roles: [{{ role: \"{ROLE}\", db: \"admin\" }}] }});"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_reads_well() {
        insta::assert_snapshot!(script("severance", Besides::default(), false));
    }

    #[test]
    fn a_name_with_quotes_stays_a_name() {
        assert!(
            script("CN=\"a\",O=b", Besides::default(), true)
                .contains(r#"createUser({ user: "CN=\"a\",O=b", roles"#)
        );
    }
}
