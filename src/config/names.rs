//! Names that must be unique: each is remembered with the key that has it.

use super::{fault::Told, reader::Field};

/// The names that were seen so far.
#[derive(Default)]
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    /// Reads a name that nothing before may have. `what` is what the names are for.
    pub(super) fn add(&mut self, field: Field<'_>, what: &str) -> Result<String, Told> {
        let name = field.clone().name()?;
        if let Some(owner) = self.owner(&name) {
            let message = format!("`{name}` is the name of `{owner}` already");
            return Err(field.wrong(message, format!("give all {what} different names")));
        }
        let owner = field.key().strip_suffix(".name").unwrap_or(field.key()).to_owned();
        self.0.push((name.clone(), owner));
        Ok(name)
    }

    /// The key that has this name.
    pub(super) fn owner(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(taken, _)| taken == name).map(|(_, owner)| owner.as_str())
    }
}
