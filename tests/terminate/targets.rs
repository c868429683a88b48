//! Targets that are not names: a role is whoever has it, everyone is whoever is there.

use serde_json::{Value, json};
use severance::{
    lab::{Credentials, ReplicaSet},
    privilege::{Besides, privileges},
};

use crate::support::{
    block_on,
    people::{assert_ended, assert_untouched, principal, query, query_everywhere, user},
    replica_set,
    responder::{account, event, respond_to, responder},
};

const ROLE_RULE: &str = "rules:\n  - {name: by-role, class: request, on: [io.severance.termination.requested.v1], \
    target: {roles: event.data.roles}}\n";

/// An account that may look up roles.
async fn viewer(set: &ReplicaSet, name: &str) -> Credentials {
    let role = format!("{name}-role");
    let definition =
        json!({"privileges": privileges(Besides { roles: true, ..Besides::default() }), "roles": []});
    set.create_role("admin", &role, definition).await.expect("a role");
    set.create_user(name, "admin", json!([{"role": role, "db": "admin"}])).await.expect("an account")
}

fn request(role: &str) -> Value {
    event("termination.requested", json!({"reason": "drill", "roles": [role]}))
}

/// A user that may query, and has this role.
async fn with_role(set: &ReplicaSet, name: &str, db: &str, role: Value) -> Credentials {
    let roles = json!([{"role": "readWriteAnyDatabase", "db": "admin"}, role]);
    set.create_user(name, db, roles).await.expect("a user")
}

#[test]
fn whoever_has_a_role_is_cut_also_where_it_is_inherited_from_another_database() {
    let set = replica_set();
    block_on(async {
        let inner = json!({"role": "ledger", "db": "books"});
        set.create_role("books", "ledger", json!({"privileges": [], "roles": []})).await.expect("a role");
        set.create_role("books", "clerk", json!({"privileges": [], "roles": [inner]})).await.expect("a role");
        let middle = json!({"role": "clerk", "db": "books"});
        set.create_role("admin", "chief", json!({"privileges": [], "roles": [middle]}))
            .await
            .expect("a role");
        set.create_role("admin", "ledger", json!({"privileges": [], "roles": []})).await.expect("a role");

        let direct = with_role(set, "has-ledger", "books", inner.clone()).await;
        let inherits = with_role(set, "is-chief", "admin", json!({"role": "chief", "db": "admin"})).await;
        let namesake =
            with_role(set, "other-ledger", "admin", json!({"role": "ledger", "db": "admin"})).await;
        let mut victims = query_everywhere(set, &direct).await;
        victims.extend(query_everywhere(set, &inherits).await);
        let bystander = query(set, 0, &namesake).await;
        let responder = responder(&set.uri(&viewer(set, "role-viewer").await), ROLE_RULE).await;

        let outcome = respond_to(&responder, request("ledger@books")).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        let mut who: Vec<_> = outcome["principals"].as_array().expect("principals").iter().collect();
        who.sort_by_key(|one| one["user"].to_string());
        assert_eq!(
            who.iter().map(|one| (&one["user"], &one["db"], &one["known"])).collect::<Vec<_>>(),
            [
                (&json!("has-ledger"), &json!("books"), &json!("yes")),
                (&json!("is-chief"), &json!("admin"), &json!("yes")),
            ]
        );
        assert_ended(&victims).await;
        assert_untouched([&bystander]);

        let nobody = respond_to(&responder, request("no-such-role@books")).await;
        assert_eq!((&nobody["status"], &nobody["reason"]), (&json!("refused"), &json!("unresolvable")));
    });
}

#[test]
fn without_view_role_a_target_that_is_a_role_is_refused_and_nobody_is_cut() {
    let set = replica_set();
    block_on(async {
        set.create_role("books", "auditor", json!({"privileges": [], "roles": []})).await.expect("a role");
        let who = with_role(set, "has-auditor", "books", json!({"role": "auditor", "db": "books"})).await;
        let lives = query(set, 0, &who).await;
        let responder = responder(&set.uri(&account(set, "no-view-role").await), ROLE_RULE).await;

        let outcome = respond_to(&responder, request("auditor@books")).await;

        assert_eq!(
            (&outcome["status"], &outcome["reason"], &outcome["alert"]),
            (&json!("refused"), &json!("guard_error"), &json!("error")),
            "{outcome:#}"
        );
        assert_untouched([&lives]);
    });
}

/// On a set of its own: everyone is everyone.
#[test]
fn everyone_is_cut_but_the_protected_and_ourselves() {
    block_on(async {
        let set = ReplicaSet::builder().voting(1).hidden(true).start().await.expect("a replica set");
        let extra = "allow_everyone: true\nprotected: [{user: keeper, db: admin}]\n\
            rules:\n  - {name: all, class: request, on: [io.severance.termination.everyone-requested.v1], \
            target: {everyone: true}}\n";
        let responder = responder(&set.uri(&account(&set, "responder").await), extra).await;
        let hidden = set.hidden().expect("a hidden member");
        let (first, second) = (user(&set, "first", "admin").await, user(&set, "second", "app").await);
        let keeper = user(&set, "keeper", "admin").await;
        // Somebody who is on the hidden member only is there too.
        let victims = [query(&set, 0, &first).await, query(&set, hidden, &second).await];
        let kept = query(&set, 0, &keeper).await;

        let breach = || event("termination.everyone-requested", json!({"reason": "breach"}));
        let outcome = respond_to(&responder, breach()).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        for who in ["first@admin", "second@app"] {
            assert_eq!(principal(&outcome, who)["spared"], false, "{who}");
        }
        for who in ["keeper@admin", "responder@admin"] {
            assert_eq!(principal(&outcome, who)["spared_because"], "protected", "{who}");
        }
        assert_ended(&victims).await;
        assert_untouched([&kept]);
        // We are still logged in and can do it again.
        assert_ne!(respond_to(&responder, breach()).await["status"], "failed");
    });
}
