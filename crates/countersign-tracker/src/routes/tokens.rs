//! "My access tokens": for scripts that act in my name, as far as a scope goes.

use crate::app::App;
use crate::draft::Draft;
use crate::person::Confirmed;
use crate::trouble::Trouble;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use countersign::{
    Expiry, GrantState, IssuedToken, NewToken, Principal, Rotation, Scope, ScopeSet, Selector,
    TokenInfo, TokenName, TokenQuery,
};
use countersign_axum::{CheckedForm, RecentlyAuthenticated, Sent, SignedIn, TurnedAway};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Where the page is, and where its form is sent.
const PATH: &str = "/profile/tokens";
/// The scopes that the API asks for.
const SCOPES: [&str; 3] = ["issues:read", "issues:write", "issues:*"];

/// What is filled in for a new token.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    token_name: String,
    scope: String,
    /// For how many days; 0 for ever.
    days: u16,
}

impl Wanted {
    fn draft(&self, owner: &Principal) -> Draft {
        let days = self.days.to_string();
        Draft::of_fields(
            owner,
            PATH,
            [
                ("token_name", self.token_name.as_str()),
                ("scope", &self.scope),
                ("days", &days),
            ],
        )
    }
}

/// Which token.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    selector: String,
}

/// What `tokens.html` is told.
#[derive(Debug, Serialize)]
struct TokensPage {
    title: &'static str,
    scopes: [&'static str; 3],
    /// Shown now or never.
    new: Option<String>,
    draft: Option<Draft>,
    tokens: Vec<TokenRow>,
}

#[derive(Debug, Serialize)]
struct TokenRow {
    selector: String,
    name: String,
    scopes: String,
    state: String,
    live: bool,
    created_at: u64,
    ends_at: Option<u64>,
    last_used_at: Option<u64>,
    from: Option<String>,
}

impl TokenRow {
    fn of(token: &TokenInfo) -> Self {
        let scopes: Vec<_> = token.scopes.iter().map(Scope::as_str).collect();
        let used = token.usage.as_ref();
        let latest = used.and_then(|used| used.addresses.first());
        Self {
            selector: token.selector.to_string(),
            name: token.name.to_string(),
            scopes: scopes.join(" "),
            state: token.state.to_string(),
            live: token.state == GrantState::Live,
            created_at: token.created_at.as_millis(),
            ends_at: match token.expiry {
                Expiry::Never if token.state == GrantState::Live => None,
                _ => Some(token.ends_at.as_millis()),
            },
            last_used_at: used.map(|used| used.last_used_at.as_millis()),
            from: latest.map(|sighting| sighting.address.to_string()),
        }
    }
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    person: SignedIn,
) -> Result<Response, Trouble> {
    shown(&app, &person, None).await
}

/// A token outlives the session that it was issued in, and a change of the password: whoever holds
/// a stolen device gets none. What was typed is kept while the password is asked for.
pub(super) async fn issue(
    State(app): State<Arc<App>>,
    confirmed: Result<RecentlyAuthenticated, TurnedAway>,
    Sent(mut person, CheckedForm(wanted)): Sent<SignedIn, CheckedForm<Wanted>>,
) -> Result<Response, Trouble> {
    if let Err(away) = confirmed {
        wanted.draft(&person.principal).keep(&person.visit).await;
        return Err(away.into());
    }
    let scope = SCOPES.into_iter().find(|scope| *scope == wanted.scope);
    let scope = scope.ok_or_else(|| Trouble::rule("there is no such scope"))?;
    let scope = scope.parse();
    let scopes = scope.and_then(|scope| ScopeSet::new([scope]));
    let rule = |error: &dyn std::fmt::Display| Trouble::rule(error.to_string());
    let name = TokenName::new(wanted.token_name.trim());
    let request = NewToken {
        principal: person.principal.clone(),
        name: name.map_err(|error| rule(&error))?,
        scopes: scopes.map_err(|error| rule(&error))?,
        expiry: match wanted.days {
            0 => Expiry::Never,
            days => Expiry::At(app.engine.now().after(days_of(days))),
        },
    };
    let issued = app
        .engine
        .off_thread(|engine| engine.access().issue(request));
    let issued = issued.await?;
    Draft::forget(&mut person.session, PATH).await?;
    shown(&app, &person, Some(issued)).await
}

pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    Sent(Confirmed(person), CheckedForm(which)): Sent<Confirmed<SignedIn>, CheckedForm<Which>>,
) -> Result<Response, Trouble> {
    let selector = own(&app, &person, &which).await?;
    let rotation = Rotation {
        overlap: Duration::ZERO,
        expiry: None,
    };
    let rotated = app
        .engine
        .off_thread(|engine| engine.access().rotate(selector, rotation));
    shown(&app, &person, Some(rotated.await?)).await
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(which)): Sent<SignedIn, CheckedForm<Which>>,
) -> Result<Redirect, Trouble> {
    let selector = own(&app, &person, &which).await?;
    let revoked = app
        .engine
        .off_thread(|engine| engine.access().revoke(selector, None));
    revoked.await?;
    Ok(Redirect::to(PATH))
}

/// A token of whoever asks: that a form names it proves nothing.
async fn own(app: &App, person: &SignedIn, which: &Which) -> Result<Selector, Trouble> {
    let selector: Selector = which.selector.parse().map_err(|_| Trouble::NotFound)?;
    let found = app
        .engine
        .off_thread(|engine| engine.access().show(selector));
    match found.await? {
        Some(token) if token.principal == person.principal => Ok(selector),
        _ => Err(Trouble::NotFound),
    }
}

async fn shown(
    app: &App,
    person: &SignedIn,
    new: Option<IssuedToken>,
) -> Result<Response, Trouble> {
    let query = TokenQuery::of(person.principal.clone());
    let listed = app.engine.off_thread(|engine| engine.access().list(query));
    let listed = listed.await?;
    let page = TokensPage {
        title: "My access tokens",
        scopes: SCOPES,
        new: new.map(|issued| issued.token.expose().to_owned()),
        draft: Draft::find(&person.session, PATH),
        tokens: listed.tokens.iter().rev().map(TokenRow::of).collect(),
    };
    let html = app.page(&person.visit, "tokens.html", page).await?;
    let mut response = html.into_response();
    // A page with a secret on it stays in no cache.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

fn days_of(days: u16) -> Duration {
    Duration::from_secs(u64::from(days).saturating_mul(86_400))
}
