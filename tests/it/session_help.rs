//! What the hazards of sessions share: log-ins, requests, and what an engine tells of sessions.

use crate::support::principal;
use countersign::store::place::{SnapshotPlace, Unread};
use countersign::{
    AttributeChange, AttributeName, EndedBy, Engine, Error, Method, NewLogIn, Observer,
    OpenedSession, Rejection, RestoreReport, SessionChange, SessionEvent, SessionVerdict, Timeouts,
};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// For how long the tests' log-ins are fresh.
pub(crate) const FRESH: Duration = Duration::from_secs(600);

#[track_caller]
pub(crate) fn log_in(engine: &Engine, name: &str) -> OpenedSession {
    try_log_in(engine, name).unwrap()
}

pub(crate) fn try_log_in(engine: &Engine, name: &str) -> Result<OpenedSession, Error> {
    let login = NewLogIn::new(principal(name), Method::Password, FRESH);
    engine.sessions().log_in(None, login).wait()
}

#[track_caller]
pub(crate) fn visit(engine: &Engine) -> OpenedSession {
    let sessions = engine.sessions();
    sessions.start(Timeouts::default()).wait().unwrap()
}

#[track_caller]
pub(crate) fn touch(engine: &Engine, opened: &OpenedSession) -> SessionVerdict {
    let sessions = engine.sessions();
    sessions.touch(opened.token.expose(), None).wait().unwrap()
}

#[track_caller]
pub(crate) fn lets_in(engine: &Engine, opened: &OpenedSession) -> bool {
    touch(engine, opened).is_in()
}

#[track_caller]
pub(crate) fn rejected(engine: &Engine, opened: &OpenedSession) -> Rejection {
    touch(engine, opened).rejection().expect("it was let in")
}

pub(crate) fn add(name: &str) -> Vec<AttributeChange> {
    vec![AttributeChange::Add(AttributeName::new(name).unwrap(), 1)]
}

/// Keeps what an engine tells of sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionEars {
    pub(crate) events: Arc<Mutex<Vec<SessionEvent>>>,
    pub(crate) restored: Arc<Mutex<Vec<RestoreReport>>>,
}

impl Observer for SessionEars {
    fn session(&self, event: &SessionEvent) {
        self.events.lock().unwrap().push(event.clone());
    }

    fn restored(&self, report: &RestoreReport) {
        self.restored.lock().unwrap().push(report.clone());
    }
}

impl SessionEars {
    /// What was told since this was last asked.
    pub(crate) fn changes(&self) -> Vec<SessionChange> {
        let told = std::mem::take(&mut *self.events.lock().unwrap());
        told.iter().map(|event| event.change).collect()
    }

    /// The same of ends alone.
    pub(crate) fn ends(&self) -> Vec<EndedBy> {
        let ends = self
            .changes()
            .into_iter()
            .filter_map(|change| match change {
                SessionChange::Ended(by) => Some(by),
                _ => None,
            });
        ends.collect()
    }
}

/// The text of a token with this selector and a secret that is nobody's.
pub(crate) fn with_wrong_secret(engine: &Engine, selector: countersign::Selector) -> String {
    use countersign::core::{SplitToken, Verifier};
    let verifier = Verifier::from_bytes([9; 28]);
    let token = SplitToken::new(countersign::CredentialKind::Session, selector, verifier);
    engine.format().text(&token).unwrap().expose().to_owned()
}

/// A place of somebody else's: what lies there, and how often each thing was done with it.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    name: &'static str,
    bytes: Mutex<Option<Vec<u8>>>,
    pub(crate) claimed: AtomicU32,
    pub(crate) released: AtomicU32,
    pub(crate) tried: AtomicU32,
    pub(crate) is_full: AtomicBool,
}

impl Elsewhere {
    pub(crate) fn named(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            ..Self::default()
        })
    }

    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        self.bytes.lock().unwrap().clone()
    }
}

impl SnapshotPlace for Elsewhere {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn binding(&self) -> [u8; 16] {
        [7; 16]
    }

    fn claim(&self) -> io::Result<()> {
        self.claimed.fetch_add(1, SeqCst);
        Ok(())
    }

    fn read(&self, _: u64) -> Result<Option<Vec<u8>>, Unread> {
        Ok(self.bytes())
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.tried.fetch_add(1, SeqCst);
        if self.is_full.load(SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *self.bytes.lock().unwrap() = Some(bytes.to_vec());
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        *self.bytes.lock().unwrap() = None;
        Ok(())
    }

    fn release(&self) -> io::Result<()> {
        self.released.fetch_add(1, SeqCst);
        Ok(())
    }

    fn vacate(&self) -> io::Result<()> {
        self.clear()
    }

    fn set_aside(&self) -> Option<String> {
        self.clear().ok().map(|()| "aside".to_owned())
    }
}
