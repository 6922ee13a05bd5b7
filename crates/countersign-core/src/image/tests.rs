//! Hazard: an image that opens for whoever should not see it, a link that cannot be called back,
//! and a second text for one token.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "tests count small numbers and cut ASCII"
)]

mod claims;
mod revoked;
mod rules;
mod spelling;
mod text;

use super::*;
use crate::decision::{Decision, Refusal};
use crate::principal::Principal;
use crate::record::{Key, Record, Versioned};
use crate::verdict::Rejection;
use crate::world::World;

fn named(attachment: &str) -> AttachmentId {
    AttachmentId::new(attachment).unwrap()
}

impl World {
    fn attachment(&self, name: &str) -> Option<Versioned<AttachmentRecord>> {
        let key = Key::attachment(self.keyring.attachment_key(&named(name)));
        let found = self.records.get(&key)?.clone();
        Some(found.map(|record| match record {
            Record::Attachment(record) => record,
            other => panic!("{other:?}"),
        }))
    }

    fn decide_sign(&mut self, who: &str, what: &str) -> Result<Decision<SignedImage>, Refusal> {
        let mut fresh = self.fresh();
        let system = self.system();
        let (principal, attachment) = (Principal::new(who).unwrap(), named(what));
        let request = ImageRequest {
            principal: &principal,
            attachment: &attachment,
        };
        let (owner, opened) = (self.principal(who), self.attachment(what));
        let setting = self.setting(&system);
        sign(
            &setting,
            &mut fresh,
            request,
            owner.as_ref(),
            opened.as_ref(),
        )
    }

    fn try_sign(&mut self, who: &str, what: &str) -> Result<String, Refusal> {
        let decision = self.decide_sign(who, what)?;
        self.commit(decision.batch);
        Ok(decision.outcome.text.expose().to_owned())
    }

    fn sign(&mut self, who: &str, what: &str) -> String {
        self.try_sign(who, what).unwrap()
    }

    fn revoke_attachment(&mut self, what: &str) {
        let mut fresh = self.fresh();
        let (system, found) = (self.system(), self.attachment(what));
        let setting = self.setting(&system);
        let decision =
            revoke_attachment(&setting, &mut fresh, &named(what), found.as_ref(), None).unwrap();
        self.commit(decision.batch);
    }

    fn decide_forget_attachment(&mut self, what: &str) -> Decision<bool> {
        let mut fresh = self.fresh();
        let (system, found) = (self.system(), self.attachment(what));
        let setting = self.setting(&system);
        forget_attachment(&setting, &mut fresh, &named(what), found.as_ref(), None).unwrap()
    }

    /// As the engine does it: proof first, then the records that the claims name.
    fn open(&self, text: &str, asked: &str) -> Result<(), Rejection> {
        let token = prove(&self.keyring, text.as_bytes())?;
        let (who, what) = (&token.claims().principal, &token.claims().attachment);
        let (principal, attachment) = (
            self.principal(who.as_str()).map(|found| found.record),
            self.attachment(what.as_str()).map(|found| found.record),
        );
        let system = self.records.contains_key(&Key::SYSTEM);
        let system = system.then(|| self.system().record);
        let presented = PresentedImage {
            token: &token,
            asked: &named(asked),
            principal: principal.as_ref(),
            attachment: attachment.as_ref(),
            system: system.as_ref(),
        };
        check(self.now, &self.policy, &presented)
    }
}
