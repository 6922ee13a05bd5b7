//! Hazard: a form that is carried out though it did not come from our page, work that is lost
//! because nobody says what happened, and a verdict that tells of somebody else's session.
#![expect(clippy::string_slice, reason = "the texts are ASCII")]

mod cookie;
mod text;
mod verdict;

use super::*;
use crate::principal::Principal;
use crate::selector::ShardTag;
use crate::time::Timestamp;
use crate::world::START;
use core::time::Duration;

/// A session of somebody, opened so many seconds after the start, with a secret of its own.
struct Opened {
    selector: Selector,
    principal: Option<Principal>,
    secret: SecretKey,
}

impl Opened {
    fn new(name: Option<&str>, second: u8) -> Self {
        let at = START.after(Duration::from_secs(second.into()));
        let who = name.map_or(0, |name| name.as_bytes()[0]);
        Self {
            selector: Selector::mint(at, ShardTag::NONE, [who ^ second; 8]),
            principal: name.map(|name| Principal::new(name).unwrap()),
            secret: SecretKey::from_bytes([who.wrapping_add(second).wrapping_add(1); 32]),
        }
    }

    fn of(name: &str, second: u8) -> Self {
        Self::new(Some(name), second)
    }

    fn anonymous(second: u8) -> Self {
        Self::new(None, second)
    }

    fn is(&self, fate: SessionFate) -> FormSession<'_> {
        FormSession {
            selector: self.selector,
            principal: self.principal.as_ref(),
            secret: &self.secret,
            fate,
        }
    }

    fn living(&self) -> FormSession<'_> {
        self.is(SessionFate::Living)
    }

    fn token(&self) -> CsrfToken {
        CsrfToken::mint_stable(self.selector, &self.secret, None)
    }

    fn masked(&self, random: u8) -> CsrfToken {
        CsrfToken::mint_masked(self.selector, &self.secret, None, [random; 8])
    }
}

/// What a browser sends back: the token's text, read again.
fn sent(token: &CsrfToken) -> CsrfToken {
    CsrfToken::parse(token.text().expose().as_bytes()).unwrap()
}
