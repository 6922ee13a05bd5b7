//! Hazard: what is to be done from time to time by the engine's own thread is done never, or at
//! every tick, or not any more once the clock has stepped.

use crate::session_help::log_in;
use crate::support::{
    DAY, Ears, Home, MINUTE, PATIENCE, builder, is_in, issue, keys, policy, principal, request,
};
use countersign::core::Key;
use countersign::store::{MemoryStore, Store};
use countersign::{
    Clock, Engine, EventKind, Expiry, IssuedToken, Maintenance, Observer, SessionEvent, Timestamp,
};
use countersign_testkit::{ManualClock, wait_until};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

/// Counts how often the engine's own thread looks at it, a few times at every tick.
#[derive(Clone, Debug, Default)]
struct Watched {
    clock: ManualClock,
    looks: Arc<AtomicU32>,
}

impl Clock for Watched {
    fn now(&self) -> Timestamp {
        if thread::current().name() == Some("countersign-maintenance") {
            self.looks.fetch_add(1, SeqCst);
        }
        self.clock.now()
    }
}

impl Watched {
    /// Waits until there have been some ticks, the whole of them.
    #[track_caller]
    fn some_ticks(&self) {
        let until = self.looks.load(SeqCst) + 12;
        let come = || self.looks.load(SeqCst) >= until;
        assert!(wait_until(PATIENCE, come), "the thread stands still");
    }
}

struct World {
    watched: Watched,
    ears: Ears,
    store: Arc<dyn Store>,
    engine: Engine,
    token: IssuedToken,
}

impl World {
    fn new() -> Self {
        let (watched, ears) = (Watched::default(), Ears::default());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new([]));
        let engine = builder(&watched.clock)
            .clock(watched.clone())
            .observer(ears.clone())
            .policy(policy(|draft| {
                draft.access_tokens.last_used_interval = DAY / 2;
            }))
            .maintenance(Maintenance::Background)
            .open_store(Arc::clone(&store), &keys())
            .unwrap();
        Self {
            token: issue(&engine, "ann"),
            watched,
            ears,
            store,
            engine,
        }
    }

    #[track_caller]
    fn use_it(&self) {
        assert!(is_in(&self.engine, &self.token));
    }

    /// When the token was used last, as far as the store knows.
    fn written(&self) -> Option<Timestamp> {
        let key = Key::usage(self.token.selector);
        let found = self.store.load(&[key]).wait().unwrap().remove(0);
        found.map(|found| match found.record {
            countersign::core::Record::Usage(usage) => usage.last_used_at,
            record => panic!("{record:?}"),
        })
    }

    #[track_caller]
    fn is_written_as_of(&self, at: Timestamp) {
        let written = || self.written() == Some(at);
        assert!(wait_until(PATIENCE, written), "{:?}", self.written());
    }
}

#[test]
fn last_uses_are_written_when_their_interval_is_over_and_no_sooner() {
    let world = World::new();
    let clock = &world.watched.clock;
    let opened = clock.now();
    world.use_it();
    world.watched.some_ticks();
    assert_eq!(world.written(), None, "at the instant of the opening");
    clock.advance(DAY / 2 - MINUTE);
    world.watched.some_ticks();
    assert_eq!(world.written(), None, "before the interval is over");
    clock.advance(MINUTE);
    world.is_written_as_of(opened);
    // The next interval begins here.
    world.use_it();
    world.watched.some_ticks();
    assert_eq!(world.written(), Some(opened), "at the instant of a writing");
    let used = clock.now();
    clock.advance(DAY / 2);
    world.is_written_as_of(used);
}

#[test]
fn a_clock_that_steps_back_puts_no_writing_off() {
    let world = World::new();
    let clock = &world.watched.clock;
    world.use_it();
    let used = clock.now();
    clock.step_back(MINUTE);
    world.is_written_as_of(used);
}

#[test]
fn no_tick_but_the_one_that_is_due_sweeps() {
    let world = World::new();
    let mut expiring = request("bob");
    expiring.expiry = Expiry::At(world.watched.clock.now().after(MINUTE));
    world.engine.access().issue(expiring).wait().unwrap();
    world.watched.clock.advance(2 * MINUTE);
    world.watched.some_ticks();
    let noted = || {
        let events = world.ears.events.lock().unwrap();
        events.iter().any(|event| event.kind == EventKind::Expired)
    };
    assert!(!noted(), "a sweep is for once a minute");
    world.engine.maintain().wait().unwrap();
    assert!(noted());
}

/// Lets go of an engine as soon as it hears of a session.
#[derive(Clone, Debug, Default)]
struct LetsGo(Arc<Mutex<Option<Engine>>>);

impl Observer for LetsGo {
    fn session(&self, _: &SessionEvent) {
        let engine = self.0.lock().unwrap().take();
        drop(engine);
    }
}

#[test]
fn an_engine_that_is_let_go_of_on_its_own_thread_is_closed_all_the_same() {
    let home = Home::new();
    let holder = LetsGo::default();
    let engine = home
        .builder()
        .maintenance(Maintenance::Background)
        .observer(holder.clone())
        // Nothing but closing writes the use.
        .policy(policy(|draft| draft.access_tokens.last_used_interval = DAY))
        .open(home.path())
        .unwrap();
    let token = issue(&engine, "ann");
    assert!(is_in(&engine, &token));
    let used = home.clock.now();
    log_in(&engine, "bob");
    *holder.0.lock().unwrap() = Some(engine);
    // From here on the thread alone has something to tell.
    home.clock.advance(DAY / 2);
    let mut again = None;
    let opens = || {
        again = home.builder().open(home.path()).ok();
        again.is_some()
    };
    assert!(
        wait_until(PATIENCE, opens),
        "it has never let go of its file"
    );
    let engine = again.unwrap();
    let shown = engine.access().show(token.selector).wait().unwrap();
    assert_eq!(shown.unwrap().usage.unwrap().last_used_at, used);
    let left = engine.sessions().list(principal("bob")).wait().unwrap();
    assert!(left.is_empty(), "{left:?}");
}
