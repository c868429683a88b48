//! A folder that goes with us, also after `kill -9`.

use std::io;
use std::path::{Path, PathBuf};

use super::watcher::Watcher;

/// Makes the folder itself, so that there is no moment at which it exists unwatched. Servers that are
/// being killed may still write into it, hence the loop; its bound (60 s) is for a folder that cannot go.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT PIPE
dir=$(umask 077; mktemp -d "$1/severance-lab.XXXXXX") || exit 1
echo "$dir"
cat >/dev/null
n=0
while [ -e "$dir" ] && [ "$n" -lt 600 ]; do
  rm -rf "$dir" 2>/dev/null
  [ -e "$dir" ] && sleep 0.1
  n=$((n + 1))
done
"#;

/// A private temporary folder (mode 0700). It is removed when this is dropped, or when we are gone.
#[derive(Debug)]
pub struct LabDir {
    path: PathBuf,
    /// Removes the folder when dropped.
    _watcher: Watcher,
}

impl LabDir {
    /// Makes the folder in the system's temporary folder.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    /// Makes it in another folder.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new_in(parent: &Path) -> io::Result<Self> {
        let mut watcher = Watcher::start(SCRIPT, |shell| {
            shell.arg(parent);
        })?;
        let path = watcher
            .answer()
            .map_err(|_| io::Error::other(format!("no folder can be made in {}", parent.display())))?;
        Ok(Self { path: path.into(), _watcher: watcher })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_folder_goes_when_it_is_dropped() {
        let dir = LabDir::new().unwrap();
        let path = dir.path().to_owned();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), "x").unwrap();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_lab_folder_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = LabDir::new().unwrap();
        let mode = dir.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
