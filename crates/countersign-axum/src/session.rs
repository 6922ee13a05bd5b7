//! The session of a request, with its attributes as typed values.

use crate::extract::visit_in;
use crate::turned_away::{EngineFailed, NoSession, TurnedAway};
use crate::visit::Visit;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use countersign::session::{JsonText, NotAnAttributeName};
use countersign::{AttributeChange, AttributeName, Attributes, Live, Value, Who};
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The session of a request, a session of nobody in particular included.
///
/// 401 where there is none; 403 for a request with an access token, which has none.
#[derive(Clone, Debug)]
pub struct CurrentSession {
    visit: Visit,
    live: Live,
    attributes: Attributes,
}

/// Why an attribute was not read or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NotAnAttributeName),
    /// What the session holds is of another type.
    #[error("the attribute {name} is of another type: {detail}")]
    Type {
        /// Which.
        name: String,
        /// What does not fit; never the value.
        detail: String,
    },
    /// The value cannot be written.
    #[error("the value of the attribute {name} has no form to be kept in")]
    Unwritable {
        /// Which.
        name: String,
    },
    /// The engine does not take it.
    #[error(transparent)]
    Engine(#[from] EngineFailed),
}

impl IntoResponse for AttributeError {
    fn into_response(self) -> Response {
        match self {
            Self::Engine(failed) => failed.into_response(),
            // What a session holds was put there by the host: that it does not fit is its fault.
            _ => http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl CurrentSession {
    /// The session as the engine tells of it.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Its attributes: as they were at the start of the request, or after the last change here.
    #[must_use]
    pub const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Reads an attribute; `None` where there is none.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn find<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, AttributeError> {
        let Some(value) = self.attributes.find(name) else {
            return Ok(None);
        };
        let read = match value {
            Value::Json(json) => serde_json::from_str(json.as_str()),
            Value::Text(text) => serde_json::from_value((**text).into()),
            Value::Integer(number) => serde_json::from_value((*number).into()),
            Value::Boolean(yes) => serde_json::from_value((*yes).into()),
            Value::Bytes(bytes) => serde_json::from_value(bytes.to_vec().into()),
        };
        read.map(Some).map_err(|error| AttributeError::Type {
            name: name.to_owned(),
            // The words of the library may quote the value.
            detail: format!("{:?} error", error.classify()).to_lowercase(),
        })
    }

    /// Writes an attribute. Texts, whole numbers and yes-or-no are kept as such, anything else as
    /// JSON.
    ///
    /// Another request that writes another attribute at the same time is not undone.
    ///
    /// # Errors
    /// When the value cannot be written, the session has ended, or its attributes would be over
    /// the policy's bounds.
    pub async fn set<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), AttributeError> {
        let unwritable = || AttributeError::Unwritable {
            name: name.to_owned(),
        };
        let value = serde_json::to_value(value).map_err(|_| unwritable())?;
        let value = match (&value, value.as_i64()) {
            (serde_json::Value::String(text), _) => Value::from(text.as_str()),
            (serde_json::Value::Bool(yes), _) => Value::Boolean(*yes),
            (_, Some(number)) => Value::Integer(number),
            _ => Value::Json(JsonText::new(&value.to_string()).map_err(|_| unwritable())?),
        };
        let name = AttributeName::new(name)?;
        self.update(vec![AttributeChange::Set(name, value)]).await
    }

    /// Takes an attribute away, if it is there.
    ///
    /// # Errors
    /// As for [`CurrentSession::set`].
    pub async fn remove(&mut self, name: &str) -> Result<(), AttributeError> {
        let name = AttributeName::new(name)?;
        self.update(vec![AttributeChange::Remove(name)]).await
    }

    /// Makes all of `changes`, or none of them.
    ///
    /// # Errors
    /// As for [`CurrentSession::set`].
    pub async fn update(&mut self, changes: Vec<AttributeChange>) -> Result<(), AttributeError> {
        let engine = self.visit.engine();
        let updated = engine.off_thread(|engine| engine.sessions().update(&self.live, changes));
        self.attributes = updated.await.map_err(EngineFailed::from)?;
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentSession {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TurnedAway> {
        let visit = visit_in(parts)?;
        match visit.session() {
            Some(live) => Ok(Self {
                attributes: live.attributes().clone(),
                live,
                visit,
            }),
            None if visit.look(|who| matches!(who, Who::Token(_))) => Err(NoSession.into()),
            None => Err(visit.not_authenticated()),
        }
    }
}
