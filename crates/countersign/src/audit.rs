//! Reading the audit log.

use crate::error::Error;
use crate::inner::Inner;
use countersign_core::{
    Event, EventKind, Key, Principal, Record, Selector, ShardTag, Table, Timestamp,
};
use countersign_store::pending::Pending;
use countersign_store::store::KeyRange;
use std::sync::Arc;

/// Events that one call examines at most.
const EXAMINED_MAX: usize = 4096;
const CHUNK: usize = 512;

/// The audit log. Made by [`Engine::audit`](crate::Engine::audit).
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a>(pub(crate) &'a Arc<Inner>);

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventQuery {
    /// About this principal.
    pub principal: Option<Principal>,
    /// About this credential, or with it as the successor.
    pub selector: Option<Selector>,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// At or after this instant.
    pub since: Option<Timestamp>,
    /// Go on behind this one.
    pub after: Option<Selector>,
    /// At most this many.
    pub limit: usize,
}

impl Default for EventQuery {
    fn default() -> Self {
        Self {
            principal: None,
            selector: None,
            kind: None,
            since: None,
            after: None,
            limit: 100,
        }
    }
}

/// Some events, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Ids under which something else lies: what was told there is lost.
    pub damaged: Vec<Selector>,
    /// Where to go on: behind everything that was examined, so also for following the log.
    pub next: Option<Selector>,
    /// Whether the end of the log was reached.
    pub at_end: bool,
}

impl Audit<'_> {
    /// One page of events, oldest first. The work of one call is bounded.
    pub fn list(&self, query: EventQuery) -> Pending<Result<EventPage, Error>> {
        self.0
            .run(|inner| async move { inner.events(&query).await })
    }
}

impl EventQuery {
    fn takes(&self, event: &Event) -> bool {
        let named = |wanted: Selector| {
            let own = event.credential.map(|credential| credential.selector);
            own == Some(wanted) || event.successor == Some(wanted)
        };
        self.principal
            .as_ref()
            .is_none_or(|wanted| event.principal.as_ref() == Some(wanted))
            && self.selector.is_none_or(named)
            && self.kind.is_none_or(|wanted| event.kind == wanted)
            && self.since.is_none_or(|since| event.at >= since)
    }

    /// Where to begin: behind the last event, or at the first id of an instant.
    fn range(&self) -> Option<KeyRange> {
        let mut range = KeyRange::all(Table::Events);
        if let Some(since) = self.since {
            range.from = Selector::mint(since, ShardTag::NONE, [0; 8]).to_bytes();
        }
        if let Some(after) = self.after {
            let from = u128::from_be_bytes(after.to_bytes()).checked_add(1)?;
            range.from = range.from.max(from.to_be_bytes());
        }
        Some(range)
    }
}

impl Inner {
    async fn events(&self, query: &EventQuery) -> Result<EventPage, Error> {
        self.open()?;
        let mut page = EventPage {
            next: query.after,
            ..EventPage::default()
        };
        let Some(mut range) = query.range() else {
            return Ok(page);
        };
        let mut examined = 0usize;
        while examined < EXAMINED_MAX {
            let scanned = self.store.scan(range, CHUNK).await?;
            examined = examined
                .saturating_add(scanned.records.len())
                .saturating_add(scanned.damaged.len())
                .saturating_add(1);
            let whole = scanned.records.into_iter();
            let whole = whole.map(|(key, found)| (key, Some(found.record)));
            let damaged = scanned.damaged.into_iter().map(|key| (key, None));
            let mut rows: Vec<(Key, Option<Record>)> = whole.chain(damaged).collect();
            rows.sort_unstable_by_key(|(key, _)| key.id);
            for (key, found) in rows {
                if page.events.len() >= query.limit {
                    return Ok(page);
                }
                let Some(id) = Selector::from_bytes(key.id) else {
                    continue;
                };
                page.next = Some(id);
                match found {
                    Some(Record::Event(event)) if query.takes(&event) => page.events.push(event),
                    Some(Record::Event(_)) => {}
                    // Whatever it told, it may have been what is asked for.
                    _ => page.damaged.push(id),
                }
            }
            match scanned.rest {
                Some(rest) => range = rest,
                None => {
                    page.at_end = true;
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }
}
