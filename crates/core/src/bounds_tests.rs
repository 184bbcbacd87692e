use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn daily(entries: &[(u8, u8, Dynos)]) -> BoundTable {
    let mut all = Vec::new();
    for day in Weekday::Monday.cycle_forward().take(7) {
        for (hour, minute, dynos) in entries {
            all.push((MinuteOfWeek::new(day, *hour, *minute).unwrap(), *dynos));
        }
    }
    BoundTable::by_time(all, true).unwrap()
}

fn min_at(table: &BoundTable, zone_name: &str, at: &str) -> Dynos {
    table.in_force(local_reached(&zone(zone_name), at.parse().unwrap())).dynos
}

#[test]
fn tables() {
    let berlin = daily(&[(0, 0, 1), (2, 30, 6)]);
    let york = daily(&[(0, 0, 1), (1, 30, 6)]);
    let amsterdam = daily(&[(0, 0, 7)]);
    let wraps = daily(&[(9, 0, 5), (17, 0, 2)]);
    let unsorted = daily(&[(9, 30, 5), (9, 5, 3), (17, 0, 2)]);
    let started_inside = daily(&[(0, 0, 1), (9, 0, 3)]);
    let havana = daily(&[(0, 30, 4), (5, 0, 1)]);
    let rows = [
        ("A01 before the skipped hour", &berlin, "Europe/Berlin", "2027-03-28T00:59:59Z", 1),
        ("A01 skipped hour", &berlin, "Europe/Berlin", "2027-03-28T01:00:00Z", 6),
        ("A01 stays", &berlin, "Europe/Berlin", "2027-03-28T12:00:00Z", 6),
        ("A02 before", &york, "America/New_York", "2026-11-01T05:29:00Z", 1),
        ("A02 first occurrence", &york, "America/New_York", "2026-11-01T05:30:00Z", 6),
        ("A02 repeated hour begins", &york, "America/New_York", "2026-11-01T06:00:00Z", 6),
        ("A02 inside it", &york, "America/New_York", "2026-11-01T06:29:59Z", 6),
        ("A02 second occurrence", &york, "America/New_York", "2026-11-01T06:30:00Z", 6),
        ("A04 last minute of the day", &amsterdam, "Europe/Amsterdam", "2026-06-20T21:59:30Z", 7),
        ("A04 midnight", &amsterdam, "Europe/Amsterdam", "2026-06-20T22:00:00Z", 7),
        ("A05 started inside a period", &started_inside, "Europe/Berlin", "2026-05-04T08:02:00Z", 3),
        ("no 0:00 wraps", &wraps, "America/Vancouver", "2026-07-01T10:00:00Z", 2),
        ("no 0:00, day", &wraps, "America/Vancouver", "2026-07-01T16:00:00Z", 5),
        ("by hour and minute", &unsorted, "America/Vancouver", "2026-07-01T16:10:00Z", 3),
        // Cuba puts the clock back from 1:00 to 0:00: the hour that comes twice starts at midnight.
        ("fold at midnight, first", &havana, "America/Havana", "2026-11-01T04:30:00Z", 4),
        ("fold at midnight, second begins", &havana, "America/Havana", "2026-11-01T05:00:00Z", 4),
        ("before the fold at midnight", &havana, "America/Havana", "2026-11-01T04:29:00Z", 1),
    ];
    for (name, table, zone_name, at, wanted) in rows {
        assert_eq!(min_at(table, zone_name, at), wanted, "{name}");
    }
}

#[test]
fn weekdays_reach_back_over_days() {
    let at = |weekday, hour| MinuteOfWeek::new(weekday, hour, 0).unwrap();
    let table = BoundTable::by_time(vec![(at(Weekday::Monday, 8), 4), (at(Weekday::Friday, 24), 1)], false).unwrap();
    for (at, wanted) in [
        ("2026-05-04T07:59:00Z", 1), // Monday, before 8:00: Friday's end is in force
        ("2026-05-04T08:00:00Z", 4),
        ("2026-05-08T23:59:00Z", 4), // Friday
        ("2026-05-09T00:00:00Z", 1), // "24:00" on Friday is Saturday's start
        ("2026-05-10T12:00:00Z", 1),
    ] {
        assert_eq!(min_at(&table, "UTC", at), wanted, "{at}");
    }
}

#[test]
fn no_such_time() {
    assert_eq!(MinuteOfWeek::new(Weekday::Monday, 24, 1), None);
    assert_eq!(MinuteOfWeek::new(Weekday::Monday, 9, 60), None);
    assert_eq!(MinuteOfWeek::new(Weekday::Monday, 25, 0), None);
    assert_eq!(MinuteOfWeek::new(Weekday::Sunday, 24, 0), MinuteOfWeek::new(Weekday::Monday, 0, 0));
}

#[test]
fn crossing_tables_name_the_hour() {
    let tables =
        BoundTables { min: daily(&[(0, 0, 1), (9, 15, 8)]), max: daily(&[(0, 0, 6), (18, 0, 9)]), zone: TimeZone::UTC };
    let (minute, bounds) = tables.crossing().unwrap();
    assert_eq!((minute.to_string().as_str(), bounds), ("Mon 09:15", Bounds { min: 8, max: 6 }));
    let fine = BoundTables { max: BoundTable::Fixed(8), ..tables };
    assert_eq!(fine.crossing(), None);
}

#[test]
fn changes_to_come_include_the_moved_clock() {
    let tables =
        BoundTables { min: daily(&[(0, 0, 1), (2, 30, 6)]), max: BoundTable::Fixed(9), zone: zone("Europe/Berlin") };
    let changes = tables.changes("2027-03-27T12:00:00Z".parse().unwrap(), SignedDuration::from_hours(24));
    let shown: Vec<_> = changes.iter().map(|c| (c.at.to_string(), c.bounds.min)).collect();
    assert_eq!(shown, [("2027-03-27T23:00:00Z".into(), 1), ("2027-03-28T01:00:00Z".into(), 6)]);
}

/// The rule in words, worked out the long way: the entry in force is that whose instant is the latest up to now, an entry
/// in a gap counting from the gap's end. Each quarter of an hour around each clock change of a few odd zones must agree.
#[test]
fn agrees_with_the_rule_worked_out_per_entry() {
    let times: Vec<(u8, u8, Dynos)> =
        (0..24).flat_map(|h| [(h, 0, u32::from(h) * 2), (h, 30, u32::from(h) * 2 + 1)]).collect();
    let table = daily(&times);
    for name in
        ["Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut"]
    {
        let zone = zone(name);
        let start: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        for transition in zone.following(start).take(4) {
            for quarter in -12..24 {
                let at = transition.timestamp() + SignedDuration::from_mins(15 * quarter);
                let fast = table.in_force(local_reached(&zone, at)).dynos;
                let slow = slow_rule(&zone, &times, at);
                assert_eq!(fast, slow, "{name} {at}");
            }
        }
    }
}

fn slow_rule(zone: &TimeZone, times: &[(u8, u8, Dynos)], at: Timestamp) -> Dynos {
    let today = zone.to_datetime(at).date();
    let mut best = None;
    for day in -2..=1 {
        let date = today.checked_add(day.days()).unwrap();
        for (hour, minute, dynos) in times {
            let wall = date.at(*hour as i8, *minute as i8, 0, 0);
            let ambiguous = zone.to_ambiguous_timestamp(wall);
            let instant = match ambiguous.offset() {
                AmbiguousOffset::Gap { .. } => {
                    let later = ambiguous.later().unwrap();
                    zone.preceding(later + SignedDuration::from_hours(3)).next().unwrap().timestamp()
                }
                _ => ambiguous.earlier().unwrap(),
            };
            if instant <= at && best.is_none_or(|(i, w, _)| (instant, wall) >= (i, w)) {
                best = Some((instant, wall, *dynos));
            }
        }
    }
    best.unwrap().2
}
