//! The API: JSON, for access tokens alone.
//!
//! A session is turned away, so that no page of another site can ask anything of it in its
//! user's name, and none of these needs a form token.

use crate::app::App;
use crate::board::{Board, Issue, NewIssue};
use crate::error::TrackerError;
use crate::trouble::Trouble;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use countersign::core::ScopeError;
use countersign::{Pass, Scope};
use countersign_axum::{CurrentPrincipal, Sent, TurnedAway};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// How many issues one answer holds.
const LISTED: usize = 200;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/me", get(me))
        .route("/issues", get(list).post(create))
        .route("/issues/{number}", get(show))
}

/// Whoever came with an access token.
struct Bearer {
    who: CurrentPrincipal,
    pass: Pass,
}

impl Bearer {
    fn may(&self, scope: &str) -> Result<(), Refused> {
        let scope = Scope::new(scope)?;
        Ok(self.who.require(&scope)?)
    }
}

impl FromRequestParts<Arc<App>> for Bearer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let who = <CurrentPrincipal as FromRequestParts<Arc<App>>>::from_request_parts(parts, app);
        let who = who.await?;
        let pass = who.pass().cloned().ok_or(Refused::Session)?;
        Ok(Self { who, pass })
    }
}

/// Why the API does not answer.
enum Refused {
    Away(TurnedAway),
    Session,
    NotFound,
    Rule(String),
    Broken(String),
}

impl From<TurnedAway> for Refused {
    fn from(away: TurnedAway) -> Self {
        Self::Away(away)
    }
}

impl From<TrackerError> for Refused {
    fn from(error: TrackerError) -> Self {
        match error {
            TrackerError::Rule(said) => Self::Rule(said),
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<ScopeError> for Refused {
    fn from(error: ScopeError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Away(away) => return away.into_response(),
            Self::Broken(what) => return Trouble::Broken(what).into_response(),
            Self::Session => {
                let said = "this is for access tokens".to_owned();
                (StatusCode::FORBIDDEN, "no_token", said)
            }
            Self::NotFound => {
                let said = "there is no such issue".to_owned();
                (StatusCode::NOT_FOUND, "not_found", said)
            }
            Self::Rule(said) => (StatusCode::UNPROCESSABLE_ENTITY, "refused", said),
        };
        let body = json!({ "error": { "code": code, "message": message } });
        (status, Json(body)).into_response()
    }
}

/// An issue as the API tells of it.
#[derive(Serialize)]
struct Told<'a> {
    number: u64,
    summary: &'a str,
    description: &'a str,
    author: &'a str,
    open: bool,
    comments: usize,
    attachments: usize,
}

impl<'a> Told<'a> {
    fn of(issue: &'a Issue) -> Self {
        Self {
            number: issue.number,
            summary: &issue.summary,
            description: &issue.description,
            author: &issue.author,
            open: issue.open,
            comments: issue.comments.len(),
            attachments: issue.attachments.len(),
        }
    }
}

/// What makes an issue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    summary: String,
    #[serde(default)]
    description: String,
}

async fn me(bearer: Bearer) -> Response {
    let scopes = bearer.pass.scopes().iter().map(Scope::as_str);
    let scopes: Vec<_> = scopes.collect();
    let name = bearer.who.principal().to_string();
    Json(json!({ "name": name, "scopes": scopes })).into_response()
}

async fn list(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refused> {
    bearer.may("issues:read")?;
    let board = app.board.read();
    let issues: Vec<_> = board.iter().take(LISTED).map(Told::of).collect();
    Ok(Json(json!({ "issues": issues })).into_response())
}

async fn show(
    State(app): State<Arc<App>>,
    bearer: Bearer,
    Path(number): Path<u64>,
) -> Result<Response, Refused> {
    bearer.may("issues:read")?;
    let board = app.board.read();
    let issue = board.find(number).ok_or(Refused::NotFound)?;
    Ok(Json(Told::of(issue)).into_response())
}

async fn create(
    State(app): State<Arc<App>>,
    Sent(bearer, new): Sent<Bearer, Result<Json<New>, JsonRejection>>,
) -> Result<Response, Refused> {
    bearer.may("issues:write")?;
    let Json(new) = new.map_err(|error| Refused::Rule(error.body_text()))?;
    let (now, author) = (app.engine.now(), bearer.who.principal().to_string());
    let new = NewIssue {
        summary: new.summary,
        description: new.description,
        author,
        attachments: Vec::new(),
    };
    let added = app
        .board
        .change(move |board: &mut Board| board.add(new, now));
    let number = added.await?;
    Ok((StatusCode::CREATED, Json(json!({ "number": number }))).into_response())
}
