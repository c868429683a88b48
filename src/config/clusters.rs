//! `clusters`: where people are cut.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Cluster,
    fault::Told,
    names::Names,
    reader::{Field, Keys},
    secret::Secrets,
};
use crate::decide::ClusterLabels;

pub(super) const CLUSTER: Keys = Keys { known: &["name", "labels", "uri", "members"], later: &["shards"] };

/// What rules can be checked against, however broken the rest of a cluster is.
#[derive(Default)]
pub(super) struct Known {
    /// Clusters whose name and labels could be read.
    pub(super) clusters: Vec<ClusterLabels>,
    /// Not every cluster is among them, so that a name that is missing may be one of the others.
    pub(super) incomplete: bool,
}

pub(super) fn clusters(
    field: Field<'_>,
    secrets: &Secrets<'_>,
    known: &mut Known,
) -> Result<Vec<Cluster>, Told> {
    let mut names = Names::default();
    field.some(|entry| cluster(entry, secrets, &mut names, known))
}

fn cluster(
    entry: Field<'_>,
    secrets: &Secrets<'_>,
    names: &mut Names,
    known: &mut Known,
) -> Result<Cluster, Told> {
    let section = entry.section(&CLUSTER).inspect_err(|_| known.incomplete = true)?;
    let name = section.must("name", |field| names.add(field, "clusters")).map(Arc::<str>::from);
    let labels = section.or("labels", BTreeMap::new(), labels);
    match (&name, &labels) {
        (Ok(name), Ok(labels)) => {
            known.clusters.push(ClusterLabels { name: name.clone(), labels: labels.clone() });
        }
        // A name that is taken is known all the same.
        (Err(_), _) | (_, Err(_)) => {
            let written = section.field("name");
            let written = written.as_ref().and_then(Field::as_text);
            known.incomplete |= !known.clusters.iter().any(|cluster| Some(&*cluster.name) == written);
        }
    }
    let uri = section.must("uri", |field| secrets.uri(field));
    let members = section.or("members", BTreeMap::new(), members);
    Ok(Cluster { name: name?, labels: labels?, uri: uri?, members: members? })
}

/// Labels, of a cluster or of a rule that picks clusters.
pub(super) fn labels(field: Field<'_>) -> Result<BTreeMap<String, String>, Told> {
    let read: Vec<_> =
        field.entries()?.into_iter().map(|(label, value)| Ok((label.to_owned(), value.scalar()?))).collect();
    read.into_iter().collect()
}

fn members(field: Field<'_>) -> Result<BTreeMap<String, String>, Told> {
    let mut members: BTreeMap<String, String> = BTreeMap::new();
    let mut told = None;
    for (member, value) in field.entries()? {
        let address = value.clone().text().and_then(|address| {
            if !is_host_and_port(member) {
                return Err(value.wrong(format!("`{member}` is not host:port"), HOST_AND_PORT));
            }
            if !is_host_and_port(&address) {
                return Err(value.wrong(format!("`{address}` is not host:port"), HOST_AND_PORT));
            }
            if let Some((other, _)) = members.iter().find(|(_, taken)| **taken == address) {
                return Err(value.wrong(
                    format!("`{address}` is where `{other}` is already: one member would be asked for two"),
                    "give each member an address of its own",
                ));
            }
            Ok(address)
        });
        match address {
            Ok(address) => drop(members.insert(member.to_owned(), address)),
            Err(error) => told = Some(error),
        }
    }
    told.map_or(Ok(members), Err)
}

const HOST_AND_PORT: &str =
    "write it as the replica set's configuration does, for example `mongo-0.internal:27017`";

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_is_plain = match host.strip_prefix('[') {
        Some(v6) => v6.ends_with(']'),
        None => !host.contains(':'),
    };
    !host.is_empty()
        && host_is_plain
        && !host.contains(['/', '@', ' '])
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_a_host_and_a_port() {
        for good in ["mongo-0.internal:27017", "10.0.0.10:1", "[::1]:27017"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in ["mongo-0", ":27017", "m:0", "m:65536", "m:+1", "::1:27017", "mongodb://m:1", "u@m:1", ""]
        {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
