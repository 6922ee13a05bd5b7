//! The tracker's own pages for requests that are turned away, the lost form above all (S6).

use crate::app::App;
use crate::draft::Draft;
use crate::trouble::{Trouble, log};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use countersign::CsrfVerdict;
use countersign_axum::{DefaultPages, LostForm, PageFuture, Pages, TurnedAway, Visit};
use serde::Serialize;
use std::sync::Arc;

/// What somebody reads whose browser holds two cookies of one name; the layer takes them away.
const TWICE: &str = "Your browser sent a cookie of ours twice, so nobody can say which of the two \
                     is yours. It has been told to forget both: go on, and log in again if you \
                     are asked to.";

/// The pages.
#[derive(Debug)]
pub(crate) struct TrackerPages(pub(crate) Arc<App>);

impl Pages for TrackerPages {
    fn page<'a>(&'a self, away: &'a TurnedAway, visit: &'a Visit) -> PageFuture<'a> {
        Box::pin(async move {
            // Scripts get what the library says.
            if !visit.wants_html() {
                return DefaultPages.page(away, visit).await;
            }
            match self.made(away, visit).await {
                Ok(page) => Some(page),
                Err(trouble) => {
                    log(&format!("a page for `{away}`: {trouble:?}"));
                    None
                }
            }
        })
    }
}

impl TrackerPages {
    async fn made(&self, away: &TurnedAway, visit: &Visit) -> Result<Response, Trouble> {
        match away {
            TurnedAway::NotAuthenticated(_) => Ok(log_in_and_back(visit)),
            TurnedAway::NotFresh(_) => {
                let back = page_of(visit.uri().path());
                Ok(Redirect::to(&format!("/confirm?next={back}")).into_response())
            }
            TurnedAway::LostForm(lost) => self.lost_form(lost, visit).await,
            TurnedAway::Ambiguous(_) => self.0.notice(visit, away.status(), TWICE).await,
            away => {
                let said = format!("Sorry: {away}.");
                self.0.notice(visit, away.status(), &said).await
            }
        }
    }

    async fn lost_form(&self, lost: &LostForm, visit: &Visit) -> Result<Response, Trouble> {
        let (to, back) = (visit.uri().path(), page_of(visit.uri().path()));
        // Only what is proven to be one's own is offered to be sent as it stands.
        let resend = lost.is_own() && lost.typed.is_whole();
        let now = visit.principal();
        let draft = match resend {
            true => None,
            false => Draft::of(lost, to, now.as_ref()),
        };
        let kept = match &draft {
            Some(draft) => draft.keep(visit).await,
            None => false,
        };
        let signed_in = now.is_some();
        let fields = lost.typed.iter().enumerate();
        let page = LostPage {
            title: "Not sent yet",
            verdict: lost.verdict.word(),
            message: told(lost.verdict),
            fields: fields
                .map(|(at, field)| Field::of(at, field, lost))
                .collect(),
            // A file cannot be given back, so its field is empty.
            files: lost.files.iter().map(|field| &*field.name).collect(),
            secrets: lost.typed.secrets().map(Secret::of).collect(),
            had_files: lost.had_files(),
            multipart: lost.multipart,
            resend,
            kept,
            signed_in,
            to,
            next: match signed_in {
                true => back.clone(),
                false => format!("/log-in?next={back}"),
            },
        };
        let html = self.0.page(visit, "lost-form.html", page).await?;
        Ok((StatusCode::FORBIDDEN, html).into_response())
    }
}

/// What `lost-form.html` is told.
#[derive(Debug, Serialize)]
struct LostPage<'a> {
    title: &'static str,
    verdict: &'static str,
    message: &'static str,
    fields: Vec<Field<'a>>,
    files: Vec<&'a str>,
    secrets: Vec<Secret<'a>>,
    had_files: bool,
    multipart: bool,
    resend: bool,
    kept: bool,
    signed_in: bool,
    to: &'a str,
    next: String,
}

/// A field with what was typed into it.
#[derive(Debug, Serialize)]
struct Field<'a> {
    id: String,
    name: &'a str,
    label: &'a str,
    text: &'a str,
    long: bool,
    /// Something that nobody typed, such as where a form goes on to.
    hidden: bool,
}

/// A field whose text is not kept, and is typed again.
#[derive(Debug, Serialize)]
struct Secret<'a> {
    name: &'a str,
    label: &'static str,
}

impl<'a> Secret<'a> {
    fn of(name: &'a str) -> Self {
        let label = match name {
            "old_password" => "Old password",
            "new_password" => "New password",
            _ => "Password",
        };
        Self { name, label }
    }
}

impl<'a> Field<'a> {
    fn of(at: usize, (name, text): (&'a str, &'a str), lost: &LostForm) -> Self {
        let known = [
            ("summary", "Summary"),
            ("description", "Description"),
            ("comment", "Comment"),
            ("name", "Name"),
            ("token_name", "Name of the token"),
        ];
        let known = known.into_iter().find(|(own, _)| *own == name);
        let first = lost
            .typed
            .find(name)
            .is_some_and(|own| std::ptr::eq(own, text));
        Self {
            id: match known {
                Some((id, _)) if first => id.to_owned(),
                _ => format!("field-{at}"),
            },
            label: known.map_or(name, |(_, label)| label),
            long: matches!(name, "description" | "comment") || text.contains('\n'),
            hidden: known.is_none(),
            name,
            text,
        }
    }
}

/// What happened, for whoever typed the text.
const fn told(verdict: CsrfVerdict) -> &'static str {
    match verdict {
        CsrfVerdict::Expired => {
            "You were away for so long that you were signed out, so this was not sent."
        }
        CsrfVerdict::SignedOut => {
            "You signed out after you had opened this form, perhaps in another tab, so it was not \
             sent."
        }
        CsrfVerdict::Superseded => {
            "You were signed in anew after you had opened this form, perhaps in another tab, so it \
             was not sent yet."
        }
        CsrfVerdict::OtherSession => {
            "This form was opened in another session than the one you are in, so it was not sent."
        }
        CsrfVerdict::ForeignServer => "This form belongs to another server, so it was not sent.",
        CsrfVerdict::Missing => {
            "This form came without the token that shows that it is one of our own pages, so it \
             was not sent."
        }
        CsrfVerdict::Malformed => "The token of this form does not read, so it was not sent.",
        _ => "The token of this form is none that we know, so it was not sent.",
    }
}

fn log_in_and_back(visit: &Visit) -> Response {
    let back = match visit.method().is_safe() {
        true => visit.uri().path().to_owned(),
        false => page_of(visit.uri().path()),
    };
    Redirect::to(&format!("/log-in?next={back}")).into_response()
}

/// The page that a form which is sent to `path` is on.
fn page_of(path: &str) -> String {
    let below = |front: &str| path.strip_prefix(front);
    if path == "/issues" {
        return "/issues/new".to_owned();
    }
    if let Some(rest) = below("/issues/") {
        let number = rest.split('/').next().unwrap_or_default();
        return format!("/issues/{number}");
    }
    for page in [
        "/profile/sessions",
        "/profile/password",
        "/profile/tokens",
        "/admin/users",
    ] {
        if below(page).is_some() {
            return page.to_owned();
        }
    }
    match path {
        path if path.starts_with("/admin") => "/admin".to_owned(),
        "/log-in" | "/confirm" => path.to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_leads_back_to_its_page() {
        for (path, page) in [
            ("/issues", "/issues/new"),
            ("/issues/7/comments", "/issues/7"),
            ("/profile/tokens/revoke", "/profile/tokens"),
            ("/profile/sessions/end", "/profile/sessions"),
            ("/admin/users", "/admin/users"),
            ("/admin/switch", "/admin"),
            ("/log-in", "/log-in"),
            ("/log-out", "/"),
            ("//evil.example", "/"),
        ] {
            assert_eq!(page_of(path), page, "{path}");
        }
    }
}
