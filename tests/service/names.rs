//! Members whose configured names nobody but themselves can resolve.

use serde_json::Value;
use severance::edge::mongo_lab::{Kind, Work};
use severance::lab::ReplicaSet;

use super::house::{House, Plan, SOON, offboarded, outcome, user};
use crate::support::block_on;
use crate::support::names::unresolvable;
use crate::support::responder::account;

#[test]
fn a_set_whose_names_do_not_resolve_is_cut_through_the_members_map_and_named_without_it() {
    let (builder, _library) = unresolvable(ReplicaSet::builder().voting(1).hidden(true));
    let set = block_on(builder.start()).expect("a replica set");
    let own = block_on(account(&set, "severance"));
    let henry = block_on(user(&set, "henry", "admin"));
    let victims: Vec<_> = (0..set.size())
        .map(|member| block_on(set.work(member, &henry, Work::new(Kind::Query, "shop"))).expect("a query"))
        .collect();
    let hosts: Vec<String> = (0..set.size()).map(|member| set.host(member).to_owned()).collect();
    assert!(hosts.iter().all(|host| host.contains(".invalid:")), "{hosts:?}");
    let named = |outcome: &Value| {
        let nodes = outcome["data"]["clusters"][0]["nodes"].as_array().expect("nodes").clone();
        let mut named: Vec<_> =
            nodes.iter().filter_map(|node| node["host"].as_str()).map(str::to_owned).collect();
        named.sort();
        named
    };

    let house = House::new("no-map", Plan { uri: Some(set.uri(&own)), ..Plan::default() });
    house.put(&[offboarded("1", "henry")]);
    let service = house.start();
    let blind = outcome(&house.outcomes().at_least(SOON, 1)[0]);
    service.stop();
    assert!(
        ["failed", "partial"].contains(&blind["data"]["status"].as_str().expect("a status")),
        "{blind:#}"
    );
    assert_eq!(named(&blind), hosts, "{blind:#}");

    let map = (0..set.size()).map(|member| format!("'{}': '{}'", set.host(member), set.address(member)));
    let cluster = format!("    members: {{ {} }}\n", map.collect::<Vec<_>>().join(", "));
    let house = House::new("map", Plan { uri: Some(set.uri(&own)), cluster, ..Plan::default() });
    house.put(&[offboarded("1", "henry")]);
    let service = house.start();
    let cut = outcome(&house.outcomes().at_least(SOON, 1)[0]);
    service.stop();
    assert_eq!(cut["data"]["status"], "terminated", "{cut:#}");
    assert_eq!(named(&cut), hosts);
    for victim in &victims {
        block_on(victim.wait_touched(SOON)).expect("the victim's query ends");
    }
}
