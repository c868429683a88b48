//! The program and files for it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// What a run of the program said.
pub struct Said {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program with nothing on its standard input.
pub fn severance(arguments: &[&str]) -> Said {
    severance_reading(arguments, b"")
}

/// Runs the program with these bytes on its standard input.
pub fn severance_reading(arguments: &[&str], input: &[u8]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_severance"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("BILLING_URI").env_remove("POD_NAME");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it was built");
    // A program that has no use for it does not read it.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said {
        exit: output.status.code().expect("no signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// The annotated configuration, whose secrets are on no machine.
pub fn annotated() -> String {
    manifest("deploy/severance.yaml")
}

/// A file of this repository.
pub fn manifest(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// A folder for files of one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Where it is.
    pub fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    /// Writes a file, and says where it is.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    }
}
