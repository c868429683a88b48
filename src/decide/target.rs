//! Whom a rule means, as it is written, and what that comes to for one event: names, and what has to
//! be looked up before it is names.

use serde_json::Value;

use super::expression::{BoundEvent, Expression, Failed, Reading};
use crate::{
    decode::Trigger,
    directory::RoleName,
    principal::{Principal, Principals},
};

/// Whom a rule cuts: everybody whom one of its parts means.
#[derive(Clone, Debug, Default)]
pub struct TargetSpec {
    /// Those who are named.
    pub principals: Option<Listed<Principals>>,
    /// Those who have one of these roles.
    pub roles: Option<Listed<Vec<RoleName>>>,
    /// Everybody who is logged in. Never by default, and never together with another part.
    pub everyone: bool,
}

/// A list in a rule.
#[derive(Clone, Debug)]
pub enum Listed<T> {
    /// A CEL expression that gives it.
    Expression(String),
    /// Always the same.
    Fixed(T),
    /// What the event's data has under the name of the part, if it has it.
    IfThere,
}

impl TargetSpec {
    /// The principals that a CEL expression gives.
    pub fn expression(source: impl Into<String>) -> Self {
        Self { principals: Some(Listed::Expression(source.into())), ..Self::default() }
    }

    /// Always the same principals.
    pub fn fixed(principals: Principals) -> Self {
        Self { principals: Some(Listed::Fixed(principals)), ..Self::default() }
    }

    /// Whom the event names by principal or by role; one of the two may be missing.
    pub(super) fn principals_and_roles() -> Self {
        Self { principals: Some(Listed::IfThere), roles: Some(Listed::IfThere), everyone: false }
    }
}

/// A list of the event's data, empty where it is not there.
fn if_there(key: &str) -> String {
    format!("has(event.data.{key}) && event.data.{key} != null ? event.data.{key} : []")
}

/// Whom a rule means by one event, before anything is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// These and no others.
    Named(Principals),
    /// These, and whoever has one of these roles, of which there is at least one.
    Roles(Vec<RoleName>, Vec<Principal>),
    /// Everybody who is there.
    Everyone,
}

/// A target that can be applied.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a rule, and nearly all are of the large kind")]
pub(super) enum Compiled {
    Parts { principals: Option<Part<Principals>>, roles: Option<Part<Vec<RoleName>>> },
    Everyone,
}

#[derive(Debug)]
pub(super) enum Part<T> {
    Expression(Expression),
    Fixed(T),
    IfThere(Expression),
}

impl<T> Part<T> {
    fn compile(
        key: &str,
        listed: Listed<T>,
        try_on: &mut dyn FnMut(&Expression) -> Result<(), String>,
    ) -> Result<Self, String> {
        let compile = |source: &str| Expression::compile(source).map_err(|invalid| invalid.to_string());
        match listed {
            Listed::Fixed(fixed) => Ok(Self::Fixed(fixed)),
            Listed::IfThere => compile(&if_there(key)).map(Self::IfThere),
            Listed::Expression(source) => {
                let expression = compile(&source)?;
                try_on(&expression)?;
                Ok(Self::Expression(expression))
            }
        }
    }

    fn source(&self, key: &str) -> Option<String> {
        match self {
            Self::Expression(expression) => Some(expression.source().to_owned()),
            Self::Fixed(_) => None,
            Self::IfThere(_) => Some(format!("event.data.{key}, if it is there")),
        }
    }

    fn items(
        &self,
        event: &BoundEvent,
        read: fn(Value) -> Result<T::Item, String>,
    ) -> Result<Vec<T::Item>, String>
    where
        T: Clone + IntoIterator,
    {
        match self {
            Self::Fixed(fixed) => Ok(fixed.clone().into_iter().collect()),
            Self::Expression(expression) | Self::IfThere(expression) => list(expression, event, read),
        }
    }

    fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Expression(expression) | Self::IfThere(expression) => Some(expression),
            Self::Fixed(_) => None,
        }
    }
}

impl Compiled {
    /// Compiles every part, and tries each on the examples.
    pub(super) fn compile(
        spec: TargetSpec,
        mut try_on: impl FnMut(&dyn Fn(&BoundEvent) -> Result<(), Failed>) -> Result<(), String>,
    ) -> Result<Self, String> {
        let TargetSpec { principals, roles, everyone } = spec;
        if everyone {
            return match (principals, roles) {
                (None, None) => Ok(Self::Everyone),
                (Some(_), _) | (_, Some(_)) => {
                    Err("`everyone` stands alone: remove the other parts".to_owned())
                }
            };
        }
        if principals.is_none() && roles.is_none() {
            return Err("means nobody: write `principals` or `roles`".to_owned());
        }
        let mut try_list =
            |expression: &Expression| try_on(&|example: &BoundEvent| expression.list(example).map(drop));
        let principals =
            principals.map(|listed| Part::compile("principals", listed, &mut try_list)).transpose()?;
        let roles = roles
            .map(|listed| {
                Part::compile("roles", listed, &mut try_list).map_err(|why| format!("`roles`: {why}"))
            })
            .transpose()?;
        Ok(Self::Parts { principals, roles })
    }

    fn expressions(&self) -> Vec<(&'static str, &Expression)> {
        match self {
            Self::Everyone => Vec::new(),
            Self::Parts { principals, roles } => {
                let principals =
                    principals.as_ref().and_then(Part::expression).map(|one| ("principals", one));
                let roles = roles.as_ref().and_then(Part::expression).map(|one| ("roles", one));
                principals.into_iter().chain(roles).collect()
            }
        }
    }

    /// As it was written, where it reads the event.
    pub(super) fn source(&self) -> Option<String> {
        let Self::Parts { principals, roles } = self else { return None };
        let principals = principals.as_ref().and_then(|part| part.source("principals"));
        match (principals, roles.as_ref().and_then(|part| part.source("roles"))) {
            (principals, None) => principals,
            (None, Some(roles)) => Some(format!("roles: {roles}")),
            (Some(principals), Some(roles)) => Some(format!("{principals}; roles: {roles}")),
        }
    }

    /// What it reads of an event, each once.
    pub(super) fn readings(&self, trigger: &Trigger) -> Vec<Reading> {
        let mut readings: Vec<Reading> = Vec::new();
        for reading in self.expressions().into_iter().flat_map(|(_, part)| part.readings(trigger)) {
            if readings.iter().all(|known| known.path != reading.path) {
                readings.push(reading);
            }
        }
        readings
    }

    /// Whether it means roles whatever the event says.
    pub(super) fn needs_roles(&self) -> bool {
        matches!(self, Self::Parts { roles: Some(Part::Expression(_) | Part::Fixed(_)), .. })
    }

    /// Whether roles are part of it.
    pub(super) fn takes_roles(&self) -> bool {
        matches!(self, Self::Parts { roles: Some(_), .. })
    }

    /// Whom it means by this event: somebody, or an error. What it says about it holds no value.
    pub(super) fn aim(&self, event: &BoundEvent) -> Result<Aim, String> {
        let (principals, roles) = match self {
            Self::Everyone => return Ok(Aim::Everyone),
            Self::Parts { principals, roles } => (principals, roles),
        };
        let named = principals.as_ref().map_or(Ok(Vec::new()), |part| part.items(event, principal))?;
        let roles = roles.as_ref().map_or(Ok(Vec::new()), |part| part.items(event, role));
        let roles = roles.map_err(|why| format!("`roles`: {why}"))?;
        match (Principals::new(named.iter().cloned()), roles) {
            (None, roles) if roles.is_empty() => Err("gives an empty list: nobody is no target".to_owned()),
            (Some(named), roles) if roles.is_empty() => Ok(Aim::Named(named)),
            (_, roles) => Ok(Aim::Roles(roles, named)),
        }
    }
}

fn list<T>(
    expression: &Expression,
    event: &BoundEvent,
    read: fn(Value) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = expression.list(event).map_err(|failed| failed.to_string())?;
    let one = |(index, item)| read(item).map_err(|why| format!("item {index}: {why}"));
    items.into_iter().enumerate().map(one).collect()
}

/// Reads one `{user, db}`; what it says about a bad one holds no value.
fn principal(item: Value) -> Result<Principal, String> {
    let [user, db] = texts(item, ["user", "db"])?;
    Principal::new(user, db).map_err(|invalid| invalid.to_string())
}

/// Reads one `{role, db}` or `role@db`; what it says about a bad one holds no value.
fn role(item: Value) -> Result<RoleName, String> {
    if let Value::String(text) = &item {
        return text.parse().map_err(|invalid: crate::directory::InvalidRole| invalid.to_string());
    }
    let [role, db] = texts(item, ["role", "db"])?;
    RoleName::new(role, db).map_err(|invalid| invalid.to_string())
}

fn texts<const N: usize>(item: Value, keys: [&str; N]) -> Result<[String; N], String> {
    let Value::Object(mut fields) = item else {
        return Err(format!("is no {{{}}}", keys.join(", ")));
    };
    let mut texts = [const { String::new() }; N];
    for (text, key) in texts.iter_mut().zip(keys) {
        *text = match fields.remove(key) {
            Some(Value::String(text)) => text,
            Some(_) => return Err(format!("`{key}` is no string")),
            None => return Err(format!("has no `{key}`")),
        };
    }
    Ok(texts)
}
