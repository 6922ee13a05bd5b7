//! What a request presents: our cookies and its `Authorization` header, each once, within bounds.
//!
//! Nothing is judged here. Where a cookie comes twice, nobody can say which of the two is ours: a
//! page on another host of the domain may have put one there, so neither is taken.

use crate::cookies::{CookiePlan, Role};
use countersign::core::header::cookie_pairs;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use std::fmt;

/// Where a credential was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// The session cookie.
    SessionCookie,
    /// The remember-me cookie.
    RememberCookie,
    /// The `Authorization` header.
    Authorization,
    /// The image token in the query.
    ImageToken,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SessionCookie => "session cookie",
            Self::RememberCookie => "remember-me cookie",
            Self::Authorization => "`Authorization` header",
            Self::ImageToken => "image token",
        })
    }
}

/// Something that may come once.
#[derive(Default)]
pub(crate) enum Once<T> {
    #[default]
    Absent,
    Is(T),
    Twice,
}

impl<T: Copy> Once<T> {
    fn found(&mut self, value: T) {
        *self = match self {
            Self::Absent => Self::Is(value),
            Self::Is(_) | Self::Twice => Self::Twice,
        };
    }

    /// What came, if it came once.
    pub(crate) const fn once(&self) -> Option<T> {
        match self {
            Self::Is(value) => Some(*value),
            Self::Absent | Self::Twice => None,
        }
    }

    const fn is_twice(&self) -> bool {
        matches!(self, Self::Twice)
    }
}

/// What a request presents, as its headers hold it. It has no `Debug`: those are secrets.
#[derive(Default)]
pub(crate) struct Carried<'h> {
    pub(crate) session: Once<&'h [u8]>,
    pub(crate) remember: Once<&'h [u8]>,
    pub(crate) scripts: Once<&'h [u8]>,
    pub(crate) authorization: Once<&'h [u8]>,
    /// How many bytes its cookies have.
    pub(crate) cookie_bytes: usize,
}

impl<'h> Carried<'h> {
    /// Reads a request's headers. Past `max_cookie_bytes` no cookie is looked at.
    pub(crate) fn read(headers: &'h HeaderMap, plan: &CookiePlan, max_cookie_bytes: usize) -> Self {
        let mut carried = Self::default();
        for value in headers.get_all(AUTHORIZATION) {
            carried.authorization.found(value.as_bytes());
        }
        let values = headers.get_all(COOKIE);
        carried.cookie_bytes = values
            .iter()
            .fold(0, |sum, value| value.len().saturating_add(sum));
        if carried.cookie_bytes > max_cookie_bytes {
            return carried;
        }
        for (name, value) in values
            .iter()
            .flat_map(|value| cookie_pairs(value.as_bytes()))
        {
            if let Some(role) = plan.role_of(name) {
                carried.slot(role).found(value);
            }
        }
        carried
    }

    const fn slot(&mut self, role: Role) -> &mut Once<&'h [u8]> {
        match role {
            Role::Session => &mut self.session,
            Role::Remember => &mut self.remember,
            Role::Scripts => &mut self.scripts,
        }
    }

    /// Whether one of our cookies came twice.
    pub(crate) const fn is_twice(&self, role: Role) -> bool {
        match role {
            Role::Session => self.session.is_twice(),
            Role::Remember => self.remember.is_twice(),
            Role::Scripts => self.scripts.is_twice(),
        }
    }

    /// A credential that came twice.
    ///
    /// The header stands first: cookies may be passed over, and it must not be with them.
    pub(crate) const fn ambiguous(&self) -> Option<Carrier> {
        if self.authorization.is_twice() {
            Some(Carrier::Authorization)
        } else if self.session.is_twice() {
            Some(Carrier::SessionCookie)
        } else if self.remember.is_twice() {
            Some(Carrier::RememberCookie)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::CookieNames;
    use countersign::Draft;
    use http::HeaderValue;
    use std::sync::Arc;

    fn read<T>(cookies: &[&[u8]], look: impl FnOnce(&Carried<'_>) -> T) -> T {
        let policy = Arc::new(Draft::default().build().unwrap());
        let plan = CookiePlan::new(policy, CookieNames::HostPrefix).unwrap();
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(cookie).unwrap());
        }
        look(&Carried::read(&headers, &plan, 100))
    }

    fn session(cookies: &[&[u8]]) -> Option<String> {
        let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
        read(cookies, |carried| carried.session.once().map(text))
    }

    #[test]
    fn a_cookie_is_found_among_others_whatever_those_hold() {
        for cookies in [
            &[b"__Host-session=v".as_slice()] as &[&[u8]],
            &[b"a=b; __Host-session=v; =; x"],
            &[b"a=\xff\xfe; __Host-session=v;"],
            &[b"a=b", b"__Host-session=v"],
            &[b"__host-session=w;__Host-session=v;session=u; __Host-session2=t"],
        ] {
            assert_eq!(session(cookies).as_deref(), Some("v"), "{cookies:?}");
        }
        for cookies in [
            &[b"__Host-session".as_slice()] as &[&[u8]],
            &[b"a=__Host-session=v"],
            &[b"__HOST-SESSION=v"],
            &[b"\xe2\x80\x80__Host-session=v"],
            &[b"\xc2\xa0__Host-session=v"],
            &[],
        ] {
            assert_eq!(session(cookies), None, "{cookies:?}");
        }
        // Quotes are not taken off: there is one text for each credential.
        assert_eq!(
            session(&[b"__Host-session=\"v\""]).as_deref(),
            Some("\"v\"")
        );
    }

    #[test]
    fn what_comes_twice_is_nothing() {
        for cookies in [
            &[b"__Host-session=v; __Host-session=v".as_slice()] as &[&[u8]],
            &[b"__Host-session=v", b"__Host-session=w"],
            &[b"__Host-session=v; a=b; __Host-session="],
            &[b"__Host-session=1; __Host-session=2; __Host-session=3"],
        ] {
            read(cookies, |carried| {
                assert_eq!(carried.ambiguous(), Some(Carrier::SessionCookie));
                assert!(carried.session.once().is_none());
            });
        }
    }

    #[test]
    fn past_the_bound_no_cookie_is_looked_at() {
        let long = format!("a={}; __Host-session=v", "x".repeat(100));
        read(&[long.as_bytes()], |carried| {
            assert!(carried.session.once().is_none() && carried.cookie_bytes > 100);
        });
    }
}
