//! What the tests share: engines, records, and a clock of theirs.

use countersign::{
    Clock as _, Draft, Engine, Maintenance, Policy, Principal, RedbOptions, SystemClock,
};
use countersign_testkit::ManualClock;
use countersign_tower_sessions::CountersignStore;
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tower_sessions::SessionStore as _;
use tower_sessions::session::{Id, Record};

/// A directory with a store in it, and the clock that its engines go by: it stands at the true
/// time, since tower-sessions reads that by itself, and is moved by hand from there.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) clock: ManualClock,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: ManualClock::at(SystemClock.now()),
        }
    }

    /// Moves the clock to `ms` milliseconds after a date, or before it.
    pub(crate) fn at(&self, date: OffsetDateTime, ms: i128) {
        let at = date.unix_timestamp_nanos() / 1_000_000 + ms;
        let at = countersign::Timestamp::from_millis(u64::try_from(at).unwrap());
        self.clock.set(at);
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.dir.path().join("state.sessions")
    }

    pub(crate) fn open(&self) -> Engine {
        self.open_under(Policy::default())
    }

    pub(crate) fn open_under(&self, policy: Policy) -> Engine {
        let redb = RedbOptions::new().ballast_bytes(16 * 1024).spare_bytes(0);
        let builder = Engine::builder()
            .clock(self.clock.clone())
            .maintenance(Maintenance::HostDriven)
            .policy(policy)
            .redb(redb);
        builder.open(self.dir.path().join("state.redb")).unwrap()
    }
}

pub(crate) fn policy(change: impl FnOnce(&mut Draft)) -> Policy {
    let mut draft = Draft::default();
    change(&mut draft);
    draft.build().unwrap()
}

/// A store on an engine of its own, and where that is.
pub(crate) fn store() -> (CountersignStore, Home) {
    store_under(Policy::default())
}

pub(crate) fn store_under(policy: Policy) -> (CountersignStore, Home) {
    let home = Home::new();
    let engine = home.open_under(policy);
    (CountersignStore::new(engine), home)
}

pub(crate) fn in_half_an_hour() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::minutes(30)
}

/// A record as tower-sessions makes it.
pub(crate) fn record<const N: usize>(pairs: [(&str, Value); N]) -> Record {
    Record {
        id: Id::default(),
        data: pairs.map(|(key, value)| (key.to_owned(), value)).into(),
        expiry_date: in_half_an_hour(),
    }
}

pub(crate) async fn created<const N: usize>(
    store: &CountersignStore,
    pairs: [(&str, Value); N],
) -> Record {
    let mut record = record(pairs);
    store.create(&mut record).await.unwrap();
    record
}

pub(crate) async fn load(store: &CountersignStore, id: Id) -> Option<Record> {
    store.load(&id).await.unwrap()
}

/// What axum-login keeps of who is logged in.
pub(crate) fn logged_in(name: &str) -> (&'static str, Value) {
    let kept = json!({"user_id": name, "auth_hash": [1, 2, 3]});
    ("axum-login.data", kept)
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::new(name).unwrap()
}
