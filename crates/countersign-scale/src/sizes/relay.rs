//! Bytes between a node and its database, counted on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A port of this machine from which everything goes on to another.
pub(super) struct Relay {
    port: u16,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    to_node: AtomicU64,
    from_node: AtomicU64,
}

impl Relay {
    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let counted = Arc::new(Counted::default());
        let counts = Arc::clone(&counted);
        thread::spawn(move || {
            for node in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let (Ok(node_too), Ok(server_too)) = (node.try_clone(), server.try_clone()) else {
                    continue;
                };
                let (there, back) = (Arc::clone(&counts), Arc::clone(&counts));
                thread::spawn(move || pass(node, server, &there.from_node));
                thread::spawn(move || pass(server_too, node_too, &back.to_node));
            }
        });
        Self { port: own, counted }
    }

    /// The connection string of the server behind it, by way of it.
    pub(super) fn connection_string(&self, direct: &str, port: u16) -> String {
        direct.replace(&port.to_string(), &self.port.to_string())
    }

    /// Bytes to the node and from it, so far.
    pub(super) fn sent(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.counted.to_node), count(&self.counted.from_node))
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    // Small messages go on at once, as they would without it.
    let _ = to.set_nodelay(true);
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut bytes) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
