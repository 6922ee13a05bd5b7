//! Hazard: a sequence of decisions that no single case thinks of, after which a dead secret is
//! accepted, an owner is taken for a thief, or two successors exist side by side.
//!
//! The model knows nothing of records, digests, epochs or lists. For each device it keeps the
//! secrets that were ever shown, in their order, and a few instants; from those it says what each
//! secret must come to.

use super::device::{Told, handed, told};
use crate::principals::PrincipalAction;
use crate::remember::Pruned;
use crate::series::OLDER_MAX;
use crate::switches::SwitchAction;
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{World, with_verifier};
use core::time::Duration;
use proptest::prelude::*;

const NAMES: [&str; 2] = ["ann", "bob"];
const MAX_SERIES: usize = 3;
const ROTATE_AFTER: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(10);
const MAX_AGE: Duration = Duration::from_secs(400);
const TIGHT: Duration = Duration::from_secs(120);
const PRUNE_AFTER: Duration = Duration::from_secs(200);
const STEPS: usize = 50;

/// Sequences of each test in a usual run; `COUNTERSIGN_SEQUENCES` asks for another number.
const SEQUENCES: u32 = 5000;

/// One thing that happens. `which` names a device by its number modulo their count, `back` how
/// many rotations ago the secret was current.
#[derive(Clone, Debug)]
enum Step {
    Start {
        whose: usize,
    },
    Present {
        which: usize,
        back: usize,
    },
    /// Two requests at once: both are decided upon before either is committed.
    Race {
        which: usize,
        back: usize,
        other: usize,
    },
    Guess {
        which: usize,
    },
    End {
        which: usize,
    },
    Forget {
        whose: usize,
        kept: Option<usize>,
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
        seconds: u64,
    },
    Back {
        seconds: u64,
    },
    Tighten {
        tight: bool,
    },
}

fn step(with_back_steps: bool) -> impl Strategy<Value = Step> {
    let acts = prop_oneof![
        3 => Just(PrincipalAction::Enable),
        1 => Just(PrincipalAction::Disable),
        1 => Just(PrincipalAction::Revoke),
        1 => Just(PrincipalAction::CredentialsChanged)
    ];
    let switches = prop_oneof![
        4 => Just(SwitchAction::On),
        1 => Just(SwitchAction::Off),
        1 => Just(SwitchAction::RevokeAll)
    ];
    let back = || prop_oneof![8 => Just(0usize), 4 => Just(1usize), 1 => 2..7usize];
    let kept = proptest::option::of(any::<usize>());
    let turn = move |seconds| match with_back_steps {
        true => Step::Back { seconds },
        false => Step::Pass { seconds },
    };
    prop_oneof![
        6 => (0..NAMES.len()).prop_map(|whose| Step::Start { whose }),
        24 => (any::<usize>(), back()).prop_map(|(which, back)| Step::Present { which, back }),
        8 => (any::<usize>(), back(), back())
            .prop_map(|(which, back, other)| Step::Race { which, back, other }),
        2 => any::<usize>().prop_map(|which| Step::Guess { which }),
        1 => any::<usize>().prop_map(|which| Step::End { which }),
        1 => (0..NAMES.len(), kept).prop_map(|(whose, kept)| Step::Forget { whose, kept }),
        1 => (0..NAMES.len(), acts).prop_map(|(whose, action)| Step::Act { whose, action }),
        1 => switches.prop_map(|action| Step::Switch { action }),
        2 => Just(Step::Sweep),
        20 => (0..50u64).prop_map(|seconds| Step::Pass { seconds }),
        3 => (0..80u64).prop_map(turn),
        1 => any::<bool>().prop_map(|tight| Step::Tighten { tight }),
    ]
}

/// A device as its owner, a thief and the clock on the wall would tell of it.
struct Device {
    whose: usize,
    /// Every secret that was ever handed out, the current one last.
    secrets: Vec<SplitToken>,
    /// When its life is over by what it was promised.
    promised_until: Timestamp,
    born_at: Timestamp,
    handed_at: Timestamp,
    seen_at: Option<Timestamp>,
    /// Why it is over, once that is settled: nothing changes it any more.
    over: Option<Rejection>,
    /// Its record was removed.
    removed: bool,
}

struct Model {
    world: World,
    devices: Vec<Device>,
    disabled: [bool; 2],
    on: bool,
    tight: bool,
}

/// What a secret must come to, and what that changes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    Told(Told),
    /// Refused for this reason, and the device is over for that one.
    End(Rejection, Rejection),
}

impl Model {
    fn new() -> Self {
        let world = World::with_policy(|draft| {
            let policy = &mut draft.remember_me;
            policy.max_series_per_principal = 3;
            policy.rotate_after = ROTATE_AFTER;
            policy.grace = GRACE;
            policy.max_age = MAX_AGE;
            policy.prune_after = PRUNE_AFTER;
        });
        Self {
            world,
            devices: Vec::new(),
            disabled: [false; 2],
            on: true,
            tight: false,
        }
    }

    fn age_limit(&self) -> Duration {
        if self.tight { TIGHT } else { MAX_AGE }
    }

    fn is_out_of_time(&self, device: &Device) -> bool {
        let by_policy = device.born_at.after(self.age_limit());
        self.world.now >= device.promised_until.min(by_policy)
    }

    fn gap(&self, then: Timestamp) -> Duration {
        self.world.now.since(then).max(then.since(self.world.now))
    }

    /// What presenting the secret of `back` rotations ago must come to.
    fn must(&self, device: &Device, back: usize) -> Must {
        if device.removed {
            return Must::Told(Told::No(Rejection::Unknown));
        }
        if back > OLDER_MAX {
            return Must::Told(Told::No(Rejection::Mismatch));
        }
        let barred = if !self.on {
            Some(Rejection::SwitchedOff)
        } else if self.disabled[device.whose] {
            Some(Rejection::Disabled)
        } else {
            None
        };
        if let Some(reason) = device.over {
            return Must::Told(Told::No(barred.unwrap_or(reason)));
        }
        if self.is_out_of_time(device) {
            return Must::End(barred.unwrap_or(Rejection::Expired), Rejection::Expired);
        }
        let racing = device.seen_at.is_none_or(|seen| self.gap(seen) < GRACE);
        if back >= 2 || (back == 1 && !racing) {
            return Must::End(barred.unwrap_or(Rejection::Reused), Rejection::Reused);
        }
        Must::Told(match (barred, back) {
            (Some(reason), _) => Told::No(reason),
            (None, 1) => Told::Again,
            (None, _) if self.is_due(device) => Told::Rotated,
            (None, _) => Told::In,
        })
    }

    fn is_due(&self, device: &Device) -> bool {
        let age = self.gap(device.handed_at);
        match device.seen_at {
            _ if device.secrets.len() == 1 => age >= ROTATE_AFTER,
            Some(seen) => age >= ROTATE_AFTER && self.gap(seen) >= GRACE,
            None => age >= ROTATE_AFTER.saturating_add(GRACE),
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Start { whose } => self.start(whose),
            Step::Present { which, back } => self.present(which, back),
            Step::Race { which, back, other } => self.race(which, back, other),
            Step::Guess { which } => self.guess(which),
            Step::End { which } => self.end(which),
            Step::Forget { whose, kept } => self.forget(whose, kept),
            Step::Act { whose, action } => self.act(whose, action),
            Step::Switch { action } => self.switch(action),
            Step::Sweep => self.sweep(),
            Step::Pass { seconds } => self.world.pass(Duration::from_secs(seconds)),
            Step::Back { seconds } => self.world.step_back(Duration::from_secs(seconds)),
            Step::Tighten { tight } => {
                self.tight = tight;
                let max_age = self.age_limit();
                self.world
                    .set_policy(|draft| draft.remember_me.max_age = max_age);
            }
        }
    }

    fn start(&mut self, whose: usize) {
        let now = self.world.now;
        let Ok(token) = self.world.start(NAMES[whose]) else {
            assert!(!self.on || self.disabled[whose], "refused for no reason");
            return;
        };
        assert!(self.on && !self.disabled[whose], "started against a ban");
        // Whoever had to go for it is the engine's choice: here it need only have made room.
        for device in self
            .devices
            .iter_mut()
            .filter(|device| device.whose == whose)
        {
            let token = &device.secrets[0];
            if self.world.series(token.selector()).is_none() {
                device.removed = true;
            } else if self.world.end_cause(token) == Some(crate::series::SeriesEndCause::Evicted) {
                device.over = device.over.or(Some(Rejection::Revoked));
            }
        }
        self.devices.push(Device {
            whose,
            secrets: vec![token],
            promised_until: now.after(self.age_limit()),
            born_at: now,
            handed_at: now,
            seen_at: None,
            over: None,
            removed: false,
        });
        let lives = |device: &&Device| {
            device.whose == whose
                && device.over.is_none()
                && !device.removed
                && !self.is_out_of_time(device)
        };
        let living = self.devices.iter().filter(lives).count();
        assert!(living <= MAX_SERIES, "{living} devices are remembered");
    }

    /// The device and the place of the secret that a step means.
    fn meant(&self, which: usize, back: usize) -> Option<(usize, usize, usize)> {
        let at = which.checked_rem(self.devices.len())?;
        let newest = self.devices[at].secrets.len().checked_sub(1)?;
        let place = newest.saturating_sub(back);
        Some((at, place, newest.saturating_sub(place)))
    }

    fn present(&mut self, which: usize, back: usize) {
        let Some((at, place, back)) = self.meant(which, back) else {
            return;
        };
        let decision = self.world.decide_present(&self.devices[at].secrets[place]);
        self.world.commit(decision.batch);
        self.follow(at, back, decision.outcome);
    }

    /// Holds an outcome to the model, and lets the model follow it.
    fn follow(&mut self, at: usize, back: usize, outcome: super::device::Outcome) {
        let must = self.must(&self.devices[at], back);
        let (expected, ends) = match must {
            Must::Told(told) => (told, None),
            Must::End(reason, why) => (Told::No(reason), Some(why)),
        };
        assert_eq!(
            told(&outcome),
            expected,
            "device {at}, {back} rotations ago"
        );
        let now = self.world.now;
        let device = &mut self.devices[at];
        device.over = device.over.or(ends);
        let given = handed(outcome);
        match expected {
            Told::Rotated => {
                device.secrets.push(given.unwrap());
                (device.handed_at, device.seen_at) = (now, None);
            }
            Told::Again => {
                let current = device.secrets.last().unwrap();
                let given = given.unwrap();
                assert_eq!(given.verifier().expose(), current.verifier().expose());
                let long_ago = now.since(device.handed_at).max(device.handed_at.since(now));
                if device.seen_at.is_none() && long_ago >= ROTATE_AFTER {
                    device.handed_at = now;
                }
            }
            Told::In if device.secrets.len() > 1 && device.seen_at.is_none() => {
                device.seen_at = Some(now);
            }
            Told::In | Told::No(_) => {}
        }
    }

    /// Two decisions on the same records; the second is made again if the first has changed them.
    fn race(&mut self, which: usize, back: usize, other: usize) {
        let (Some(one), Some(two)) = (self.meant(which, back), self.meant(which, other)) else {
            return;
        };
        let decide = |world: &mut World, device: &Device, place: usize| {
            world.decide_present(&device.secrets[place])
        };
        let first = decide(&mut self.world, &self.devices[one.0], one.1);
        let second = decide(&mut self.world, &self.devices[two.0], two.1);
        self.world.commit(first.batch);
        self.follow(one.0, one.2, first.outcome);
        let newest = self.devices[two.0].secrets.len().saturating_sub(1);
        let back = newest.saturating_sub(two.1);
        if second.batch.writes.is_empty() {
            // What was read was true when it was read, and nothing is written.
            return;
        }
        if self.world.holds(&second.batch) {
            self.world.commit(second.batch);
            self.follow(two.0, back, second.outcome);
        } else {
            let again = decide(&mut self.world, &self.devices[two.0], two.1);
            self.world.commit(again.batch);
            self.follow(two.0, back, again.outcome);
        }
    }

    fn guess(&mut self, which: usize) {
        let Some((at, place, _)) = self.meant(which, 0) else {
            return;
        };
        let guess = with_verifier(&self.devices[at].secrets[place], 0);
        let decision = self.world.decide_present(&guess);
        assert!(
            decision.batch.writes.is_empty(),
            "a guess changes something"
        );
        let expected = if self.devices[at].removed {
            Rejection::Unknown
        } else {
            Rejection::Mismatch
        };
        assert_eq!(told(&decision.outcome), Told::No(expected));
    }

    fn end(&mut self, which: usize) {
        let Some((at, place, _)) = self.meant(which, 0) else {
            return;
        };
        let device = &mut self.devices[at];
        if !device.removed {
            self.world.end_series(&device.secrets[place]);
            device.over = device.over.or(Some(Rejection::Revoked));
        }
    }

    fn forget(&mut self, whose: usize, kept: Option<usize>) {
        if self.world.principal(NAMES[whose]).is_none() {
            return;
        }
        let kept = kept
            .and_then(|which| self.meant(which, 0))
            .map(|(at, ..)| at);
        let selector = kept.map(|at| self.devices[at].secrets[0].selector());
        self.world.forget(NAMES[whose], selector);
        for (at, device) in self.devices.iter_mut().enumerate() {
            if device.whose == whose && Some(at) != kept {
                device.over = device.over.or(Some(Rejection::Revoked));
            }
        }
    }

    fn act(&mut self, whose: usize, action: PrincipalAction) {
        self.world.act(NAMES[whose], action);
        match action {
            PrincipalAction::Enable => self.disabled[whose] = false,
            PrincipalAction::Disable => self.disabled[whose] = true,
            PrincipalAction::Revoke | PrincipalAction::CredentialsChanged => {
                self.end_all(|device| device.whose == whose);
            }
        }
    }

    fn switch(&mut self, action: SwitchAction) {
        if action == SwitchAction::Off && !self.on {
            return;
        }
        self.world.switch_remember_me(action);
        match action {
            SwitchAction::On => self.on = true,
            SwitchAction::Off => {
                self.on = false;
                self.end_all(|_| true);
            }
            SwitchAction::RevokeAll => self.end_all(|_| true),
        }
    }

    /// An epoch moves on: that is the reason from now on, whatever else was one before.
    fn end_all(&mut self, which: impl Fn(&Device) -> bool) {
        for device in self.devices.iter_mut().filter(|device| which(device)) {
            device.over = Some(Rejection::Revoked);
        }
    }

    fn sweep(&mut self) {
        for at in 0..self.devices.len() {
            let swept = self.world.sweep(&self.devices[at].secrets[0]);
            let device = &self.devices[at];
            let is_over = device.over.is_some() || self.is_out_of_time(device);
            match swept {
                None => {}
                Some(Pruned::Expired) => {
                    assert!(device.over.is_none() && is_over, "noted for no reason");
                    self.devices[at].over = Some(Rejection::Expired);
                }
                Some(Pruned::Removed) => {
                    assert!(is_over, "a living series was removed");
                    self.devices[at].removed = true;
                }
            }
        }
    }

    /// Every secret that was ever shown comes to what the model says; nothing is committed.
    fn agrees(&mut self) {
        for at in 0..self.devices.len() {
            let count = self.devices[at].secrets.len();
            for place in 0..count {
                let device = &self.devices[at];
                let must = self.must(device, count.saturating_sub(place).saturating_sub(1));
                let expected = match must {
                    Must::Told(told) => told,
                    Must::End(reason, _) => Told::No(reason),
                };
                let decision = self.world.decide_present(&device.secrets[place]);
                assert_eq!(
                    told(&decision.outcome),
                    expected,
                    "device {at}, secret {place}"
                );
            }
        }
        for name in NAMES {
            assert!(
                self.world.list(name).len() <= 2 * MAX_SERIES,
                "{name}'s list grew"
            );
        }
    }
}

/// How many sequences are tried.
fn sequences() -> u32 {
    let asked = std::env::var("COUNTERSIGN_SEQUENCES").ok();
    asked
        .and_then(|count| count.parse().ok())
        .unwrap_or(SEQUENCES)
}

fn run(steps: &[Step]) {
    let mut model = Model::new();
    for (at, step) in steps.iter().enumerate() {
        model.apply(step);
        if at % 10 == 9 {
            model.agrees();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(sequences()))]

    #[test]
    fn devices_are_told_what_the_model_says(
        steps in proptest::collection::vec(step(false), STEPS),
    ) {
        run(&steps);
    }

    #[test]
    fn and_with_a_clock_that_steps_back(
        steps in proptest::collection::vec(step(true), STEPS),
    ) {
        run(&steps);
    }
}
