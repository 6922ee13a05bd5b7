//! Devices in the deployment in miniature: what they hold, and what they are told.

use crate::decision::{Decision, Refusal};
use crate::principal::Principal;
use crate::record::{Key, Record, Versioned};
use crate::remember::{
    self, Admitted, Decoy, FiledSeries, Handed, NewSeries, Presented, Pruned, Revoked, Started,
};
use crate::selector::Selector;
use crate::series::{Label, SeriesEndCause, SeriesRecord};
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::World;

/// What presenting a secret comes to.
pub(super) type Outcome = Result<Admitted, Rejection>;

/// What a device is told, without the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Let in with what it has.
    In,
    /// Let in with a new secret.
    Rotated,
    /// Let in with the secret that replaced its own.
    Again,
    /// Refused.
    No(Rejection),
}

pub(super) fn told(outcome: &Outcome) -> Told {
    match outcome {
        Ok(admitted) => match &admitted.handed {
            Handed::Nothing => Told::In,
            Handed::Successor(_) => Told::Rotated,
            Handed::Again(_) => Told::Again,
        },
        Err(reason) => Told::No(*reason),
    }
}

/// The secret that was handed out, if one was.
pub(super) fn handed(outcome: Outcome) -> Option<SplitToken> {
    match outcome.ok()?.handed {
        Handed::Nothing => None,
        Handed::Successor(token) | Handed::Again(token) => Some(*token),
    }
}

pub(super) fn request(name: &str) -> NewSeries {
    NewSeries {
        principal: Principal::new(name).unwrap(),
        label: Label::new("Firefox on Linux").unwrap(),
    }
}

impl World {
    pub(super) fn series(&self, selector: Selector) -> Option<Versioned<SeriesRecord>> {
        let found = self.records.get(&Key::series(selector))?;
        let Record::Series(series) = &found.record else {
            panic!("no series")
        };
        Some(Versioned {
            version: found.version,
            record: series.clone(),
        })
    }

    pub(super) fn end_cause(&self, token: &SplitToken) -> Option<SeriesEndCause> {
        let end = self.series(token.selector())?.record.end;
        end.map(|end| end.cause)
    }

    /// Changes a series behind the rules' back.
    pub(super) fn alter(&mut self, token: &SplitToken, change: impl FnOnce(&mut SeriesRecord)) {
        let found = self
            .records
            .get_mut(&Key::series(token.selector()))
            .unwrap();
        let Record::Series(series) = &mut found.record else {
            panic!("no series")
        };
        change(series);
    }

    pub(super) fn decide_start(&mut self, name: &str) -> Result<Decision<Started>, Refusal> {
        let (mut fresh, system) = (self.fresh(), self.system());
        let (setting, principal) = (self.setting(&system), self.principal(name));
        let keys = principal.as_ref().map_or_else(Vec::new, |found| {
            remember::keys_to_start(&setting, &found.record)
        });
        let displaced = self.series_of(&keys);
        let (found, request) = (principal.as_ref(), request(name));
        remember::start(&setting, &mut fresh, found, &displaced, &request)
    }

    pub(super) fn series_of(&self, keys: &[Key]) -> Vec<Option<Versioned<SeriesRecord>>> {
        let load = |key: &Key| self.series(Selector::from_bytes(key.id).unwrap());
        keys.iter().map(load).collect()
    }

    pub(super) fn start(&mut self, name: &str) -> Result<SplitToken, Refusal> {
        let decision = self.decide_start(name)?;
        self.commit(decision.batch);
        Ok(*decision.outcome.token)
    }

    pub(super) fn started(&mut self, name: &str) -> SplitToken {
        self.start(name).unwrap()
    }

    /// Decides upon a token; nothing is committed.
    pub(super) fn decide_present(&mut self, token: &SplitToken) -> Decision<Outcome> {
        let mut fresh = self.fresh();
        let series = self.series(token.selector());
        let principal = series
            .as_ref()
            .and_then(|found| self.principal(found.record.principal.as_str()));
        let system = self.records.contains_key(&Key::SYSTEM);
        let system = system.then(|| self.system());
        let presented = Presented {
            token,
            series: series.as_ref(),
            principal: principal.as_ref(),
            system: system.as_ref(),
        };
        let decoy = Decoy::new().unwrap();
        let (keyring, policy) = (&self.keyring, &self.policy);
        remember::present(self.now, keyring, policy, &decoy, &mut fresh, presented).unwrap()
    }

    pub(super) fn present(&mut self, token: &SplitToken) -> Outcome {
        let decision = self.decide_present(token);
        if !decision.batch.writes.is_empty() {
            self.commit(decision.batch);
        }
        decision.outcome
    }

    /// Presents a token and answers what is told.
    pub(super) fn shows(&mut self, token: &SplitToken) -> Told {
        told(&self.present(token))
    }

    /// Presents a token that must be replaced, and answers its successor.
    pub(super) fn rotated(&mut self, token: &SplitToken) -> SplitToken {
        let outcome = self.present(token);
        assert_eq!(told(&outcome), Told::Rotated);
        handed(outcome).unwrap()
    }

    pub(super) fn end_series(&mut self, token: &SplitToken) -> Revoked {
        let (mut fresh, system) = (self.fresh(), self.system());
        let found = self.series(token.selector()).unwrap();
        let principal = self.principal(found.record.principal.as_str());
        let filed = filed(token, &found);
        let setting = self.setting(&system);
        let decision = remember::revoke(&setting, &mut fresh, filed, principal.as_ref(), None);
        let decision = decision.unwrap();
        self.commit(decision.batch);
        decision.outcome
    }

    pub(super) fn decide_sweep(&mut self, token: &SplitToken) -> Option<Decision<Pruned>> {
        let (mut fresh, system) = (self.fresh(), self.system());
        let found = self.series(token.selector())?;
        let principal = self.principal(found.record.principal.as_str());
        let filed = filed(token, &found);
        let setting = self.setting(&system);
        remember::prune(&setting, &mut fresh, filed, principal.as_ref()).unwrap()
    }

    pub(super) fn sweep(&mut self, token: &SplitToken) -> Option<Pruned> {
        let decision = self.decide_sweep(token)?;
        self.commit(decision.batch);
        Some(decision.outcome)
    }

    pub(super) fn decide_forget(&mut self, name: &str, kept: Option<Selector>) -> Decision<usize> {
        let (mut fresh, system) = (self.fresh(), self.system());
        let (setting, owner) = (self.setting(&system), self.principal(name).unwrap());
        let found = self.series_of(&remember::keys_to_forget(&owner.record, kept));
        remember::forget(&setting, &mut fresh, &owner, kept, &found, None).unwrap()
    }

    pub(super) fn forget(&mut self, name: &str, kept: Option<Selector>) -> usize {
        let decision = self.decide_forget(name, kept);
        self.commit(decision.batch);
        decision.outcome
    }

    pub(super) fn switch_remember_me(&mut self, action: SwitchAction) {
        let decision = self.decide_switch(Subsystem::RememberMe, action).unwrap();
        self.commit(decision.batch);
    }
}

fn filed<'a>(token: &SplitToken, found: &'a Versioned<SeriesRecord>) -> FiledSeries<'a> {
    FiledSeries {
        selector: token.selector(),
        version: found.version,
        series: &found.record,
    }
}
