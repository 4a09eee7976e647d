//! Times for users: in local time, and as the time remaining.

use std::path::Path;

use jiff::tz::TimeZone;
use keyfob::{
    Timestamp,
    internals::{
        setup::trust::Surroundings,
        world::{Clock, system::clock::SystemClock, system::env},
    },
};

/// The reader's calendar: a time zone, and the current day.
pub(crate) struct Calendar {
    zone: TimeZone,
    now: Timestamp,
}

impl Calendar {
    /// Of this machine and this moment.
    pub(crate) fn here() -> Self {
        Self { zone: zone(), now: SystemClock.now() }
    }

    /// The moment it was made.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// `14:32 CET`; with the date before it on any other day.
    pub(crate) fn moment(&self, at: Timestamp) -> String {
        let local = |moment: Timestamp| {
            let moment = jiff::Timestamp::from_second(moment.0).ok()?;
            Some(moment.to_zoned(self.zone.clone()))
        };
        // A provider's "for ever" is beyond every calendar.
        let Some(moment) = local(at) else { return at.to_string() };
        let form = match local(self.now) {
            Some(now) if now.date() == moment.date() => "%H:%M %Z",
            _ => "%Y-%m-%d %H:%M %Z",
        };
        moment.strftime(form).to_string()
    }

    /// The same and how long that is from now: `14:32 CET, in 59 minutes`.
    pub(crate) fn ahead(&self, at: Timestamp) -> String {
        format!("{}, in {}", self.moment(at), span(at.since(self.now)))
    }

    /// The same for what is over: `14:32 CET, 59 minutes ago`.
    pub(crate) fn ago(&self, at: Timestamp) -> String {
        format!("{}, {} ago", self.moment(at), span(self.now.since(at)))
    }
}

/// A duration in natural words: rounded down, in the largest unit of which there are two.
pub(crate) fn span(seconds: i64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    match units.into_iter().find(|(size, _)| seconds >= 2 * size) {
        Some((size, name)) => format!("{} {name}", seconds / size),
        None if seconds == 1 => "1 second".into(),
        None => format!("{} seconds", seconds.max(0)),
    }
}

/// The zone that `TZ` names, else the system's. A path that a repository could have named is not read: then it is UTC,
/// and every time says so.
fn zone() -> TimeZone {
    let variables = env::variables();
    let is_set = |name: &str| variables.all().any(|(known, value)| known == name && !value.is_empty());
    if is_set("TZDIR") {
        let around = Surroundings::of(env::here().as_deref());
        let dir = variables.text("TZDIR").map(Path::new);
        if dir.is_none_or(|dir| around.judge(dir).is_err()) {
            return TimeZone::UTC;
        }
    }
    let found = if is_set("TZ") { variables.text("TZ").and_then(named) } else { TimeZone::try_system().ok() };
    found.unwrap_or(TimeZone::UTC)
}

/// A name of the database, a path that ends with one, or a rule of POSIX (tzset(3)). No other file is read.
fn named(text: &str) -> Option<TimeZone> {
    let text = text.strip_prefix(':').unwrap_or(text);
    let name = text.rsplit_once("zoneinfo/").map_or(text, |(_, name)| name);
    if Path::new(name).is_absolute() || name.split('/').any(|part| part == "..") {
        return None;
    }
    TimeZone::get(name).or_else(|_| TimeZone::posix(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str, now: i64) -> Calendar {
        Calendar { zone: named(zone).expect("a zone"), now: Timestamp(now) }
    }

    /// 2026-11-27 13:00 UTC.
    const NOON: i64 = 1_795_784_400;

    #[test]
    fn a_moment_is_told_in_the_zone_of_the_reader() {
        let paris = calendar("CET-1CEST,M3.5.0,M10.5.0/3", NOON);
        assert_eq!(paris.moment(Timestamp(NOON + 3540)), "14:59 CET");
        assert_eq!(paris.ahead(Timestamp(NOON + 3540)), "14:59 CET, in 59 minutes");
        assert_eq!(paris.ago(Timestamp(NOON - 7200)), "12:00 CET, 2 hours ago");
        assert_eq!(paris.moment(Timestamp(NOON + 10 * 3600)), "2026-11-28 00:00 CET", "tomorrow, there");
        assert_eq!(paris.moment(Timestamp(NOON + 240 * 86_400)), "2027-07-25 15:00 CEST", "in summer");
        assert_eq!(calendar("UTC0", NOON).moment(Timestamp(NOON)), "13:00 UTC");
        assert_eq!(paris.moment(Timestamp(i64::MAX)), Timestamp(i64::MAX).to_string());
    }

    #[test]
    fn no_file_is_read_because_a_variable_names_it() {
        for path in ["/tmp/zone", ":/tmp/zone", "../zone", "/usr/share/zoneinfo/../../../tmp/zone"] {
            assert!(named(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_span_is_told_in_the_largest_unit_there_are_two_of() {
        for (seconds, said) in [
            (-5, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }
}
