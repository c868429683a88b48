//! `severance health`: asks a running `severance run` how it is, for probes in containers.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use super::Exit;

/// How long connecting, and each read, may take; a probe's own deadline is usually a second.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest answer that is read.
const LONGEST: u64 = 64 * 1024;

/// Whom to ask, and what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  severance health --config severance.yaml
  severance health --config severance.yaml --ready

Exit codes: 0 yes; 6 no, or no answer.")]
pub struct HealthArgs {
    /// The configuration file of the process to ask; its `listen` says where
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Ask whether it can do its job now, and not only whether it is alive
    #[arg(long)]
    ready: bool,
}

/// Asks, prints the answer, and ends with 0 or 6.
pub fn health(args: &HealthArgs) -> Exit {
    let config = match super::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(listen) = config.listen else {
        eprintln!("{}: listen: is null, so there is nobody to ask", args.config.display());
        return Exit::Usage;
    };
    match ask(reachable(listen), if args.ready { "/readyz" } else { "/livez" }) {
        Ok((status, body)) => {
            println!("{}", body.trim_end());
            if status == 200 { Exit::Done } else { Exit::Failed }
        }
        Err(error) => {
            eprintln!("severance: http://{listen}: {error}");
            Exit::Failed
        }
    }
}

/// Who listens everywhere is asked here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// One request, one answer: all of HTTP that a probe needs.
fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Version 1.0: the answer ends with the connection, and comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    read(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "does not answer in HTTP"))
}

/// `HTTP/1.x 200 OK`, headers, an empty line, the body.
fn read(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\r\n{}\n";
        assert_eq!(read(answer), Some((503, "{}\n".to_owned())));
        for other in ["", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 yes\r\n\r\n"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(asked("[::]:9464"), "[::1]:9464");
        assert_eq!(asked("10.0.0.7:1"), "10.0.0.7:1");
    }
}
