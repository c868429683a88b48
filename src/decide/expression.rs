//! CEL expressions over `event`. What they may name is checked when they are compiled, so that a
//! typing error is found by `check` and not by an incident.
//!
//! The CEL crate's own errors quote values; these do not, because an event's payload must never
//! reach a log or an outcome.

use std::collections::BTreeSet;

use cel::{
    Context, ExecutionError, IdedExpr, Program, Value,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
};
use serde_json::json;

use crate::decode::Trigger;

/// The one variable, and what it has.
const EVENT: &str = "event";
const FIELDS: [&str; 6] = ["id", "source", "type", "subject", "time", "data"];

/// The standard functions that CEL 0.15 has; operators are written with a sign.
const FUNCTIONS: [&str; 31] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "hasValue",
    "int",
    "matches",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Why an expression did not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("is not CEL: {0}")]
    Syntax(String),
    #[error(
        "names `{0}`, which is not there: the event is `event` (event.type, event.source, event.subject, event.id, event.time, event.data)"
    )]
    Identifier(String),
    #[error(
        "reads `event.{0}`, which no event has (event.type, event.source, event.subject, event.id, event.time, event.data)"
    )]
    Field(String),
    #[error("calls `{0}`, which is no CEL function")]
    Function(String),
}

/// Why an expression gave no usable value; holds names and types, no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    #[error("the event has no `{0}`")]
    NoSuchKey(String),
    #[error("{0}")]
    Evaluation(&'static str),
    #[error("gives {got}, where {want} is needed")]
    Type { got: &'static str, want: &'static str },
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    source: String,
    program: Program,
}

/// What an expression reads of an event, and what the event has there. For the eyes of whoever has
/// the event anyway: it never goes into a log or an outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// As the expression writes it, for example `event.data.confidence`.
    pub path: String,
    /// `None` where the event has nothing there.
    pub value: Option<serde_json::Value>,
}

impl Expression {
    pub(super) fn compile(source: &str) -> Result<Self, Invalid> {
        let program =
            Program::compile(source).map_err(|error| Invalid::Syntax(first_line(&error.to_string())))?;
        let mut names = Names::default();
        names.collect(program.expression());
        let references = program.references();
        let variables: BTreeSet<_> = references.variables().into_iter().collect();
        if let Some(unknown) = variables.iter().find(|name| **name != EVENT && !names.bound.contains(**name))
        {
            return Err(Invalid::Identifier((*unknown).to_owned()));
        }
        if let Some(unknown) = names.fields.iter().find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(Invalid::Field(unknown.clone()));
        }
        let is_operator = |name: &str| !name.starts_with(|c: char| c.is_ascii_alphabetic());
        let functions: BTreeSet<_> = references.functions().into_iter().collect();
        if let Some(unknown) = functions.iter().find(|name| !is_operator(name) && !FUNCTIONS.contains(name)) {
            return Err(Invalid::Function((*unknown).to_owned()));
        }
        drop(references);
        Ok(Self { source: source.to_owned(), program })
    }

    /// As it was written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// What it reads of the event, each once, in the order in which it is written. What an expression
    /// reads of the items of a list is the list.
    pub(super) fn readings(&self, trigger: &Trigger) -> Vec<Reading> {
        let mut paths = Vec::new();
        collect_paths(self.program.expression(), &mut paths);
        let event = as_json(trigger);
        let mut readings: Vec<Reading> = Vec::new();
        for path in paths {
            let name =
                [EVENT].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(".");
            if readings.iter().all(|reading| reading.path != name) {
                let value = path.iter().try_fold(&event, |value, key| value.get(key)).cloned();
                readings.push(Reading { path: name, value });
            }
        }
        readings
    }

    /// As a condition.
    pub(super) fn is_true(&self, event: &BoundEvent) -> Result<bool, Failed> {
        match self.evaluate(event)? {
            Value::Bool(answer) => Ok(answer),
            other => Err(Failed::Type { got: type_name(&other), want: "true or false" }),
        }
    }

    /// As a list of JSON values.
    pub(super) fn list(&self, event: &BoundEvent) -> Result<Vec<serde_json::Value>, Failed> {
        match self.evaluate(event)? {
            Value::List(items) => items
                .iter()
                .map(|item| {
                    item.json().map_err(|_| Failed::Evaluation("gives a list of something that is not JSON"))
                })
                .collect(),
            other => Err(Failed::Type { got: type_name(&other), want: "a list of {user, db}" }),
        }
    }

    fn evaluate(&self, event: &BoundEvent) -> Result<Value, Failed> {
        self.program.execute(&event.0).map_err(|error| match error {
            ExecutionError::NoSuchKey(name) => Failed::NoSuchKey((*name).clone()),
            ExecutionError::IndexOutOfBounds(_) => Failed::Evaluation("an index is outside its list"),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Failed::Evaluation("a division by zero")
            }
            ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::ValuesNotComparable(..)
            | ExecutionError::UnexpectedType { .. } => {
                Failed::Evaluation("two values of types that do not go together")
            }
            // The crate's enum is open-ended and its messages quote values, so the rest is one word.
            _ => Failed::Evaluation("the expression could not be evaluated on this event"),
        })
    }
}

/// An event as expressions see it; made once an event, however many rules read it.
pub(super) struct BoundEvent(Context<'static, 'static>);

impl BoundEvent {
    pub(super) fn new(trigger: &Trigger) -> Self {
        let mut context = Context::default();
        // JSON always converts; were it not to, every expression fails closed on the missing `event`.
        if let Ok(value) = cel::to_value(as_json(trigger)) {
            context.add_variable_from_value(EVENT, value);
        }
        Self(context)
    }
}

/// The event as expressions read it.
fn as_json(trigger: &Trigger) -> serde_json::Value {
    json!({
        "id": trigger.id,
        "source": trigger.source,
        "type": trigger.kind,
        "subject": trigger.subject,
        "time": trigger.time.map(|time| time.to_string()),
        "data": trigger.data,
    })
}

/// The parts of an expression.
fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Comprehension(inner) => {
            vec![&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
        }
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => {
            let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => None,
            });
            entries.flatten().collect()
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => Vec::new(),
    }
}

/// The keys behind `event`, each as far as it is written out.
fn collect_paths(expression: &IdedExpr, paths: &mut Vec<Vec<String>>) {
    match path(expression) {
        Some(path) if !path.is_empty() => paths.push(path),
        Some(_) | None => parts(expression).into_iter().for_each(|part| collect_paths(part, paths)),
    }
}

/// `event.data.level`, `event.data["level"]` and `has(event.data.level)` are all `data`, `level`.
fn path(expression: &IdedExpr) -> Option<Vec<String>> {
    match &expression.expr {
        Expr::Ident(name) => (name == EVENT).then(Vec::new),
        Expr::Select(select) => {
            let mut path = path(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] => {
                let mut path = path(operand)?;
                path.push((**key).to_owned());
                Some(path)
            }
            _ => None,
        },
        Expr::Call(_)
        | Expr::Unspecified
        | Expr::Comprehension(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Struct(_) => None,
    }
}

/// The names in an expression that its own reference list does not tell apart.
#[derive(Default)]
struct Names {
    /// Bound by `map`, `filter`, `exists` and `all`.
    bound: BTreeSet<String>,
    /// What is read directly of the event.
    fields: BTreeSet<String>,
}

impl Names {
    fn collect(&mut self, expression: &IdedExpr) {
        match &expression.expr {
            Expr::Comprehension(inner) => {
                self.bound.insert(inner.iter_var.clone());
                self.bound.extend(inner.iter_var2.clone());
                self.bound.insert(inner.accu_var.clone());
            }
            Expr::Select(select) if select.operand.expr == Expr::Ident(EVENT.to_owned()) => {
                self.fields.insert(select.field.clone());
            }
            Expr::Select(_)
            | Expr::Call(_)
            | Expr::List(_)
            | Expr::Map(_)
            | Expr::Unspecified
            | Expr::Ident(_)
            | Expr::Literal(_)
            | Expr::Struct(_) => {}
        }
        parts(expression).into_iter().for_each(|part| self.collect(part));
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::String(_) => "a string",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
        _ => "something else",
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("ERROR: <input>:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_found_before_any_event_comes() {
        assert_eq!(Expression::compile("evnt.data.x == 1").unwrap_err(), Invalid::Identifier("evnt".into()));
        assert_eq!(Expression::compile("event.tpye == 'a'").unwrap_err(), Invalid::Field("tpye".into()));
        assert_eq!(Expression::compile("risky(event)").unwrap_err(), Invalid::Function("risky".into()));
        assert!(matches!(Expression::compile("event.type matches 'x'"), Err(Invalid::Syntax(_))));
    }

    #[test]
    fn what_is_read_is_told_with_its_value() {
        let mut trigger = Trigger::without_data("com.example.alarm");
        trigger.data = json!({"level": 4, "who": [{"user": "a"}]});
        let read = |source: &str| {
            let readings = Expression::compile(source).unwrap().readings(&trigger);
            let line = |reading: Reading| match reading.value {
                Some(value) => format!("{}={value}", reading.path),
                None => format!("{} is not there", reading.path),
            };
            readings.into_iter().map(line).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            read("event.data.level > 3 && event.data.level < 9 && event.type != event.data.missing"),
            "event.data.level=4; event.type=\"com.example.alarm\"; event.data.missing is not there"
        );
        assert_eq!(read("event.data[\"level\"] == 4"), "event.data.level=4");
        assert_eq!(read("has(event.data.level)"), "event.data.level=4");
        assert_eq!(read("event.data.who.map(p, p.user)"), "event.data.who=[{\"user\":\"a\"}]");
        assert_eq!(read("true"), "");
    }

    #[test]
    fn the_variables_of_a_macro_are_known() {
        for source in [
            "event.data.principals.map(p, {'user': p.user, 'db': 'admin'})",
            "event.data.groups.exists(g, g == 'dba' && event.data.list.all(x, x > 1))",
            "event.data.principals.filter(p, p.db == 'admin')",
        ] {
            assert!(Expression::compile(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn every_listed_function_is_one_that_the_library_knows() {
        let known = |source: &str| {
            let context = Context::default();
            !matches!(
                Program::compile(source).unwrap().execute(&context),
                Err(ExecutionError::UndeclaredReference(_))
            )
        };
        for source in [
            "bool('true')",
            "bytes('a')",
            "double(1)",
            "duration('1s')",
            "dyn(1)",
            "int('1')",
            "size('a')",
            "string(1)",
            "timestamp('2026-01-01T00:00:00Z').getFullYear()",
            "type(1)",
            "uint(1)",
            "'a'.contains('a')",
            "'a'.matches('a')",
            "optional.of(1).orValue(2)",
            "timestamp('2026-01-01T00:00:00Z').getDayOfWeek()",
        ] {
            assert!(known(source), "{source}");
        }
        assert!(!known("risky(1)"));
    }
}
