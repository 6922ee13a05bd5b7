//! Hazard: a sequence of calls that nobody thought of. Sequences of fifty steps are made against
//! the table and against a plain model, a list of sessions with the rules written out.
//!
//! `COUNTERSIGN_SEQUENCES=10000` makes it the full size; the default is what takes a moment.

use crate::restart::{NAME, restore};
use crate::support::{START, World, copy, login, name, principal, why};
use countersign_core::policy::AtLimit;
use countersign_core::{Selector, SplitToken, Timestamp};
use countersign_sessions::{
    AttributeChange, Denied, Done, Ended, EndedBy, Live, Method, Opened, Privilege, Timeouts,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const MAX: usize = 12;
const MAX_ANONYMOUS: usize = 5;
const MAX_PER_PRINCIPAL: usize = 3;
const IDLE_S: u64 = 100;
const ABSOLUTE_S: u64 = 400;

/// A step; numbers choose among the sessions that there have ever been.
#[derive(Clone, Debug)]
enum Step {
    Start,
    LogIn { who: u8, from: Option<u8> },
    Touch(u8),
    Peek(u8),
    OldToken(u8),
    Update { session: u8, attribute: u8 },
    Renew(u8),
    Elevate(u8),
    OwnTimeouts { session: u8, idle_s: u8 },
    End(u8),
    EndOthers(u8),
    EndAll(u8),
    List(u8),
    Form(u8),
    Sweep,
    Pass(u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    prop_oneof![
        4 => Just(Step::Start),
        6 => (any(), proptest::option::of(any()))
            .prop_map(|(who, from)| Step::LogIn { who, from }),
        6 => any().prop_map(Step::Touch),
        2 => any().prop_map(Step::Peek),
        1 => any().prop_map(Step::OldToken),
        3 => (any(), any()).prop_map(|(session, attribute)| Step::Update { session, attribute }),
        2 => any().prop_map(Step::Renew),
        2 => any().prop_map(Step::Elevate),
        1 => (any(), any()).prop_map(|(session, idle_s)| Step::OwnTimeouts { session, idle_s }),
        2 => any().prop_map(Step::End),
        1 => any().prop_map(Step::EndOthers),
        1 => any().prop_map(Step::EndAll),
        1 => any().prop_map(Step::List),
        1 => any().prop_map(Step::Form),
        1 => Just(Step::Sweep),
        5 => any().prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// What the model knows of a session.
#[derive(Debug)]
struct Known {
    token: SplitToken,
    /// The token before the present one.
    old: Option<SplitToken>,
    live: Live,
    who: Option<u8>,
    last_seen: Timestamp,
    idle: Duration,
    absolute: Duration,
    fresh_until: Timestamp,
    attributes: BTreeMap<String, i64>,
    ended: Option<EndedBy>,
    /// The table has been restarted since it ended, and remembers nothing of it.
    forgotten: bool,
}

struct Model {
    world: World,
    known: Vec<Known>,
    at_limit: AtLimit,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Known {
    fn due(&self, now: Timestamp) -> Option<EndedBy> {
        if now >= self.live.created_at().after(self.absolute) {
            return Some(EndedBy::Absolute);
        }
        (now >= self.last_seen.after(self.idle)).then_some(EndedBy::Idle)
    }

    fn selector(&self) -> Selector {
        self.live.selector()
    }
}

impl Model {
    fn new(deny: bool) -> Self {
        let at_limit = if deny {
            AtLimit::Deny
        } else {
            AtLimit::EvictOldest
        };
        let world = World::new(|policy| {
            policy.max_sessions = MAX as u64;
            policy.max_anonymous = MAX_ANONYMOUS as u64;
            policy.max_per_principal = MAX_PER_PRINCIPAL as u32;
            policy.idle_timeout = seconds(IDLE_S);
            policy.absolute_timeout = seconds(ABSOLUTE_S);
            policy.at_limit = at_limit;
        });
        Self {
            world,
            known: Vec::new(),
            at_limit,
        }
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn living(&self) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|known| known.ended.is_none())
    }

    fn of(&self, who: u8) -> impl Iterator<Item = &Known> {
        self.living().filter(move |known| known.who == Some(who))
    }

    /// Chooses a session by number, if there has been any.
    fn choose(&mut self, number: u8) -> Option<&mut Known> {
        let count = self.known.len().max(1);
        self.known.get_mut(usize::from(number) % count)
    }

    /// Notes what was ended, having checked that it could be.
    fn note(&mut self, ended: &[Ended], allowed: &[EndedBy]) {
        let now = self.now();
        for end in ended {
            let known = self
                .known
                .iter_mut()
                .find(|known| known.selector() == end.selector);
            let known = known.expect("a session that never was has ended");
            assert_eq!(known.ended, None, "it ended twice");
            assert_eq!(known.who.is_some(), end.owner.is_some());
            match end.by {
                EndedBy::Idle | EndedBy::Absolute => assert_eq!(known.due(now), Some(end.by)),
                by => {
                    assert!(allowed.contains(&by), "ended by {by}");
                    assert_eq!(known.due(now), None, "its time was over");
                }
            }
            if end.by == EndedBy::Room {
                assert_eq!(known.who, None, "a principal's session made way");
            }
            known.ended = Some(end.by);
        }
    }

    fn add(&mut self, opened: Opened, who: Option<u8>) {
        let fresh = opened
            .session
            .authentication()
            .and_then(|auth| auth.fresh_until);
        self.known.push(Known {
            token: *opened.token,
            old: None,
            who,
            last_seen: self.world.now(),
            idle: seconds(IDLE_S),
            absolute: seconds(ABSOLUTE_S),
            fresh_until: fresh.unwrap_or(Timestamp::ZERO),
            attributes: BTreeMap::new(),
            ended: None,
            forgotten: false,
            live: opened.session,
        });
    }

    fn open(&mut self, done: Done<Result<Opened, Denied>>, who: Option<u8>, from: Option<usize>) {
        let now = self.now();
        let before = self
            .living()
            .filter(|known| known.due(now).is_none())
            .count();
        self.note(
            &done.ended,
            &[EndedBy::Room, EndedBy::Limit, EndedBy::LogIn],
        );
        for end in done.ended.iter().filter(|end| end.by == EndedBy::Limit) {
            self.check_oldest(end, who);
        }
        // The session it came from, if that was still there to be ended.
        let left = done.ended.iter().find(|end| end.by == EndedBy::LogIn);
        let left = left.map(|end| end.selector);
        let came_from = from.filter(|at| Some(self.known[*at].selector()) == left);
        assert_eq!(came_from.is_some(), left.is_some(), "another one made way");
        match done.outcome {
            Ok(opened) => {
                let carried = came_from;
                let carried = carried.map(|at| self.carried(at, who)).unwrap_or_default();
                self.add(opened, who);
                self.known.last_mut().unwrap().attributes = carried;
            }
            Err(Denied::LimitReached { live, max }) => {
                assert_eq!(self.at_limit, AtLimit::Deny);
                assert_eq!(max, MAX_PER_PRINCIPAL);
                let from = from.filter(|at| self.known[*at].ended.is_none());
                let leaving = from.is_some_and(|at| self.known[at].who == who);
                assert_eq!(live, self.of(who.unwrap()).count() - usize::from(leaving));
                assert!(live >= max);
            }
            Err(Denied::Full) => {
                let anonymous = self.living().filter(|known| known.who.is_none()).count();
                assert!(before >= MAX && anonymous == 0, "{before} {anonymous}");
            }
            Err(denied) => panic!("{denied}"),
        }
    }

    /// `a0` is taken along, from an anonymous session or the same principal's.
    fn carried(&self, from: usize, who: Option<u8>) -> BTreeMap<String, i64> {
        let old = &self.known[from];
        if old.who.is_some() && old.who != who {
            return BTreeMap::new();
        }
        let kept = old.attributes.iter().filter(|(name, _)| *name == "a0");
        kept.map(|(name, value)| (name.clone(), *value)).collect()
    }

    fn check_oldest(&self, end: &Ended, who: Option<u8>) {
        let younger = self
            .of(who.unwrap())
            .all(|known| known.selector() > end.selector);
        assert!(younger, "an older one was spared");
    }

    fn present(&mut self, number: u8, active: bool) {
        let (now, world) = (self.now(), &self.world);
        let count = self.known.len().max(1);
        let Some(known) = self.known.get_mut(usize::from(number) % count) else {
            return;
        };
        let moment = world.moment();
        let done = if active {
            world.table.touch(&moment, &known.token)
        } else {
            world.table.peek(&moment, &known.token)
        };
        let due = known.due(now).filter(|_| known.ended.is_none());
        let expected = match known.ended.or(due) {
            Some(_) if known.forgotten => "unknown".to_owned(),
            Some(by) => format!("gone: {by}"),
            None => "in".to_owned(),
        };
        assert_eq!(why(&done.outcome), expected);
        if let Ok(live) = &done.outcome {
            // Within a second of the last use nothing is written.
            if active && now.as_secs() > known.last_seen.as_secs() {
                known.last_seen = now;
            }
            assert_eq!(live.last_seen_at(), known.last_seen);
            assert_eq!(live.is_fresh(), now < known.fresh_until);
            let integers: BTreeMap<String, i64> = live.attributes().iter().map(pair).collect();
            assert_eq!(integers, known.attributes);
            known.live = live.clone();
        }
        self.note(&done.ended, &[]);
    }

    /// What a change to a chosen session should come to.
    fn expected(&mut self, number: u8) -> Option<(usize, Result<(), ()>)> {
        let now = self.now();
        let at = usize::from(number) % self.known.len().max(1);
        let known = self.known.get(at)?;
        let alive = known.ended.is_none() && known.due(now).is_none();
        Some((at, if alive { Ok(()) } else { Err(()) }))
    }

    fn settle<T>(&mut self, done: Done<Result<T, Denied>>, by: &[EndedBy]) -> Result<T, ()> {
        self.note(&done.ended, by);
        done.outcome.map_err(|denied| {
            let dead = matches!(denied, Denied::Gone(_) | Denied::Unknown);
            assert!(dead, "{denied}");
        })
    }

    fn renewed(&mut self, at: usize, opened: Opened) {
        let known = &mut self.known[at];
        assert_eq!(known.selector(), opened.session.selector());
        let token = std::mem::replace(&mut known.token, *opened.token);
        known.old = Some(token);
        known.live = opened.session;
    }
}

fn pair(
    (name, value): (
        &countersign_sessions::AttributeName,
        &countersign_sessions::Value,
    ),
) -> (String, i64) {
    let countersign_sessions::Value::Integer(number) = value else {
        panic!("{value:?}")
    };
    (name.as_str().to_owned(), *number)
}

impl Model {
    fn make(&mut self, step: &Step) {
        match step {
            Step::Start => {
                let done = self.world.try_start();
                self.open(done, None, None);
            }
            Step::LogIn { who, from } => self.log_in(who % 3, *from),
            Step::Touch(number) => self.present(*number, true),
            Step::Peek(number) => self.present(*number, false),
            Step::OldToken(number) => self.old_token(*number),
            Step::Update { session, attribute } => self.update(*session, *attribute),
            Step::Renew(number) => self.renew(*number, None),
            Step::Elevate(number) => self.renew(*number, Some(seconds(50))),
            Step::OwnTimeouts { session, idle_s } => self.own_timeouts(*session, *idle_s),
            Step::End(number) => self.end(*number),
            Step::EndOthers(number) => self.end_others(*number),
            Step::EndAll(who) => self.end_all(who % 3),
            Step::List(who) => self.list(who % 3),
            Step::Form(number) => self.form(*number),
            Step::Sweep => {
                let ended = self.world.sweep_all();
                self.note(&ended, &[]);
                let now = self.now();
                assert!(self.living().all(|known| known.due(now).is_none()));
            }
            Step::Pass(n) => self.world.pass(Duration::from_millis(u64::from(*n) * 250)),
            Step::Restart => self.restart(),
        }
        self.check();
    }

    fn check(&self) {
        let (all, anonymous) = self.world.table.len();
        let expected = self.living().count();
        let unnamed = self.living().filter(|known| known.who.is_none()).count();
        assert_eq!((all, anonymous), (expected as u64, unnamed as u64));
        assert!(expected <= MAX && unnamed <= MAX_ANONYMOUS);
        for who in 0..3 {
            assert!(self.of(who).count() <= MAX_PER_PRINCIPAL);
        }
    }

    fn log_in(&mut self, who: u8, from: Option<u8>) {
        let person = principal(&format!("p{who}"));
        let from = from.and_then(|number| {
            let at = usize::from(number) % self.known.len().max(1);
            (at < self.known.len()).then_some(at)
        });
        let carry = [name("a0")];
        let mut wanted = login(&person);
        wanted.carry = &carry;
        wanted.fresh_for = seconds(30);
        if who == 2 {
            wanted.method = Method::RememberMe;
        }
        let live = from.map(|at| self.known[at].live.clone());
        let done = self.world.log_in_as(live.as_ref(), &wanted);
        self.open(done, Some(who), from);
    }

    fn old_token(&mut self, number: u8) {
        let Some(known) = self.choose(number) else {
            return;
        };
        let Some(old) = known.old.as_ref().map(copy) else {
            return;
        };
        let expected = if known.forgotten {
            "unknown"
        } else {
            "mismatch"
        };
        let done = self.world.table.touch(&self.world.moment(), &old);
        assert!(done.ended.is_empty());
        assert_eq!(why(&done.outcome), expected);
    }

    fn update(&mut self, number: u8, attribute: u8) {
        let Some((at, expected)) = self.expected(number) else {
            return;
        };
        let attribute = format!("a{}", attribute % 3);
        let change = [AttributeChange::Add(name(&attribute), 1)];
        let selector = self.known[at].selector();
        let done = self
            .world
            .table
            .update(&self.world.moment(), selector, &change);
        assert_eq!(self.settle(done, &[]).map(drop), expected);
        if expected.is_ok() {
            *self.known[at].attributes.entry(attribute).or_default() += 1;
        }
    }

    fn renew(&mut self, number: u8, elevated: Option<Duration>) {
        let Some((at, expected)) = self.expected(number) else {
            return;
        };
        let (moment, mut fresh) = (self.world.moment(), self.world.fresh());
        let live = &self.known[at].live;
        let table = &self.world.table;
        let done = match elevated {
            None => table.renew(&moment, &mut fresh, live, Privilege::Same),
            Some(span) => table.elevate(&moment, &mut fresh, live, Method::Password, span),
        };
        if elevated.is_some() && self.known[at].who.is_none() && expected.is_ok() {
            assert_eq!(done.outcome.unwrap_err(), Denied::Anonymous);
            return;
        }
        let generation = live.generation();
        let settled = self.settle(done, &[]);
        assert_eq!(settled.is_ok(), expected.is_ok());
        if let Ok(opened) = settled {
            let now = self.now();
            if now.as_secs() > self.known[at].last_seen.as_secs() {
                self.known[at].last_seen = now;
            }
            if let Some(span) = elevated {
                self.known[at].fresh_until = now.after(span);
            }
            let more = u32::from(elevated.is_some());
            assert_eq!(opened.session.generation(), generation + more);
            self.renewed(at, opened);
        }
    }

    fn own_timeouts(&mut self, number: u8, idle_s: u8) {
        let Some((at, expected)) = self.expected(number) else {
            return;
        };
        let idle = seconds(u64::from(idle_s) + 1);
        let timeouts = Timeouts {
            idle: Some(idle),
            absolute: None,
        };
        let selector = self.known[at].selector();
        let done = self
            .world
            .table
            .set_timeouts(&self.world.moment(), selector, timeouts);
        assert_eq!(self.settle(done, &[]), expected);
        if expected.is_ok() {
            self.known[at].idle = idle;
        }
    }

    fn end(&mut self, number: u8) {
        let Some((at, expected)) = self.expected(number) else {
            return;
        };
        let done = self.world.end(&self.known[at].live, EndedBy::Principal);
        assert_eq!(self.settle(done, &[EndedBy::Principal]), expected);
        assert!(self.known[at].ended.is_some());
    }

    fn end_others(&mut self, number: u8) {
        let Some(known) = self.choose(number) else {
            return;
        };
        let (Some(who), keep) = (known.who, known.selector()) else {
            return;
        };
        let person = principal(&format!("p{who}"));
        let cause = EndedBy::CredentialsChanged;
        let ended = self
            .world
            .table
            .end_others(&self.world.moment(), &person, keep, cause);
        self.note(&ended, &[cause]);
        assert!(self.of(who).all(|known| known.selector() == keep));
    }

    fn end_all(&mut self, who: u8) {
        let person = principal(&format!("p{who}"));
        let ended = self
            .world
            .table
            .end_all(&self.world.moment(), &person, EndedBy::Operator);
        self.note(&ended, &[EndedBy::Operator]);
        assert_eq!(self.of(who).count(), 0);
    }

    fn list(&mut self, who: u8) {
        let person = principal(&format!("p{who}"));
        let listed = self.world.table.list(&self.world.moment(), &person);
        self.note(&listed.ended, &[]);
        let shown: Vec<Selector> = listed.outcome.iter().map(|one| one.selector).collect();
        let mut expected: Vec<Selector> = self.of(who).map(Known::selector).collect();
        expected.sort_unstable();
        assert_eq!(shown, expected);
        for (one, selector) in listed.outcome.iter().zip(&expected) {
            let known = self
                .known
                .iter()
                .find(|known| known.selector() == *selector);
            assert_eq!(one.last_seen_at, known.unwrap().last_seen);
        }
    }

    fn form(&mut self, number: u8) {
        let now = self.now();
        let Some(known) = self.choose(number) else {
            return;
        };
        let hint = known.live.hint();
        let expected = if known.forgotten {
            None
        } else {
            Some(known.ended.or(known.due(now)))
        };
        let found = self.world.table.form_session(&self.world.moment(), hint);
        self.note(&found.ended, &[]);
        let shown = found
            .outcome
            .map(|session| session.gone.map(|gone| gone.by));
        assert_eq!(shown, expected);
    }

    fn restart(&mut self) {
        let bytes = self.world.table.snapshot(&self.world.moment(), &NAME);
        let again = self.world.restarted();
        restore(&again, &bytes).unwrap();
        let now = self.now();
        for known in &mut self.known {
            if known.ended.is_some() || known.due(now).is_some() {
                known.ended = known.ended.or(known.due(now));
                known.forgotten = true;
            }
        }
        self.world = again;
    }
}

#[test]
fn any_sequence_of_calls_does_what_the_rules_say() {
    let asked = std::env::var("COUNTERSIGN_SEQUENCES").ok();
    let cases = asked.and_then(|asked| asked.parse().ok()).unwrap_or(400);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let sequences = (any::<bool>(), proptest::collection::vec(step(), 50));
    proptest!(config, |((deny, steps) in sequences)| {
        let mut model = Model::new(deny);
        assert_eq!(model.now(), START);
        for step in &steps {
            model.make(step);
        }
    });
}
