//! Servers of another kind: without accounts, with certificates, under names that nobody can resolve.

use serde_json::{Value, json};
use severance::{
    lab::{ReplicaSet, Standalone},
    principal::Principal,
};

use crate::support::{
    block_on, names,
    people::{assert_ended, nodes, principal, query, query_everywhere, terminated_everywhere, told, user},
    responder::{account, compromised, event, respond_to, responder},
};

#[test]
fn a_server_without_authorization_is_unsupported_and_the_message_says_why() {
    block_on(async {
        let server = Standalone::start().await.expect("a server");
        let responder = responder(&server.uri(), "").await;

        let outcome = respond_to(&responder, compromised(&["anybody@admin"])).await;

        assert_eq!(
            (&outcome["status"], &outcome["reason"], &outcome["alert"]),
            (&json!("unsupported"), &json!("unsupported_nodes"), &json!("error")),
            "{outcome:#}"
        );
        let node = &nodes(&outcome)[0];
        assert_eq!((&node["status"], &node["role"]), (&json!("unsupported"), &json!("standalone")));
        let message = node["errors"][0]["message"].as_str().expect("a message");
        assert!(message.starts_with("authorization is off"), "{message}");
        assert!(message.contains("--auth"), "it says what to do: {message}");
    });
}

#[test]
fn somebody_with_a_certificate_is_killed_by_the_name_in_it() {
    block_on(async {
        let set = ReplicaSet::builder().voting(1).tls(true).start().await.expect("a replica set");
        let authority = set.authority().expect("an authority");
        let carol = authority.client("carol").expect("a certificate");
        set.create_account(&carol, json!([{"role": "read", "db": "lab"}])).await.expect("a user");
        let dave = authority.client("dave").expect("a certificate");
        set.create_account(&dave, json!([{"role": "read", "db": "lab"}])).await.expect("a user");
        let (victim, bystander) = (query(&set, 0, &carol).await, query(&set, 0, &dave).await);
        let live = set.admin(0).current_ops().await.expect("what runs");
        let op = live.iter().find(|op| op["command"]["comment"] == victim.comment()).expect("it runs");
        let ours = Principal::new(&carol.user, "$external").expect("a principal").digest();
        assert_eq!(op["lsid"]["uid"]["$binary"]["base64"], base64(ours.as_bytes()));
        let own = account(&set, "responder-tls").await;
        let responder = responder(&set.uri(&own), "").await;

        let named = json!([{"user": carol.user, "db": "$external"}]);
        let outcome =
            respond_to(&responder, event("account.compromised", json!({"principals": named}))).await;

        assert_eq!(told(&set, &outcome), terminated_everywhere(&set, 1));
        assert_ended(&[victim]).await;
        assert!(bystander.is_untouched(), "another certificate was cut");
        let again = respond_to(&responder, compromised(&["CN=nobody@$external"])).await;
        assert_eq!(principal(&again, "CN=nobody@$external")["known"], "unknown", "a directory may know");
    });
}

fn base64(bytes: &[u8]) -> Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes).into()
}

#[test]
fn members_under_names_that_nobody_can_resolve_are_reached_through_the_member_map() {
    let (builder, _names) = names::unresolvable(ReplicaSet::builder().voting(1).hidden(true));
    block_on(async {
        let set = builder.start().await.expect("a replica set");
        let who = user(&set, "far-away", "admin").await;
        let own = account(&set, "responder-map").await;
        let reach = |members: &[usize]| {
            let entries: Vec<_> = members
                .iter()
                .map(|member| format!("'{}': '{}'", set.host(*member), set.address(*member)))
                .collect();
            format!("    members: {{{}}}\nlimits: {{inline_budget: 1s}}\n", entries.join(", "))
        };

        let victims = query_everywhere(&set, &who).await;
        let mapped = responder(&set.uri(&own), &reach(&[0, 1])).await;
        let outcome = respond_to(&mapped, compromised(&["far-away@admin"])).await;
        assert_eq!(told(&set, &outcome), terminated_everywhere(&set, 1));
        assert_ended(&victims).await;

        let half = responder(&set.uri(&own), &reach(&[0])).await;
        let outcome = respond_to(&half, compromised(&["far-away@admin"])).await;
        assert_eq!(told(&set, &outcome).lines().next(), Some("partial unreachable_members"), "{outcome:#}");
        let unreachable: Vec<_> =
            nodes(&outcome).iter().filter(|node| node["status"] == "unreachable").collect();
        assert_eq!((unreachable.len(), &unreachable[0]["host"]), (1, &json!(set.host(1))));

        let none = responder(&set.uri(&own), "limits: {inline_budget: 1s}\n").await;
        let outcome = respond_to(&none, compromised(&["far-away@admin"])).await;
        assert_eq!(outcome["status"], "failed", "{outcome:#}");
        assert_eq!(nodes(&outcome).len(), 2, "and every node is named: {outcome:#}");
    });
}
