//! What the tests share: a table with a clock, keys, a policy and a source of random bytes.

use countersign_core::policy::{Draft, SessionPolicy};
use countersign_core::{EpochStamp, Fresh, KeyMaterial, Keyring, Principal, SplitToken, Timestamp};
use countersign_sessions::{
    AttributeChange, AttributeName, Denied, Done, Ended, EndedBy, Live, LogIn, Method, Moment,
    Opened, Refused, SessionTable, Timeouts, Value,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const ANY_END: EndedBy = EndedBy::Operator;
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_341_296_789);

/// A table and all that its calls take.
pub(crate) struct World {
    pub(crate) table: SessionTable,
    pub(crate) keyring: Keyring,
    pub(crate) policy: SessionPolicy,
    now_ms: AtomicU64,
    random: AtomicU64,
}

pub(crate) fn material() -> KeyMaterial {
    KeyMaterial::generate(START, [1; 32], [2; 32])
}

pub(crate) fn policy(change: impl FnOnce(&mut SessionPolicy)) -> SessionPolicy {
    let mut draft = Draft::default();
    change(&mut draft.sessions);
    draft.build().unwrap().sessions().clone()
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut SessionPolicy)) -> Self {
        let policy = policy(change);
        let keyring = Keyring::new(&material());
        Self {
            table: SessionTable::new(&policy, &keyring),
            keyring,
            policy,
            now_ms: AtomicU64::new(START.as_millis()),
            random: AtomicU64::new(1),
        }
    }

    /// The same keys, policy and instant around an empty table: a restart.
    pub(crate) fn restarted(&self) -> Self {
        let again = Self::new(|policy| *policy = self.policy.clone());
        again.set(self.now());
        // Another process draws other bytes.
        let drawn = self.random.load(Ordering::Relaxed);
        again.random.store(drawn + (1 << 40), Ordering::Relaxed);
        again
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, now: Timestamp) {
        self.now_ms.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.set(self.now().after(span));
    }

    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment {
            now: self.now(),
            keyring: &self.keyring,
            policy: &self.policy,
        }
    }

    /// Other bytes each time, and the same ones in each run.
    pub(crate) fn fresh(&self) -> Fresh {
        let mut state = self.random.fetch_add(1, Ordering::Relaxed);
        let bytes = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 27)) as u8
        });
        Fresh::new(bytes)
    }

    pub(crate) fn start(&self) -> Opened {
        quiet(self.try_start()).unwrap()
    }

    pub(crate) fn try_start(&self) -> Done<Result<Opened, Denied>> {
        let timeouts = Timeouts::default();
        self.table
            .start(&self.moment(), &mut self.fresh(), 0, timeouts)
    }

    pub(crate) fn log_in(&self, name: &str) -> Opened {
        quiet(self.try_log_in(name)).unwrap()
    }

    pub(crate) fn try_log_in(&self, name: &str) -> Done<Result<Opened, Denied>> {
        self.log_in_as(None, &login(&principal(name)))
    }

    pub(crate) fn log_in_as(
        &self,
        from: Option<&Live>,
        login: &LogIn<'_>,
    ) -> Done<Result<Opened, Denied>> {
        self.table
            .log_in(&self.moment(), &mut self.fresh(), from, login)
    }

    pub(crate) fn touch(&self, token: &SplitToken) -> Result<Live, Refused> {
        self.table.touch(&self.moment(), token).outcome
    }

    pub(crate) fn peek(&self, token: &SplitToken) -> Result<Live, Refused> {
        self.table.peek(&self.moment(), token).outcome
    }

    pub(crate) fn end(&self, live: &Live, by: EndedBy) -> Done<Result<(), Denied>> {
        self.table.end(&self.moment(), live.selector(), by)
    }

    pub(crate) fn sweep_all(&self) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            let swept = self.table.sweep(&self.moment(), 1_000_000);
            ended.extend(swept.ended);
            if swept.came_round {
                return ended;
            }
        }
    }

    pub(crate) fn names(&self, who: &str) -> usize {
        let listed = self.table.list(&self.moment(), &principal(who));
        listed.outcome.len()
    }
}

/// The outcome of a call that must not end anything.
pub(crate) fn quiet<T>(done: Done<T>) -> T {
    assert_eq!(done.ended, [], "something was ended");
    done.outcome
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

pub(crate) fn login(principal: &Principal) -> LogIn<'_> {
    LogIn {
        principal,
        method: Method::Password,
        fresh_for: Duration::from_secs(600),
        stamp: EpochStamp::default(),
        timeouts: Timeouts::default(),
        ends_by: None,
        series: None,
        carry: &[],
    }
}

pub(crate) fn name(text: &str) -> AttributeName {
    AttributeName::new(text).unwrap()
}

pub(crate) fn set(attribute: &str, value: &str) -> AttributeChange {
    AttributeChange::Set(name(attribute), Value::from(value))
}

pub(crate) fn by(ended: &[Ended]) -> Vec<EndedBy> {
    ended.iter().map(|ended| ended.by).collect()
}

/// A copy of a token: its halves written down and read again.
pub(crate) fn copy(token: &SplitToken) -> SplitToken {
    with_verifier(token, *token.verifier().expose())
}

pub(crate) fn with_verifier(token: &SplitToken, verifier: [u8; 28]) -> SplitToken {
    let verifier = countersign_core::Verifier::from_bytes(verifier);
    SplitToken::new(token.kind(), token.selector(), verifier)
}

/// How an answer to a presented token is told apart.
pub(crate) fn why(answer: &Result<Live, Refused>) -> String {
    match answer {
        Ok(_) => "in".to_owned(),
        Err(Refused::Gone(gone)) => format!("gone: {}", gone.by),
        Err(refused) => refused.to_string(),
    }
}
