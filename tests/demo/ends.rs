//! However the demo ends, it leaves nothing behind, and it never calls a failure a success.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use severance::lab::Signal;

use super::stage::{Demo, SOON};

/// What a person may be asked to wait.
const LEFT: Duration = Duration::from_secs(5);

fn is_long() -> bool {
    std::env::var_os("SEVERANCE_LONG").is_some_and(|value| value == "1")
}

/// xorshift64: what it gives is as good as any other moment.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn ended_at_any_moment_it_leaves_no_server_and_no_folder() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let mut seed = now.as_nanos() as u64 | 1;
    eprintln!("seed {seed}");
    for round in 0..if is_long() { 10 } else { 4 } {
        let signal = if round % 2 == 0 { Signal::Kill } else { Signal::Interrupt };
        let moment = Duration::from_millis(next(&mut seed) % 6_000);
        eprintln!("round {round}: {signal} after {moment:?}");
        let demo = Demo::start(&[]);
        // The moment itself is what is tried, so here a sleep is no synchronisation.
        std::thread::sleep(moment);
        demo.signal(signal);
        let exit = demo.exit();
        demo.is_gone_within(LEFT);
        eprintln!("round {round}: {exit}");
    }
}

fn stop(pid: u32) {
    let stopped = Command::new("kill").args(["-s", "STOP", &pid.to_string()]).status().expect("a kill");
    assert!(stopped.success(), "{pid} cannot be stopped");
}

#[test]
fn with_a_member_that_hangs_it_fails_and_names_it() {
    let members = if is_long() { 0..4 } else { 2..3 };
    for member in members {
        let demo = Demo::start(&[]);
        demo.says("listening on");
        let servers = demo.servers();
        assert_eq!(servers.len(), 4, "{:?}", demo.processes());
        let port = port(servers[member]);
        // The last line of the first table: everybody is at work.
        demo.says("batch job");
        stop(servers[member]);
        let exit = demo.exit();
        let output = demo.output();
        assert_ne!(exit, 0, "{output}");
        let (_, verdict) = output.split_once("NOT as it should be").unwrap_or(("", &output));
        assert!(verdict.contains(&format!("127.0.0.1:{port}")), "member {member}, port {port}:\n{output}");
        demo.is_gone_within(SOON);
    }
}

fn port(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    let line = String::from_utf8_lossy(&line).into_owned();
    line.split('\0').skip_while(|word| *word != "--port").nth(1).expect("a port").to_owned()
}
