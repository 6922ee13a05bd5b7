//! The administrator's page: sessions, principals, switches and what is going on.

use super::sessions::end_with_device;
use crate::app::App;
use crate::counts::Sample;
use crate::person::{Administrator, Confirmed};
use crate::plot;
use crate::trouble::Trouble;
use axum::extract::{Query, State};
use axum::response::{Html, Redirect};
use countersign::session::Description;
use countersign::{
    EndedBy, Principal, PrincipalKey, PrincipalState, Reason, Selector, Subsystem, Value,
};
use countersign_axum::{CheckedForm, Sent};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many sessions and principals are shown.
const SHOWN: usize = 200;
/// The longest value of an attribute that is shown, in characters.
const VALUE_SHOWN: usize = 80;
/// The attributes whose values are shown; of others, the type and the size.
const SPOKEN: [&str; 1] = ["filter"];

/// Which part of all sessions and principals is shown.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Part {
    part: Option<usize>,
    /// Principals behind this key, in hexadecimal digits.
    principals: Option<String>,
}

/// A session that is to end.
#[derive(Debug, Deserialize)]
pub(super) struct EndSession {
    selector: String,
}

/// What is to become of a principal.
#[derive(Debug, Deserialize)]
pub(super) struct Act {
    principal: String,
    action: Action,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Enable,
    Disable,
    Revoke,
}

/// What is to become of a switch.
#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    subsystem: String,
    on: bool,
}

/// What `admin.html` is told.
#[derive(Debug, Serialize)]
struct AdminPage {
    title: &'static str,
    sessions: Vec<SessionRow>,
    /// Where there are more sessions, the part to go on with.
    next_part: Option<usize>,
    principals: Vec<PrincipalRow>,
    /// Where there are more principals, behind which key to go on.
    next_principals: Option<String>,
    switches: Vec<SwitchRow>,
    figures: Vec<Figure>,
    plot: plot::Plot,
}

#[derive(Debug, Serialize)]
struct SessionRow {
    selector: String,
    owner: Option<String>,
    how: &'static str,
    created_at: u64,
    last_seen_at: u64,
    max_inactive_s: u64,
    attributes: Vec<AttributeRow>,
    current: bool,
}

#[derive(Debug, Serialize)]
struct AttributeRow {
    name: String,
    kind: &'static str,
    bytes: usize,
    value: Option<String>,
}

#[derive(Debug, Serialize)]
struct PrincipalRow {
    name: String,
    enabled: bool,
    credentials: usize,
    own: bool,
}

#[derive(Debug, Serialize)]
struct SwitchRow {
    name: &'static str,
    on: bool,
    /// Whether it can be turned on this page.
    here: bool,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: String,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    Query(part): Query<Part>,
) -> Result<Html<String>, Trouble> {
    let current = person.live().selector();
    let (sessions, next_part) = sessions(&app, part.part.unwrap_or(0), current).await?;
    let engine = &app.engine;
    let after = part.principals.as_deref().and_then(key_of);
    let listed = engine.off_thread(|engine| engine.principals().list(after, SHOWN));
    let listed = listed.await?;
    let mut principals: Vec<_> = listed
        .principals
        .iter()
        .map(|record| PrincipalRow {
            name: record.principal.to_string(),
            enabled: record.state == PrincipalState::Enabled,
            credentials: record.credentials.len(),
            own: record.principal == person.principal,
        })
        .collect();
    principals.sort_by(|a, b| a.name.cmp(&b.name));
    let system = engine.off_thread(|engine| engine.switches().list()).await?;
    let switches = Subsystem::ALL.map(|subsystem| SwitchRow {
        name: subsystem.name(),
        on: system.is_on(subsystem),
        here: subsystem != Subsystem::Sessions || !system.is_on(subsystem),
    });
    let page = AdminPage {
        title: "Administration",
        sessions,
        next_part,
        principals,
        next_principals: listed.next.map(text_of),
        switches: switches.into(),
        figures: figures(&app),
        plot: plot::Plot::of(&app.counts.samples(engine)),
    };
    app.page(&person.visit, "admin.html", page).await
}

/// The key of a principal's record in a link.
fn text_of(key: PrincipalKey) -> String {
    format!("{:032x}", u128::from_be_bytes(key.to_bytes()))
}

fn key_of(text: &str) -> Option<PrincipalKey> {
    let number = u128::from_str_radix(text, 16).ok()?;
    Some(PrincipalKey::from_bytes(number.to_be_bytes()))
}

/// Sessions from one part of the table on, until there are enough for a page.
async fn sessions(
    app: &App,
    mut part: usize,
    current: Selector,
) -> Result<(Vec<SessionRow>, Option<usize>), Trouble> {
    let mut rows = Vec::new();
    loop {
        let page = app.engine.off_thread(|engine| engine.sessions().page(part));
        let page = page.await?;
        rows.extend(page.sessions.iter().map(|session| row(session, current)));
        part = part.saturating_add(1);
        if part >= page.pages {
            return Ok((rows, None));
        }
        if rows.len() >= SHOWN {
            return Ok((rows, Some(part)));
        }
    }
}

fn row(session: &Description, current: Selector) -> SessionRow {
    let attributes = session.attributes().map(|attribute| AttributeRow {
        name: attribute.name.as_str().to_owned(),
        kind: attribute.kind.name(),
        bytes: attribute.bytes,
        // What somebody typed is not an administrator's to read.
        value: match SPOKEN.contains(&attribute.name.as_str()) {
            true => session.value(attribute.name.as_str()).map(spoken),
            false => None,
        },
    });
    SessionRow {
        selector: session.selector.to_string(),
        owner: session
            .owner
            .as_ref()
            .map(|owner| owner.as_str().to_owned()),
        how: session.authentication.map_or("", |how| how.method.name()),
        created_at: session.created_at.as_millis(),
        last_seen_at: session.last_seen_at.as_millis(),
        max_inactive_s: session.max_inactive_s(),
        attributes: attributes.collect(),
        current: session.selector == current,
    }
}

fn spoken(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Json(json) => json.as_str().to_owned(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
    };
    text.chars().take(VALUE_SHOWN).collect()
}

fn figures(app: &App) -> Vec<Figure> {
    let stats = app.engine.stats();
    let Sample {
        admitted,
        refused,
        evicted,
    } = app.counts.all(&app.engine);
    let figure = |name, value: u64| Figure {
        name,
        value: value.to_string(),
    };
    vec![
        figure("sessions", stats.sessions.all),
        figure("of nobody", stats.sessions.anonymous),
        figure("let in", admitted),
        figure("refused", refused),
        figure("expired or evicted", evicted),
        figure("tokens in memory", stats.cached_tokens as u64),
        figure("denials not on disk yet", stats.waiting_denials as u64),
        Figure {
            name: "store",
            value: format!("{:?}", stats.health).to_lowercase(),
        },
    ]
}

pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    Sent(Confirmed(_), CheckedForm(which)): Sent<Confirmed<Administrator>, CheckedForm<EndSession>>,
) -> Result<Redirect, Trouble> {
    let selector: Selector = which.selector.parse().map_err(|_| Trouble::NotFound)?;
    let described = app
        .engine
        .off_thread(|engine| engine.sessions().describe(selector));
    let series = described.await?.series();
    end_with_device(app, selector, series, EndedBy::Operator).await?;
    Ok(Redirect::to("/admin"))
}

pub(super) async fn act_on_principal(
    State(app): State<Arc<App>>,
    Sent(Confirmed(Administrator(person)), CheckedForm(act)): Sent<
        Confirmed<Administrator>,
        CheckedForm<Act>,
    >,
) -> Result<Redirect, Trouble> {
    let principal = Principal::new(&act.principal).map_err(|_| Trouble::NotFound)?;
    if principal == person.principal && matches!(act.action, Action::Disable) {
        return Err(Trouble::rule("nobody disables themselves"));
    }
    let (engine, reason) = (&app.engine, by(&person.principal));
    match act.action {
        Action::Enable => {
            let enabled = engine.off_thread(|engine| engine.principals().enable(principal, reason));
            enabled.await?;
        }
        Action::Disable => {
            let stopped =
                engine.off_thread(|engine| engine.principals().disable(principal, reason));
            stopped.await?;
        }
        Action::Revoke => {
            let ended = engine.off_thread(|engine| engine.revoke_everything(principal, reason));
            ended.await?;
        }
    }
    Ok(Redirect::to("/admin"))
}

pub(super) async fn switch(
    State(app): State<Arc<App>>,
    Sent(Confirmed(Administrator(person)), CheckedForm(turn)): Sent<
        Confirmed<Administrator>,
        CheckedForm<Turn>,
    >,
) -> Result<Redirect, Trouble> {
    let subsystem: Subsystem = turn.subsystem.parse().map_err(|_| Trouble::NotFound)?;
    let (engine, reason) = (&app.engine, by(&person.principal));
    // Whoever switches sessions off is out too, and could not switch them on again from here.
    if subsystem == Subsystem::Sessions && !turn.on {
        return Err(Trouble::rule(
            "sessions are switched off from the command line alone",
        ));
    }
    match turn.on {
        true => {
            engine
                .off_thread(|engine| engine.switches().on(subsystem, reason))
                .await?;
        }
        false => {
            engine
                .off_thread(|engine| engine.switches().off(subsystem, reason))
                .await?;
        }
    }
    Ok(Redirect::to("/admin"))
}

/// Who did it, for the audit log.
fn by(administrator: &Principal) -> Option<Reason> {
    Reason::new(&format!("by {administrator}, on the administrator's page")).ok()
}
