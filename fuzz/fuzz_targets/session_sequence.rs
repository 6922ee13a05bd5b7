//! Hazard: calls in an order that nobody thought of, after which somebody is in whose session has
//! ended, or is out though nothing ended theirs.
//!
//! Each byte or two of an input is a step, made against the table and against a plain list of
//! sessions with the rules written out. After each step every token that there has ever been is
//! looked at, without being used; in half of the sequences but for those whose time is over, which
//! are left for the sweep.
#![no_main]

use core::time::Duration;
use std::sync::LazyLock;

use countersign_core::policy::{AtLimit, Draft, SessionPolicy};
use countersign_core::{Epoch, EpochStamp, Fresh, Keyring, Principal, SplitToken, Timestamp};
use countersign_fuzz::Choices;
use countersign_sessions::{
    Denied, Done, Ended, EndedBy, Epochs, Gone, Live, LogIn, Method, Moment, Opened, Privilege,
    Refused, SessionTable, SnapshotName, Timeouts,
};
use countersign_testkit::samples;
use libfuzzer_sys::fuzz_target;

const MAX: usize = 8;
const MAX_ANONYMOUS: usize = 4;
const MAX_PER_PRINCIPAL: usize = 3;
const IDLE: Duration = Duration::from_secs(100);
const ABSOLUTE: Duration = Duration::from_secs(400);
const STEPS_MAX: usize = 64;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::new(&samples::keys()));
static NAMES: LazyLock<[Principal; 2]> = LazyLock::new(|| [0, 1].map(samples::name));
static POLICIES: LazyLock<[SessionPolicy; 2]> =
    LazyLock::new(|| [AtLimit::Deny, AtLimit::EvictOldest].map(policy));

fn policy(at_limit: AtLimit) -> SessionPolicy {
    let mut draft = Draft::default();
    draft.sessions.max_sessions = MAX as u64;
    draft.sessions.max_anonymous = MAX_ANONYMOUS as u64;
    draft.sessions.max_per_principal = MAX_PER_PRINCIPAL as u32;
    draft.sessions.idle_timeout = IDLE;
    draft.sessions.absolute_timeout = ABSOLUTE;
    // Each shard remembers some: more than a sequence can end.
    draft.sessions.max_ended = 1 << 13;
    draft.sessions.at_limit = at_limit;
    draft.build().expect("a policy").sessions().clone()
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let mut model = Model::new(&POLICIES[choices.below(2)], choices.flag());
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        model.step(&mut choices);
        model.check();
    }
});

/// What the model knows of a session.
struct Known {
    token: SplitToken,
    /// The tokens that it had before.
    old: Vec<SplitToken>,
    live: Live,
    who: Option<usize>,
    opened_at: Timestamp,
    last_seen: Timestamp,
    ended: Option<EndedBy>,
    /// The table was restarted since it ended, and remembers nothing of it.
    forgotten: bool,
}

struct Model {
    table: SessionTable,
    policy: &'static SessionPolicy,
    now: Timestamp,
    known: Vec<Known>,
    /// Nobody looks at what is over until the table finds out by itself.
    leaves_the_dead: bool,
    drawn: u64,
}

impl Known {
    fn due(&self, now: Timestamp) -> Option<EndedBy> {
        if now >= self.opened_at.after(ABSOLUTE) {
            return Some(EndedBy::Absolute);
        }
        (now >= self.last_seen.after(IDLE)).then_some(EndedBy::Idle)
    }

    fn is_alive(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.due(now).is_none()
    }
}

impl Model {
    fn new(policy: &'static SessionPolicy, leaves_the_dead: bool) -> Self {
        Self {
            table: SessionTable::new(policy, &KEYRING),
            policy,
            now: samples::NOW,
            known: Vec::new(),
            leaves_the_dead,
            drawn: 0,
        }
    }

    fn moment(&self) -> Moment<'static> {
        Moment {
            now: self.now,
            keyring: &KEYRING,
            policy: self.policy,
        }
    }

    /// Other bytes each time: `blake3` spreads a count.
    fn fresh(&mut self) -> Fresh {
        self.drawn += 1;
        let mut bytes = [0; Fresh::LEN];
        let mut spread = blake3::Hasher::new();
        spread.update(&self.drawn.to_be_bytes());
        spread.finalize_xof().fill(&mut bytes);
        Fresh::new(bytes)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(13) {
            0 => self.start(),
            1 | 2 => self.log_in(choices),
            3 | 4 => self.touch(choices),
            5 => self.renew(choices),
            6 => self.end(choices),
            7 => self.end_others(choices),
            8 => self.end_all(choices),
            9 => self.sweep(),
            10 | 11 => {
                let span = Duration::from_millis(u64::from(choices.byte()) * 500);
                self.now = self.now.after(span);
            }
            _ => self.restart(),
        }
    }

    fn start(&mut self) {
        let mut fresh = self.fresh();
        let moment = self.moment();
        let done = self
            .table
            .start(&moment, &mut fresh, 0, Timeouts::default());
        self.opened(done, None, None);
    }

    fn log_in(&mut self, choices: &mut Choices<'_>) {
        let who = choices.below(2);
        let from = choices.maybe(|choices| self.choose(choices)).flatten();
        let mut fresh = self.fresh();
        let login = LogIn {
            principal: &NAMES[who],
            method: Method::Password,
            fresh_for: IDLE,
            stamp: EpochStamp::default(),
            timeouts: Timeouts::default(),
            ends_by: None,
            series: None,
            carry: &[],
        };
        let live = from.map(|at| self.known[at].live.clone());
        let moment = self.moment();
        let done = self
            .table
            .log_in(&moment, &mut fresh, live.as_ref(), &login);
        self.opened(done, Some(who), from);
    }

    fn opened(
        &mut self,
        done: Done<Result<Opened, Denied>>,
        who: Option<usize>,
        from: Option<usize>,
    ) {
        let by = [EndedBy::Room, EndedBy::Limit, EndedBy::LogIn];
        self.note(&done.ended, &by);
        for end in &done.ended {
            let at = self.at(end);
            match end.by {
                EndedBy::LogIn => assert_eq!(Some(at), from, "another one made way"),
                EndedBy::Room => assert_eq!(self.known[at].who, None, "a principal's made way"),
                EndedBy::Limit => assert!(
                    self.known[at].who == who && self.policy.at_limit == AtLimit::EvictOldest
                ),
                _ => {}
            }
        }
        match done.outcome {
            Ok(opened) => self.known.push(Known {
                token: *opened.token,
                old: Vec::new(),
                live: opened.session,
                who,
                opened_at: self.now,
                last_seen: self.now,
                ended: None,
                forgotten: false,
            }),
            Err(Denied::LimitReached { .. }) => {
                assert_eq!(self.policy.at_limit, AtLimit::Deny);
                assert!(self.alive_of(who) >= MAX_PER_PRINCIPAL);
            }
            Err(Denied::Full) => {
                let alive = self.known.iter().filter(|known| known.is_alive(self.now));
                assert!(alive.count() >= MAX && self.alive_of(None) == 0);
            }
            Err(denied) => panic!("{denied}"),
        }
    }

    fn touch(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        let done = self.table.touch(&self.moment(), &self.known[at].token);
        self.note(&done.ended, &[]);
        let known = &mut self.known[at];
        assert_eq!(done.outcome.is_ok(), known.is_alive(self.now));
        if let Ok(live) = done.outcome {
            // Within a second of the last use nothing is written.
            if self.now.as_secs() > known.last_seen.as_secs() {
                known.last_seen = self.now;
            }
            known.live = live;
        }
    }

    fn renew(&mut self, choices: &mut Choices<'_>) {
        let (at, elevate) = (self.choose(choices), choices.flag());
        let Some(at) = at else {
            return;
        };
        let mut fresh = self.fresh();
        let (moment, live) = (self.moment(), &self.known[at].live);
        let done = match elevate {
            true => self
                .table
                .elevate(&moment, &mut fresh, live, Method::MultiFactor, IDLE),
            false => self.table.renew(&moment, &mut fresh, live, Privilege::Same),
        };
        self.note(&done.ended, &[]);
        let known = &mut self.known[at];
        let alive = known.is_alive(self.now);
        match done.outcome {
            Ok(opened) => {
                assert!(alive, "renewed the dead");
                let old = core::mem::replace(&mut known.token, *opened.token);
                known.old.push(old);
                known.live = opened.session;
                if self.now.as_secs() > known.last_seen.as_secs() {
                    known.last_seen = self.now;
                }
            }
            Err(Denied::Anonymous) => assert!(elevate && known.who.is_none()),
            Err(denied) => assert!(!alive, "{denied}"),
        }
    }

    fn end(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        let alive = self.known[at].is_alive(self.now);
        let selector = self.known[at].live.selector();
        let done = self.table.end(&self.moment(), selector, EndedBy::Principal);
        self.note(&done.ended, &[EndedBy::Principal]);
        assert_eq!(done.outcome.is_ok(), alive);
        assert!(self.known[at].ended.is_some());
    }

    fn end_others(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        let Some(who) = self.known[at].who else {
            return;
        };
        let keep = self.known[at].live.selector();
        let by = EndedBy::CredentialsChanged;
        let ended = self.table.end_others(&self.moment(), &NAMES[who], keep, by);
        self.note(&ended, &[by]);
        let kept = |known: &&Known| known.who == Some(who) && known.ended.is_none();
        assert!(
            self.known
                .iter()
                .filter(kept)
                .all(|known| known.live.selector() == keep)
        );
    }

    fn end_all(&mut self, choices: &mut Choices<'_>) {
        let who = choices.below(2);
        let by = EndedBy::Operator;
        let ended = self.table.end_all(&self.moment(), &NAMES[who], by);
        self.note(&ended, &[by]);
        assert_eq!(self.alive_of(Some(who)), 0);
    }

    fn sweep(&mut self) {
        loop {
            let swept = self.table.sweep(&self.moment(), 1_000_000);
            self.note(&swept.ended, &[]);
            if swept.came_round {
                break;
            }
        }
        let due = |known: &Known| known.ended.is_none() && known.due(self.now).is_some();
        assert!(!self.known.iter().any(due), "swept past");
    }

    fn restart(&mut self) {
        let name = SnapshotName {
            binding: [0xb1; 16],
            id: [0x1d; 16],
        };
        let bytes = self.table.snapshot(&self.moment(), &name);
        self.table = SessionTable::new(self.policy, &KEYRING);
        let epochs = Epochs {
            sessions: Epoch::FIRST,
            of_principal: &|_| Some(Epoch::FIRST),
        };
        let restored = self
            .table
            .restore(&self.moment(), name.binding, &bytes, &epochs);
        let restored = restored.expect("it was just written");
        let alive = self.known.iter().filter(|known| known.is_alive(self.now));
        assert_eq!(restored.living, alive.count() as u64);
        for known in &mut self.known {
            if !known.is_alive(self.now) {
                known.ended = known.ended.or(known.due(self.now));
                known.forgotten = true;
            }
        }
    }

    fn choose(&self, choices: &mut Choices<'_>) -> Option<usize> {
        let number = choices.byte();
        usize::from(number).checked_rem(self.known.len())
    }

    fn alive_of(&self, who: Option<usize>) -> usize {
        let theirs = |known: &&Known| known.who == who && known.is_alive(self.now);
        self.known.iter().filter(theirs).count()
    }

    fn at(&self, end: &Ended) -> usize {
        let is_it = |known: &Known| known.live.selector() == end.selector;
        let at = self.known.iter().position(is_it);
        at.expect("a session that never was has ended")
    }

    /// Notes what was ended, having checked that it could be: by its time, or in one of these ways.
    fn note(&mut self, ended: &[Ended], allowed: &[EndedBy]) {
        for end in ended {
            let at = self.at(end);
            let known = &mut self.known[at];
            assert_eq!(known.ended, None, "it ended twice");
            match end.by {
                EndedBy::Idle | EndedBy::Absolute => assert_eq!(known.due(self.now), Some(end.by)),
                by => {
                    assert!(allowed.contains(&by), "ended by {by}");
                    assert_eq!(known.due(self.now), None, "its time was over");
                }
            }
            known.ended = Some(end.by);
        }
    }

    /// Every token that there has ever been lets in just whom it should, and the bounds hold.
    fn check(&mut self) {
        for at in 0..self.known.len() {
            let known = &self.known[at];
            let is_over = known.ended.is_none() && !known.is_alive(self.now);
            if is_over && self.leaves_the_dead {
                continue;
            }
            let done = self.table.peek(&self.moment(), &known.token);
            match (known.ended.or(known.due(self.now)), &done.outcome) {
                (None, Ok(live)) => {
                    let owner = live.principal();
                    assert_eq!(owner.as_ref(), known.who.map(|who| &NAMES[who]));
                    assert_eq!(live.last_seen_at(), known.last_seen);
                }
                (Some(_), Err(Refused::Rejected(_))) => assert!(known.forgotten),
                (Some(by), Err(Refused::Gone(Gone { by: told, .. }))) => assert_eq!(by, *told),
                (expected, found) => panic!("{expected:?}, {found:?}"),
            }
            for old in &known.old {
                let done = self.table.peek(&self.moment(), old);
                assert!(done.outcome.is_err(), "an old token");
                assert!(done.ended.is_empty(), "an old token ends nothing");
            }
            self.note(&done.ended, &[]);
        }
        let there = [None, Some(0), Some(1)].map(|who| {
            let theirs = |known: &&Known| known.who == who && known.ended.is_none();
            self.known.iter().filter(theirs).count()
        });
        let all = there.iter().sum::<usize>();
        assert_eq!(self.table.len(), (all as u64, there[0] as u64));
        assert!(all <= MAX && there[0] <= MAX_ANONYMOUS);
        assert!(there[1].max(there[2]) <= MAX_PER_PRINCIPAL);
    }
}
