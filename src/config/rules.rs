//! `rules`: read here, compiled in `decide`.

use globset::Glob;

use super::{
    bounds::wait,
    clusters::{Known, labels},
    fault::Told,
    names::Names,
    protected::principal,
    reader::{Field, Keys, Section, did_you_mean},
};
use crate::{
    canary,
    case::Class,
    decide::{ApprovalSpec, Listed, Rule, RuleSpec, Selector, TargetSpec},
    directory::RoleName,
    principal::Principals,
};

pub(super) const RULE: Keys = Keys {
    known: &["name", "class", "on", "when", "target", "clusters", "dry_run", "approval"],
    later: &["hold", "lock"],
};

pub(super) const APPROVAL: Keys = Keys { known: &["when", "expires", "on_expiry"], later: &[] };

pub(super) const TARGET: Keys = Keys { known: &["principals", "roles", "everyone"], later: &["sessions"] };

/// The canary's rule where there is one, the configured rules, then the default ones.
/// `has_jobs`: there are topics on which a case can wait for a person, as far as is known.
pub(super) fn rules(
    root: &Section<'_>,
    known: &Known,
    with_canary: bool,
    has_jobs: bool,
) -> Result<Vec<Rule>, Told> {
    let with_defaults = root.or("default_rules", true, Field::flag);
    let mut names = Names::default();
    let listed =
        root.or("rules", Vec::new(), |field| field.each(|entry| rule(entry, &mut names, known, has_jobs)));
    let (with_defaults, mut rules) = (with_defaults?, listed?);
    if with_defaults {
        rules.extend(built_in(root, &names, known, "default_rules", Rule::defaults())?);
    }
    let nobody = rules.is_empty();
    if with_canary {
        rules.splice(0..0, built_in(root, &names, known, "canary", canary())?);
    }
    if nobody {
        let fix = "write `rules`, or leave `default_rules` at `true`";
        return Err(root.wrong("rules", "is empty: no event would ever cut anybody", Some(fix.to_owned())));
    }
    Ok(rules)
}

/// It is about its own principal and nobody else, whatever its event says.
fn canary() -> Vec<RuleSpec> {
    let spec = |target, on| RuleSpec {
        name: canary::RULE.to_owned(),
        class: Class::Request,
        on: vec![on],
        when: None,
        target: TargetSpec::fixed(target),
        clusters: None,
        dry_run: false,
        approval: None,
    };
    canary::target()
        .zip(Glob::new(canary::TYPE).ok())
        .map(|(target, on)| spec(target, on))
        .into_iter()
        .collect()
}

/// Rules that are there because of `key`.
fn built_in(
    root: &Section<'_>,
    names: &Names,
    known: &Known,
    key: &str,
    specs: Vec<RuleSpec>,
) -> Result<Vec<Rule>, Told> {
    let compile = |spec: RuleSpec| {
        if let Some(owner) = names.owner(&spec.name) {
            let message = format!("`{}` is the name of a built-in rule", spec.name);
            let fix = format!("give `{owner}` another name, or do without `{key}`");
            return Err(root.wrong("rules", message, Some(fix)));
        }
        let name = spec.name.clone();
        Rule::compile(spec, &known.clusters).map_err(|faults| {
            let words: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
            root.wrong(key, format!("the rule `{name}`: {}", words.join("; ")), None)
        })
    };
    let compiled: Vec<_> = specs.into_iter().map(compile).collect();
    compiled.into_iter().collect()
}

fn rule(entry: Field<'_>, names: &mut Names, known: &Known, has_jobs: bool) -> Result<Rule, Told> {
    let section = entry.section(&RULE)?;
    let name = section.must("name", |field| names.add(field, "rules"));
    let class = section.must("class", |field| field.one_of(&Class::ALL.map(|class| (class.name(), class))));
    let on = section.must("on", |field| field.some(event_type));
    let when = section.maybe("when", Field::text);
    let target = section.must("target", target);
    let clusters = section.maybe("clusters", |field| field.some(|entry| selector(entry, known)));
    let dry_run = section.or("dry_run", false, Field::flag);
    let approval = section.maybe("approval", |field| approval(&section, field, has_jobs));
    // What compiling can find is found whatever else is wrong; nothing of it is kept then.
    let nobody = TargetSpec::expression("[]");
    let compiled = on.and_then(|on| {
        let spec = RuleSpec {
            name: name.clone().unwrap_or_default(),
            class: class.unwrap_or(Class::Request),
            on,
            when: when.clone().unwrap_or_default(),
            target: target.clone().unwrap_or(nobody),
            clusters: clusters.clone().unwrap_or_default().filter(|_| !known.incomplete),
            dry_run: dry_run.unwrap_or_default(),
            approval: approval.clone().unwrap_or_default(),
        };
        compile(&section, spec, known)
    });
    name?;
    class?;
    when?;
    target?;
    clusters?;
    dry_run?;
    approval?;
    compiled
}

fn approval(rule: &Section<'_>, field: Field<'_>, has_jobs: bool) -> Result<ApprovalSpec, Told> {
    let section = field.section(&APPROVAL)?;
    let when = section.maybe("when", Field::text);
    let wait = wait(&section);
    if !has_jobs {
        return Err(rule.wrong(
            "approval",
            "is set, but there is no topic on which a case can wait",
            Some("write `kafka.state` and `kafka.commands`, or remove it".to_owned()),
        ));
    }
    Ok(ApprovalSpec { when: when?, wait: wait? })
}

fn compile(section: &Section<'_>, spec: RuleSpec, known: &Known) -> Result<Rule, Told> {
    Rule::compile(spec, &known.clusters).map_err(|faults| {
        let mut told = None;
        for fault in faults {
            told = Some(section.wrong(fault.key, fault.message, None));
        }
        told.unwrap_or_else(|| section.wrong("name", "does not compile, and nobody knows why", None))
    })
}

/// What Severance answers by itself, before any rule.
const BUILT_IN: [&str; 3] = [
    "io.severance.account.reinstated.",
    "io.severance.termination.approved.",
    "io.severance.termination.denied.",
];

fn event_type(field: Field<'_>) -> Result<Glob, Told> {
    let glob = field.clone().glob()?;
    if BUILT_IN.iter().any(|prefix| glob.glob().starts_with(prefix)) {
        field.warn("is built in and never reaches a rule", "remove it");
    }
    Ok(glob)
}

pub(super) const ROLE: Keys = Keys { known: &["role", "db"], later: &[] };

fn target(field: Field<'_>) -> Result<TargetSpec, Told> {
    let section = field.clone().section(&TARGET)?;
    let principals = section.maybe("principals", |field| {
        let nobody = || field.expected("an expression, or a list of {user: NAME, db: NAME}");
        let listed = |field: Field<'_>| {
            let listed = field.clone().some(principal)?;
            Principals::new(listed).ok_or_else(nobody)
        };
        part(field.clone(), listed)
    });
    let roles = section.maybe("roles", |field| part(field, |field| field.some(role)));
    let everyone = section.maybe("everyone", |field| match field.clone().flag()? {
        true => Ok(()),
        false => Err(field.wrong("is `false`", "write `true`, or remove the key")),
    });
    let (principals, roles, everyone) = (principals?, roles?, everyone?);
    if principals.is_none() && roles.is_none() && everyone.is_none() {
        return Err(field.wrong("means nobody", "write `principals`, `roles` or both"));
    }
    if everyone.is_some() && (principals.is_some() || roles.is_some()) {
        return Err(field.wrong("has `everyone` and another key", "remove one of them"));
    }
    Ok(TargetSpec { principals, roles, everyone: everyone.is_some() })
}

/// An expression, or a list.
fn part<'a, T>(field: Field<'a>, list: impl FnOnce(Field<'a>) -> Result<T, Told>) -> Result<Listed<T>, Told> {
    match field.as_text() {
        Some(_) => field.text().map(Listed::Expression),
        None => list(field).map(Listed::Fixed),
    }
}

fn role(field: Field<'_>) -> Result<RoleName, Told> {
    let section = field.clone().section(&ROLE)?;
    let role = section.must("role", Field::text);
    let db = section.must("db", Field::text);
    RoleName::new(role?, db?).map_err(|_| field.expected("{role: NAME, db: NAME}"))
}

fn selector(field: Field<'_>, known: &Known) -> Result<Selector, Told> {
    if field.is_map() {
        let wanted = labels(field.clone())?;
        if wanted.is_empty() {
            return Err(field.expected("a cluster's name, or labels such as {env: prod}"));
        }
        let matches = known
            .clusters
            .iter()
            .any(|cluster| wanted.iter().all(|(label, value)| cluster.labels.get(label) == Some(value)));
        if !matches && !known.incomplete {
            let wanted: Vec<_> = wanted.iter().map(|(label, value)| format!("{label}: {value}")).collect();
            let message = format!("{{{}}} matches no cluster", wanted.join(", "));
            return Err(field.wrong(message, "label a cluster so, or correct the labels"));
        }
        return Ok(Selector::Labels(wanted));
    }
    let name = field.clone().text()?;
    let names: Vec<_> = known.clusters.iter().map(|cluster| &*cluster.name).collect();
    if !names.contains(&name.as_str()) && !known.incomplete {
        let all = || format!("write one of: {}", names.join(", "));
        let fix = did_you_mean(&name, &names).unwrap_or_else(all);
        return Err(field.wrong(format!("`{name}` is no cluster"), fix));
    }
    Ok(Selector::Name(name))
}
