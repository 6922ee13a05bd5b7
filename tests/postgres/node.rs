//! One node: an engine on the database, as an application opens it.

use countersign::{
    Builder, Draft, Engine, Error, Expiry, IssuedToken, NewToken, Policy, Principal, ScopeSet,
    Selector, TokenName, Verdict,
};
use countersign_core::Keyring;
use countersign_postgres::{PostgresOptions, PostgresStore};
use countersign_testkit::postgres::Options;
use countersign_testkit::{ManualClock, samples};
use std::sync::Arc;
use std::time::Duration;

/// How late a node may hear of what another one has revoked.
pub(crate) const BOUND: Duration = Duration::from_millis(1000);
/// As long as anything is waited for that has to come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<PostgresStore>,
}

impl Node {
    pub(crate) fn open(connection: &str) -> Self {
        Self::with_policy(connection, policy(|_| ()))
    }

    pub(crate) fn with_policy(connection: &str, policy: Policy) -> Self {
        Self::on(connection, Engine::builder().policy(policy))
    }

    pub(crate) fn with_clock(connection: &str, policy: Policy, clock: ManualClock) -> Self {
        Self::on(connection, Engine::builder().policy(policy).clock(clock))
    }

    fn on(connection: &str, builder: Builder) -> Self {
        let keys = samples::keys();
        let options = PostgresOptions::new(connection).unwrap();
        let store = options
            .allow_lossy_crash()
            .open(Arc::new(Keyring::new(&keys)));
        let store = Arc::new(store.unwrap());
        let engine = builder.open_store(Arc::clone(&store) as _, &keys).unwrap();
        Self { engine, store }
    }

    pub(crate) fn try_issue(&self, name: &str) -> Result<IssuedToken, Error> {
        let request = NewToken {
            principal: Principal::new(name).unwrap(),
            name: TokenName::new("ci").unwrap(),
            scopes: ScopeSet::EMPTY,
            expiry: Expiry::Never,
        };
        self.engine.access().issue(request).wait()
    }

    pub(crate) fn issue(&self, name: &str) -> IssuedToken {
        self.try_issue(name).unwrap()
    }

    /// Ends a token, and tells whether that is on the medium.
    pub(crate) fn revoke(&self, selector: &str) -> bool {
        let selector: Selector = selector.parse().unwrap();
        let revoked = self.engine.access().revoke(selector, None).wait();
        revoked.unwrap().durable
    }

    pub(crate) fn verify(&self, token: &str) -> String {
        match self.engine.access().verify(token).wait() {
            Ok(Verdict::In(_)) => "in".to_owned(),
            Ok(Verdict::Refused(rejection)) => format!("refused: {rejection}"),
            Err(error) => format!("error: {error}"),
        }
    }
}

/// A policy with the bound of these tests.
pub(crate) fn policy(change: impl FnOnce(&mut Draft)) -> Policy {
    let mut draft = Draft::default();
    draft.cache.staleness_ms = u32::try_from(BOUND.as_millis()).unwrap();
    change(&mut draft);
    draft.build().unwrap()
}

/// The same connection string, by which the database knows the node.
pub(crate) fn named(connection: &str, name: &str) -> String {
    match connection.contains("://") {
        true if connection.contains('?') => format!("{connection}&application_name={name}"),
        true => format!("{connection}?application_name={name}"),
        false => format!("{connection} application_name={name}"),
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let pause = Duration::from_millis(5);
    let mut left = PATIENCE.as_millis() / pause.as_millis();
    while !holds() {
        assert!(left > 0, "{what} did not come about");
        left -= 1;
        std::thread::sleep(pause);
    }
}

/// A server each of whose flushes waits for so many microseconds, for which its disk has to be
/// synced at all.
pub(crate) fn slow(micros: u32) -> Options {
    Options::new()
        .fsync(true)
        .setting("commit_delay", &micros.to_string())
        .setting("commit_siblings", "0")
}
