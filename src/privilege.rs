//! What the responder's account may do on a cluster: as little as the job needs. The one list that
//! `role` prints, `check` compares with, and the demo and the tests create.
//!
//! `impersonate` is not on it, on purpose: without it the server refuses the `users` and `roles`
//! forms of the kill command, the ones that end everybody's sessions.

use std::fmt;

use serde_json::{Value, json};

/// The name of the role.
pub const ROLE: &str = "severanceResponder";

/// On what an action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The cluster as a whole.
    Cluster,
    /// Every database.
    Databases,
    /// `config.mongos` of a sharded cluster.
    ConfigMongos,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "the cluster",
            Self::Databases => "every database",
            Self::ConfigMongos => "config.mongos",
        })
    }
}

/// One action on one resource, with the reason for asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Privilege {
    /// The action, in the server's word.
    pub action: &'static str,
    /// On what.
    pub resource: Resource,
    /// What it is for.
    pub purpose: &'static str,
    /// Without it nobody can be cut off and proven gone; the others are for more.
    pub essential: bool,
}

/// What the job needs.
pub const NEEDED: [Privilege; 6] = [
    Privilege {
        action: "killAnySession",
        resource: Resource::Cluster,
        purpose: "end the sessions of the people an event names",
        essential: true,
    },
    Privilege {
        action: "inprog",
        resource: Resource::Cluster,
        purpose: "see what they run, before and after: without it no kill can be checked",
        essential: true,
    },
    Privilege {
        action: "killop",
        resource: Resource::Cluster,
        purpose: "end operations that have no session (some drivers on hidden members)",
        essential: true,
    },
    Privilege {
        action: "replSetGetConfig",
        resource: Resource::Cluster,
        purpose: "find hidden members: without it no case can end as terminated",
        essential: true,
    },
    Privilege {
        action: "viewUser",
        // Looking in every database at once needs it on the cluster; on every database is not enough.
        resource: Resource::Cluster,
        purpose: "tell a mistyped user from one with nothing to cut",
        essential: false,
    },
    Privilege {
        action: "listSessions",
        resource: Resource::Cluster,
        purpose: "tell when a session was used last (severance sessions)",
        essential: false,
    },
];

/// What a cluster that is reached through mongos needs besides.
pub const NEEDED_SHARDED: Privilege = Privilege {
    action: "find",
    resource: Resource::ConfigMongos,
    purpose: "find every mongos",
    essential: true,
};

/// What targets that are roles need besides.
pub const NEEDED_FOR_ROLES: Privilege = Privilege {
    action: "viewRole",
    resource: Resource::Databases,
    purpose: "know who has the roles that a rule targets",
    essential: true,
};

/// What is asked for besides what every cluster needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// The cluster is reached through mongos.
    pub sharded: bool,
    /// Rules target roles.
    pub roles: bool,
}

impl Besides {
    /// Everything that is needed.
    pub fn needed(self) -> impl Iterator<Item = Privilege> {
        let roles = self.roles.then_some(NEEDED_FOR_ROLES);
        NEEDED.into_iter().chain(self.sharded.then_some(NEEDED_SHARDED)).chain(roles)
    }
}

/// What the account should not have.
pub const DANGEROUS: &str = "impersonate";

impl Resource {
    /// As the server writes it in a role.
    pub fn document(self) -> Value {
        match self {
            Self::Cluster => json!({"cluster": true}),
            Self::Databases => json!({"db": "", "collection": ""}),
            Self::ConfigMongos => json!({"db": "config", "collection": "mongos"}),
        }
    }

    /// Whether a granted resource covers this one.
    fn is_covered_by(self, granted: &Value) -> bool {
        let is = |key: &str, wanted: &str| granted.get(key).and_then(Value::as_str) == Some(wanted);
        granted.get("anyResource").and_then(Value::as_bool) == Some(true)
            || match self {
                Self::Cluster => granted.get("cluster").and_then(Value::as_bool) == Some(true),
                Self::Databases => is("db", "") && is("collection", ""),
                Self::ConfigMongos => {
                    (is("db", "config") || is("db", ""))
                        && (is("collection", "mongos") || is("collection", ""))
                }
            }
    }
}

impl Privilege {
    /// Whether the granted privileges (`[{resource, actions}]`, as `connectionStatus` shows them)
    /// have it.
    pub fn is_granted_by(&self, granted: &[Value]) -> bool {
        granted.iter().any(|privilege| {
            privilege.get("resource").is_some_and(|resource| self.resource.is_covered_by(resource))
                && allows(privilege, self.action)
        })
    }
}

/// Whether the granted privileges allow `action` on anything at all.
pub fn grants_anywhere(granted: &[Value], action: &str) -> bool {
    granted.iter().any(|privilege| allows(privilege, action))
}

fn allows(privilege: &Value, action: &str) -> bool {
    let actions = privilege.get("actions").and_then(Value::as_array);
    actions
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|granted| granted == action || granted == "anyAction")
}

/// The role's `privileges`, one entry a resource, as `createRole` takes them.
pub fn role_privileges(sharded: bool) -> Vec<Value> {
    privileges(Besides { sharded, ..Besides::default() })
}

/// The same with what is asked for besides.
pub fn privileges(besides: Besides) -> Vec<Value> {
    let wanted: Vec<Privilege> = besides.needed().collect();
    [Resource::Cluster, Resource::Databases, Resource::ConfigMongos]
        .into_iter()
        .filter_map(|resource| {
            let actions: Vec<_> =
                wanted.iter().filter(|privilege| privilege.resource == resource).map(|p| p.action).collect();
            (!actions.is_empty()).then(|| json!({"resource": resource.document(), "actions": actions}))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_grants_what_is_needed_and_nothing_dangerous() {
        let granted = role_privileges(true);
        assert!(NEEDED.iter().chain([&NEEDED_SHARDED]).all(|privilege| privilege.is_granted_by(&granted)));
        assert!(!grants_anywhere(&granted, DANGEROUS));
        assert!(!NEEDED_SHARDED.is_granted_by(&role_privileges(false)));
    }

    #[test]
    fn each_privilege_is_missed_when_it_is_dropped() {
        for dropped in NEEDED {
            let granted: Vec<Value> = NEEDED
                .iter()
                .filter(|privilege| **privilege != dropped)
                .map(|privilege| json!({"resource": privilege.resource.document(), "actions": [privilege.action]}))
                .collect();
            let missing: Vec<_> =
                NEEDED.iter().filter(|privilege| !privilege.is_granted_by(&granted)).collect();
            assert_eq!(missing, [&dropped]);
        }
    }

    #[test]
    fn roles_are_viewed_only_by_those_who_ask_for_it() {
        assert!(!NEEDED_FOR_ROLES.is_granted_by(&role_privileges(true)));
        let granted = privileges(Besides { roles: true, ..Besides::default() });
        assert!(NEEDED_FOR_ROLES.is_granted_by(&granted));
        let one = [json!({"resource": {"db": "app", "collection": ""}, "actions": ["viewRole"]})];
        assert!(!NEEDED_FOR_ROLES.is_granted_by(&one), "another database's roles are inherited too");
    }

    #[test]
    fn root_like_grants_count_and_are_dangerous() {
        let root = [json!({"resource": {"anyResource": true}, "actions": ["anyAction"]})];
        assert!(NEEDED.iter().all(|privilege| privilege.is_granted_by(&root)));
        assert!(grants_anywhere(&root, DANGEROUS));
    }
}
