//! [`Jumps`]: how often a load outgrows, within the time that a dyno needs to serve, the dynos that were there for the load
//! before it, and how far. From that follows for which jumps dynos are worth keeping ready.
//!
//! It is the newsvendor's problem: a dyno that is kept ready costs a dyno-minute in each minute; without it, the requests of a
//! jump are slow until one has booted. Numbers of servers are put into bins of a quarter of an octave; each bin holds how
//! many minutes began with so many servers, and how much work came in minutes that needed so many all at once. Older minutes
//! fade.

use serde::{Deserialize, Serialize};

/// So many bins make twice as many servers.
const BINS_PER_OCTAVE: f64 = 4.0;
/// The highest bin: 2^16 servers.
const HIGHEST: u8 = 64;
/// Half of what is remembered of a minute is forgotten after so many.
const HALF_LIFE_MINUTES: f64 = 720.0;
/// Before so many minutes are known, they count as so many: one jump in the first hour is no habit.
const LEAST_MINUTES: f64 = 60.0;
/// Before so many are known, nothing is: the loads of `lower_after` count anyhow.
const FIRST_MINUTES: f64 = 15.0;
/// Servers that are busier than this have a queue that grows.
const AT_THE_LIMIT: f64 = 0.95;
/// What has faded to this is forgotten.
const FADED: f32 = 0.01;

/// How often the load jumps, by how far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Jumps {
    /// By bin; only those that hold something.
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bin {
    bin: u8,
    /// Minutes that began with so many servers.
    minutes: f32,
    /// Busy servers times minutes of jumps that needed so many.
    work: f32,
}

fn bin(servers: f64) -> u8 {
    // What is no number becomes 1.
    (servers.max(1.0).log2() * BINS_PER_OCTAVE).floor().min(f64::from(HIGHEST)) as u8
}

/// The most servers of a bin, whole ones.
fn most(bin: u8) -> f64 {
    2.0_f64.powf(f64::from(bin + 1) / BINS_PER_OCTAVE).floor()
}

impl Jumps {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self { bins: Vec::new() };

    /// Counts a minute that began with `before` servers, and was `busy` servers' work. Where those could not keep up, it is a
    /// jump, for which `needed` servers would have done.
    pub fn add(&mut self, before: f64, busy: f64, needed: f64) {
        let fade = 0.5_f64.powf(1.0 / HALF_LIFE_MINUTES) as f32;
        for bin in &mut self.bins {
            bin.minutes *= fade;
            bin.work *= fade;
        }
        self.bins.retain(|bin| bin.minutes > FADED || bin.work > FADED);
        if let Some(bin) = self.bin_mut(bin(before)) {
            bin.minutes += 1.0;
        }
        if busy > before * AT_THE_LIMIT
            && let Some(bin) = self.bin_mut(bin(needed))
        {
            bin.work += busy as f32;
        }
    }

    fn bin_mut(&mut self, number: u8) -> Option<&mut Bin> {
        let place = self.bins.partition_point(|bin| bin.bin < number);
        if self.bins.get(place).is_none_or(|bin| bin.bin != number) {
            self.bins.insert(place, Bin { bin: number, minutes: 0.0, work: 0.0 });
        }
        self.bins.get_mut(place)
    }

    /// The number of servers, `servers` or more, that are worth keeping ready, where the work of one server for a minute is
    /// worth `price` server-minutes if it need not wait. More servers never give fewer, nor does a higher price.
    pub fn worth(&self, servers: f64, price: f64) -> f64 {
        if self.bins.iter().map(|bin| f64::from(bin.minutes)).sum::<f64>() < FIRST_MINUTES {
            return servers;
        }
        let (mut minutes, mut spared) = (0.0_f64, 0.0_f64);
        let (mut best, mut level) = (0.0, servers);
        for bin in &self.bins {
            let most = most(bin.bin);
            if most > servers {
                spared += f64::from(bin.work) / minutes.max(LEAST_MINUTES);
                let gain = price * spared - (most - servers);
                if gain > best {
                    (best, level) = (gain, most);
                }
            }
            minutes += f64::from(bin.minutes);
        }
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many hours of 4 servers for 3 servers' work, with 12 servers' work, which needs 16, in each `every`th minute.
    fn after(hours: u32, every: u32) -> Jumps {
        let mut jumps = Jumps::default();
        for minute in 0..hours * 60 {
            if minute % every == every - 1 { jumps.add(4.0, 12.0, 15.0) } else { jumps.add(4.0, 3.0, 4.0) }
        }
        jumps
    }

    #[test]
    fn servers_are_kept_for_jumps_that_come_often() {
        // 12 server-minutes in 10 minutes are 1.2 in each; up to 16 servers, 12 more, are worth it from a price of 10 on.
        let often = after(8, 10);
        assert_eq!([5.0, 9.0, 11.0, 50.0].map(|price| often.worth(4.0, price)), [4.0, 4.0, 16.0, 16.0]);
        assert_eq!(after(8, 100).worth(4.0, 50.0), 4.0, "0.12 in each minute");
        assert_eq!(often.worth(20.0, 50.0), 20.0, "it fits already");
        assert_eq!(Jumps::default().worth(4.0, 50.0), 4.0);
    }

    #[test]
    fn one_jump_at_the_beginning_is_no_habit() {
        let mut jumps = Jumps::default();
        jumps.add(4.0, 3.0, 4.0);
        jumps.add(4.0, 12.0, 15.0);
        assert_eq!(jumps.worth(4.0, 1000.0), 4.0, "nothing is known yet");
        for _ in 0..20 {
            jumps.add(4.0, 3.0, 4.0);
        }
        assert_eq!(jumps.worth(4.0, 50.0), 4.0);
    }

    #[test]
    fn what_no_longer_happens_is_forgotten() {
        let mut jumps = after(8, 10);
        for _ in 0..60 * 24 * 4 {
            jumps.add(4.0, 3.0, 4.0);
        }
        assert_eq!(jumps.worth(4.0, 50.0), 4.0);
        for _ in 0..60 * 24 * 30 {
            jumps.add(4.0, 3.0, 4.0);
        }
        assert_eq!(jumps.bins.len(), 1);
    }

    #[test]
    fn more_never_gives_less_and_it_stays_small() {
        let mut jumps = Jumps::default();
        for n in 0..5000_u32 {
            let busy = f64::from(n.wrapping_mul(2_654_435_761) >> 8) / 100.0;
            jumps.add(f64::from(n % 37 * n % 53), busy % 997.0, busy % 997.0 + 2.0);
        }
        assert!(jumps.bins.len() <= usize::from(HIGHEST) + 1);
        let mut last = 0.0;
        for servers in 0..2000 {
            let now = jumps.worth(f64::from(servers), 20.0);
            assert!(now >= last && now >= f64::from(servers) && jumps.worth(f64::from(servers), 40.0) >= now);
            last = now;
        }
        assert!(jumps.worth(f64::MAX, 20.0) >= f64::MAX);
        jumps.add(f64::NAN, f64::INFINITY, f64::INFINITY);
    }
}
