//! "My devices and sessions": what is open in my name, and how to end it.

use crate::app::App;
use crate::steps;
use crate::trouble::Trouble;
use axum::extract::State;
use axum::response::{Html, Redirect};
use countersign::{Denied, DeviceInfo, DeviceQuery, EndedBy, Error, Owner, Selector, SeriesState};
use countersign_axum::{CheckedForm, Sent, SignedIn};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which session or device.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    selector: String,
}

/// What `sessions.html` is told.
#[derive(Debug, Serialize)]
struct SessionsPage {
    title: &'static str,
    sessions: Vec<SessionRow>,
    devices: Vec<DeviceRow>,
}

#[derive(Debug, Serialize)]
struct SessionRow {
    selector: String,
    current: bool,
    how: &'static str,
    opened_at: u64,
    last_seen_at: u64,
    expires_at: u64,
    device: Option<String>,
}

#[derive(Debug, Serialize)]
struct DeviceRow {
    selector: String,
    current: bool,
    label: String,
    since: u64,
    last_used_at: Option<u64>,
    ends_at: u64,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    person: SignedIn,
) -> Result<Html<String>, Trouble> {
    let principal = person.principal.clone();
    let sessions = app
        .engine
        .off_thread(|engine| engine.sessions().list(principal));
    let sessions = sessions.await?;
    let devices = devices_of(&app, &person).await?;
    let label = |series: Option<Selector>| {
        let device = devices
            .iter()
            .find(|device| Some(device.selector) == series);
        device.map(|device| device.label.to_string())
    };
    let current = person.live().selector();
    let rows = sessions.iter().map(|session| SessionRow {
        selector: session.selector.to_string(),
        current: session.selector == current,
        how: session.authentication.map_or("", |how| how.method.name()),
        opened_at: session.created_at.as_millis(),
        last_seen_at: session.last_seen_at.as_millis(),
        expires_at: session.expires_at.as_millis(),
        device: label(session.series()),
    });
    let own_series = person.live().series();
    let page = SessionsPage {
        title: "My devices and sessions",
        sessions: rows.collect(),
        devices: devices
            .iter()
            .map(|device| DeviceRow {
                selector: device.selector.to_string(),
                current: Some(device.selector) == own_series,
                label: device.label.to_string(),
                since: device.created_at.as_millis(),
                last_used_at: device
                    .usage
                    .as_ref()
                    .map(|used| used.last_used_at.as_millis()),
                ends_at: device.ends_at.as_millis(),
            })
            .collect(),
    };
    app.page(&person.visit, "sessions.html", page).await
}

async fn devices_of(app: &App, person: &SignedIn) -> Result<Vec<DeviceInfo>, Trouble> {
    let mut query = DeviceQuery::of(person.principal.clone());
    query.state = Some(SeriesState::Live);
    let page = app
        .engine
        .off_thread(|engine| engine.remember().list(query));
    Ok(page.await?.devices)
}

pub(super) async fn end(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(which)): Sent<SignedIn, CheckedForm<Which>>,
) -> Result<Redirect, Trouble> {
    let selector = selector(&which)?;
    if selector == person.live().selector() {
        person.visit.log_out().await?;
        return Ok(Redirect::to("/log-in"));
    }
    let described = app
        .engine
        .off_thread(|engine| engine.sessions().describe(selector));
    let described = described.await?;
    // Whose it is, is asked of the engine and not of the form.
    let owner = described.owner.as_ref().and_then(Owner::principal);
    if owner != Some(person.principal) {
        return Err(Trouble::NotFound);
    }
    let series = described.series();
    end_with_device(app, selector, series, EndedBy::Principal).await?;
    Ok(Redirect::to("/profile/sessions"))
}

/// Ends a session, and forgets the device that it came from: it would open the next one.
pub(super) async fn end_with_device(
    app: Arc<App>,
    session: Selector,
    series: Option<Selector>,
    by: EndedBy,
) -> Result<(), Trouble> {
    steps::carry_through(async move {
        let engine = &app.engine;
        if let Some(series) = series {
            let revoke = engine.off_thread(|engine| engine.remember().revoke(series, None));
            revoke.await?;
        }
        let end = engine.off_thread(|engine| engine.sessions().end(session, by));
        match end.await {
            // It went with its device.
            Ok(()) | Err(Error::Session(Denied::Gone(_))) => Ok(()),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

pub(super) async fn end_others(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(())): Sent<SignedIn, CheckedForm<()>>,
) -> Result<Redirect, Trouble> {
    let (principal, keep) = (person.principal.clone(), person.live().selector());
    let (by, series) = (EndedBy::Principal, person.live().series());
    steps::carry_through(async move {
        let engine = &app.engine;
        let ended = engine.off_thread(|engine| engine.sessions().end_others(&principal, keep, by));
        ended.await?;
        // A device that is remembered would open the next one.
        let forget = engine.off_thread(|engine| engine.remember().forget(principal, series, None));
        forget.await?;
        Ok(Redirect::to("/profile/sessions"))
    })
    .await
}

pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(which)): Sent<SignedIn, CheckedForm<Which>>,
) -> Result<Redirect, Trouble> {
    let selector = selector(&which)?;
    let devices = devices_of(&app, &person).await?;
    if !devices.iter().any(|device| device.selector == selector) {
        return Err(Trouble::NotFound);
    }
    let revoke = app
        .engine
        .off_thread(|engine| engine.remember().revoke(selector, None));
    revoke.await?;
    Ok(Redirect::to("/profile/sessions"))
}

pub(super) async fn forget_all(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(())): Sent<SignedIn, CheckedForm<()>>,
) -> Result<Redirect, Trouble> {
    let principal = person.principal;
    let forget = app
        .engine
        .off_thread(|engine| engine.remember().forget(principal, None, None));
    forget.await?;
    Ok(Redirect::to("/profile/sessions"))
}

fn selector(which: &Which) -> Result<Selector, Trouble> {
    which.selector.parse().map_err(|_| Trouble::NotFound)
}
