//! [`Places`]: how many connections there may be at a time, and that senders of measurements and people do not take each
//! other's.
//!
//! - A connection begins in one of the places of people; so does one that never says anything, until its time is over.
//! - With its first request that a known sender makes it moves to a place of senders, and stays there: log drains of hundreds
//!   of apps keep their connections, and would else be all there is room for.
//! - Where no place of senders is free, the request is answered all the same, and the connection ends with the answer. Its
//!   sender comes again; nothing is lost, and nobody waits.
//!
//! All together are fewer than the 1,024 files that a program may have open unless it is told otherwise, with room for what
//! this program asks for itself.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of people, on each address; more wait in the kernel's queue.
const PEOPLE: usize = 128;
/// Connections of senders that may stay, on all addresses together.
const SENDERS: usize = 512;

/// The places of senders, which all addresses share.
#[derive(Debug, Clone)]
pub(crate) struct Senders(Arc<Semaphore>);

impl Default for Senders {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SENDERS)))
    }
}

/// The places of one address.
#[derive(Debug)]
pub(crate) struct Places {
    people: Arc<Semaphore>,
    senders: Senders,
}

impl Places {
    pub(crate) fn new(senders: Senders) -> Self {
        Self { people: Arc::new(Semaphore::new(PEOPLE)), senders }
    }

    /// Waits for a place. None: this address is no more.
    pub(crate) async fn take(&self) -> Option<Seat> {
        let place = Arc::clone(&self.people).acquire_owned().await.ok()?;
        Some(Seat { held: Arc::new(Mutex::new(Held::People(place))), senders: self.senders.clone() })
    }
}

/// The place of one connection, free again when the last of its clones is gone.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    held: Arc<Mutex<Held>>,
    senders: Senders,
}

#[derive(Debug)]
#[expect(dead_code, reason = "a place is held, not looked at")]
enum Held {
    People(OwnedSemaphorePermit),
    Sender(OwnedSemaphorePermit),
}

impl Seat {
    /// A known sender is on this connection. False: it must end with the answer.
    pub(crate) fn is_senders(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Held::Sender(_)) {
            return true;
        }
        let Ok(place) = Arc::clone(&self.senders.0).try_acquire_owned() else { return false };
        *held = Held::Sender(place);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn senders_leave_the_places_of_people_until_there_are_too_many() {
        let (plain, tls) = {
            let senders = Senders::default();
            (Places::new(senders.clone()), Places::new(senders))
        };
        let mut stay = Vec::new();
        for number in 0..SENDERS {
            let address = if number % 2 == 0 { &plain } else { &tls };
            let seat = address.take().await.unwrap();
            assert!(seat.is_senders() && seat.is_senders(), "{number}");
            stay.push(seat);
        }
        // Those beyond keep the place that they came in, until they are answered.
        let beyond = plain.take().await.unwrap();
        assert!(!beyond.is_senders());
        let mut people = Vec::new();
        for _ in 1..PEOPLE {
            people.push(plain.take().await.unwrap());
        }
        let wait = Duration::from_secs(60);
        assert!(tokio::time::timeout(wait, plain.take()).await.is_err(), "all are taken");
        assert!(tokio::time::timeout(wait, tls.take()).await.is_ok(), "not those of the other address");
        drop(beyond);
        assert!(tokio::time::timeout(wait, plain.take()).await.is_ok());
        drop(stay.pop());
        assert!(people[0].is_senders());
    }
}
