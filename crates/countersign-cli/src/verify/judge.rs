//! From a line to a verdict.

use super::lines::Line;
use crate::failure::Failure;
use countersign::core::header::{LINE_FRAME_MAX, Presented, cookies, presented};
use countersign::{Conditions, CredentialKind, Engine, Pass, Rejection, Scope, Selector, Verdict};

/// Judges lines as the engine judges credentials.
pub(super) struct Judge<'a> {
    engine: &'a Engine,
    scope: Option<Scope>,
    credential_max: usize,
}

/// What a line came to.
#[derive(Debug)]
pub(super) enum Judged {
    In(Pass),
    /// With the credential's public half, where its form tells one.
    Refused(Rejection, Option<(CredentialKind, Selector)>),
}

impl<'a> Judge<'a> {
    pub(super) fn new(engine: &'a Engine, scope: Option<Scope>) -> Self {
        let max = engine.policy().input().max_credential_bytes;
        let credential_max = usize::try_from(max).unwrap_or(usize::MAX);
        Self {
            engine,
            scope,
            credential_max,
        }
    }

    /// The longest line that can hold a credential.
    pub(super) const fn line_max(&self) -> usize {
        self.credential_max.saturating_add(LINE_FRAME_MAX)
    }

    pub(super) fn judge(&self, line: Line<'_>) -> Result<Judged, Failure> {
        let Line::Whole(line) = line else {
            return Ok(Judged::Refused(Rejection::TooLong, None));
        };
        match presented(line) {
            Presented::Credential(credential) => self.verify(credential),
            Presented::Cookies(value) => match self.in_cookies(value) {
                Some(credential) => self.verify(credential),
                None => Ok(Judged::Refused(Rejection::Malformed, None)),
            },
            Presented::Malformed => Ok(Judged::Refused(Rejection::Malformed, None)),
        }
    }

    fn verify(&self, credential: &[u8]) -> Result<Judged, Failure> {
        let conditions = Conditions {
            scope: self.scope.as_ref(),
            address: None,
        };
        match self
            .engine
            .access()
            .verify_with(credential, conditions)
            .wait()?
        {
            Verdict::In(pass) => Ok(Judged::In(pass)),
            Verdict::Refused(rejection) => Ok(Judged::Refused(rejection, self.name(credential))),
        }
    }

    /// The one value in a Cookie header that has the form of a credential. No cookie of ours
    /// carries an access token, but one that was put there is worth a verdict; of two, neither is
    /// what was presented.
    fn in_cookies<'l>(&self, value: &'l [u8]) -> Option<&'l [u8]> {
        let mut found = cookies(value).map(|(_, value)| value);
        let credential = found.find(|value| self.name(value).is_some())?;
        found
            .all(|other| self.name(other).is_none())
            .then_some(credential)
    }

    /// Which credential a text names, if it is whole.
    fn name(&self, credential: &[u8]) -> Option<(CredentialKind, Selector)> {
        if credential.len() > self.credential_max {
            return None;
        }
        let token = self
            .engine
            .format()
            .parse(CredentialKind::Access, credential)
            .ok()?;
        Some((token.kind(), token.selector()))
    }
}
