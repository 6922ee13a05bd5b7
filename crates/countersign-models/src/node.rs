//! An engine over a place, under a clock that is moved by hand, and the calls that several models
//! make on it.

use crate::place::Place;
use countersign::{
    Engine, Error, Maintenance, Policy, Principal, Revocation, Selector, Subsystem, Timestamp,
};
use countersign_core::{CredentialKind, SplitToken, Verifier};
use countersign_testkit::{ManualClock, SeededEntropy, must, must_be, samples};
use std::sync::LazyLock;

/// Those whose credentials all is about.
pub(crate) static NAMES: LazyLock<[Principal; 2]> = LazyLock::new(|| [0, 1].map(samples::name));
/// What snapshots of sessions belong to.
const BINDING: [u8; 16] = [0xb1; 16];

pub(crate) struct Node<'a> {
    place: &'a mut dyn Place,
    /// There is one but while it is opened again.
    engine: Option<Engine>,
    pub(crate) clock: ManualClock,
    opened: u64,
}

/// A denial must be on the medium when it is acknowledged: nothing is in the way of it here.
#[track_caller]
pub(crate) fn durable(revocation: Result<Revocation, Error>) {
    assert!(must(revocation).durable);
}

impl<'a> Node<'a> {
    pub(crate) fn new(place: &'a mut dyn Place, policy: &Policy) -> Self {
        let mut node = Self {
            place,
            engine: None,
            clock: ManualClock::default(),
            opened: 0,
        };
        node.open(policy);
        node
    }

    fn open(&mut self, policy: &Policy) {
        let mut builder = Engine::builder()
            .clock(self.clock.clone())
            .entropy(SeededEntropy::new(self.opened))
            .maintenance(Maintenance::HostDriven)
            .policy(policy.clone());
        if let Some(path) = self.place.snapshot() {
            builder = builder.session_snapshot(path, BINDING);
        }
        let engine = builder.open_store(self.place.open(), &samples::keys());
        self.engine = Some(must(engine));
        self.opened += 1;
    }

    /// Another process on the same records: nothing is in memory but what was stored. Answers
    /// whether sessions were carried over.
    pub(crate) fn reopen(&mut self, policy: &Policy) -> bool {
        self.place.leave();
        if let Some(engine) = self.engine.take() {
            must(engine.close().wait());
        }
        self.open(policy);
        self.place.snapshot().is_some()
    }

    pub(crate) fn engine(&self) -> &Engine {
        must_be(self.engine.as_ref(), "an engine that is open")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.engine().now()
    }

    /// The text of a token that nobody was ever shown.
    pub(crate) fn guess(&self, kind: CredentialKind, selector: Selector) -> String {
        let token = SplitToken::new(kind, selector, Verifier::from_bytes([0; 28]));
        let text = self.engine().format().text(&token);
        must_be(text, "a kind with a text").expose().to_owned()
    }

    pub(crate) fn disable(&self, whose: usize) {
        let whose = NAMES[whose].clone();
        durable(self.engine().principals().disable(whose, None).wait());
    }

    pub(crate) fn enable(&self, whose: usize) {
        let whose = NAMES[whose].clone();
        must(self.engine().principals().enable(whose, None).wait());
    }

    pub(crate) fn revoke_everything(&self, whose: usize) {
        let whose = NAMES[whose].clone();
        durable(self.engine().revoke_everything(whose, None).wait());
    }

    pub(crate) fn off(&self, subsystem: Subsystem) {
        durable(self.engine().switches().off(subsystem, None).wait());
    }

    pub(crate) fn on(&self, subsystem: Subsystem) {
        must(self.engine().switches().on(subsystem, None).wait());
    }
}
