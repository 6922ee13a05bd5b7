//! The three cookies: their names, their attributes, and the one way in which each is written.
//!
//! Everything follows from the policy: the names of each, and path, domain and `Secure` of all
//! three, which stand with the remember-me cookie because that is where an operator knows them
//! from. A cookie that is valid for this host alone is named `__Host-...`, so that no other host
//! of its domain can put one in its place (RFC 6265bis, section 4.1.3.2). A path or a domain rules
//! that out: then it is `__Secure-...`, so that at least nobody without TLS can (ASVS 3.3.1). Where
//! the policy does without TLS, the name stands without a prefix.

mod everywhere;

use cookie::time::{Duration, OffsetDateTime};
use cookie::{Cookie, Expiration, SameSite};
use countersign::Policy;
use http::HeaderValue;
use std::sync::Arc;

/// The longest that browsers keep a cookie, in seconds (RFC 6265bis, section 5.5).
const MAX_AGE_S: u64 = 400 * 86_400;

const HOST: &str = "__Host-";
const SECURE: &str = "__Secure-";

/// Which of the cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The session's token.
    Session,
    /// The remembered device's token.
    Remember,
    /// The form token that scripts read (S5).
    Scripts,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Session, Self::Remember, Self::Scripts];
}

/// Why the policy's cookies cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieNameError {
    /// Two of them have one name.
    #[error("two cookies of the policy are both named `{0}`")]
    Twice(String),
    /// A name is nothing but its prefix, which cannot stand here.
    #[error("the cookie name `{0}` is nothing but a prefix that its path, domain or TLS rules out")]
    PrefixAlone(String),
}

/// How the cookies are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieNames {
    /// With `__Host-` in front wherever that may stand, and else, where there is TLS, with
    /// `__Secure-`.
    #[default]
    HostPrefix,
    /// As the policy says; only a prefix that must not stand is left out.
    AsInPolicy,
}

/// The cookies under one policy.
#[derive(Clone, Debug)]
pub(crate) struct CookiePlan {
    policy: Arc<Policy>,
    session: String,
    remember: String,
    scripts: String,
}

impl CookiePlan {
    pub(crate) fn new(policy: Arc<Policy>, names: CookieNames) -> Result<Self, CookieNameError> {
        let named = |name: &str, role| name_of(&policy, names, name, role);
        let plan = Self {
            session: named(&policy.sessions().cookie_name, Role::Session)?,
            remember: named(&policy.remember_me().cookie_name, Role::Remember)?,
            scripts: named(&policy.form_tokens().cookie_name, Role::Scripts)?,
            policy,
        };
        // Whoever writes one would write the other.
        let [session, remember, scripts] = Role::ALL.map(|role| plan.name(role));
        for (one, other) in [(session, remember), (session, scripts), (remember, scripts)] {
            if one.eq_ignore_ascii_case(other) {
                return Err(CookieNameError::Twice(one.to_owned()));
            }
        }
        Ok(plan)
    }

    /// The policy that it follows from.
    pub(crate) const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    pub(crate) fn name(&self, role: Role) -> &str {
        match role {
            Role::Session => &self.session,
            Role::Remember => &self.remember,
            Role::Scripts => &self.scripts,
        }
    }

    /// Whose name this is.
    pub(crate) fn role_of(&self, name: &[u8]) -> Option<Role> {
        let is = |role: &Role| self.name(*role).as_bytes() == name;
        Role::ALL.into_iter().find(is)
    }

    /// Sets a cookie; one without an age goes with the browser's session.
    pub(crate) fn set(&self, role: Role, value: &str, age_s: Option<u64>) -> Option<HeaderValue> {
        let mut cookie = self.bare(role, value);
        if let Some(age_s) = age_s {
            let age_s = i64::try_from(age_s.min(MAX_AGE_S)).ok()?;
            cookie.set_max_age(Duration::seconds(age_s));
        }
        header(&cookie)
    }

    /// Takes a cookie away: only one of the same name, path and domain goes.
    pub(crate) fn clear(&self, role: Role) -> Option<HeaderValue> {
        let mut cookie = self.bare(role, "");
        cookie.set_max_age(Duration::ZERO);
        cookie.set_expires(Expiration::from(OffsetDateTime::UNIX_EPOCH));
        header(&cookie)
    }

    fn bare<'a>(&'a self, role: Role, value: &'a str) -> Cookie<'a> {
        let place = self.policy.remember_me();
        let mut cookie = Cookie::new(self.name(role), value);
        cookie.set_path(&place.cookie_path);
        if let Some(domain) = &place.cookie_domain {
            cookie.set_domain(domain);
        }
        cookie.set_secure(place.cookie_secure.then_some(true));
        cookie.set_http_only((role != Role::Scripts).then_some(true));
        cookie.set_same_site(SameSite::Lax);
        cookie
    }
}

fn header(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn name_of(
    policy: &Policy,
    names: CookieNames,
    name: &str,
    role: Role,
) -> Result<String, CookieNameError> {
    let place = policy.remember_me();
    let whole_host = place.cookie_path == "/" && place.cookie_domain.is_none();
    let (host, secure) = (whole_host && place.cookie_secure, place.cookie_secure);
    let bare = match (without(name, HOST), without(name, SECURE)) {
        (Some(bare), _) if !host => bare,
        (_, Some(bare)) if !secure => bare,
        _ => name,
    };
    if bare.is_empty() {
        return Err(CookieNameError::PrefixAlone(name.to_owned()));
    }
    let is_prefixed = without(bare, HOST).or(without(bare, SECURE)).is_some();
    let as_it_is = is_prefixed || role == Role::Scripts || names == CookieNames::AsInPolicy;
    let prefix = match (host, secure) {
        _ if as_it_is => "",
        (true, _) => HOST,
        (false, true) => SECURE,
        (false, false) => "",
    };
    Ok(format!("{prefix}{bare}"))
}

/// Browsers know the prefixes in any case of their letters.
fn without<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (front, rest) = name.split_at_checked(prefix.len())?;
    front.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests;
