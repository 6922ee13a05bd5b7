//! What befalls a day: two nodes lost, the primary lost, and revocations of many at once.

use super::requests::{MASS_PROBED, Operation};
use super::{Day, Happening};
use crate::hand::{MILLI, Nanos, SECOND};
use crate::random::Chance;

/// Something that happens once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Lose(usize),
    Replace(usize),
    Fail,
    Promote,
    Heal,
    /// Some of the tokens that will be revoked at once are presented before.
    WarmMass,
    /// One percent of all tokens at once.
    Mass,
    /// All nodes have a token of a user in memory, who is then shut out: of the one who asks least,
    /// whose tokens nobody has revoked by then.
    WarmPrincipal,
    EndPrincipal,
}

impl Day {
    pub(super) fn plan_faults(&mut self) {
        let plan = &self.plan;
        let failed = plan.at(0.45);
        let promoted = failed + plan.outage_seconds * SECOND;
        let lost = [(plan.at(0.2), 0), (plan.at(0.7), plan.nodes - 1)];
        let mut faults = vec![
            (plan.at(0.3) - SECOND, Fault::WarmPrincipal),
            (plan.at(0.3), Fault::EndPrincipal),
            (failed, Fault::Fail),
            (promoted, Fault::Promote),
            (promoted + plan.split_seconds * SECOND, Fault::Heal),
            (plan.at(0.8) - SECOND, Fault::WarmMass),
            (plan.at(0.8), Fault::Mass),
        ];
        for (at, slot) in lost {
            faults.push((at, Fault::Lose(slot)));
            faults.push((at + plan.away(), Fault::Replace(slot)));
        }
        for (at, fault) in faults {
            self.queue.plan(at, Happening::Fault(fault));
        }
    }

    pub(super) fn befall(&mut self, at: Nanos, fault: Fault) {
        match fault {
            Fault::Lose(slot) => self.nodes[slot] = None,
            Fault::Replace(slot) => self.open(slot),
            Fault::Fail => {
                self.database.lock().fail();
                self.cut_off(true);
            }
            Fault::Promote => {
                self.database.lock().promote();
                for (place, operation) in std::mem::take(&mut self.held).into_iter().enumerate() {
                    // They were waiting, and come one after the other.
                    let at = at + (place as Nanos + 1) * MILLI / 5;
                    self.queue.plan(at, Happening::Operation(operation));
                }
            }
            Fault::Heal => {
                self.database.lock().heal();
                self.cut_off(false);
            }
            Fault::WarmMass => {
                for token in self
                    .mass()
                    .into_iter()
                    .skip(MASS_PROBED - 1)
                    .step_by(MASS_PROBED)
                {
                    self.verify(at, self.place_of_probe(token), token);
                }
            }
            Fault::Mass => {
                let tokens = self.mass();
                self.operate(at, Operation::Mass(tokens));
            }
            Fault::WarmPrincipal => {
                let token = self.people.token_of(self.least_popular(), 0);
                for slot in 0..self.nodes.len() {
                    self.verify(at, slot, token);
                }
            }
            Fault::EndPrincipal => {
                self.operate(at, Operation::EndPrincipal(self.least_popular()));
            }
        }
    }

    fn least_popular(&self) -> usize {
        self.popular.last().map_or(0, |user| *user as usize)
    }

    /// The tokens of the mass revocation.
    fn mass(&self) -> Vec<usize> {
        let count = (self.people.tokens() as f64 * self.plan.mass) as usize;
        let mut chance = Chance::new(self.plan.seed, 4);
        let drawn = (0..count).map(|_| chance.below(self.people.tokens()));
        drawn.collect()
    }

    /// Some nodes, of those that no other fault befalls.
    fn cut_off(&mut self, is_cut_off: bool) {
        let count = self.plan.cut_off;
        for node in self.nodes.iter().skip(1).take(count).flatten() {
            node.store.cut_off(is_cut_off);
        }
    }
}
