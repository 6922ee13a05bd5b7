//! `sweep` and `compact`: what a store needs from time to time.

use crate::cli::Call;
use crate::failure::{Exit, Outcome};
use crate::open::ring;
use crate::parse::Bytes;
use crate::progress::Progress;
use crate::stop;
use clap::Args;
use countersign::{RedbOptions, SweepReport};
use serde::Serialize;

/// Records that are swept between two looks at Ctrl-C.
const ROUND: usize = 4096;

/// Note expiries, and remove what has been dead for as long as the policy keeps it
///
/// Who may come in is not changed by it.
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Look at no more than so many records [default: all]
    #[arg(long, value_name = "N")]
    budget: Option<u32>,
}

#[derive(Serialize)]
struct Swept {
    examined: usize,
    expired: usize,
    removed: usize,
    events_removed: usize,
    complete: bool,
}

impl Sweep {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.write()?;
        let progress = Progress::new("records", None);
        let mut left = self.budget.map_or(usize::MAX, |budget| {
            usize::try_from(budget).unwrap_or(usize::MAX)
        });
        let mut sum = SweepReport::default();
        while left > 0 && !sum.complete && !stop::asked() {
            let round = opened.engine.sweep(left.min(ROUND)).wait()?;
            left = left.saturating_sub(ROUND);
            sum.examined = sum.examined.saturating_add(round.examined);
            sum.expired = sum.expired.saturating_add(round.expired);
            sum.removed = sum.removed.saturating_add(round.removed);
            sum.events_removed = sum.events_removed.saturating_add(round.events_removed);
            sum.complete = round.complete;
            progress.at(u64::try_from(sum.examined).unwrap_or(u64::MAX));
        }
        drop(progress);
        opened.close()?;
        let SweepReport {
            examined,
            expired,
            removed,
            events_removed,
            // They lie in the memory of the process that serves, not in the store.
            sessions_ended: _,
            complete,
            ..
        } = sum;
        let rest = if complete {
            ""
        } else {
            "; not all of it was looked at"
        };
        let text = format!(
            "{expired} expiries noted, {removed} dead credentials and {events_removed} old events \
             removed{rest}"
        );
        let view = Swept {
            examined,
            expired,
            removed,
            events_removed,
            complete,
        };
        call.out.say(&view, text)?;
        stop::check()?;
        Ok(Exit::Done)
    }
}

/// Pack the store's file; nobody else may have it open
#[derive(Debug, Args)]
pub(crate) struct Compact {}

#[derive(Serialize)]
struct Packed {
    before_bytes: u64,
    after_bytes: u64,
}

impl Compact {
    #[expect(clippy::unused_self, reason = "all commands are run alike")]
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let path = call
            .site
            .file("PostgreSQL packs its tables by itself, and `VACUUM FULL` at once")?;
        let keys = call.site.keys()?;
        let packed = RedbOptions::new().compact(path, ring(&keys))?;
        let (before_bytes, after_bytes) = (packed.before_bytes, packed.after_bytes);
        let text = format!(
            "{} before, {} after",
            Bytes(before_bytes),
            Bytes(after_bytes)
        );
        call.out.say(
            &Packed {
                before_bytes,
                after_bytes,
            },
            text,
        )?;
        Ok(Exit::Done)
    }
}
