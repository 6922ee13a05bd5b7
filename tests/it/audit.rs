//! Hazard: whoever reads the audit log in pages, or follows it, is shown an event twice or never.

use crate::support::{Ears, MINUTE, builder, issue, keys, principal, revoke};
use countersign::store::MemoryStore;
use countersign::{Engine, Event, EventKind, EventPage, EventQuery, Selector};
use countersign_testkit::ManualClock;
use std::sync::Arc;

struct World {
    engine: Engine,
    clock: ManualClock,
    ears: Ears,
}

impl World {
    fn new() -> Self {
        let (clock, ears) = (ManualClock::default(), Ears::default());
        let engine = builder(&clock).observer(ears.clone());
        let engine = engine.open_store(Arc::new(MemoryStore::new([])), &keys());
        Self {
            engine: engine.unwrap(),
            clock,
            ears,
        }
    }

    /// Tokens are issued and revoked, a minute apart.
    fn happen(&self, times: usize) {
        for n in 0..times {
            self.clock.advance(MINUTE);
            let token = issue(&self.engine, ["ann", "bob"][n % 2]);
            self.clock.advance(MINUTE);
            revoke(&self.engine, token.selector);
        }
    }

    /// All that happened so far, as it was told.
    fn told(&self) -> Vec<Event> {
        self.ears.events.lock().unwrap().clone()
    }

    fn list(&self, change: impl FnOnce(&mut EventQuery)) -> EventPage {
        let mut query = EventQuery::default();
        change(&mut query);
        self.engine.audit().list(query).wait().unwrap()
    }

    /// All that is shown from there on, in pages of this size; and where to go on.
    fn follow(&self, mut after: Option<Selector>, limit: usize) -> (Vec<Event>, Option<Selector>) {
        let mut all = Vec::new();
        loop {
            let page = self.list(|query| (query.after, query.limit) = (after, limit));
            assert!(page.events.len() <= limit);
            all.extend(page.events);
            after = page.next;
            if page.at_end {
                return (all, after);
            }
        }
    }
}

#[test]
fn pages_of_events_follow_one_another_without_a_gap_and_without_a_double() {
    let world = World::new();
    world.happen(10);
    let told = world.told();
    assert_eq!(told.len(), 20);
    for limit in [1, 3, 19, 20, 21, 100] {
        let (all, next) = world.follow(None, limit);
        assert_eq!(all, told, "pages of {limit}");
        assert_eq!(next, Some(told[19].id), "pages of {limit}");
    }
}

#[test]
fn whoever_follows_the_log_is_not_sent_back_to_its_beginning_while_nothing_happens() {
    let world = World::new();
    assert_eq!(world.follow(None, 10), (Vec::new(), None));
    world.happen(2);
    let (first, mut next) = world.follow(None, 10);
    assert_eq!(first.len(), 4);
    for _ in 0..3 {
        let (none, still) = world.follow(next, 10);
        assert_eq!((none, still), (Vec::new(), next));
        next = still;
    }
    world.happen(1);
    let (new, _) = world.follow(next, 10);
    assert_eq!(new, world.told()[4..]);
    // A page with room for nothing is no step either.
    let none = world.list(|query| (query.after, query.limit) = (next, 0));
    assert_eq!(
        (none.next, none.events, none.at_end),
        (next, Vec::new(), false)
    );
}

#[test]
fn a_filter_leaves_out_what_does_not_fit_and_nothing_else() {
    let world = World::new();
    world.happen(6);
    let told = world.told();
    type Change<'a> = Box<dyn Fn(&mut EventQuery) + 'a>;
    type Fits<'a> = Box<dyn Fn(&Event) -> bool + 'a>;
    let (ann, token) = (principal("ann"), told[4].credential.unwrap().selector);
    let mut filters: Vec<(Change<'_>, Fits<'_>)> = vec![
        (
            Box::new(|query| query.principal = Some(ann.clone())),
            Box::new(|event| event.principal.as_ref() == Some(&ann)),
        ),
        (
            Box::new(|query| query.selector = Some(token)),
            Box::new(|event| {
                event
                    .credential
                    .is_some_and(|named| named.selector == token)
            }),
        ),
        (
            Box::new(|query| query.kind = Some(EventKind::Revoked)),
            Box::new(|event| event.kind == EventKind::Revoked),
        ),
    ];
    for event in &told {
        let at = event.at;
        filters.push((
            Box::new(move |query| query.since = Some(at)),
            Box::new(move |event| event.at >= at),
        ));
    }
    for (number, (change, fits)) in filters.iter().enumerate() {
        let expected: Vec<_> = told.iter().filter(|event| fits(event)).cloned().collect();
        assert!(!expected.is_empty(), "filter {number}");
        assert_eq!(world.list(change).events, expected, "filter {number}");
    }
}
