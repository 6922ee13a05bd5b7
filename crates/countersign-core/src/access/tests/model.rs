//! Hazard: a sequence of decisions that no single case thinks of, after which a dead token is
//! accepted or a living one refused.
//!
//! The model knows nothing of records, epochs or lists: it keeps for every secret ever shown the
//! instants that its owner was promised, and says which secrets must be accepted.

use crate::access::Pruned;
use crate::decision::Refusal;
use crate::grant::Expiry;
use crate::policy::AtLimit;
use crate::principals::PrincipalAction;
use crate::switches::SwitchAction;
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{World, with_verifier};
use core::time::Duration;
use proptest::prelude::*;

const NAMES: [&str; 2] = ["ann", "bob"];
const MAX_LIVE: u32 = 3;
const MAX_KEPT: u32 = 8;
const PRUNE_AFTER: Duration = Duration::from_millis(60);

/// One thing that happens. `which` names a token by its number modulo their count.
#[derive(Clone, Debug)]
enum Step {
    Issue {
        whose: usize,
        lives_ms: Option<u64>,
    },
    Rotate {
        which: usize,
        overlap_ms: u64,
    },
    Revoke {
        which: usize,
    },
    Act {
        whose: usize,
        action: PrincipalAction,
    },
    Switch {
        action: SwitchAction,
    },
    Sweep,
    Pass {
        ms: u64,
    },
    Back {
        ms: u64,
    },
    Tighten {
        max_lifetime_ms: Option<u64>,
    },
}

fn step(with_back_steps: bool) -> impl Strategy<Value = Step> {
    let acts = prop_oneof![
        Just(PrincipalAction::Enable),
        Just(PrincipalAction::Disable),
        Just(PrincipalAction::Revoke),
        Just(PrincipalAction::CredentialsChanged)
    ];
    let switches = prop_oneof![
        3 => Just(SwitchAction::On),
        1 => Just(SwitchAction::Off),
        1 => Just(SwitchAction::RevokeAll)
    ];
    let back = if with_back_steps { 3 } else { 0 };
    prop_oneof![
        12 => (0..NAMES.len(), proptest::option::of(1..200u64))
            .prop_map(|(whose, lives_ms)| Step::Issue { whose, lives_ms }),
        6 => (any::<usize>(), 0..40u64)
            .prop_map(|(which, overlap_ms)| Step::Rotate { which, overlap_ms }),
        4 => any::<usize>().prop_map(|which| Step::Revoke { which }),
        3 => (0..NAMES.len(), acts).prop_map(|(whose, action)| Step::Act { whose, action }),
        3 => switches.prop_map(|action| Step::Switch { action }),
        3 => Just(Step::Sweep),
        8 => (0..60u64).prop_map(|ms| Step::Pass { ms }),
        back => (1..80u64).prop_map(|ms| Step::Back { ms }),
        2 => proptest::option::of(60_000..60_100u64)
            .prop_map(|max_lifetime_ms| Step::Tighten { max_lifetime_ms }),
    ]
}

/// A secret that was shown to somebody.
struct Shown {
    token: SplitToken,
    whose: usize,
    made_at: Timestamp,
    /// When it is over by what its owner was told, or by what a sweep has noted.
    over_at: Timestamp,
    eternal: bool,
    /// The end of its overlap, once it was replaced.
    replaced: Option<Timestamp>,
    /// Ended on purpose: nothing brings it back.
    ended: bool,
    /// Its record was removed.
    removed: bool,
}

struct Model {
    world: World,
    shown: Vec<Shown>,
    disabled: [bool; 2],
    on: bool,
    max_lifetime: Option<Duration>,
    at_limit: AtLimit,
}

impl Model {
    fn new(at_limit: AtLimit) -> Self {
        let world = World::with_policy(|draft| {
            let policy = &mut draft.access_tokens;
            policy.max_live_per_principal = MAX_LIVE;
            policy.max_kept_per_principal = MAX_KEPT;
            policy.at_limit = at_limit;
            policy.prune_after = PRUNE_AFTER;
            policy.max_overlap = Duration::from_millis(100);
        });
        Self {
            world,
            shown: Vec::new(),
            disabled: [false; 2],
            on: true,
            max_lifetime: None,
            at_limit,
        }
    }

    /// When time ends a token, under the policy of the moment.
    fn over_at(&self, shown: &Shown) -> Timestamp {
        match self.max_lifetime {
            Some(max) => shown.over_at.min(shown.made_at.after(max)),
            None => shown.over_at,
        }
    }

    fn is_dead(&self, shown: &Shown) -> bool {
        let replaced = shown.replaced.is_some_and(|end| self.world.now >= end);
        shown.ended || shown.removed || replaced || self.world.now >= self.over_at(shown)
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

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Issue { whose, lives_ms } => self.issue(whose, lives_ms),
            Step::Rotate { which, overlap_ms } => self.rotate(which, overlap_ms),
            Step::Revoke { which } => self.revoke(which),
            Step::Act { whose, action } => self.act(whose, action),
            Step::Switch { action } => self.switch(action),
            Step::Sweep => self.sweep(),
            Step::Pass { ms } => self.world.pass(Duration::from_millis(ms)),
            Step::Back { ms } => self.world.step_back(Duration::from_millis(ms)),
            Step::Tighten { max_lifetime_ms } => self.tighten(max_lifetime_ms),
        }
    }

    fn issue(&mut self, whose: usize, lives_ms: Option<u64>) {
        let now = self.world.now;
        let expiry = match lives_ms {
            Some(ms) => Expiry::At(now.after(Duration::from_millis(ms))),
            None => Expiry::Never,
        };
        let taken = self.places_taken(whose);
        let full = taken >= MAX_LIVE as usize;
        match self.world.issue(NAMES[whose], expiry) {
            Ok(token) => {
                assert!(self.on && !self.disabled[whose], "issued against a ban");
                assert!(self.max_lifetime.is_none() || expiry != Expiry::Never);
                if full {
                    assert_eq!(self.at_limit, AtLimit::EvictOldest, "issued over the limit");
                    self.note_evictions(whose);
                }
                self.show(token, whose, expiry);
            }
            Err(Refusal::SwitchedOff(_)) => assert!(!self.on),
            Err(Refusal::Disabled) => assert!(self.disabled[whose]),
            Err(Refusal::NeverNotAllowed { .. }) => assert!(self.max_lifetime.is_some()),
            Err(Refusal::LimitReached { live, .. }) => {
                assert!(full, "{live} counted, {taken} taken");
                assert_eq!(self.at_limit, AtLimit::Deny);
            }
            // Only what may not be removed can fill a list.
            Err(Refusal::ListFull { .. }) => assert!(self.unremovable(whose) > 0),
            Err(other) => panic!("{other}"),
        }
        self.note_removals(whose);
    }

    fn show(&mut self, token: SplitToken, whose: usize, expiry: Expiry) {
        self.shown.push(Shown {
            token,
            whose,
            made_at: self.world.now,
            over_at: expiry.instant(),
            eternal: expiry == Expiry::Never,
            replaced: None,
            ended: false,
            removed: false,
        });
    }

    /// Who was evicted is the engine's choice among the oldest: here it need only have made room.
    fn note_evictions(&mut self, whose: usize) {
        let (world, mut evicted) = (&self.world, 0usize);
        for shown in self.shown.iter_mut().filter(|shown| shown.whose == whose) {
            let took_a_place = shown.replaced.is_none() && !shown.ended && !shown.removed;
            let is_evicted = world.cause(&shown.token) == Some(crate::grant::EndCause::Evicted);
            if took_a_place && (is_evicted || world.grant(shown.token.selector()).is_none()) {
                shown.ended = true;
                evicted = evicted.saturating_add(1);
            }
        }
        assert!(evicted > 0, "the limit was passed");
    }

    /// What was removed for room must have been dead.
    fn note_removals(&mut self, whose: usize) {
        for at in 0..self.shown.len() {
            let shown = &self.shown[at];
            if shown.whose == whose && self.world.grant(shown.token.selector()).is_none() {
                assert!(self.is_dead(shown), "a living token was removed");
                self.shown[at].removed = true;
            }
        }
    }

    /// How many of a list's places are taken by tokens in their overlap.
    fn unremovable(&self, whose: usize) -> usize {
        let stays =
            |shown: &&Shown| shown.whose == whose && shown.replaced.is_some() && !shown.removed;
        self.shown.iter().filter(stays).count()
    }

    fn rotate(&mut self, which: usize, overlap_ms: u64) {
        let Some(at) = which.checked_rem(self.shown.len()) else {
            return;
        };
        let (now, overlap) = (self.world.now, Duration::from_millis(overlap_ms));
        let outcome = self.world.rotate(&self.shown[at].token, overlap);
        let old = &self.shown[at];
        let whose = old.whose;
        match outcome {
            Ok(token) => {
                assert!(
                    self.must_accept(old) && old.replaced.is_none(),
                    "rotated the dead"
                );
                let life = old.over_at.since(old.made_at);
                let expiry = match (old.eternal, self.max_lifetime) {
                    (true, None) => Expiry::Never,
                    (true, Some(max)) => Expiry::At(now.after(max)),
                    (false, max) => Expiry::At(now.after(max.map_or(life, |max| life.min(max)))),
                };
                // At once means at once, also for a clock that steps back. Nor is there an overlap
                // that would be over before the epoch began that the successor was issued under.
                let end = now.after(overlap).min(self.over_at(old));
                let at_once = end <= token.selector().minted_at();
                let end = if at_once { Timestamp::ZERO } else { end };
                self.shown[at].replaced = Some(end);
                self.show(token, whose, expiry);
            }
            Err(Refusal::ListFull { .. }) => assert!(self.places_taken(whose) > 0),
            Err(refusal) => {
                let live = self.must_accept(old) && old.replaced.is_none();
                assert!(!live, "a live token was refused its rotation: {refusal}");
            }
        }
        self.note_removals(whose);
    }

    fn revoke(&mut self, which: usize) {
        let Some(at) = which.checked_rem(self.shown.len()) else {
            return;
        };
        if !self.shown[at].removed {
            self.world.revoke(&self.shown[at].token);
            self.shown[at].ended = true;
        }
    }

    fn act(&mut self, whose: usize, action: PrincipalAction) {
        self.world.act(NAMES[whose], action);
        match action {
            PrincipalAction::Enable => self.disabled[whose] = false,
            PrincipalAction::Disable => self.disabled[whose] = true,
            PrincipalAction::Revoke => self.end_all(|shown| shown.whose == whose),
            // They outlive log-ins.
            PrincipalAction::CredentialsChanged => {}
        }
    }

    fn switch(&mut self, action: SwitchAction) {
        self.world.switch(action);
        match action {
            SwitchAction::On => self.on = true,
            SwitchAction::Off => {
                self.on = false;
                self.end_all(|_| true);
            }
            SwitchAction::RevokeAll => self.end_all(|_| true),
        }
    }

    fn end_all(&mut self, which: impl Fn(&Shown) -> bool) {
        for shown in self.shown.iter_mut().filter(|shown| which(shown)) {
            shown.ended = true;
        }
    }

    fn sweep(&mut self) {
        for at in 0..self.shown.len() {
            match self.world.prune(&self.shown[at].token) {
                None => {}
                Some(Pruned::Expired) => {
                    let shown = &self.shown[at];
                    assert!(!shown.ended && shown.replaced.is_none() && self.is_dead(shown));
                    let over_at = self.over_at(shown);
                    self.shown[at].over_at = over_at;
                }
                Some(Pruned::Removed) => {
                    assert!(self.is_dead(&self.shown[at]), "a living token was removed");
                    self.shown[at].removed = true;
                }
            }
        }
    }

    fn tighten(&mut self, max_lifetime_ms: Option<u64>) {
        self.max_lifetime = max_lifetime_ms.map(Duration::from_millis);
        let max = self.max_lifetime;
        self.world.set_policy(|draft| {
            draft.access_tokens.allow_never = max.is_none();
            draft.access_tokens.max_lifetime = max.unwrap_or(crate::world::DAY);
        });
        // The bounds of a policy begin at a minute: age everything to where they bite.
        self.world.pass(Duration::from_millis(if max.is_some() {
            59_950
        } else {
            0
        }));
    }

    fn agrees(&self) {
        for (at, shown) in self.shown.iter().enumerate() {
            let verdict = self.world.check(&shown.token);
            assert_eq!(
                verdict.is_ok(),
                self.must_accept(shown),
                "token {at}: {verdict:?}"
            );
            let guessed = self.world.check(&with_verifier(&shown.token, 0));
            let expected = if shown.removed {
                Rejection::Unknown
            } else {
                Rejection::Mismatch
            };
            assert_eq!(guessed, Err(expected), "token {at} by a guess");
        }
        for name in NAMES {
            assert!(
                self.world.list(name).len() <= MAX_KEPT as usize,
                "{name}'s list grew"
            );
        }
    }
}

fn run(steps: &[Step], at_limit: AtLimit) {
    let mut model = Model::new(at_limit);
    for step in steps {
        model.apply(step);
        model.agrees();
    }
}

proptest! {
    #[test]
    fn just_the_secrets_of_the_model_are_accepted(
        steps in proptest::collection::vec(step(false), 1..60),
    ) {
        run(&steps, AtLimit::Deny);
    }

    #[test]
    fn and_with_eviction(steps in proptest::collection::vec(step(false), 1..60)) {
        run(&steps, AtLimit::EvictOldest);
    }

    #[test]
    fn and_with_a_clock_that_steps_back(
        steps in proptest::collection::vec(step(true), 1..60),
    ) {
        run(&steps, AtLimit::Deny);
    }
}
