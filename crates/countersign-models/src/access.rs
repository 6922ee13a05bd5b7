//! Hazard: calls in an order that nobody thought of, after which an access token lets in whom it
//! should not, or keeps out whom it should let in (E1, E6).
//!
//! Each step is made through an engine and against a model that knows of no records, epochs,
//! lists or caches: it keeps for every token ever shown the instants that its owner was promised,
//! and says which must be accepted. After each step all are presented, and a guess at each. The
//! first byte chooses how little the cache may hold and what happens at the limit.

use crate::choices::Choices;
use crate::node::{NAMES, Node, durable};
use crate::place::Place;
use crate::policy::small;
use core::time::Duration;
use countersign::{
    CredentialKind, Engine, Error, Expiry, NewToken, Policy, Refusal, Rejection, Rotation,
    ScopeSet, SecretText, Selector, Subsystem, Timestamp, TokenName,
};
use countersign_core::policy::AtLimit;
use countersign_testkit::must;
use std::sync::LazyLock;

const MAX_LIVE: u8 = 3;
const MAX_KEPT: u32 = 8;
const PRUNE_AFTER: Duration = Duration::from_millis(60);
/// How many tokens the cache holds: none, fewer than there are, all.
const CACHED: [u64; 3] = [0, 2, 1000];

static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let limits = [AtLimit::Deny, AtLimit::EvictOldest];
    let pairs = limits
        .into_iter()
        .flat_map(|limit| CACHED.map(|cached| (limit, cached)));
    pairs.map(|(limit, cached)| policy(limit, cached)).collect()
});

fn policy(at_limit: AtLimit, cached: u64) -> Policy {
    let mut draft = small(16, cached);
    draft.access_tokens.max_live_per_principal = MAX_LIVE.into();
    draft.access_tokens.max_kept_per_principal = MAX_KEPT;
    draft.access_tokens.at_limit = at_limit;
    draft.access_tokens.prune_after = PRUNE_AFTER;
    draft.access_tokens.max_overlap = Duration::from_millis(100);
    must(draft.build())
}

/// Makes steps on an engine over an empty store until the input is over, or so many are made;
/// answers how many were.
#[track_caller]
pub fn run(place: &mut dyn Place, choices: &mut Choices<'_>, steps_max: u64) -> u64 {
    let mut model = Model::new(place, &POLICIES[choices.below(POLICIES.len())]);
    choices.steps(steps_max, |choices, _| {
        model.step(choices);
        model.agrees();
    })
}

/// A token that was shown to somebody.
struct Shown {
    text: SecretText,
    selector: Selector,
    whose: usize,
    /// When it is over by what its owner was told.
    over_at: Timestamp,
    lives: Option<Duration>,
    /// The end of its overlap, once it was replaced.
    replaced: Option<Timestamp>,
    /// Ended on purpose: nothing brings it back.
    ended: bool,
    /// Its record was removed.
    removed: bool,
}

struct Model<'a> {
    node: Node<'a>,
    policy: &'static Policy,
    shown: Vec<Shown>,
    disabled: [bool; 2],
    on: bool,
}

impl<'a> Model<'a> {
    fn new(place: &'a mut dyn Place, policy: &'static Policy) -> Self {
        Self {
            node: Node::new(place, policy),
            policy,
            shown: Vec::new(),
            disabled: [false; 2],
            on: true,
        }
    }

    fn engine(&self) -> &Engine {
        self.node.engine()
    }

    fn at_limit(&self) -> AtLimit {
        self.policy.access_tokens().at_limit
    }

    fn now(&self) -> Timestamp {
        self.engine().now()
    }

    fn is_dead(&self, shown: &Shown) -> bool {
        let now = self.now();
        let replaced = shown.replaced.is_some_and(|end| now >= end);
        shown.ended || shown.removed || replaced || now >= shown.over_at
    }

    fn must_accept(&self, shown: &Shown) -> bool {
        !self.is_dead(shown) && !self.disabled[shown.whose] && self.on
    }

    fn places_taken(&self, whose: usize) -> usize {
        let takes = |shown: &&Shown| {
            shown.whose == whose && shown.replaced.is_none() && !self.is_dead(shown)
        };
        self.shown.iter().filter(takes).count()
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..=3 => self.issue(choices),
            4 | 5 => self.rotate(choices),
            6 => self.revoke(choices),
            7 => self.disable(choices),
            8 => self.enable(choices),
            9 => self.revoke_everything(choices),
            10 => self.switch(choices),
            11 => self.sweep(choices),
            12 => {
                self.node.reopen(self.policy);
            }
            13 | 14 => self
                .node
                .clock
                .advance(Duration::from_millis(u64::from(choices.byte()) / 2)),
            // With a clock that steps back, the oldest is another one than the model's.
            _ if self.at_limit() == AtLimit::Deny => {
                self.node
                    .clock
                    .step_back(Duration::from_millis(choices.byte().into()));
            }
            _ => {}
        }
    }

    fn issue(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        let lives = choices.maybe(|choices| Duration::from_millis(u64::from(choices.byte()) + 1));
        let expiry = lives.map_or(Expiry::Never, |lives| Expiry::At(self.now().after(lives)));
        let request = NewToken {
            principal: NAMES[whose].clone(),
            name: must(TokenName::new("ci")),
            scopes: ScopeSet::EMPTY,
            expiry,
        };
        let full = self.places_taken(whose) >= usize::from(MAX_LIVE);
        match self.engine().access().issue(request).wait() {
            Ok(issued) => {
                assert!(self.on && !self.disabled[whose], "issued against a ban");
                if full {
                    assert_eq!(
                        self.at_limit(),
                        AtLimit::EvictOldest,
                        "issued over the limit"
                    );
                    self.note_evicted(whose);
                }
                self.show(
                    issued.token,
                    issued.selector,
                    whose,
                    expiry.instant(),
                    lives,
                );
            }
            Err(Error::Refused(refusal)) => match refusal {
                Refusal::SwitchedOff(_) => assert!(!self.on),
                Refusal::Disabled => assert!(self.disabled[whose]),
                Refusal::LimitReached { .. } => {
                    assert!(full && self.at_limit() == AtLimit::Deny);
                }
                // Only what may not be removed can fill a list.
                Refusal::ListFull { .. } => assert!(self.overlaps(whose) > 0),
                other => panic!("{other}"),
            },
            Err(error) => panic!("{error}"),
        }
        self.note_removed(Some(whose));
    }

    fn show(
        &mut self,
        text: SecretText,
        selector: Selector,
        whose: usize,
        over_at: Timestamp,
        lives: Option<Duration>,
    ) {
        self.shown.push(Shown {
            text,
            selector,
            whose,
            over_at,
            lives,
            replaced: None,
            ended: false,
            removed: false,
        });
    }

    /// The oldest of those that took a place has made room.
    fn note_evicted(&mut self, whose: usize) {
        let now = self.now();
        let oldest = self.shown.iter_mut().find(|shown| {
            let over = shown.ended || shown.removed || now >= shown.over_at;
            shown.whose == whose && shown.replaced.is_none() && !over
        });
        oldest.expect("the limit was reached").ended = true;
    }

    /// What was removed must have been dead.
    fn note_removed(&mut self, whose: Option<usize>) {
        for at in 0..self.shown.len() {
            let shown = &self.shown[at];
            if shown.removed || whose.is_some_and(|whose| whose != shown.whose) {
                continue;
            }
            let found = self.engine().access().show(shown.selector).wait();
            if must(found).is_none() {
                assert!(self.is_dead(shown), "a living token was removed");
                self.shown[at].removed = true;
            }
        }
    }

    /// How many of a list's places are taken by tokens that were replaced.
    fn overlaps(&self, whose: usize) -> usize {
        let stays =
            |shown: &&Shown| shown.whose == whose && shown.replaced.is_some() && !shown.removed;
        self.shown.iter().filter(stays).count()
    }

    fn choose(&self, choices: &mut Choices<'_>) -> Option<usize> {
        let number = choices.byte();
        usize::from(number).checked_rem(self.shown.len())
    }

    fn rotate(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        let overlap = Duration::from_millis(choices.below(40) as u64);
        let rotation = Rotation {
            overlap,
            expiry: None,
        };
        let (now, old) = (self.now(), &self.shown[at]);
        let (whose, lives) = (old.whose, old.lives);
        match self.engine().access().rotate(old.selector, rotation).wait() {
            Ok(issued) => {
                assert!(
                    self.must_accept(old) && old.replaced.is_none(),
                    "rotated the dead"
                );
                // At once means at once, also for a clock that steps back. Nor is there an overlap
                // that would be over before the epoch began that the successor is under.
                let end = now.after(overlap).min(old.over_at);
                let at_once = end <= issued.selector.minted_at();
                self.shown[at].replaced = Some(if at_once { Timestamp::ZERO } else { end });
                let over_at = lives.map_or(Timestamp::MAX, |lives| now.after(lives));
                self.show(issued.token, issued.selector, whose, over_at, lives);
            }
            Err(Error::Refused(Refusal::ListFull { .. })) => {
                assert!(self.places_taken(whose) > 0);
            }
            Err(Error::Refused(refusal)) => {
                let live = self.must_accept(old) && old.replaced.is_none();
                assert!(!live, "a live token was refused its rotation: {refusal}");
            }
            Err(error) => panic!("{error}"),
        }
        self.note_removed(Some(whose));
    }

    fn revoke(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.choose(choices) else {
            return;
        };
        match self
            .engine()
            .access()
            .revoke(self.shown[at].selector, None)
            .wait()
        {
            Ok(revocation) => assert!(revocation.durable),
            Err(error) => assert!(self.shown[at].removed, "{error}"),
        }
        self.shown[at].ended = true;
    }

    fn disable(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        self.node.disable(whose);
        self.disabled[whose] = true;
    }

    fn enable(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        self.node.enable(whose);
        self.disabled[whose] = false;
    }

    fn revoke_everything(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        self.node.revoke_everything(whose);
        self.end_all(|shown| shown.whose == whose);
    }

    fn switch(&mut self, choices: &mut Choices<'_>) {
        let access = Subsystem::AccessTokens;
        match choices.below(4) {
            0 => {
                self.node.off(access);
                self.on = false;
                self.end_all(|_| true);
            }
            1 => {
                durable(self.engine().access().revoke_all(None).wait());
                self.end_all(|_| true);
            }
            _ => {
                self.node.on(access);
                self.on = true;
            }
        }
    }

    fn end_all(&mut self, which: impl Fn(&Shown) -> bool) {
        for shown in self.shown.iter_mut().filter(|shown| which(shown)) {
            shown.ended = true;
        }
    }

    fn sweep(&mut self, choices: &mut Choices<'_>) {
        match choices.below(3) {
            0 => drop(must(self.engine().flush().wait())),
            1 => drop(must(self.engine().maintain().wait())),
            _ => drop(must(self.engine().sweep(1000).wait())),
        }
        self.note_removed(None);
    }

    /// The verdict of every token is the model's, and a guess is never right.
    fn agrees(&self) {
        for (at, shown) in self.shown.iter().enumerate() {
            let verdict = self.engine().access().verify(shown.text.expose()).wait();
            let verdict = must(verdict);
            assert_eq!(
                verdict.is_in(),
                self.must_accept(shown),
                "token {at}: {verdict:?}"
            );
            if let Some(pass) = verdict.pass() {
                assert_eq!(pass.principal(), &NAMES[shown.whose]);
                assert_eq!(pass.selector(), shown.selector);
            }
            let guess = self.node.guess(CredentialKind::Access, shown.selector);
            let verdict = self.engine().access().verify(&guess).wait();
            let expected = match shown.removed {
                true => Rejection::Unknown,
                false => Rejection::Mismatch,
            };
            let rejection = must(verdict).rejection();
            assert_eq!(rejection, Some(expected), "token {at} by a guess");
        }
    }
}
