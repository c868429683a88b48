//! Where fetched servers are kept between runs.

use std::ffi::OsString;
use std::path::PathBuf;

/// `severance` in the user's cache folder, not made yet: `XDG_CACHE_HOME`, else `~/.cache`. `None` when
/// neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The specification of XDG_CACHE_HOME says that a relative path is to be ignored.
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("severance"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Option<PathBuf> {
        folder(|name| {
            let pair = pairs.iter().find(|pair| pair.0 == name);
            pair.map(|pair| pair.1.into())
        })
    }

    #[test]
    fn the_cache_folder_is_the_users() {
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.cache/severance".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]), Some("/c/severance".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "c")]), Some("/h/.cache/severance".into()));
        assert_eq!(with(&[("XDG_CACHE_HOME", "")]), None);
    }
}
