//! Ports for real servers of a test, which cannot bind port 0 and tell.

use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives to clients (32768 and above on Linux): a connection that is tried before the server is there
/// could else be given the server's port, and meet itself; and so that no client of another test takes it in between. So is the
/// port 10,000 above, which a node of a Redis cluster takes for its own.
const PORTS: Range<u16> = 12_000..22_000;

/// A port of 127.0.0.1 that nobody listens on, and that no other test of this process is given. Another program may take it in
/// between, which fails the test loudly.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    let mut last = Ok(0);
    for _ in PORTS {
        let place = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + place as u16;
        last = TcpListener::bind(("127.0.0.1", port)).map(|_| port);
        if last.is_ok() {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn none_is_given_twice_nor_while_somebody_listens() {
        let taken: Vec<_> = (0..20).map(|_| TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap()).collect();
        let ports: BTreeSet<_> = taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let more: BTreeSet<_> = (0..200).map(|_| free_port().unwrap()).collect();
        assert_eq!((ports.len(), more.len()), (20, 200));
        assert!(ports.is_disjoint(&more) && more.iter().all(|port| PORTS.contains(port)));
    }
}
