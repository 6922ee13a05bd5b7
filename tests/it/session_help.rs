//! What the hazards of sessions share: log-ins, requests, and what an engine tells of sessions.

use crate::support::principal;
use countersign::{
    AttributeChange, AttributeName, EndedBy, Engine, Error, Method, NewLogIn, Observer,
    OpenedSession, Rejection, RestoreReport, SessionChange, SessionEvent, SessionVerdict, Timeouts,
};
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
