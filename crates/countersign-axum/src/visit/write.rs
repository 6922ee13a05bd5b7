//! Writing what becomes of the cookies, in one place and once.

use super::{Scripts, State, Visit};
use crate::cookies::Role;
use countersign::{CookieChange, Who};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap, SET_COOKIE};

/// What is made for somebody is for their own browser's cache at most, which asks again: the page
/// before stays as it is, with what was typed into it, and nobody else is shown it.
const PERSONAL: HeaderValue = HeaderValue::from_static("private, no-cache");

impl Visit {
    /// Writes what becomes of the cookies into the response's head; nothing changes afterwards.
    pub(crate) fn finish(&self, headers: &mut HeaderMap) {
        let plan = &self.0.plan;
        let mut state = self.0.state.lock();
        state.sent = true;
        let scripts = self.scripts_cookie(&state);
        let write = |role: Role, change: &CookieChange| match change {
            CookieChange::Keep => None,
            CookieChange::Clear => plan.clear(role),
            CookieChange::Set { value, expires_at } => {
                let age_s = expires_at.map(|at| at.since(self.engine().now()).as_secs());
                plan.set(role, value.expose(), age_s)
            }
        };
        let changes = [
            write(Role::Session, &state.session),
            write(Role::Remember, &state.remember),
            write(Role::Scripts, &scripts),
        ];
        let personal = match &state.who {
            Who::Anonymous(nobody) => nobody.session.is_some(),
            _ => true,
        };
        drop(state);
        self.drop_foreign(headers);
        if personal && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, PERSONAL);
        }
        // What takes a twin away goes first: what is set afterwards stays.
        let twins = self.0.twins.iter().cloned();
        for cookie in twins.chain(changes.into_iter().flatten()) {
            headers.append(SET_COOKIE, cookie);
            // Neither a secret nor a deletion is for whoever shares a cache.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    /// What becomes of the cookie that scripts read: it goes with the session (S5).
    fn scripts_cookie(&self, state: &State) -> CookieChange {
        let carried = self.0.scripts;
        if state.apart {
            return CookieChange::Keep;
        }
        match (state.who.session(), &state.session) {
            // The session that the request came with, as it was then.
            (Some(_), CookieChange::Keep) if carried == Scripts::Fits => CookieChange::Keep,
            (Some(session), _) => CookieChange::Set {
                value: self.engine().forms().cookie(session),
                expires_at: None,
            },
            (None, CookieChange::Clear) if carried != Scripts::Absent => CookieChange::Clear,
            // A session may be on its way with another answer, and its cookie with it.
            (None, _) => CookieChange::Keep,
        }
    }

    /// Takes out what anybody else wrote under the names of our cookies.
    fn drop_foreign(&self, headers: &mut HeaderMap) {
        let is_ours = |value: &HeaderValue| {
            let name = value.as_bytes().split(|&c| c == b'=').next();
            name.is_some_and(|name| self.0.plan.role_of(name.trim_ascii()).is_some())
        };
        if !headers.get_all(SET_COOKIE).iter().any(is_ours) {
            return;
        }
        let kept: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        headers.remove(SET_COOKIE);
        for value in kept.into_iter().filter(|value| !is_ours(value)) {
            headers.append(SET_COOKIE, value);
        }
    }
}
