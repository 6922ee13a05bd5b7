//! What users ask for: verifications above all, and what writes.

use super::{Day, Happening};
use crate::hand::{MILLI, Nanos, SECOND, nanos};
use crate::node::{quorum, way};
use crate::people::name;
use crate::plan::Plan;
use crate::probe::{Kind, Probe};
use countersign::{Error, Expiry, Label, Method, NewLogIn, Recall, Rotation, Selector, Verdict};
use std::time::Duration;

/// Something that writes.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    SignIn(usize),
    Rotate(usize),
    /// A token, and the places at which it is presented afterwards.
    Revoke(usize, Vec<usize>),
    /// What is left of a mass revocation.
    Mass(Vec<usize>),
    /// A user, and whether it was seen that all nodes had a token of theirs in memory.
    EndPrincipal(usize),
}

/// How long before its revocation a token is presented where it will be afterwards.
const WARMED_BEFORE: Nanos = 2 * SECOND;
/// Revocations that an operator has under way at once.
const MASS_AT_ONCE: usize = 64;
/// One of so many tokens of a mass revocation is presented afterwards.
pub(super) const MASS_PROBED: usize = 20;

impl Day {
    pub(super) fn arrive(&mut self, at: Nanos) {
        let plan = &self.plan;
        let kinds = [
            plan.verifications,
            plan.sign_ins,
            plan.rotations,
            plan.revocations,
        ];
        let all: f64 = kinds.iter().sum();
        let a_day = all * plan.users as f64 * Plan::DEMAND_MOST;
        let mean = 24.0 * 3600e9 / a_day;
        let is_asked = self.requests.happens(plan.demand(at) / Plan::DEMAND_MOST);
        let mut which = self.requests.unit() * all;
        let rank = self.zipf.draw(&mut self.requests);
        let user = self.popular[rank] as usize;
        let token = self
            .people
            .token_of(user, self.requests.bits() as usize % 64);
        let next = at + self.requests.around(mean).max(1);
        self.queue.plan(next, Happening::Arrival);
        if !is_asked {
            return;
        }
        let mut is_of = |rate: f64| {
            which -= rate;
            which < 0.0
        };
        if is_of(kinds[0]) {
            if let Some(slot) = self.place_of(user) {
                self.verify(at, slot, token);
            }
        } else if is_of(kinds[1]) {
            self.operate(at, Operation::SignIn(user));
        } else if is_of(kinds[2]) {
            self.operate(at, Operation::Rotate(token));
        } else {
            self.plan_revocation(at, token);
        }
    }

    /// The node that a user's request comes to: mostly the same one.
    fn place_of(&mut self, user: usize) -> Option<usize> {
        let count = self.nodes.len();
        let own = user % count;
        let is_there = self.nodes[own].is_some() && self.requests.happens(self.plan.sticky);
        if is_there {
            return Some(own);
        }
        self.somewhere()
    }

    /// Where a token of the mass revocation is presented.
    pub(super) const fn place_of_probe(&self, token: usize) -> usize {
        token % self.plan.nodes
    }

    /// A node that is there.
    fn somewhere(&mut self) -> Option<usize> {
        let count = self.nodes.len();
        let first = self.requests.below(count);
        (0..count)
            .map(|step| (first + step) % count)
            .find(|slot| self.nodes[*slot].is_some())
    }

    /// A node that is there and is not cut off.
    fn writer(&mut self) -> Option<usize> {
        let count = self.nodes.len();
        let first = self.requests.below(count);
        (0..count).map(|step| (first + step) % count).find(|slot| {
            let node = self.nodes[*slot].as_ref();
            node.is_some_and(|node| !node.store.is_cut_off())
        })
    }

    /// Verifies a token at a node; answers whether it was let in.
    pub(super) fn verify(&mut self, at: Nanos, slot: usize, token: usize) -> bool {
        let Some(node) = &mut self.nodes[slot] else {
            return false;
        };
        let text = self.people.text(token);
        let before = self.database.lock().load.reads;
        let verdict = node.engine.access().verify(text.expose()).wait();
        let mut database = self.database.lock();
        let is_hit = database.load.reads == before;
        let is_in = verdict.as_ref().is_ok_and(Verdict::is_in);
        node.verified += 1;
        node.hits += u64::from(is_hit);
        database.load.verified += 1;
        database.load.hits += u64::from(is_hit);
        database.load.admitted += u64::from(is_in);
        database.load.errors += u64::from(verdict.is_err());
        drop(database);
        if is_in
            && let Some(acknowledged) = self.revoked.get(&token)
            && at.saturating_sub(*acknowledged) > nanos(self.plan.bound())
        {
            self.late.beyond += 1;
        }
        is_in
    }

    pub(super) fn operate(&mut self, at: Nanos, operation: Operation) {
        let is_up = self.database.lock().is_up;
        let (true, Some(slot)) = (is_up, self.writer()) else {
            self.held.push(operation);
            return;
        };
        let acknowledged = at + quorum(&mut self.network) + way(&mut self.network);
        let mut database = self.database.lock();
        database.acknowledged_after = acknowledged - at;
        database.load.operations += 1;
        drop(database);
        let done = match operation {
            Operation::SignIn(user) => self.sign_in(slot, user),
            Operation::Rotate(token) => self.rotate(slot, token),
            Operation::Revoke(token, places) => {
                let done = self.revoke(slot, token, acknowledged);
                self.present(acknowledged, token, &places, Kind::One);
                done
            }
            Operation::Mass(tokens) => self.revoke_many(at, slot, tokens, acknowledged),
            Operation::EndPrincipal(user) => self.end_principal(slot, user, acknowledged),
        };
        if done.is_err() {
            self.database.lock().load.failed += 1;
        }
        self.notify(acknowledged);
    }

    fn sign_in(&mut self, slot: usize, user: usize) -> Result<(), Error> {
        let Some(node) = &self.nodes[slot] else {
            return Ok(());
        };
        if let Some(device) = self.devices.get(&user) {
            let recalled = node.engine.remember().present(device, None).wait()?;
            match recalled {
                Recall::In(recalled) => {
                    if let Some(successor) = recalled.successor {
                        let _ = self.devices.insert(user, successor.expose().to_owned());
                    }
                }
                Recall::Refused(_) => drop(self.devices.remove(&user)),
            }
            return Ok(());
        }
        let login = NewLogIn::new(name(user), Method::Password, Duration::from_secs(600));
        let label = Label::new("Firefox on Linux").ok();
        let opened = node.engine.log_in(None, login, label).wait()?;
        if let Some(device) = opened.device {
            let _ = self.devices.insert(user, device.token.expose().to_owned());
        }
        Ok(())
    }

    fn rotate(&mut self, slot: usize, token: usize) -> Result<(), Error> {
        let selector = self.people.selector(token);
        let rotation = Rotation {
            overlap: Duration::from_secs(60),
            expiry: Some(Expiry::Never),
        };
        match &self.nodes[slot] {
            Some(node) => node
                .engine
                .access()
                .rotate(selector, rotation)
                .wait()
                .map(drop),
            None => Ok(()),
        }
    }

    /// A token is presented at two nodes, so that they have it in memory, and revoked soon after.
    fn plan_revocation(&mut self, at: Nanos, token: usize) {
        let mut places: Vec<usize> = (0..2).filter_map(|_| self.somewhere()).collect();
        let cut_off = |node: &crate::node::SimulatedNode| node.store.is_cut_off();
        places.extend(
            (0..self.nodes.len()).find(|slot| self.nodes[*slot].as_ref().is_some_and(cut_off)),
        );
        places.dedup();
        for slot in &places {
            self.verify(at, *slot, token);
        }
        let operation = Operation::Revoke(token, places);
        self.queue
            .plan(at + WARMED_BEFORE, Happening::Operation(operation));
    }

    fn revoke(&mut self, slot: usize, token: usize, acknowledged: Nanos) -> Result<(), Error> {
        let selector: Selector = self.people.selector(token);
        let Some(node) = &self.nodes[slot] else {
            return Ok(());
        };
        let revoked = node.engine.access().revoke(selector, None).wait()?;
        if revoked.durable {
            self.revoked.entry(token).or_insert(acknowledged);
        }
        Ok(())
    }

    /// Revokes as many as an operator has under way at once, in one transaction, and goes on with
    /// the rest when that is acknowledged.
    fn revoke_many(
        &mut self,
        at: Nanos,
        slot: usize,
        mut tokens: Vec<usize>,
        acknowledged: Nanos,
    ) -> Result<(), Error> {
        if self.late.mass_tokens == 0 {
            self.late.mass_from = at;
        }
        self.late.mass_until = acknowledged;
        let rest = tokens.split_off(tokens.len().min(MASS_AT_ONCE));
        let mut database = self.database.lock();
        database.load.commits += 1;
        database.is_grouped = true;
        drop(database);
        let mut done = Ok(());
        for token in tokens {
            done = self.revoke(slot, token, acknowledged).and(done);
            self.late.mass_tokens += 1;
            if self.late.mass_tokens.is_multiple_of(MASS_PROBED) {
                let places = [self.place_of_probe(token)];
                self.present(acknowledged, token, &places, Kind::Mass);
            }
        }
        self.database.lock().is_grouped = false;
        if !rest.is_empty() {
            let next = Happening::Operation(Operation::Mass(rest));
            self.queue.plan(acknowledged, next);
        }
        done
    }

    fn end_principal(
        &mut self,
        slot: usize,
        user: usize,
        acknowledged: Nanos,
    ) -> Result<(), Error> {
        let Some(node) = &self.nodes[slot] else {
            return Ok(());
        };
        let principals = node.engine.principals();
        principals.revoke_everything(name(user), None).wait()?;
        let first = self.people.token_of(user, 0);
        for token in first..first + self.people.tokens_each {
            self.revoked.entry(token).or_insert(acknowledged);
        }
        let places: Vec<usize> = (0..self.nodes.len()).collect();
        self.present(acknowledged, first, &places, Kind::Principal);
        Ok(())
    }

    /// Presents a token again and again from the moment that its end is acknowledged.
    fn present(&mut self, acknowledged: Nanos, token: usize, places: &[usize], kind: Kind) {
        for slot in places {
            let probe = Box::new(Probe {
                token,
                slot: *slot,
                acknowledged_at: acknowledged,
                last_in: None,
                kind,
            });
            // Spread over what a probe's step is, so that not all ask at the same instant.
            let first = acknowledged + self.network.below(MILLI as usize / 5) as Nanos;
            self.queue.plan(first, Happening::Probe(probe));
        }
    }

    pub(super) fn probe(&mut self, at: Nanos, mut probe: Probe) {
        if self.verify(at, probe.slot, probe.token) {
            probe.last_in = Some(at);
            // Where nothing would ever end it, that is said and enough.
            if probe.lateness() < 20 * nanos(self.plan.bound()) {
                self.queue
                    .plan(probe.next(at), Happening::Probe(Box::new(probe)));
                return;
            }
        }
        let late = match probe.kind {
            Kind::One => &mut self.late.one,
            Kind::Mass => &mut self.late.mass,
            Kind::Principal => &mut self.late.principal,
        };
        late.push(probe.lateness());
    }
}
