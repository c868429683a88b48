//! A proxy behind which a driver believes that the server knows no sessions.
//!
//! Some clients send no `lsid`: hand-written ones, and some drivers on a hidden member. What they run
//! outlives a kill by user and needs `killOp`. The Rust driver sends one wherever the server's greeting
//! has the field `logicalSessionTimeoutMinutes`, so this passes everything through and renames that
//! field on the way. Without TLS and compression only, which is what labs without TLS use.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const FIELD: &[u8] = b"logicalSessionTimeoutMinutes\0";
/// Greetings are below 1 KiB; larger messages need no search.
const MAX_GREETING: usize = 16 << 10;
/// The length and three more numbers that begin every message.
const HEADER: usize = 16;
/// The largest message that MongoDB has (48,000,000 bytes).
const MAX_MESSAGE: usize = 48_000_000;

/// The running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Sessionless {
    address: String,
    task: JoinHandle<()>,
}

impl Sessionless {
    /// Listens on a free port of loopback for connections to `target` (`host:port`).
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn start(target: String) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let task = tokio::spawn(serve(listener, target));
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Sessionless {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: String) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let target = target.clone();
        // A connection that fails is simply closed, as a server would.
        connections.spawn(async move { pass(client, TcpStream::connect(target).await?).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let down = async {
        while let Some(mut message) = read_message(&mut from_server).await? {
            withhold(&mut message);
            to_client.write_all(&message).await?;
        }
        to_client.shutdown().await
    };
    tokio::try_join!(up, down).map(drop)
}

async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = vec![0; 4];
    if from.read(&mut message[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut message[1..]).await?;
    let length = u32::from_le_bytes([message[0], message[1], message[2], message[3]]) as usize;
    if !(HEADER..=MAX_MESSAGE).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    message.resize(length, 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(Some(message))
}

/// Changes one letter of the field's name, so that no length in the message changes.
fn withhold(message: &mut [u8]) {
    if message.len() > MAX_GREETING {
        return;
    }
    let found = message.windows(FIELD.len()).position(|window| window == FIELD);
    if let Some(at) = found {
        message[at] = b'x';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_renamed_and_nothing_else_changes() {
        let mut message = b"..\x10logicalSessionTimeoutMinutes\0\x1e\0\0\0..".to_vec();
        withhold(&mut message);
        assert_eq!(message, b"..\x10xogicalSessionTimeoutMinutes\0\x1e\0\0\0..");
    }

    #[tokio::test]
    async fn a_length_that_no_message_has_ends_the_connection() {
        let mut bytes: &[u8] = &[0xff; 32];
        assert!(read_message(&mut bytes).await.is_err());
        let mut bytes: &[u8] = &[];
        assert!(read_message(&mut bytes).await.unwrap().is_none());
    }
}
