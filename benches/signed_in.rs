//! Sessions for many principals: in a table alone, and in an engine.

use crate::{Shuffle, engine_at, keys, roomy_policy};
use countersign::store::MemoryStore;
use countersign::{Engine, NewLogIn, Policy};
use countersign_core::policy::SessionPolicy;
use countersign_core::{
    CredentialKind, EpochStamp, Fresh, Keyring, Principal, SplitToken, Timestamp, TokenFormat,
};
use countersign_sessions::{Live, LogIn, Method, Moment, SessionTable, Timeouts};
use countersign_testkit::ManualClock;
use std::sync::Arc;
use std::time::Duration;

/// When sessions begin to be opened.
pub const START_MS: u64 = 1_795_341_296_789;

/// A policy under which there may be so many sessions.
pub fn policy_for(sessions: usize) -> Policy {
    let mut draft = roomy_policy(sessions).to_draft();
    draft.sessions.max_sessions = sessions as u64;
    draft.sessions.max_anonymous = (sessions / 10) as u64;
    draft.build().unwrap()
}

fn principal(n: usize) -> Principal {
    Principal::new(&format!("user{n:07}")).unwrap()
}

/// A table, and what its calls want.
pub struct Table {
    /// The sessions.
    pub table: SessionTable,
    keyring: Keyring,
    policy: SessionPolicy,
    format: TokenFormat,
    random: Shuffle,
}

impl Table {
    /// An empty one, laid out for so many.
    pub fn new(sessions: usize) -> Self {
        let keyring = Keyring::new(&keys());
        let policy = policy_for(sessions).sessions().clone();
        Self {
            table: SessionTable::new(&policy, &keyring),
            keyring,
            policy,
            format: TokenFormat::new(None).unwrap(),
            random: Shuffle::new(),
        }
    }

    /// A moment of its calls.
    pub fn moment(&self, now_ms: u64) -> Moment<'_> {
        Moment {
            now: Timestamp::from_millis(now_ms),
            keyring: &self.keyring,
            policy: &self.policy,
        }
    }

    /// Opens a session for the `n`th principal, a hundred in a millisecond.
    pub fn log_in(&mut self, n: usize) -> Box<SplitToken> {
        let bytes = std::array::from_fn(|_| self.random.below(256).to_le_bytes()[0]);
        let login = LogIn {
            principal: &principal(n),
            method: Method::Password,
            fresh_for: Duration::from_secs(600),
            stamp: EpochStamp::default(),
            timeouts: Timeouts::default(),
            ends_by: None,
            series: None,
            carry: &[],
        };
        let moment = self.moment(START_MS + n as u64 / 100);
        let mut fresh = Fresh::new(bytes);
        let opened = self.table.log_in(&moment, &mut fresh, None, &login);
        opened.outcome.unwrap().token
    }

    /// A session's token as its owner presents it.
    pub fn text(&self, token: &SplitToken) -> String {
        self.format.text(token).unwrap().expose().to_owned()
    }

    /// What a request does: read the text, find the session, prove it, note the use.
    pub fn request(&self, moment: &Moment<'_>, text: &str) -> Option<Live> {
        let token = self.format.parse(CredentialKind::Session, text.as_bytes());
        self.table.touch(moment, &token.unwrap()).outcome.ok()
    }
}

/// An engine with one session for each of many principals.
pub struct SignedIn {
    /// The engine.
    pub engine: Engine,
    /// Its clock.
    pub clock: ManualClock,
    /// The texts of its sessions' tokens.
    pub texts: Vec<String>,
}

impl SignedIn {
    /// As many sessions, with the records of all principals in memory.
    pub fn filled(many: usize) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        let engine = engine_at(
            clock.clone(),
            Arc::new(MemoryStore::new([])),
            policy_for(many),
        );
        let log_in = |n| {
            let login = NewLogIn::new(principal(n), Method::Password, Duration::from_secs(600));
            let opened = engine.sessions().log_in(None, login).wait().unwrap();
            opened.token.expose().to_owned()
        };
        let texts = (0..many).map(log_in).collect();
        let filled = Self {
            engine,
            clock,
            texts,
        };
        assert_eq!(filled.touch(&filled.texts), many);
        filled
    }

    /// Reads sessions and notes their use, ten seconds after the last time; answers how many of
    /// them were let in.
    pub fn touch(&self, texts: &[String]) -> usize {
        self.clock.advance(Duration::from_secs(10));
        let touched = texts.iter().filter(|text| {
            let verdict = self.engine.sessions().touch(text.as_str(), None).wait();
            verdict.is_ok_and(|verdict| verdict.is_in())
        });
        touched.count()
    }
}
