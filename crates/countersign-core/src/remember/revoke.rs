//! Revoking one device's series.

use super::{FiledSeries, event};
use crate::decision::{Decision, Refusal, Setting};
use crate::event::EventKind;
use crate::principal::PrincipalRecord;
use crate::principals::rewrite_list;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::series::{SeriesEnd, SeriesEndCause, SeriesRecord};
use crate::text::Reason;

/// What a revocation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The series as it is now.
    pub series: SeriesRecord,
    /// Whether it had ended before, so that nothing needed to be written.
    pub already: bool,
}

/// Ends a series now and for good. One whose end was noted already stays as it is.
///
/// # Errors
/// Only when randomness runs out.
pub fn revoke(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    filed: FiledSeries<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
    reason: Option<&Reason>,
) -> Result<Decision<Revoked>, Refusal> {
    let mut batch = Batch::deny();
    let mut series = filed.series.clone();
    let already = series.end.is_some();
    if !already {
        let mut told = event(
            setting.now,
            fresh,
            EventKind::Revoked,
            filed.selector,
            &series,
        )?;
        told.reason = reason.cloned();
        series.end = Some(SeriesEnd {
            at: setting.now,
            cause: SeriesEndCause::Revoked(reason.cloned()),
        });
        let (key, expect) = (Key::series(filed.selector), Expect::Version(filed.version));
        batch.put(key, expect, Record::Series(series.clone()));
        // A principal whose record is gone has no list to keep, and is refused anyway.
        if let Some(found) = principal {
            rewrite_list(setting.keyring, &mut batch, found, |record| {
                record.note_end(filed.selector, setting.now);
            });
        }
        batch.record_event(told);
    }
    Ok(Decision {
        outcome: Revoked { series, already },
        batch,
    })
}
