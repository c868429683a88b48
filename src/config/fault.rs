//! What is wrong with a configuration, said so that a tired person can mend it: where it stands,
//! which key it is, what is wrong, and what to write instead. Never the value of a secret.

use std::{cell::RefCell, fmt};

/// Where something stands in the file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One thing that is wrong, or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key as a path, for example `rules[1].on[0]`; empty where it is about the whole file.
    pub key: String,
    /// Where it stands, if it stands anywhere.
    pub place: Option<Place>,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

impl Fault {
    /// `file` goes in front of the place, so that editors and terminals can jump to it.
    fn write(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        let place = match (file, self.place) {
            ("", Some(place)) => format!("line {}, column {}", place.line, place.column),
            (file, Some(place)) => format!("{file}:{}:{}", place.line, place.column),
            (file, None) => file.to_owned(),
        };
        let head: Vec<&str> =
            [place.as_str(), self.key.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
        write!(f, "{}\n    {}", head.join("  "), self.message)?;
        match &self.fix {
            Some(fix) => write!(f, "\n    fix: {fix}"),
            None => Ok(()),
        }
    }
}

/// Something that works, but probably not as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Fault);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that is wrong with one file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    file: String,
    faults: Vec<Fault>,
}

impl Faults {
    /// One fault that keeps us from looking any further.
    pub(super) fn one(file: String, fault: Fault) -> Self {
        Self { file, faults: vec![fault] }
    }

    /// In the order of the file's lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => write!(f, "1 fault in {}", self.file)?,
            many => write!(f, "{many} faults in {}", self.file)?,
        }
        for fault in &self.faults {
            f.write_str("\n\n")?;
            fault.write(f, &self.file)?;
        }
        Ok(())
    }
}

/// Stands for a value that is missing because its fault has been noted. It is made by
/// [`Notes::fault`] only, so whoever holds one knows that the file will be refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told(());

/// Where faults and warnings are noted while the whole file is read.
#[derive(Default)]
pub(super) struct Notes {
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Warning>>,
}

impl Notes {
    /// Notes a fault.
    pub(super) fn fault(&self, fault: Fault) -> Told {
        self.faults.borrow_mut().push(fault);
        Told(())
    }

    /// Notes a warning.
    pub(super) fn warn(&self, warning: Fault) {
        self.warnings.borrow_mut().push(Warning(warning));
    }

    /// What was read with its warnings, unless a fault was noted.
    pub(super) fn close<T>(self, read: Result<T, Told>, file: String) -> Result<(T, Vec<Warning>), Faults> {
        let mut faults = self.faults.into_inner();
        let mut warnings = self.warnings.into_inner();
        faults.sort_by_key(|fault| fault.place);
        warnings.sort_by_key(|warning| warning.0.place);
        match read {
            Ok(value) if faults.is_empty() => Ok((value, warnings)),
            Ok(_) | Err(Told(())) => Err(Faults { file, faults }),
        }
    }
}
