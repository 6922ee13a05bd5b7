//! Writing what becomes of the cookies, in one place and once.

use super::{Scripts, State, Visit};
use crate::cookies::Role;
use countersign::CookieChange;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap, SET_COOKIE};

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
        drop(state);
        self.drop_foreign(headers);
        for cookie in changes.into_iter().flatten() {
            headers.append(SET_COOKIE, cookie);
            // Neither a secret nor a deletion is for whoever shares a cache.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    /// What becomes of the cookie that scripts read: it goes with the session (S5).
    fn scripts_cookie(&self, state: &State) -> CookieChange {
        let carried = self.0.scripts;
        let Some(session) = state.who.session() else {
            return match (&state.session, carried) {
                (CookieChange::Clear, Scripts::Absent) => CookieChange::Keep,
                (CookieChange::Clear, _) => CookieChange::Clear,
                // A session may be on its way with another answer, and its cookie with it.
                _ => CookieChange::Keep,
            };
        };
        match carried == Scripts::Of(session.selector(), session.generation()) {
            true => CookieChange::Keep,
            false => CookieChange::Set {
                value: self.engine().forms().cookie(session),
                expires_at: None,
            },
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
