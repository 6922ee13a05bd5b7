//! `audit`: what happened, oldest first, and as it happens.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Opened;
use crate::out::Out;
use crate::parse::{PublicHalf, When};
use crate::stop;
use crate::view::EventView;
use clap::Args;
use countersign::core::ShardTag;
use countersign::{EventKind, EventQuery, Principal, Selector, Timestamp};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

/// Events asked for at once.
const CHUNK: usize = 512;
/// How far back a followed log is read anew: an event lies in the order of its id, and one may be
/// written after another whose id is later.
const OVERLAP: Duration = Duration::from_secs(5);
/// How often a followed log is looked at, and how soon Ctrl-C is noticed.
const PAUSE: Duration = Duration::from_millis(250);

/// Show the audit log, oldest event first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign audit --principal ann --since 7d
  countersign audit --kind revoked --json
  countersign audit --follow            a store whose holder shares it with readers")]
pub(crate) struct Audit {
    /// About this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// About this credential, or with it as the successor
    #[arg(long, value_parser = PublicHalf)]
    selector: Option<Selector>,

    /// Of this kind, such as `issued`, `revoked`, `principal-disabled`
    #[arg(long)]
    kind: Option<EventKind>,

    /// Since an instant in UTC, or within a length of time
    #[arg(long, value_name = "7d|RFC3339", value_parser = When::parse)]
    since: Option<When>,

    /// Go on with events as they are written, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

impl Audit {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let opened = if self.follow {
            call.site.follow()?
        } else {
            call.site.read()?
        };
        let follow = self.follow;
        let mut query = self.query(call.site.now());
        let mut shown = false;
        let mut recent = Recent::default();
        loop {
            catch_up(&mut call.out, &opened, &mut query, &mut shown, &mut recent)?;
            recent.tell_damaged(&mut call.out)?;
            if !follow {
                break;
            }
            query.after = recent.floor(query.after);
            call.out.flush()?;
            thread::sleep(PAUSE);
            stop::check()?;
        }
        opened.close()?;
        Ok(Exit::Done)
    }

    fn query(self, now: Timestamp) -> EventQuery {
        let mut query = EventQuery::default();
        query.principal = self.principal;
        query.selector = self.selector;
        query.kind = self.kind;
        query.since = self.since.map(|when| when.before(now));
        query.limit = CHUNK;
        query
    }
}

/// Shows what there is behind the last event.
fn catch_up(
    out: &mut Out,
    opened: &Opened,
    query: &mut EventQuery,
    shown: &mut bool,
    recent: &mut Recent,
) -> Result<(), Failure> {
    loop {
        stop::check()?;
        let page = opened.engine.audit().list(query.clone()).wait()?;
        let events = page.events.iter();
        let new = events.filter(|event| recent.is_new(event.id));
        let views: Vec<EventView> = new.map(EventView::from).collect();
        out.rows(&views, *shown)?;
        let damaged = page.damaged.into_iter();
        recent
            .damaged
            .extend(damaged.filter(|id| recent.shown.insert(*id)));
        *shown |= !views.is_empty();
        query.after = page.next;
        recent.floor(page.next);
        if page.at_end {
            return Ok(());
        }
    }
}

/// The events that were shown lately.
#[derive(Default)]
struct Recent {
    shown: BTreeSet<Selector>,
    /// Ids of rows that are no event any more, which were not told yet.
    damaged: Vec<Selector>,
}

impl Recent {
    /// Whether an event has not been shown; from now on it has.
    fn is_new(&mut self, id: Selector) -> bool {
        self.shown.insert(id)
    }

    fn tell_damaged(&mut self, out: &mut Out) -> Result<(), Failure> {
        let count = self.damaged.drain(..).count();
        if count > 0 {
            out.note(format_args!(
                "{count} events do not read back whole and are not shown; see `check --deep`"
            ))?;
        }
        Ok(())
    }

    /// Where a log that was read up to `end` is read from again. What lies before is forgotten.
    fn floor(&mut self, end: Option<Selector>) -> Option<Selector> {
        let at = end?.minted_at().before(OVERLAP);
        let floor = Selector::mint(at, ShardTag::NONE, [0; 8]);
        self.shown = self.shown.split_off(&floor);
        Some(floor)
    }
}
