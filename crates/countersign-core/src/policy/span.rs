//! Lengths of time in a policy's text: `5h`, `14d`, `1h 30m`.

use core::time::Duration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a length of time in its largest whole unit: `14d`, `5h`, `90s`, `250ms`.
#[must_use]
pub fn format_span(span: Duration) -> String {
    let ms = crate::time::millis(span);
    for (unit, length) in [
        ("d", 86_400_000_u64),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ] {
        if let Some(whole) = ms.checked_div(length)
            && ms.is_multiple_of(length)
            && ms != 0
        {
            return format!("{whole}{unit}");
        }
    }
    format!("{ms}ms")
}

pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_span(*span))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(source)?;
    humantime::parse_duration(&text).map_err(|_| {
        D::Error::custom(format_args!(
            "`{text}` is no length of time; write one as `90s`, `5h` or `14d`"
        ))
    })
}
