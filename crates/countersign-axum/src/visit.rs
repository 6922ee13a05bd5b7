//! One request at the edge: who it comes from, and the cookies that its answer will carry.
//!
//! Handlers log in and out here. What becomes of a cookie is noted and written in one place, when
//! the head of the response is made: the last change wins, errors carry it as anything else does,
//! and a body may stream on after it.

mod arrive;
mod change;
mod write;

pub(crate) use arrive::{Arrival, Asking};

use crate::cookies::CookiePlan;
use crate::layer::Shared;
use crate::read::Carrier;
use crate::turned_away::{BadToken, NotAuthenticated, TurnedAway};
use countersign::core::csrf::{CsrfVerdict, FormAction};
use countersign::{
    CookieChange, Engine, Error, FormVerdict, Live, Pending, Principal, SecretText, Who,
};
use http::{HeaderValue, Uri};
use parking_lot::Mutex;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A request at the edge. A clone is another handle to the same one.
///
/// It is in the request's extensions, is an extractor, and is handed to
/// [`Pages`](crate::Pages).
#[derive(Clone)]
pub struct Visit(Arc<Inside>);

struct Inside {
    shared: Arc<Shared>,
    plan: Arc<CookiePlan>,
    method: http::Method,
    uri: Uri,
    wants_html: bool,
    address: Option<IpAddr>,
    ambiguous: Option<Carrier>,
    /// The remember-me token that came, to be forgotten at log-out.
    remember: Option<SecretText>,
    scripts: Scripts,
    /// What takes away the cookies that came twice.
    twins: Vec<HeaderValue>,
    state: Mutex<State>,
}

/// The cookie for scripts that a request came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scripts {
    Absent,
    /// Of another session, or wrong.
    Other,
    /// That of the session that the request came with.
    Fits,
}

struct State {
    who: Who,
    session: CookieChange,
    remember: CookieChange,
    /// The session was opened for this answer alone, and no cookie tells of it.
    apart: bool,
    /// The response's head was made.
    sent: bool,
}

impl Visit {
    /// The engine. A host's own calls on it are made by [`Engine::off_thread`], so that they read
    /// no disk on the runtime's threads.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.shared.engine
    }

    /// Who the request comes from, after what the handler has done so far.
    ///
    /// Never [`Who::Refused`]: a request with a bearer token that is no good is turned away.
    #[must_use]
    pub fn who(&self) -> Who {
        self.0.state.lock().who.clone()
    }

    /// Whose request it is.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        self.0.state.lock().who.principal()
    }

    /// Its session, if it has one, a session of nobody in particular included.
    #[must_use]
    pub fn session(&self) -> Option<Live> {
        self.0.state.lock().who.session().cloned()
    }

    /// A cookie that came twice and was therefore passed over, where the layer was told to.
    #[must_use]
    pub fn ambiguous(&self) -> Option<Carrier> {
        self.0.ambiguous
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &http::Method {
        &self.0.method
    }

    /// What was asked for, as the layer saw it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// Whether the client says that it takes HTML: browsers do, scripts mostly do not.
    #[must_use]
    pub fn wants_html(&self) -> bool {
        self.0.wants_html
    }

    /// From where it came, as the layer was told to find out.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// A form token for a page: another text each time, for the field that the policy names
    /// ([`Visit::form_field`]). Opens a session where there is none.
    ///
    /// One for an action is judged by [`Visit::check_form`] alone; the extractors take none.
    ///
    /// # Errors
    /// As for [`Visit::log_in`].
    pub async fn form_token(
        &self,
        action: Option<FormAction<'_>>,
    ) -> Result<SecretText, TurnedAway> {
        let session = self.session_or_start().await?;
        let token = self.engine().forms().masked(&session, action);
        Ok(token?)
    }

    /// The name of the form field that the token is in.
    #[must_use]
    pub fn form_field(&self) -> &str {
        &self.0.plan.policy().form_tokens().field_name
    }

    /// Judges the token of a form that this request brought, for hosts that read it themselves.
    ///
    /// # Errors
    /// What is wrong with it. A request with an access token needs none.
    pub fn check_form(
        &self,
        presented: Option<&[u8]>,
        action: Option<FormAction<'_>>,
    ) -> Result<(), CsrfVerdict> {
        self.judge_form(presented, action)
            .map_err(|lost| lost.verdict)
    }

    /// The same, with whose form it is where it is lost.
    pub(crate) fn judge_form(
        &self,
        presented: Option<&[u8]>,
        action: Option<FormAction<'_>>,
    ) -> Result<(), FormVerdict> {
        let state = self.0.state.lock();
        if matches!(state.who, Who::Token(_)) {
            return Ok(());
        }
        let forms = self.engine().forms();
        let judged = forms.judge(state.who.session(), presented, action);
        match judged.verdict {
            CsrfVerdict::Accepted => Ok(()),
            _ => Err(judged),
        }
    }

    /// Judges once more whoever the request was let in for, by what is in force now: for a handler
    /// that has read a long body, or done something else that takes as long as the client likes.
    ///
    /// [`CheckedForm`](crate::CheckedForm), [`Sent`](crate::Sent) and the end of a
    /// `CheckedMultipart` ask it by themselves.
    ///
    /// # Errors
    /// [`NotAuthenticated`] where the session is over by now or has another token, or
    /// [`BadToken`] for an access token; [`EngineFailed`](crate::EngineFailed).
    pub async fn revalidate(&self) -> Result<(), TurnedAway> {
        let was_somebody = self.principal().is_some();
        self.look_again().await?;
        match was_somebody && self.principal().is_none() {
            true => Err(self.not_authenticated()),
            false => Ok(()),
        }
    }

    /// The same; whose session is over is nobody from here on, and what was sent may be kept.
    pub(crate) async fn look_again(&self) -> Result<(), TurnedAway> {
        let (session, again) = self.look(|who| {
            let again = |engine: &Engine| engine.revalidate(who, self.address());
            (
                who.session().map(Live::selector),
                self.engine().off_thread(again),
            )
        });
        let Some(again) = again.await? else {
            return Ok(());
        };
        let mut state = self.0.state.lock();
        // Unless the handler has logged in or out meanwhile.
        if state.who.session().map(Live::selector) != session {
            return Ok(());
        }
        match again {
            Who::Refused(rejection) => {
                state.who = Who::default();
                let realm = self.0.shared.realm.clone();
                Err(BadToken { rejection, realm }.into())
            }
            again => {
                state.who = again;
                Ok(())
            }
        }
    }

    /// Whether it came with an access token, and so needs no form token.
    pub(crate) fn has_token(&self) -> bool {
        self.look(|who| matches!(who, Who::Token(_)))
    }

    /// Looks at who the request comes from, without a copy.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Who) -> T) -> T {
        look(&self.0.state.lock().who)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// What a stranger is answered with: for extractors of the host's own, where somebody is let in
    /// by the engine and not by the host, such as a user that it has deleted.
    #[must_use]
    pub fn not_authenticated(&self) -> TurnedAway {
        let realm = self.0.shared.realm.clone();
        NotAuthenticated { realm }.into()
    }

    /// Makes a call on the engine that holds up none of the runtime's threads.
    pub(crate) async fn off_thread<T>(
        &self,
        call: impl FnOnce(&Engine) -> Pending<Result<T, Error>>,
    ) -> Result<T, TurnedAway> {
        Ok(self.engine().off_thread(call).await?)
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("method", &self.0.method)
            .field("who", &self.0.state.lock().who)
            .finish_non_exhaustive()
    }
}
