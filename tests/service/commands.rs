//! The commands around `run`, against the same broker, with their exit codes.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use severance::privilege::{NEEDED_SHARDED, ROLE, role_privileges};

use super::house::{House, PROGRAM, Plan, SOON, event, outcome};

/// Its exit code, and what it said on both outputs.
pub fn severance(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(PROGRAM).args(arguments).env_remove("RUST_LOG").output().expect("it was built");
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

#[test]
fn topics_says_what_is_missing_or_wrong_and_makes_what_is_missing() {
    let house = House::new("topics", Plan::default());
    let config = house.config().display().to_string();
    let (exit, out, err) = severance(&["topics", "--config", &config]);
    assert_eq!(exit, 0, "{out}{err}");

    house.kafka.delete_topic(&house.dead_letters);
    let (exit, out, _) = severance(&["topics", "--config", &config]);
    assert_eq!(exit, 6, "{out}");
    let line = out.lines().find(|line| line.starts_with(&house.dead_letters)).expect("a line for it");
    assert!(line.ends_with("missing"), "{out}");
    let (exit, out, err) = severance(&["topics", "--config", &config, "--create", "--partitions", "3"]);
    assert_eq!(exit, 0, "{out}{err}");
    assert!(out.contains(&format!("created {}", house.dead_letters)), "{out}");
    let (exit, out, _) = severance(&["topics", "--config", &config]);
    assert_eq!(exit, 0, "{out}");
    let line = out.lines().find(|line| line.starts_with(&house.dead_letters)).expect("a line for it");
    assert!(line.split_whitespace().any(|word| word == "3"), "three partitions: {out}");
}

#[test]
fn topics_says_what_is_wrong_with_a_topic_and_the_fix_and_leaves_it_alone() {
    let compacted: &[_] = &[("cleanup.policy", "compact")];
    let house = House::new("compacted", Plan { settings: [compacted, &[]], ..Plan::default() });
    let config = house.config().display().to_string();
    for create in [false, true] {
        let mut arguments = vec!["topics", "--config", &config];
        arguments.extend(create.then_some("--create"));
        let (exit, out, _) = severance(&arguments);
        assert_eq!(exit, 6, "{out}");
        assert!(out.contains("wrong: compaction throws away"), "{out}");
        assert!(out.contains(&format!("fix: kafka-configs.sh --alter --topic {}", house.outcomes)), "{out}");
    }
}

#[test]
fn publish_puts_an_event_where_it_is_accepted_and_refuses_what_it_cannot_place() {
    let topics = "    - { name: {topic}, accept_types: ['io.severance.account.offboarded.*'] }\n";
    let house = House::new("publish", Plan { topics: topics.to_owned(), ..Plan::default() });
    let config = house.config().display().to_string();
    let file = house.path().join("event.json");
    let path = file.display().to_string();
    let publish = |text: &str, more: &[&str]| {
        fs::write(&file, text).expect("the folder is ours");
        severance(&[&["publish", "--config", &config, "--event", &path], more].concat())
    };
    let good = event("account.offboarded", "1", json!({"principals": [{"user": "nobody", "db": "admin"}]}));

    let (exit, out, err) = publish(&good.to_string(), &[]);
    assert_eq!((exit, out), (0, format!("{}[0]@0 1\n", house.events)), "{err}");
    let (exit, _, err) = publish(&good.to_string().replace("offboarded", "compromised"), &[]);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("no topic accepts io.severance.account.compromised.v1"), "{err}");
    let (exit, _, err) = publish(&good.to_string(), &["--topic", "elsewhere"]);
    assert_eq!(exit, 2, "{err}");
    let (exit, _, err) = publish("{\"specversion\": \"1.0\"}", &[]);
    assert_eq!(exit, 7, "{err}");
    let (exit, _, err) = publish("no JSON", &[]);
    assert_eq!(exit, 7, "{err}");

    let service = house.start();
    let said = outcome(&house.outcomes().at_least(SOON, 1)[0]);
    assert_eq!(said["data"]["trigger"]["id"], "1");
    service.stop();
    assert_eq!(house.committed(), Some(1), "nothing else was published");
}

#[test]
fn without_a_broker_publish_and_topics_say_that_it_cannot_be_reached() {
    let house = House::new("nowhere", Plan::default());
    // A port that is ours and that nobody listens on.
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
    let port = taken.local_addr().expect("it is bound").port();
    drop(taken);
    let text = fs::read_to_string(house.config()).expect("it was written");
    let text = text.replace(&house.kafka.bootstrap(), &format!("127.0.0.1:{port}"));
    fs::write(house.config(), text).expect("the folder is ours");
    let file = house.path().join("event.json");
    fs::write(&file, event("test.unheard", "1", json!({})).to_string()).expect("the folder is ours");
    let (config, file) = (house.config().display().to_string(), file.display().to_string());
    let commands =
        [vec!["topics", "--config", &config], vec!["publish", "--config", &config, "--event", &file]];
    std::thread::scope(|scope| {
        for command in &commands {
            scope.spawn(move || {
                let (exit, out, err) = severance(command);
                assert_eq!(exit, 6, "{command:?}: {out}{err}");
                assert!(err.contains("Connection refused"), "{command:?}: {err}");
            });
        }
    });
}

/// Every action with its resource.
fn granted(privileges: &Value) -> BTreeSet<String> {
    let privileges = privileges.as_array().expect("a list").iter();
    let each = privileges.flat_map(|one| {
        let actions = one["actions"].as_array().expect("a list").iter();
        actions.map(|action| format!("{action} on {}", one["resource"]))
    });
    each.collect()
}

/// The one list between brackets, with its keys in quotes, is the role's document.
fn privileges_of(script: &str) -> Value {
    let (_, rest) = script.split_once("const privileges = [\n").expect("a list");
    let (list, _) = rest.split_once("];").expect("its end");
    let lines = list.lines().filter(|line| !line.trim_start().starts_with("//"));
    let list: String =
        lines.collect::<String>().replace("resource:", "\"resource\":").replace("actions:", "\"actions\":");
    let list = format!("[{}]", list.trim_end().trim_end_matches(','));
    serde_json::from_str(&list).unwrap_or_else(|error| panic!("{error}: {list}"))
}

#[test]
fn the_role_that_is_printed_is_the_role_that_the_responders_here_have() {
    let (exit, script, _) = severance(&["role"]);
    assert_eq!(exit, 0);
    assert_eq!(granted(&privileges_of(&script)), granted(&json!(role_privileges(false))));
    assert!(
        script.contains(&format!("createRole({{ role: \"{ROLE}\", privileges, roles: [] }})")),
        "{script}"
    );
    assert!(!script.contains("\"impersonate\""), "{script}");
    let (_, script, _) = severance(&["role", "--sharded"]);
    assert_eq!(granted(&privileges_of(&script)), granted(&json!(role_privileges(true))));
    assert!(script.contains(NEEDED_SHARDED.action), "{script}");
}

#[test]
fn all_faults_of_a_configuration_are_printed_at_once_and_nothing_is_started() {
    let house = House::new("faults", Plan::default());
    let config = house.config().display().to_string();
    let text = fs::read_to_string(house.config()).expect("it was written");
    let faulty = text
        .replace("outcomes: faults.outcomes", "outcomes: faults.events")
        .replace("uri: { file: uri }", "uri: { file: not-there }")
        + "limits: { drain: soon }\nverfy: { rounds: 3 }\n";
    fs::write(house.config(), &faulty).expect("the folder is ours");
    for command in ["run", "topics"] {
        let (exit, out, err) = severance(&[command, "--config", &config]);
        assert_eq!((exit, out.as_str()), (2, ""), "{err}");
        for key in ["kafka.outcomes", "clusters[0].uri", "limits.drain", "verfy"] {
            assert!(err.contains(key), "{key} is not named:\n{err}");
        }
    }
    let (exit, _, err) = severance(&["run", "--config", "/not/there.yaml"]);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("/not/there.yaml"), "{err}");
}

#[test]
fn a_property_that_librdkafka_does_not_have_is_named() {
    let properties = ", sesion.timeout.ms: '6000', fetch.wait.max.ms: hunter22".to_owned();
    let house = House::new("unknown", Plan { properties, ..Plan::default() });
    let config = house.config().display().to_string();
    for command in ["run", "topics"] {
        let (exit, _, err) = severance(&[command, "--config", &config]);
        assert_eq!(exit, 2, "{err}");
        assert!(err.contains("sesion.timeout.ms: librdkafka has no such property"), "{err}");
        assert!(err.contains("fetch.wait.max.ms") && !err.contains("hunter22"), "{err}");
    }
}

/// Every command's own words, so that a change of them is seen.
#[test]
fn help() {
    let (exit, top, _) = severance(&["--help"]);
    assert_eq!(exit, 0);
    let (_, commands) = top.split_once("Commands:\n").expect("a list of commands");
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    let mut all = format!("$ severance --help\n{top}");
    for name in names {
        let (exit, help, _) = severance(&[name, "--help"]);
        assert_eq!(exit, 0, "{name}");
        all += &format!("\n$ severance {name} --help\n{help}");
    }
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("help", all);
    });
    let (exit, _, err) = severance(&["run"]);
    assert_eq!(exit, 2, "{err}");
}
