//! Values of options, as people write them.

use crate::discreet::holds_credential;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use countersign::core::KeyId;
use countersign::core::policy::format_span;
use countersign::{Selector, Timestamp};
use std::ffi::OsStr;
use std::fmt;
use std::time::Duration;

/// A length of time: `90s`, `5h`, `14d`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is no length of time; write one as 90s, 5h or 14d"))
}

/// An instant in UTC.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text).ok_or_else(|| {
        format!("`{text}` is no instant of RFC 3339 in UTC, such as 2026-11-22T10:00:00Z")
    })
}

/// The public half of a token, where the token itself is easily pasted: no error repeats it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicHalf;

impl TypedValueParser for PublicHalf {
    type Value = Selector;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Selector, clap::Error> {
        let selector = value.to_str().and_then(|text| text.parse().ok());
        selector.ok_or_else(|| {
            let place = arg.map_or_else(|| "this".to_owned(), ToString::to_string);
            let given = match holds_credential(&value.to_string_lossy()) {
                true => "what was given looks like the token itself: others may have seen it",
                false => "what was given is not repeated here, in case it is a secret",
            };
            // The same words in front, as in `countersign remember show`.
            let path = command.get_bin_name().unwrap_or_default();
            let list = match path.contains(" remember ") {
                true => "remember",
                false => "token",
            };
            let told = format!(
                "{place} takes a token's public half, such as \
                 01934f3c-8a00-7abc-8def-0123456789ab, which `countersign {list} list` shows; \
                 {given}\n"
            );
            clap::Error::raw(ErrorKind::ValueValidation, told).with_cmd(command)
        })
    }
}

/// The number of a pepper.
pub(crate) fn pepper(text: &str) -> Result<KeyId, &'static str> {
    let id = text.parse().ok().and_then(KeyId::new);
    id.ok_or("a pepper is named by its number, as `countersign keys list` shows it")
}

/// An instant, or a length of time from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(Timestamp),
    Apart(Duration),
}

impl When {
    /// Reads either form.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let either = "neither a length of time, such as 90d, nor an instant, such as \
                      2026-11-22T10:00:00Z";
        instant(text)
            .map(Self::At)
            .or_else(|_| span(text).map(Self::Apart))
            .map_err(|_| format!("`{text}` is {either}"))
    }

    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Apart(span) => now.after(span),
        }
    }

    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Apart(span) => now.before(span),
        }
    }
}

/// Bytes as people read them.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = ("B", 1u64);
        for larger in [
            ("KiB", 1u64 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
        ] {
            if self.0 >= larger.1 {
                unit = larger;
            }
        }
        let (name, size) = unit;
        let whole = self.0.checked_div(size).unwrap_or(0);
        let rest = self.0.checked_rem(size).unwrap_or(0);
        let tenths = rest.saturating_mul(10).checked_div(size).unwrap_or(0);
        match size {
            1 => write!(f, "{whole} {name}"),
            _ => write!(f, "{whole}.{tenths} {name}"),
        }
    }
}

/// What a measurement took, in the unit that suits it.
pub(crate) struct Took(pub(crate) Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match self.0.as_nanos() {
            0..1_000 => write!(f, "{} ns", self.0.as_nanos()),
            1_000..1_000_000 => write!(f, "{:.1} us", seconds * 1e6),
            1_000_000..1_000_000_000 => write!(f, "{:.1} ms", seconds * 1e3),
            _ => write!(f, "{seconds:.2} s"),
        }
    }
}

/// How long after one instant another is, in whole units of the largest that fits twice.
pub(crate) fn distance(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.since(from).as_secs();
    let fits = |unit: &u64| seconds >= unit.saturating_mul(2);
    let unit = [86_400u64, 3600, 60].into_iter().find(fits).unwrap_or(1);
    let whole = seconds.saturating_sub(seconds.checked_rem(unit).unwrap_or(0));
    match whole {
        0 => "0s".to_owned(),
        _ => format_span(Duration::from_secs(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_length_or_an_instant_and_nothing_else() {
        let now = Timestamp::from_millis(1_000_000);
        let apart = When::parse("1m").unwrap();
        assert_eq!(apart.after(now), Timestamp::from_millis(1_060_000));
        assert_eq!(apart.before(now), Timestamp::from_millis(940_000));
        let at = When::parse("1970-01-01T00:00:05Z").unwrap();
        assert_eq!(at, When::At(Timestamp::from_millis(5000)));
        assert_eq!(
            (at.after(now), at.before(now)),
            (at.after(now), at.after(now))
        );
        for text in [
            "",
            "90",
            "tomorrow",
            "-1d",
            "2026-11-22",
            "1970-01-01T00:00:05+01:00",
        ] {
            assert!(When::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        let shown = [0, 1023, 1024, 1536, 1 << 20, (5 << 30) + (1 << 29)];
        let shown = shown.map(|bytes| Bytes(bytes).to_string());
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.5 GiB"]
        );
    }
}
