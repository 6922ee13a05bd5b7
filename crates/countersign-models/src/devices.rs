//! Hazard: calls in an order that nobody thought of, after which a dead secret of a remembered
//! device is accepted, an owner is taken for a thief, or two successors exist side by side.
//!
//! Each step is made through an engine and against a model that knows nothing of records, digests,
//! epochs or lists. For each device it keeps the secrets that were ever shown, in their order, and
//! a few instants; from those it says what each secret must come to. Two may be presented at once:
//! that must come to what it comes to in one order or the other. The first byte says whether the
//! clock may step back.

mod engine;
mod life;

use crate::choices::Choices;
use crate::node::Node;
use crate::place::Place;
use core::time::Duration;
use countersign::{CredentialKind, Rejection, SeriesEndCause, Subsystem};
use countersign_testkit::must;
use engine::policy;
use life::{Device, Rules, Seen, either};

const MAX_SERIES: u8 = 3;
const PRUNE_AFTER: Duration = Duration::from_secs(200);
/// How many steps there are from one look at every secret to the next.
const LOOK_EVERY: u64 = 8;

/// Makes steps on an engine over an empty store until the input is over, or so many are made;
/// answers how many were.
#[track_caller]
pub fn run(place: &mut dyn Place, choices: &mut Choices<'_>, steps_max: u64) -> u64 {
    let steps_back = choices.flag();
    let rules = Rules::default();
    let mut model = Model {
        node: Node::new(place, &policy(rules.age_limit())),
        devices: Vec::new(),
        rules,
        steps_back,
    };
    model.rules.now = model.node.now();
    let steps = choices.steps(steps_max, |choices, number| {
        model.step(choices);
        if number % LOOK_EVERY == 0 {
            model.agrees();
        }
    });
    model.agrees();
    steps
}

struct Model<'a> {
    node: Node<'a>,
    devices: Vec<Device>,
    rules: Rules,
    steps_back: bool,
}

impl Model<'_> {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(72) {
            0..=5 => self.start(choices.below(2)),
            6..=29 => self.present(choices),
            30..=37 => self.race(choices),
            38 | 39 => self.guess(choices),
            40 => self.end(choices),
            41 => self.forget(choices),
            42 | 43 => self.act(choices),
            44 | 45 => self.switch(choices),
            46 | 47 => self.sweep(),
            48 => self.tighten(choices.flag()),
            49 | 50 => {
                self.node.reopen(&policy(self.rules.age_limit()));
            }
            51..=53 => {
                let span = Duration::from_secs(u64::from(choices.byte()) % 80);
                match self.steps_back {
                    true => self.node.clock.step_back(span),
                    false => self.node.clock.advance(span),
                }
            }
            _ => {
                let span = Duration::from_secs(u64::from(choices.byte()) % 50);
                self.node.clock.advance(span);
            }
        }
        self.rules.now = self.node.now();
    }

    fn start(&mut self, whose: usize) {
        let allowed = self.rules.on && !self.rules.disabled[whose];
        let living = self.living(whose);
        let Some(started) = self.node.start(whose) else {
            assert!(!allowed, "refused for no reason");
            return;
        };
        assert!(allowed, "started against a ban");
        // Whoever had to go for it is the engine's choice: here it need only have made room.
        for at in 0..self.devices.len() {
            let device = &self.devices[at];
            if device.whose != whose || device.removed {
                continue;
            }
            let lived = self.rules.lives(device);
            let gone = match self.node.show(device.selector) {
                None => {
                    self.devices[at].removed = true;
                    true
                }
                Some(info) => {
                    let cause = info.end.map(|end| end.cause);
                    let evicted = cause == Some(SeriesEndCause::Evicted);
                    if evicted {
                        self.devices[at].end(Rejection::Revoked);
                    }
                    evicted
                }
            };
            let full = living >= usize::from(MAX_SERIES) || self.steps_back;
            assert!(full || !(lived && gone), "device {at} made room for nobody");
        }
        let device = Device::new(whose, started, &self.rules);
        self.devices.push(device);
        let living = self.living(whose);
        assert!(
            living <= usize::from(MAX_SERIES),
            "{living} devices are remembered"
        );
    }

    fn living(&self, whose: usize) -> usize {
        let theirs = self.devices.iter().filter(|device| device.whose == whose);
        theirs.filter(|device| self.rules.lives(device)).count()
    }

    /// A device.
    fn chosen(&self, choices: &mut Choices<'_>) -> Option<usize> {
        usize::from(choices.byte()).checked_rem(self.devices.len())
    }

    /// The place of one of a device's secrets: mostly of the current one.
    fn secret(&self, at: usize, choices: &mut Choices<'_>) -> usize {
        let back = match choices.below(13) {
            0..=7 => 0,
            8..=11 => 1,
            _ => 2 + choices.below(5),
        };
        let newest = self.devices[at].secrets.len() - 1;
        newest.saturating_sub(back)
    }

    fn present(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.chosen(choices) else {
            return;
        };
        let place = self.secret(at, choices);
        let device = &self.devices[at];
        let seen = self.node.present(device, place);
        let after = self.rules.follow(device, place, &seen);
        self.devices[at] = must(after.map_err(|why| format!("device {at}: {why}")));
    }

    fn race(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.chosen(choices) else {
            return;
        };
        let (one, two) = (self.secret(at, choices), self.secret(at, choices));
        let device = &self.devices[at];
        let [first, second] = self.node.present_both(device, one, two);
        let in_order = |order: [(usize, &Seen); 2]| {
            let [earlier, later] = order;
            let between = self.rules.follow(device, earlier.0, earlier.1)?;
            self.rules.follow(&between, later.0, later.1)
        };
        let after = either([
            in_order([(one, &first), (two, &second)]),
            in_order([(two, &second), (one, &first)]),
        ]);
        self.devices[at] = must(after.map_err(|why| format!("device {at}: {why}")));
    }

    fn guess(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.chosen(choices) else {
            return;
        };
        let device = &self.devices[at];
        let guess = self.node.guess(CredentialKind::Remember, device.selector);
        let expected = match device.removed {
            true => Rejection::Unknown,
            false => Rejection::Mismatch,
        };
        // Whatever it were to change, the next look at every secret would show.
        assert_eq!(self.node.shown(&guess), Seen::No(expected));
    }

    fn end(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.chosen(choices) else {
            return;
        };
        let device = &mut self.devices[at];
        let ended = self.node.revoke(device.selector);
        assert_eq!(ended, !device.removed, "device {at}");
        device.end(Rejection::Revoked);
    }

    fn forget(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        let kept = choices.maybe(|choices| self.chosen(choices)).flatten();
        let selector = kept.map(|at| self.devices[at].selector);
        self.node.forget(whose, selector);
        for (at, device) in self.devices.iter_mut().enumerate() {
            if device.whose == whose && Some(at) != kept {
                device.end(Rejection::Revoked);
            }
        }
    }

    fn act(&mut self, choices: &mut Choices<'_>) {
        let whose = choices.below(2);
        match choices.below(6) {
            0 => {
                self.node.disable(whose);
                self.rules.disabled[whose] = true;
            }
            1 => {
                self.node.revoke_everything(whose);
                self.end_all(|device| device.whose == whose);
            }
            2 => {
                self.node.credentials_changed(whose);
                self.end_all(|device| device.whose == whose);
            }
            _ => {
                self.node.enable(whose);
                self.rules.disabled[whose] = false;
            }
        }
    }

    fn switch(&mut self, choices: &mut Choices<'_>) {
        let devices = Subsystem::RememberMe;
        match choices.below(6) {
            0 if self.rules.on => {
                self.node.off(devices);
                self.rules.on = false;
                self.end_all(|_| true);
            }
            1 => {
                self.node.revoke_all();
                self.end_all(|_| true);
            }
            _ => {
                self.node.on(devices);
                self.rules.on = true;
            }
        }
    }

    /// An epoch moves on: that is the reason from now on, whatever else was one before.
    fn end_all(&mut self, which: impl Fn(&Device) -> bool) {
        for device in self.devices.iter_mut().filter(|device| which(device)) {
            device.end_anew(Rejection::Revoked);
        }
    }

    fn tighten(&mut self, tight: bool) {
        self.rules.tight = tight;
        self.node.set_age_limit(self.rules.age_limit());
    }

    fn sweep(&mut self) {
        self.node.sweep();
        for at in 0..self.devices.len() {
            let device = &self.devices[at];
            if device.removed {
                continue;
            }
            let is_over = !self.rules.lives(device);
            match self.node.show(device.selector) {
                None => {
                    assert!(is_over, "living device {at} was removed");
                    self.devices[at].removed = true;
                }
                Some(info) => {
                    let cause = info.end.map(|end| end.cause);
                    if cause == Some(SeriesEndCause::Expired) {
                        assert!(is_over, "device {at} was noted for no reason");
                        self.devices[at].end(Rejection::Expired);
                    }
                }
            }
        }
    }

    /// Every secret that was ever shown comes to what the model says; nothing is changed by it.
    fn agrees(&self) {
        for (at, device) in self.devices.iter().enumerate() {
            for (place, text) in device.secrets.iter().enumerate() {
                let found = self.node.check(text);
                let expected = self.rules.checked(device, place);
                assert!(
                    expected.contains(&found),
                    "device {at}, secret {place}: {found:?} of {expected:?}"
                );
            }
        }
        for whose in 0..2 {
            let listed = self.node.listed(whose);
            assert!(
                listed <= 2 * usize::from(MAX_SERIES),
                "{listed} devices are listed"
            );
        }
    }
}
