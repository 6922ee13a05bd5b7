//! From a line to a verdict.

use super::lines::Line;
use crate::failure::Failure;
use countersign::core::header::{LINE_FRAME_MAX, Presented, cookies, presented};
use countersign::core::policy::Policy;
use countersign::{
    AttachmentId, Conditions, CredentialKind, Engine, ImageVerdict, Principal, Recall, Rejection,
    Scope, Selector, SessionVerdict, Verdict,
};
use std::sync::Arc;

/// Judges lines as the engine judges credentials.
pub(super) struct Judge<'a> {
    engine: &'a Engine,
    policy: Arc<Policy>,
    asked: Asked,
    credential_max: usize,
}

/// What is expected of each credential.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Of this kind; of any, if none is given.
    pub(super) kind: Option<CredentialKind>,
    pub(super) scope: Option<Scope>,
    pub(super) attachment: Option<AttachmentId>,
}

/// What a line came to.
#[derive(Clone, Debug)]
pub(super) enum Judged {
    In {
        kind: CredentialKind,
        selector: Option<Selector>,
        /// None for a session of nobody in particular.
        principal: Option<Principal>,
    },
    /// With the credential's kind and public half, where its form tells them.
    Refused(Rejection, Option<CredentialKind>, Option<Selector>),
}

impl<'a> Judge<'a> {
    pub(super) fn new(engine: &'a Engine, asked: Asked) -> Self {
        let policy = engine.policy();
        let max = policy.input().max_credential_bytes;
        let credential_max = usize::try_from(max).unwrap_or(usize::MAX);
        Self {
            engine,
            policy,
            asked,
            credential_max,
        }
    }

    /// The longest line that can hold a credential.
    pub(super) const fn line_max(&self) -> usize {
        self.credential_max.saturating_add(LINE_FRAME_MAX)
    }

    pub(super) fn judge(&self, line: Line<'_>) -> Result<Judged, Failure> {
        let Line::Whole(line) = line else {
            return Ok(refused(Rejection::TooLong));
        };
        match presented(line) {
            Presented::Credential(credential) => self.verify(credential),
            Presented::Cookies(value) => self.in_cookies(value),
            Presented::Malformed => Ok(refused(Rejection::Malformed)),
        }
    }

    /// Judges what is in cookies in the order of authentication (S9): the session's, then the
    /// remembered device's, which counts only where no session of somebody lets in.
    fn in_cookies(&self, value: &[u8]) -> Result<Judged, Failure> {
        let ours = [
            (CredentialKind::Session, &self.policy.sessions().cookie_name),
            (
                CredentialKind::Remember,
                &self.policy.remember_me().cookie_name,
            ),
        ];
        let mut first: Option<Judged> = None;
        for (kind, name) in ours.into_iter().filter(|(kind, _)| self.takes(*kind)) {
            let mut sent = cookies(value).filter(|(sent, _)| *sent == name.as_bytes());
            let judged = match (sent.next(), sent.next()) {
                (None, _) => continue,
                (Some((_, credential)), None) => self.verify_as(kind, credential)?,
                // Of two, neither is what was presented.
                (Some(_), Some(_)) => refused(Rejection::Malformed),
            };
            match (&judged, &first) {
                (Judged::In { principal, .. }, _) if principal.is_some() => return Ok(judged),
                (Judged::In { .. }, _) | (_, None) => first = Some(judged),
                _ => {}
            }
        }
        match first {
            Some(judged) => Ok(judged),
            None => match self.in_any_cookie(value) {
                Some(credential) => self.verify(credential),
                None => Ok(refused(Rejection::Malformed)),
            },
        }
    }

    /// The one value in a Cookie header that has the form of a credential. No other cookie of ours
    /// carries one, but one that was put there is worth a verdict; of two, neither is what was
    /// presented.
    fn in_any_cookie<'l>(&self, value: &'l [u8]) -> Option<&'l [u8]> {
        let mut found = cookies(value).map(|(_, value)| value);
        let credential = found.find(|value| self.name(value).is_some())?;
        found
            .all(|other| self.name(other).is_none())
            .then_some(credential)
    }

    fn verify(&self, credential: &[u8]) -> Result<Judged, Failure> {
        if let Some(kind) = self.asked.kind {
            return self.verify_as(kind, credential);
        }
        if credential.len() > self.credential_max {
            return Ok(refused(Rejection::TooLong));
        }
        match self.engine.format().parse_any(credential) {
            Ok(token) => self.verify_as(token.kind(), credential),
            // No digit of the others is a point, and each of these has two.
            Err(_) if credential.contains(&b'.') => {
                self.verify_as(CredentialKind::Image, credential)
            }
            Err(fault) => Ok(refused(fault.into())),
        }
    }

    fn verify_as(&self, kind: CredentialKind, credential: &[u8]) -> Result<Judged, Failure> {
        let judged = match kind {
            CredentialKind::Access => self.access_token(credential)?,
            CredentialKind::Remember => self.device(credential)?,
            CredentialKind::Session => self.session(credential)?,
            _ => self.image(credential)?,
        };
        match judged {
            // Only access tokens have scopes.
            Judged::In { kind, selector, .. }
                if self.asked.scope.is_some() && kind != CredentialKind::Access =>
            {
                Ok(Judged::Refused(Rejection::Scope, Some(kind), selector))
            }
            judged => Ok(judged),
        }
    }

    fn access_token(&self, credential: &[u8]) -> Result<Judged, Failure> {
        let conditions = Conditions {
            scope: self.asked.scope.as_ref(),
            address: None,
        };
        let kind = CredentialKind::Access;
        let verdict = self.engine.access().verify_with(credential, conditions);
        Ok(match verdict.wait()? {
            Verdict::In(pass) => Judged::In {
                kind,
                selector: Some(pass.selector()),
                principal: Some(pass.principal().clone()),
            },
            Verdict::Refused(rejection) => self.refused_by_name(rejection, kind, credential),
        })
    }

    fn device(&self, credential: &[u8]) -> Result<Judged, Failure> {
        let kind = CredentialKind::Remember;
        Ok(match self.engine.remember().check(credential).wait()? {
            Recall::In(device) => Judged::In {
                kind,
                selector: Some(device.selector),
                principal: Some(device.principal),
            },
            Recall::Refused(rejection) => self.refused_by_name(rejection, kind, credential),
        })
    }

    fn session(&self, credential: &[u8]) -> Result<Judged, Failure> {
        let kind = CredentialKind::Session;
        let verdict = self.engine.sessions().peek(credential, None).wait()?;
        let rejection = verdict.rejection();
        Ok(match (verdict, rejection) {
            (SessionVerdict::In(live), _) => Judged::In {
                kind,
                selector: Some(live.selector()),
                principal: live.principal(),
            },
            (_, rejection) => {
                let rejection = rejection.unwrap_or(Rejection::Unknown);
                self.refused_by_name(rejection, kind, credential)
            }
        })
    }

    /// By the attachment that is asked for, or else by the one that it names itself.
    fn image(&self, credential: &[u8]) -> Result<Judged, Failure> {
        let images = self.engine.images();
        let verdict = match &self.asked.attachment {
            Some(attachment) => images.verify(credential, attachment, None),
            None => images.check(credential),
        };
        let kind = CredentialKind::Image;
        Ok(match verdict.wait()? {
            ImageVerdict::In(pass) => Judged::In {
                kind,
                selector: None,
                principal: Some(pass.principal().clone()),
            },
            ImageVerdict::Refused(why @ (Rejection::Malformed | Rejection::TooLong)) => {
                refused(why)
            }
            ImageVerdict::Refused(why) => Judged::Refused(why, Some(kind), None),
        })
    }

    /// With what the credential names itself, if it is a whole one of this kind.
    fn refused_by_name(&self, why: Rejection, kind: CredentialKind, credential: &[u8]) -> Judged {
        match self.name(credential).filter(|(named, _)| *named == kind) {
            Some((kind, selector)) => Judged::Refused(why, Some(kind), Some(selector)),
            None => refused(why),
        }
    }

    /// Which credential a text names, if it is whole and of a kind that is asked for.
    fn name(&self, credential: &[u8]) -> Option<(CredentialKind, Selector)> {
        if credential.len() > self.credential_max {
            return None;
        }
        let token = self.engine.format().parse_any(credential).ok()?;
        self.takes(token.kind())
            .then_some((token.kind(), token.selector()))
    }

    fn takes(&self, kind: CredentialKind) -> bool {
        self.asked.kind.is_none_or(|asked| asked == kind)
    }
}

const fn refused(rejection: Rejection) -> Judged {
    Judged::Refused(rejection, None, None)
}
