//! What was typed into a form that was not carried out, kept in the session until it is.
//!
//! An attribute of the session holds it: a stranger's session hands it on at log-in, so that
//! whoever was signed out finds their text again in a fresh form, looks it over and sends it.

use countersign::{AttributeChange, AttributeName, Live, Value};
use countersign_axum::{CurrentSession, LostForm, Visit};
use serde::{Deserialize, Serialize};

/// The attribute's name.
pub(crate) const NAME: &str = "draft";

/// A form that was not carried out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Draft {
    /// Where it was sent.
    pub(crate) to: String,
    #[serde(default)]
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) comment: String,
    /// Whether there were files, which must be picked again.
    #[serde(default)]
    pub(crate) file: bool,
}

/// The attributes that a log-in takes along.
pub(crate) fn attribute() -> Vec<AttributeName> {
    AttributeName::new(NAME).into_iter().collect()
}

impl Draft {
    /// Of a form whose text is worth keeping.
    pub(crate) fn of(lost: &LostForm, to: &str) -> Option<Self> {
        let text = |name| lost.typed.find(name).unwrap_or_default().to_owned();
        let draft = Self {
            to: to.to_owned(),
            summary: text("summary"),
            description: text("description"),
            comment: text("comment"),
            file: lost.had_files(),
        };
        let typed = [&draft.summary, &draft.description, &draft.comment];
        let worth = typed.iter().any(|text| !text.trim().is_empty());
        (worth && lost.typed.is_whole()).then_some(draft)
    }

    /// The draft of a session for a form that is sent to `to`.
    pub(crate) fn find(session: &CurrentSession, to: &str) -> Option<Self> {
        let draft = session.find::<Self>(NAME).ok().flatten();
        draft.filter(|draft| draft.to == to)
    }

    /// Keeps it in the request's session; whether there was room.
    pub(crate) async fn keep(&self, visit: &Visit) -> bool {
        match visit.session_or_start().await {
            Ok(session) => self.keep_in(visit, &session).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    async fn keep_in(&self, visit: &Visit, session: &Live) -> Option<bool> {
        let json = serde_json::to_string(self).ok()?;
        let json = countersign::session::JsonText::new(&json).ok()?;
        let set = AttributeChange::Set(AttributeName::new(NAME).ok()?, Value::Json(json));
        let engine = visit.engine();
        let kept = engine.off_thread(|engine| engine.sessions().update(session, vec![set]));
        Some(kept.await.is_ok())
    }
}
