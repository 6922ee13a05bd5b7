//! The engine with sessions, as the benches that compare sessions want it.

use countersign::core::Timestamp;
use countersign::store::MemoryStore;
use countersign::{Engine, Maintenance, Method, NewLogIn, Principal};
use countersign_benches::{keys, roomy_policy};
use countersign_testkit::ManualClock;
use std::sync::Arc;
use std::time::Duration;

/// An engine with one session for each of many principals.
pub struct Sessions {
    /// The engine.
    pub engine: Engine,
    /// Its clock.
    pub clock: ManualClock,
    /// The texts of its sessions' tokens.
    pub texts: Vec<String>,
}

impl Sessions {
    /// As many sessions.
    pub fn filled(many: usize) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_795_341_296_789));
        let mut draft = roomy_policy(many).to_draft();
        draft.sessions.max_sessions = many as u64;
        draft.sessions.max_anonymous = (many / 10) as u64;
        let engine = Engine::builder()
            .clock(clock.clone())
            .maintenance(Maintenance::HostDriven)
            .policy(draft.build().unwrap())
            .open_store(Arc::new(MemoryStore::new([])), &keys())
            .unwrap();
        let log_in = |n| {
            let principal = Principal::new(&format!("user{n:07}")).unwrap();
            let login = NewLogIn::new(principal, Method::Password, Duration::from_secs(600));
            let opened = engine.sessions().log_in(None, login).wait().unwrap();
            opened.token.expose().to_owned()
        };
        let texts = (0..many).map(log_in).collect();
        let filled = Self {
            engine,
            clock,
            texts,
        };
        // Once each, so that the records of all principals are in memory.
        assert_eq!(filled.touch(&filled.texts), many);
        filled
    }

    /// Reads sessions and notes their use, ten seconds after the last time.
    pub fn touch(&self, texts: &[String]) -> usize {
        self.clock.advance(Duration::from_secs(10));
        let touched = texts.iter().filter(|text| {
            let verdict = self.engine.sessions().touch(text.as_str(), None).wait();
            verdict.is_ok_and(|verdict| verdict.is_in())
        });
        touched.count()
    }
}
