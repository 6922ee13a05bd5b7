//! What the hazards share: a place for a store, an engine on it, and requests.

use countersign::core::{Key, SplitToken, Table, Verifier, Versioned};
use countersign::store::{KeyRange, MemoryStore, Revision, Store};
use countersign::{
    Builder, CredentialKind, Draft, Engine, Event, Expiry, IssuedToken, KeyMaterial, Label,
    Maintenance, NewSeries, NewToken, Observer, Policy, Principal, Reason, Recall, RedbOptions,
    Refused, Rejection, Remembered, RestoreReport, Scope, ScopeSet, Selector, SessionEvent,
    TokenName, Verdict,
};
use countersign_testkit::{ManualClock, SeededEntropy, samples, tamper};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// As long as anything is waited for that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a store in it, or with room for one, and the clock that its engines go by.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) clock: ManualClock,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            dir: directory(),
            clock: ManualClock::default(),
        }
    }

    /// On whatever disk temporary files are on, for what is about disks.
    pub(crate) fn on_disk() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            ..Self::new()
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("state.redb")
    }

    pub(crate) fn key_path(&self) -> PathBuf {
        self.dir.path().join("state.key")
    }

    /// Maintenance by hand, this clock, and a ballast that is quick to write.
    pub(crate) fn builder(&self) -> Builder {
        Engine::builder()
            .clock(self.clock.clone())
            .maintenance(Maintenance::HostDriven)
            .redb(options())
    }

    pub(crate) fn open(&self) -> Engine {
        self.builder().open(self.path()).unwrap()
    }
}

/// A directory that goes away, in memory where there is such a place: what is tried here is who
/// may come in, not how fast a disk is.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// How the tests open redb: as by default, with a ballast that is quick to write.
pub(crate) fn options() -> RedbOptions {
    RedbOptions::new()
        .ballast_bytes(16 * 1024)
        .spare_bytes(0)
        .reopen_backoff(Duration::from_millis(5), Duration::from_millis(50))
}

/// The keys that engines in memory go by.
pub(crate) fn keys() -> KeyMaterial {
    samples::keys()
}

/// A builder for an engine that is not on a file.
pub(crate) fn builder(clock: &ManualClock) -> Builder {
    Engine::builder()
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .maintenance(Maintenance::HostDriven)
}

pub(crate) fn in_memory() -> (Engine, ManualClock) {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    (on_store(&clock, store), clock)
}

pub(crate) fn on_store(clock: &ManualClock, store: Arc<dyn Store>) -> Engine {
    builder(clock).open_store(store, &keys()).unwrap()
}

pub(crate) fn policy(change: impl FnOnce(&mut Draft)) -> Policy {
    let mut draft = Draft::default();
    change(&mut draft);
    draft.build().unwrap()
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

pub(crate) fn reason(text: &str) -> Reason {
    Reason::new(text).unwrap()
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::new(text).unwrap()
}

pub(crate) fn request(name: &str) -> NewToken {
    NewToken {
        principal: principal(name),
        name: TokenName::new("ci").unwrap(),
        scopes: ScopeSet::EMPTY,
        expiry: Expiry::Never,
    }
}

#[track_caller]
pub(crate) fn issue(engine: &Engine, name: &str) -> IssuedToken {
    engine.access().issue(request(name)).wait().unwrap()
}

#[track_caller]
pub(crate) fn verify(engine: &Engine, text: &str) -> Verdict {
    engine.access().verify(text).wait().unwrap()
}

#[track_caller]
pub(crate) fn is_in(engine: &Engine, token: &IssuedToken) -> bool {
    verify(engine, token.token.expose()).is_in()
}

#[track_caller]
pub(crate) fn refused(engine: &Engine, token: &IssuedToken) -> Rejection {
    let verdict = verify(engine, token.token.expose());
    verdict.rejection().expect("it was let in")
}

#[track_caller]
pub(crate) fn revoke(engine: &Engine, selector: Selector) {
    let revocation = engine.access().revoke(selector, None).wait().unwrap();
    assert!(revocation.durable);
}

/// The same selector with another secret, in the text of this engine.
pub(crate) fn with_wrong_secret(engine: &Engine, selector: Selector, byte: u8) -> String {
    forged(engine, CredentialKind::Access, selector, byte)
}

/// The same for a remembered device.
pub(crate) fn wrong_device(engine: &Engine, selector: Selector, byte: u8) -> String {
    forged(engine, CredentialKind::Remember, selector, byte)
}

fn forged(engine: &Engine, kind: CredentialKind, selector: Selector, byte: u8) -> String {
    let verifier = Verifier::from_bytes([byte; 28]);
    let token = SplitToken::new(kind, selector, verifier);
    engine.format().text(&token).unwrap().expose().to_owned()
}

/// Every file in a directory with its length and a hash of its bytes: what "nothing was touched"
/// compares.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, usize, u64)> {
    let about = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        (path, bytes.len(), hasher.finish())
    };
    let entries = std::fs::read_dir(dir).unwrap();
    let mut all: Vec<_> = entries.map(|entry| about(entry.unwrap().path())).collect();
    all.sort();
    all
}

/// Every row that lies in a store's file, in every table, as it lies there.
pub(crate) fn rows(path: &Path) -> Vec<tamper::Row> {
    let tables = Table::ALL.into_iter().map(Table::name);
    let tables = tables.chain([tamper::META]);
    tables
        .flat_map(|table| tamper::rows(path, table).unwrap())
        .collect()
}

/// The revision that a store stands at, and every record that it holds.
#[track_caller]
pub(crate) fn everything(store: &dyn Store) -> (Revision, Vec<(Key, Versioned)>) {
    let revision = store.attest().wait().unwrap();
    let mut all = Vec::new();
    for table in Table::ALL {
        let page = store.scan(KeyRange::all(table), usize::MAX).wait().unwrap();
        assert_eq!((page.damaged.len(), page.rest), (0, None), "{table:?}");
        all.extend(page.records);
    }
    (revision, all)
}

/// Room for many tokens, for tests that are not about the limit.
pub(crate) fn roomy() -> Policy {
    policy(|draft| {
        draft.access_tokens.max_live_per_principal = 1000;
        draft.access_tokens.max_kept_per_principal = 1000;
    })
}

/// Keeps what an engine tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ears {
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) refusals: Arc<Mutex<Vec<Refused>>>,
    pub(crate) sessions: Arc<Mutex<Vec<SessionEvent>>>,
    pub(crate) restored: Arc<Mutex<Vec<RestoreReport>>>,
}

impl Observer for Ears {
    fn event(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
    }

    fn refused(&self, refused: &Refused) {
        self.refusals.lock().unwrap().push(*refused);
    }

    fn session(&self, event: &SessionEvent) {
        self.sessions.lock().unwrap().push(event.clone());
    }

    fn restored(&self, report: &RestoreReport) {
        self.restored.lock().unwrap().push(report.clone());
    }
}

/// Random numbers that can be repeated: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.roll() % sides
    }
}

/// How large a trial is to be: as a variable asks, or else so large that it is quick.
pub(crate) fn asked(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |asked| asked.parse().unwrap())
}

/// Figures of a run, past the capture of the harness: they go into reports.
pub(crate) fn figures(line: &str) {
    use std::io::Write as _;
    std::io::stderr()
        .write_all(format!("\n=== {line}\n").as_bytes())
        .unwrap();
}

/// A new device of a principal.
pub(crate) fn device(name: &str) -> NewSeries {
    NewSeries {
        principal: principal(name),
        label: Label::new("a browser").unwrap(),
    }
}

#[track_caller]
pub(crate) fn remember(engine: &Engine, name: &str) -> Remembered {
    engine.remember().start(device(name)).wait().unwrap()
}

#[track_caller]
pub(crate) fn present(engine: &Engine, text: &str) -> Recall {
    engine.remember().present(text, None).wait().unwrap()
}

/// Presents what must let the device in; answers the secret that it was handed, if any.
#[track_caller]
pub(crate) fn handed(engine: &Engine, text: &str) -> Option<String> {
    match present(engine, text) {
        Recall::In(recalled) => recalled.successor.map(|text| text.expose().to_owned()),
        Recall::Refused(reason) => panic!("refused: {reason}"),
    }
}

#[track_caller]
pub(crate) fn forgotten(engine: &Engine, text: &str) -> Rejection {
    let recall = present(engine, text);
    recall.rejection().expect("it was let in")
}
