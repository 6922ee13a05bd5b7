//! A deployment in miniature for the tests of decisions: records in a map, a clock that is set by
//! hand, and every batch held to its expectations before it is applied.

use crate::access::{self, FiledGrant, HashedToken, NewToken, Presented, Pruned, Rotation};
use crate::decision::{Decision, Refusal, Setting};
use crate::grant::{EndCause, Expiry, Grant};
use crate::keys::{KeyMaterial, Keyring};
use crate::policy::{Draft, Policy};
use crate::principal::{CredentialRef, Principal, PrincipalRecord};
use crate::principals::{self, PrincipalAction};
use crate::record::{Batch, Change, Expect, Key, Record, Version, Versioned};
use crate::scope::{Scope, ScopeSet};
use crate::secret::Fresh;
use crate::selector::Selector;
use crate::switches::{self, SwitchAction};
use crate::system::{Deployment, Subsystem, SystemRecord};
use crate::text::{Reason, ServerId, TokenName};
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use core::time::Duration;
use std::collections::BTreeMap;

/// When every world begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_341_296_789);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) keyring: Keyring,
    pub(crate) policy: Policy,
    pub(crate) records: BTreeMap<Key, Versioned>,
    revision: u64,
    drawn: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let server_id = ServerId::new("test").unwrap();
        let deployment = Deployment {
            word: None,
            server_id,
            created_at: START,
        };
        let mut world = Self {
            now: START,
            keyring: Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32])),
            policy: Policy::default(),
            records: BTreeMap::new(),
            revision: 0,
            drawn: 0,
        };
        let mut batch = Batch::grow();
        let system = SystemRecord::new(deployment);
        batch.put(Key::SYSTEM, Expect::Absent, Record::System(system));
        world.commit(batch);
        world
    }

    /// The same under another policy.
    pub(crate) fn with_policy(change: impl FnOnce(&mut Draft)) -> Self {
        let mut world = Self::new();
        world.set_policy(change);
        world
    }

    pub(crate) fn set_policy(&mut self, change: impl FnOnce(&mut Draft)) {
        let mut draft = self.policy.to_draft();
        change(&mut draft);
        self.policy = draft.build().unwrap();
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    pub(crate) fn step_back(&mut self, span: Duration) {
        self.now = self.now.before(span);
    }

    /// Random bytes that never repeat, the same in every run.
    pub(crate) fn fresh(&mut self) -> Fresh {
        self.drawn = self.drawn.checked_add(1).unwrap();
        let mut bytes = [0; Fresh::LEN];
        let mut source = blake3::Hasher::new();
        source.update(&self.drawn.to_le_bytes());
        source.finalize_xof().fill(&mut bytes);
        Fresh::new(bytes)
    }

    pub(crate) fn system(&self) -> Versioned<SystemRecord> {
        let found = self.records.get(&Key::SYSTEM).unwrap();
        let Record::System(record) = &found.record else {
            panic!("no system record")
        };
        Versioned {
            version: found.version,
            record: record.clone(),
        }
    }

    pub(crate) fn setting<'a>(&'a self, system: &'a Versioned<SystemRecord>) -> Setting<'a> {
        Setting {
            now: self.now,
            keyring: &self.keyring,
            policy: &self.policy,
            system,
        }
    }

    pub(crate) fn principal_key(&self, name: &str) -> Key {
        Key::principal(self.keyring.principal_key(&Principal::new(name).unwrap()))
    }

    pub(crate) fn principal(&self, name: &str) -> Option<Versioned<PrincipalRecord>> {
        let found = self.records.get(&self.principal_key(name))?;
        let Record::Principal(record) = &found.record else {
            panic!("no principal")
        };
        Some(Versioned {
            version: found.version,
            record: record.clone(),
        })
    }

    pub(crate) fn grant(&self, selector: Selector) -> Option<Versioned<Grant>> {
        let found = self.records.get(&Key::grant(selector))?;
        let Record::Grant(grant) = &found.record else {
            panic!("no grant")
        };
        Some(Versioned {
            version: found.version,
            record: grant.clone(),
        })
    }

    pub(crate) fn cause(&self, token: &SplitToken) -> Option<EndCause> {
        self.grant(token.selector())?
            .record
            .end
            .map(|end| end.cause)
    }

    /// A principal's list, oldest first.
    pub(crate) fn list(&self, name: &str) -> Vec<CredentialRef> {
        self.principal(name)
            .map(|found| found.record.credentials)
            .unwrap_or_default()
    }

    /// Whether every expectation of the batch holds.
    pub(crate) fn holds(&self, batch: &Batch) -> bool {
        let version = |key| self.records.get(key).map(|found| found.version);
        batch
            .writes
            .iter()
            .all(|write| write.expect.holds(version(&write.key)))
    }

    /// Applies a batch that must hold, and in which no two writes may meet.
    pub(crate) fn commit(&mut self, batch: Batch) {
        assert!(
            self.holds(&batch),
            "an expectation of {batch:?} does not hold"
        );
        let mut keys: Vec<Key> = batch.writes.iter().map(|write| write.key).collect();
        keys.sort_unstable();
        assert!(
            keys.is_sorted_by(|a, b| a < b),
            "two writes of {batch:?} meet"
        );
        self.revision = self.revision.checked_add(1).unwrap();
        let version = Version::new(self.revision);
        for write in batch.writes {
            match write.change {
                Change::Keep => {}
                Change::Put(record) => {
                    assert_eq!(record.table(), write.key.table);
                    self.records
                        .insert(write.key, Versioned { version, record });
                }
                Change::Delete => {
                    self.records.remove(&write.key);
                }
            }
        }
    }

    pub(crate) fn decide_issue(
        &mut self,
        request: &NewToken,
    ) -> Result<Decision<access::Issued>, Refusal> {
        let mut fresh = self.fresh();
        let (system, name) = (self.system(), request.principal.as_str());
        let setting = self.setting(&system);
        let principal = self.principal(name);
        let keys = principal.as_ref().map_or_else(Vec::new, |found| {
            access::keys_to_issue(&setting, &found.record)
        });
        let load = |key: &Key| self.grant(Selector::from_bytes(key.id).unwrap());
        let displaced: Vec<_> = keys.iter().map(load).collect();
        access::issue(
            &setting,
            &mut fresh,
            principal.as_ref(),
            &displaced,
            request,
        )
    }

    pub(crate) fn issue_as(&mut self, request: &NewToken) -> Result<SplitToken, Refusal> {
        let decision = self.decide_issue(request)?;
        self.commit(decision.batch);
        Ok(*decision.outcome.token)
    }

    pub(crate) fn issue(&mut self, name: &str, expiry: Expiry) -> Result<SplitToken, Refusal> {
        self.issue_as(&request(name, expiry))
    }

    pub(crate) fn issued(&mut self, name: &str) -> SplitToken {
        self.issue(name, Expiry::Never).unwrap()
    }

    pub(crate) fn decide_rotate(
        &mut self,
        token: &SplitToken,
        rotation: Rotation,
    ) -> Result<Decision<access::Issued>, Refusal> {
        let mut fresh = self.fresh();
        let system = self.system();
        let found = self.grant(token.selector()).ok_or(Refusal::NotFound)?;
        let principal = self.principal(found.record.principal.as_str());
        let old = filed(token, &found);
        access::rotate(
            &self.setting(&system),
            &mut fresh,
            old,
            principal.as_ref(),
            rotation,
        )
    }

    pub(crate) fn rotate(
        &mut self,
        token: &SplitToken,
        overlap: Duration,
    ) -> Result<SplitToken, Refusal> {
        let decision = self.decide_rotate(
            token,
            Rotation {
                overlap,
                expiry: None,
            },
        )?;
        self.commit(decision.batch);
        Ok(*decision.outcome.token)
    }

    pub(crate) fn decide_revoke(
        &mut self,
        token: &SplitToken,
        reason: Option<&Reason>,
    ) -> Decision<access::Revoked> {
        let mut fresh = self.fresh();
        let system = self.system();
        let found = self.grant(token.selector()).unwrap();
        let principal = self.principal(found.record.principal.as_str());
        let filed = filed(token, &found);
        let setting = self.setting(&system);
        access::revoke(&setting, &mut fresh, filed, principal.as_ref(), reason).unwrap()
    }

    /// Revokes, and answers whether it had been ended already.
    pub(crate) fn revoke(&mut self, token: &SplitToken) -> bool {
        let decision = self.decide_revoke(token, None);
        self.commit(decision.batch);
        decision.outcome.already
    }

    pub(crate) fn decide_prune(&mut self, token: &SplitToken) -> Option<Decision<Pruned>> {
        let mut fresh = self.fresh();
        let system = self.system();
        let found = self.grant(token.selector())?;
        let principal = self.principal(found.record.principal.as_str());
        let filed = filed(token, &found);
        access::prune(
            &self.setting(&system),
            &mut fresh,
            filed,
            principal.as_ref(),
        )
        .unwrap()
    }

    pub(crate) fn prune(&mut self, token: &SplitToken) -> Option<Pruned> {
        let decision = self.decide_prune(token)?;
        self.commit(decision.batch);
        Some(decision.outcome)
    }

    pub(crate) fn decide_act(
        &mut self,
        name: &str,
        action: PrincipalAction,
    ) -> Result<Decision<PrincipalRecord>, Refusal> {
        let mut fresh = self.fresh();
        let system = self.system();
        let (principal, found) = (Principal::new(name).unwrap(), self.principal(name));
        let setting = self.setting(&system);
        principals::act(
            &setting,
            &mut fresh,
            &principal,
            found.as_ref(),
            action,
            None,
        )
    }

    pub(crate) fn act(&mut self, name: &str, action: PrincipalAction) {
        let decision = self.decide_act(name, action).unwrap();
        self.commit(decision.batch);
    }

    pub(crate) fn decide_switch(
        &mut self,
        subsystem: Subsystem,
        action: SwitchAction,
    ) -> Result<Decision<SystemRecord>, Refusal> {
        let mut fresh = self.fresh();
        let system = self.system();
        switches::act(&self.setting(&system), &mut fresh, subsystem, action, None)
    }

    pub(crate) fn switch(&mut self, action: SwitchAction) {
        let decision = self.decide_switch(Subsystem::AccessTokens, action).unwrap();
        self.commit(decision.batch);
    }

    /// Changes a record behind the rules' back, as damage or an older version would.
    pub(crate) fn tamper(&mut self, token: &SplitToken, change: impl FnOnce(&mut Grant)) {
        let found = self.records.get_mut(&Key::grant(token.selector())).unwrap();
        let Record::Grant(grant) = &mut found.record else {
            panic!("no grant")
        };
        change(grant);
    }

    pub(crate) fn check(&self, token: &SplitToken) -> Result<(), Rejection> {
        self.check_for(token, None)
    }

    pub(crate) fn check_for(
        &self,
        token: &SplitToken,
        scope: Option<&Scope>,
    ) -> Result<(), Rejection> {
        let grant = self.grant(token.selector()).map(|found| found.record);
        let principal = grant
            .as_ref()
            .and_then(|grant| self.principal(grant.principal.as_str()));
        let system = self
            .records
            .contains_key(&Key::SYSTEM)
            .then(|| self.system());
        let presented = Presented {
            token: HashedToken::new(&self.keyring, token),
            grant: grant.as_ref(),
            principal: principal.as_ref().map(|found| &found.record),
            system: system.as_ref().map(|found| &found.record),
            scope,
        };
        let decoy = access::Decoy::new().unwrap();
        let verdict = access::check(self.now, &self.keyring, &self.policy, &decoy, presented);
        self.agree_on(&presented, verdict);
        verdict
    }

    /// A listing must not call usable what is refused, nor the other way round.
    fn agree_on(&self, presented: &Presented<'_>, verdict: Result<(), Rejection>) {
        let (Some(grant), Some(principal), Some(_)) =
            (presented.grant, presented.principal, presented.system)
        else {
            return;
        };
        let system = self.system();
        let usable = access::is_usable(&self.setting(&system), grant, principal);
        match verdict {
            Ok(()) | Err(Rejection::Scope) => assert!(usable, "accepted and not usable"),
            Err(Rejection::Mismatch) => {}
            Err(reason) => assert!(!usable, "usable and refused: {reason}"),
        }
    }
}

fn filed<'a>(token: &SplitToken, found: &'a Versioned<Grant>) -> FiledGrant<'a> {
    let selector = token.selector();
    FiledGrant {
        selector,
        version: found.version,
        grant: &found.record,
    }
}

pub(crate) fn request(name: &str, expiry: Expiry) -> NewToken {
    NewToken {
        principal: Principal::new(name).unwrap(),
        name: TokenName::new("nightly build").unwrap(),
        scopes: scopes(&["repo:read"]),
        expiry,
    }
}

pub(crate) fn scopes(texts: &[&str]) -> ScopeSet {
    ScopeSet::new(texts.iter().map(|text| scope(text))).unwrap()
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::new(text).unwrap()
}

/// The same secret half under nobody's selector, or another secret under the same selector.
pub(crate) fn with_verifier(token: &SplitToken, byte: u8) -> SplitToken {
    let verifier = crate::secret::Verifier::from_bytes([byte; crate::secret::VERIFIER_BYTES]);
    SplitToken::new(token.kind(), token.selector(), verifier)
}

/// A copy of a token, as a client holds it.
pub(crate) fn copy(token: &SplitToken) -> SplitToken {
    as_kind(token, token.kind())
}

/// A copy that claims to be of another kind.
pub(crate) fn as_kind(token: &SplitToken, kind: crate::kind::CredentialKind) -> SplitToken {
    let verifier = crate::secret::Verifier::from_bytes(*token.verifier().expose());
    SplitToken::new(kind, token.selector(), verifier)
}
