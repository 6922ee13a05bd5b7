//! Users, for administrators. Adding one is what the forged request of S7 goes for.

use crate::app::App;
use crate::person::{Administrator, Confirmed};
use crate::trouble::Trouble;
use axum::extract::State;
use axum::response::{Html, Redirect};
use countersign_axum::{CheckedForm, Sent, SignedIn};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who is to be added.
#[derive(Deserialize)]
pub(super) struct NewUser {
    name: String,
    password: String,
    administrator: Option<String>,
}

/// What `users.html` is told.
#[derive(Debug, Serialize)]
struct UsersPage {
    title: &'static str,
    users: Vec<UserRow>,
}

#[derive(Debug, Serialize)]
struct UserRow {
    name: String,
    administrator: bool,
    added_at: u64,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
) -> Result<Html<String>, Trouble> {
    shown(&app, &person).await
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    Sent(Confirmed(_), CheckedForm(new)): Sent<Confirmed<Administrator>, CheckedForm<NewUser>>,
) -> Result<Redirect, Trouble> {
    let administrator = new.administrator.is_some();
    app.add_user(&new.name, &new.password, administrator)
        .await?;
    Ok(Redirect::to("/admin/users"))
}

async fn shown(app: &App, person: &SignedIn) -> Result<Html<String>, Trouble> {
    let users = app.users.read();
    let rows = users.iter().map(|(name, user)| UserRow {
        name: name.to_owned(),
        administrator: user.administrator,
        added_at: user.added_at,
    });
    let page = UsersPage {
        title: "Users",
        users: rows.collect(),
    };
    app.page(&person.visit, "users.html", page).await
}
