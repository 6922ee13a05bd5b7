//! Hazard: calls in an order that nobody thought of, after which somebody is in whose session was
//! ended, stopped or timed out, or is out though nothing ended theirs.
//!
//! Each step is made through an engine and against a plain list of sessions. After each one every
//! token that there has ever been is looked at, and a guess at each, without being used. What a
//! principal's ban, an epoch and the switch do to sessions is what is tried here; the limits of
//! the table are so wide that none is met. The first byte chooses how little the cache may hold.

use crate::choices::Choices;
use crate::node::{NAMES, Node, durable};
use crate::place::Place;
use crate::policy::small;
use core::time::Duration;
use countersign::{
    CredentialKind, Denied, EndedBy, Engine, Error, Live, Method, NewLogIn, OpenedSession, Policy,
    Refusal, Subsystem, Timeouts, Timestamp,
};
use countersign_testkit::must;
use std::sync::LazyLock;

const IDLE: Duration = Duration::from_secs(100);
const ABSOLUTE: Duration = Duration::from_secs(400);
/// How many principals the cache holds: none, fewer than there are, all.
const CACHED: [u64; 3] = [0, 1, 1000];

static POLICIES: LazyLock<[Policy; 3]> = LazyLock::new(|| CACHED.map(policy));

fn policy(cached: u64) -> Policy {
    let mut draft = small(1000, cached);
    draft.sessions.max_per_principal = 1000;
    draft.sessions.idle_timeout = IDLE;
    draft.sessions.absolute_timeout = ABSOLUTE;
    must(draft.build())
}

/// Makes steps on an engine over an empty store until the input is over, or so many are made;
/// answers how many were.
#[track_caller]
pub fn run(place: &mut dyn Place, choices: &mut Choices<'_>, steps_max: u64) -> u64 {
    let policy = &POLICIES[choices.below(POLICIES.len())];
    let mut model = Model {
        node: Node::new(place, policy),
        policy,
        known: Vec::new(),
        disabled: [false; 2],
        on: true,
    };
    choices.steps(steps_max, |choices, _| {
        model.step(choices);
        model.agrees();
    })
}

/// What the model knows of a session.
struct Known {
    text: String,
    /// The tokens that it had before.
    old: Vec<String>,
    live: Live,
    whose: Option<usize>,
    opened_at: Timestamp,
    last_seen: Timestamp,
    /// Ended on purpose: nothing brings it back.
    ended: bool,
}

struct Model<'a> {
    node: Node<'a>,
    policy: &'static Policy,
    known: Vec<Known>,
    disabled: [bool; 2],
    on: bool,
}

impl Known {
    /// Whether it is in the table, whatever the records say.
    fn is_alive(&self, now: Timestamp) -> bool {
        let timed_out = now >= self.opened_at.after(ABSOLUTE) || now >= self.last_seen.after(IDLE);
        !self.ended && !timed_out
    }

    /// It was used; within a second of the last use nothing is written.
    fn used(&mut self, now: Timestamp) {
        if now.as_secs() > self.last_seen.as_secs() {
            self.last_seen = now;
        }
    }

    fn renewed(&mut self, opened: OpenedSession) {
        let text = opened.token.expose().to_owned();
        self.old.push(std::mem::replace(&mut self.text, text));
        self.live = opened.session;
    }
}

impl Model<'_> {
    fn engine(&self) -> &Engine {
        self.node.engine()
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(24) {
            0 => self.start(),
            1..=5 => self.log_in(choices),
            6..=9 => self.touch(choices),
            10 => self.renew(choices),
            11 => self.log_out(choices),
            12 => self.end_some(choices),
            13 => self.credentials_changed(choices),
            14 | 15 => self.act(choices),
            16 | 17 => self.switch(choices),
            18 => drop(must(self.engine().sweep(1000).wait())),
            19 => drop(must(self.engine().maintain().wait())),
            20 => self.reopen(),
            _ => {
                let span = Duration::from_millis(u64::from(choices.byte()) * 300);
                self.node.clock.advance(span);
            }
        }
    }

    fn is_barred(&self, whose: Option<usize>) -> bool {
        !self.on || whose.is_some_and(|whose| self.disabled[whose])
    }

    fn start(&mut self) {
        let opened = self.engine().sessions().start(Timeouts::default()).wait();
        self.opened(opened, None);
    }

    fn log_in(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        let from = choices.maybe(|choices| self.choose(choices)).flatten();
        let live = from.map(|at| self.known[at].live.clone());
        let login = NewLogIn::new(NAMES[whose].clone(), Method::Password, IDLE);
        let opened = self.engine().sessions().log_in(live, login).wait();
        if self.opened(opened, Some(whose))
            && let Some(from) = from
        {
            self.known[from].ended = true;
        }
    }

    fn opened(&mut self, opened: Result<OpenedSession, Error>, whose: Option<usize>) -> bool {
        let barred = self.is_barred(whose);
        match opened {
            Ok(opened) => {
                assert!(!barred, "opened against a ban");
                let now = self.node.now();
                self.known.push(Known {
                    text: opened.token.expose().to_owned(),
                    old: Vec::new(),
                    live: opened.session,
                    whose,
                    opened_at: now,
                    last_seen: now,
                    ended: false,
                });
                true
            }
            Err(Error::Refused(Refusal::SwitchedOff(_) | Refusal::Disabled)) => {
                assert!(barred, "refused for no reason");
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn choose(&self, choices: &mut Choices<'_>) -> Option<usize> {
        usize::from(choices.byte()).checked_rem(self.known.len())
    }

    fn must_accept(&self, known: &Known) -> bool {
        known.is_alive(self.node.now()) && !self.is_barred(known.whose)
    }

    fn touch(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        let text = &self.known[at].text;
        let verdict = must(self.engine().sessions().touch(text, None).wait());
        assert_eq!(verdict.is_in(), self.must_accept(&self.known[at]));
        let now = self.node.now();
        if let Some(live) = verdict.live() {
            // A request that is refused keeps nothing alive.
            self.known[at].used(now);
            self.known[at].live = live;
        }
    }

    fn renew(&mut self, choices: &mut Choices<'_>) {
        let (at, elevate) = (self.choose(choices), choices.flag());
        let Some(at) = at else {
            return;
        };
        let live = &self.known[at].live;
        let sessions = self.engine().sessions();
        let renewed = match elevate {
            true => sessions.elevate(live, Method::MultiFactor, IDLE).wait(),
            false => sessions.renew(live).wait(),
        };
        let now = self.node.now();
        let known = &mut self.known[at];
        let alive = known.is_alive(now);
        match renewed {
            Ok(opened) => {
                assert!(alive, "renewed the dead");
                known.renewed(opened);
                known.used(now);
            }
            Err(Error::Session(Denied::Anonymous)) => assert!(elevate && known.whose.is_none()),
            Err(error) => assert!(!alive, "{error}"),
        }
    }

    fn log_out(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        let out = self.engine().sessions().log_out(&self.known[at].live);
        must(out.wait());
        self.known[at].ended = true;
    }

    fn end_some(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        let kept = choices.maybe(|choices| self.choose(choices)).flatten();
        let (sessions, by) = (self.engine().sessions(), EndedBy::Operator);
        let ended = match kept {
            None => sessions.end_all(&NAMES[whose], by),
            Some(at) => sessions.end_others(&NAMES[whose], self.known[at].live.selector(), by),
        };
        must(ended.wait());
        self.end_all_but(kept, |known| known.whose == Some(whose));
    }

    fn credentials_changed(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        let kept = choices.maybe(|choices| self.choose(choices)).flatten();
        let kept = kept.filter(|at| self.known[*at].whose == Some(whose));
        let alive = kept.is_some_and(|at| self.known[at].is_alive(self.node.now()));
        let live = kept.map(|at| self.known[at].live.clone());
        let whose_name = NAMES[whose].clone();
        let changed = self.engine().credentials_changed(whose_name, live, None);
        let changed = must(changed.wait());
        durable(Ok(changed.revocation));
        assert_eq!(changed.session.is_some(), alive, "the one that was kept");
        let kept = kept.filter(|_| alive);
        self.end_all_but(kept, |known| known.whose == Some(whose));
        let now = self.node.now();
        if let (Some(at), Some(opened)) = (kept, changed.session) {
            self.known[at].renewed(opened);
            self.known[at].used(now);
        }
    }

    fn act(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        match choices.below(5) {
            0 => {
                self.node.disable(whose);
                self.disabled[whose] = true;
            }
            1 => {
                self.node.revoke_everything(whose);
                self.end_all_but(None, |known| known.whose == Some(whose));
            }
            _ => {
                self.node.enable(whose);
                self.disabled[whose] = false;
            }
        }
    }

    fn switch(&mut self, choices: &mut Choices<'_>) {
        match choices.below(5) {
            0 => {
                self.node.off(Subsystem::Sessions);
                self.on = false;
                self.end_all_but(None, |_| true);
            }
            1 => {
                durable(self.engine().sign_everybody_out(None).wait());
                self.end_all_but(None, |_| true);
            }
            _ => {
                self.node.on(Subsystem::Sessions);
                self.on = true;
            }
        }
    }

    fn end_all_but(&mut self, kept: Option<usize>, which: impl Fn(&Known) -> bool) {
        for (at, known) in self.known.iter_mut().enumerate() {
            if Some(at) != kept && which(known) {
                known.ended = true;
            }
        }
    }

    fn reopen(&mut self) {
        if !self.node.reopen(self.policy) {
            self.end_all_but(None, |_| true);
        }
        let now = self.node.now();
        // What was over is not carried along.
        for known in &mut self.known {
            known.ended = !known.is_alive(now);
        }
    }

    /// Every token that there has ever been lets in just whom it should.
    fn agrees(&self) {
        for (at, known) in self.known.iter().enumerate() {
            let peek = |text: &str| must(self.engine().sessions().peek(text, None).wait());
            let verdict = peek(&known.text);
            let expected = self.must_accept(known);
            assert_eq!(verdict.is_in(), expected, "session {at}: {verdict:?}");
            if let Some(live) = verdict.live() {
                let owner = live.principal();
                assert_eq!(owner.as_ref(), known.whose.map(|whose| &NAMES[whose]));
                assert_eq!(live.selector(), known.live.selector());
                assert_eq!(live.last_seen_at(), known.last_seen);
            }
            let guess = self
                .node
                .guess(CredentialKind::Session, known.live.selector());
            for text in known.old.iter().chain([&guess]) {
                assert!(!peek(text).is_in(), "session {at} by another token");
            }
        }
    }
}
