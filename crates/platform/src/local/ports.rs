//! Free ports for dynos; two dynos never share one.
//!
//! A port is tried by listening on it for an instant. Between that and the dyno's own listening another program may take it:
//! the dyno then fails to start, counts as crashed, and gets another port. Ports below the range that the kernel gives to
//! outgoing connections (32768 and up on Linux) make that rare, and keep a connection that waits for the dyno from meeting
//! itself.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// Where ports are taken from unless a base is set.
const RANGE: std::ops::RangeInclusive<u16> = 20_000..=32_767;

/// The ports in use by dynos.
#[derive(Debug)]
pub(crate) struct Ports {
    base: Option<u16>,
    taken: Mutex<BTreeSet<u16>>,
}

/// A dyno's hold on a port.
#[derive(Debug)]
pub(crate) struct Port {
    ports: Arc<Ports>,
    pub(crate) number: u16,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.ports.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Ports {
    pub(crate) fn new(base: Option<u16>) -> Arc<Self> {
        Arc::new(Self { base, taken: Mutex::default() })
    }

    /// A free port, if there is one.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Port> {
        let (from, to) = match self.base {
            Some(base) => (base, u16::MAX),
            None => (fastrand::u16(RANGE), *RANGE.end()),
        };
        let wrapped = if self.base.is_some() { 0..0 } else { *RANGE.start()..from };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (from..=to).chain(wrapped).find(|port| !taken.contains(port) && is_free(*port))?;
        taken.insert(number);
        Some(Port { ports: Arc::clone(self), number })
    }
}

/// Whether a dyno could listen on it, on any address.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_same_twice_and_never_one_in_use() {
        let ports = Ports::new(None);
        let first = ports.take().unwrap();
        let used = TcpListener::bind((Ipv4Addr::LOCALHOST, first.number)).unwrap();
        let based = Ports::new(Some(first.number));
        let (second, third) = (based.take().unwrap(), based.take().unwrap());
        assert!(second.number > first.number && third.number > second.number);
        drop(used);
        let freed = second.number;
        drop(second);
        assert!(based.take().is_some_and(|port| port.number <= freed));
    }
}
