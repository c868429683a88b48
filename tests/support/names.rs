//! Names that only the members of a replica set can resolve, as behind NAT or in another cluster.

use std::process::Command;

use severance::lab::LabDir;
use severance::lab::replica_set::Builder;

/// Gives the members the names `member-0.invalid` and so on in the configuration. The returned folder
/// must live as long as the set does.
pub fn unresolvable(builder: Builder) -> (Builder, LabDir) {
    let dir = LabDir::new().expect("a temporary folder can be made");
    let library = dir.path().join("names.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-x", "c"]);
    compiler.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/names.c"));
    compiler.arg("-o").arg(&library).arg("-ldl");
    let built = compiler.status().expect("cc is there, or no Rust program could be linked");
    assert!(built.success(), "names.c does not compile");
    let builder = builder
        .host(|member, port| format!("member-{member}.invalid:{port}"))
        .env("LD_PRELOAD", &library.to_string_lossy());
    (builder, dir)
}
