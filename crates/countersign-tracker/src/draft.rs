//! What was typed into a form that was not carried out, kept in the session until it is.
//!
//! An attribute of the session holds it: a stranger's session hands it on at log-in, so that
//! whoever was signed out finds their text again in a fresh form, looks it over and sends it.
//! It says whose it is, for the next who logs in in the same browser may be somebody else.

use countersign::{AttributeChange, AttributeName, Live, Principal, Value};
use countersign_axum::{AttributeError, CurrentSession, LostForm, Visit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The attribute's name.
const NAME: &str = "draft";
/// The fields that are worth keeping if something was typed into them.
const TYPED: [&str; 4] = ["summary", "description", "comment", "token_name"];
/// What is chosen beside them.
const CHOSEN: [&str; 2] = ["scope", "days"];

/// A form that was not carried out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Draft {
    /// Whose text it is.
    owner: String,
    /// Where it was sent.
    pub(crate) to: String,
    /// What was typed or chosen, by the name of its field.
    #[serde(default)]
    typed: BTreeMap<String, String>,
    /// Whether there were files, which must be picked again.
    #[serde(default)]
    pub(crate) file: bool,
}

/// The attributes that a log-in takes along.
pub(crate) fn attribute() -> Vec<AttributeName> {
    AttributeName::new(NAME).into_iter().collect()
}

impl Draft {
    /// Of a form whose text is worth keeping, if it is known whose it is: who the form's token
    /// says, or else who sends it. `now` is who is signed in.
    pub(crate) fn of(lost: &LostForm, to: &str, now: Option<&Principal>) -> Option<Self> {
        let owner = match (&lost.owner, now) {
            // Another's text is not for whoever is here now.
            (Some(then), Some(now)) if then != now => return None,
            (Some(owner), _) | (None, Some(owner)) => owner,
            (None, None) => return None,
        };
        let text = |name| lost.typed.find(name).map(|text| (name, text));
        let worth = |name| text(name).is_some_and(|(_, text)| !text.trim().is_empty());
        if !lost.typed.is_whole() || !TYPED.into_iter().any(worth) {
            return None;
        }
        let fields = TYPED.into_iter().chain(CHOSEN).filter_map(text);
        Some(Self {
            file: lost.had_files(),
            ..Self::of_fields(owner, to, fields)
        })
    }

    /// Of the fields of a form that is sent to `to`.
    pub(crate) fn of_fields<'a>(
        owner: &Principal,
        to: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        Self {
            owner: owner.to_string(),
            to: to.to_owned(),
            typed: fields.into_iter().map(owned).collect(),
            file: false,
        }
    }

    /// The draft of a session for a form that is sent to `to`, if it is its owner's.
    pub(crate) fn find(session: &CurrentSession, to: &str) -> Option<Self> {
        let draft = session.find::<Self>(NAME).ok().flatten();
        let owner = session.live().principal()?;
        draft.filter(|draft| draft.to == to && draft.owner == owner.as_str())
    }

    /// Keeps it in the request's session; whether there was room.
    pub(crate) async fn keep(&self, visit: &Visit) -> bool {
        match visit.session_or_start().await {
            Ok(session) => self.keep_in(visit, &session).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// What was typed has been sent after all.
    pub(crate) async fn forget(
        session: &mut CurrentSession,
        to: &str,
    ) -> Result<(), AttributeError> {
        if Self::find(session, to).is_some() {
            session.remove(NAME).await?;
        }
        Ok(())
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
