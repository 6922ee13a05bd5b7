//! Issues: the list, one of them, a new one, and what is said about them.

use super::upload::Upload;
use crate::app::App;
use crate::board::{Board, Comment, Issue, NewIssue};
use crate::draft::Draft;
use crate::steps;
use crate::trouble::Trouble;
use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use countersign_axum::{CheckedForm, CheckedMultipart, Sent, SignedIn};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The session's attribute for which issues are listed.
const FILTER: &str = "filter";
/// How many issues are listed.
const LISTED: usize = 200;

/// Which issues are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    #[default]
    Open,
    Mine,
    Closed,
    All,
}

impl Shown {
    fn takes(self, issue: &Issue, who: &str) -> bool {
        match self {
            Self::Open => issue.open,
            Self::Mine => issue.author == who,
            Self::Closed => !issue.open,
            Self::All => true,
        }
    }
}

/// What is filled in to choose.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    show: Shown,
}

/// What is filled in to comment.
#[derive(Debug, Deserialize)]
pub(super) struct NewComment {
    comment: String,
}

/// What is filled in to close or reopen.
#[derive(Debug, Deserialize)]
pub(super) struct NewState {
    open: bool,
}

/// What `issues.html` is told.
#[derive(Debug, Serialize)]
struct ListPage<'a> {
    title: &'static str,
    shown: Shown,
    issues: Vec<&'a Issue>,
    /// How many there are in all, for the page to ask whether there are more.
    count: usize,
    draft: bool,
}

/// What `new-issue.html` is told.
#[derive(Debug, Default, Serialize)]
struct NewPage {
    title: &'static str,
    draft: Option<Draft>,
}

/// What `issue.html` is told.
#[derive(Debug, Serialize)]
struct IssuePage<'a> {
    title: &'a str,
    issue: &'a Issue,
    images: bool,
    draft: Option<Draft>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    person: SignedIn,
) -> Result<Html<String>, Trouble> {
    let shown = person.session.find::<Shown>(FILTER)?.unwrap_or_default();
    let (board, who) = (app.board.read(), person.principal.to_string());
    let taken = board.iter().filter(|issue| shown.takes(issue, &who));
    let page = ListPage {
        title: "Issues",
        shown,
        issues: taken.take(LISTED).collect(),
        count: board.len(),
        draft: Draft::find(&person.session, "/issues").is_some(),
    };
    app.page(&person.visit, "issues.html", page).await
}

/// The choice is an attribute of the session: it holds until one logs out.
pub(super) async fn filter(
    Sent(mut person, CheckedForm(choice)): Sent<SignedIn, CheckedForm<Choice>>,
) -> Result<Redirect, Trouble> {
    person.session.set(FILTER, &choice.show).await?;
    Ok(Redirect::to("/"))
}

pub(super) async fn new(
    State(app): State<Arc<App>>,
    person: SignedIn,
) -> Result<Html<String>, Trouble> {
    let page = NewPage {
        title: "New issue",
        draft: Draft::find(&person.session, "/issues"),
    };
    app.page(&person.visit, "new-issue.html", page).await
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Sent(mut person, form): Sent<SignedIn, CheckedMultipart>,
) -> Result<Redirect, Trouble> {
    let upload = Upload::receive(&app, form).await?;
    let new = NewIssue {
        summary: upload.text("summary"),
        description: upload.text("description"),
        author: person.principal.to_string(),
        attachments: upload.attachments(),
    };
    // An issue is on the board with its files, though whoever sent it has gone.
    let add = async move {
        let now = app.engine.now();
        let change = move |board: &mut Board| board.add(new, now);
        let number = app.board.change(change).await?;
        upload.keep();
        Ok(number)
    };
    let number = steps::carry_through(add).await?;
    Draft::forget(&mut person.session, "/issues").await?;
    Ok(Redirect::to(&format!("/issues/{number}")))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    person: SignedIn,
    Path(number): Path<u64>,
) -> Result<Html<String>, Trouble> {
    let board = app.board.read();
    let issue = board.find(number).ok_or(Trouble::NotFound)?;
    let page = IssuePage {
        title: &issue.summary,
        issue,
        images: issue.attachments.iter().any(|one| one.kind.is_image()),
        draft: Draft::find(&person.session, &format!("/issues/{number}/comments")),
    };
    app.page(&person.visit, "issue.html", page).await
}

pub(super) async fn comment(
    State(app): State<Arc<App>>,
    Path(number): Path<u64>,
    Sent(mut person, CheckedForm(new)): Sent<SignedIn, CheckedForm<NewComment>>,
) -> Result<Redirect, Trouble> {
    let comment = Comment {
        author: person.principal.to_string(),
        at: app.engine.now().as_millis(),
        text: new.comment,
    };
    let change = move |board: &mut Board| board.comment(number, comment);
    app.board.change(change).await?;
    Draft::forget(&mut person.session, &format!("/issues/{number}/comments")).await?;
    Ok(Redirect::to(&format!("/issues/{number}")))
}

pub(super) async fn set_state(
    State(app): State<Arc<App>>,
    Path(number): Path<u64>,
    Sent(_, CheckedForm(state)): Sent<SignedIn, CheckedForm<NewState>>,
) -> Result<Redirect, Trouble> {
    let change = move |board: &mut Board| board.set_open(number, state.open);
    app.board.change(change).await?;
    Ok(Redirect::to(&format!("/issues/{number}")))
}
