//! Whose a session is, read off what an application keeps in it.

use countersign::Principal;
use countersign::core::TextError;
use serde_json::Value;
use std::collections::HashMap;

/// Where axum-login keeps who is logged in, unless it was told another key.
const DATA_KEY: &str = "axum-login.data";
/// The name of their id there.
const ID: &str = "user_id";

/// Somebody is logged in whom the engine has no name for.
///
/// Their session is not opened. As a session of nobody in particular it would be in no list of
/// theirs, and would go on when they are revoked or disabled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPrincipal {
    /// The id is no name of a principal.
    #[error("the id of whoever is logged in names no principal: {0}")]
    Text(#[from] TextError),
    /// The id is of another kind.
    #[error(
        "the id of whoever is logged in is neither a number nor a text: \
         say by `with_principal` what they are called"
    )]
    Kind,
}

/// Whom axum-login has logged in, if it keeps that under its usual key and their id is a number or
/// a text.
///
/// For another key, or for an application of one's own, see
/// [`CountersignStore::with_principal`](crate::CountersignStore::with_principal).
///
/// # Errors
/// When somebody is logged in whose id names no principal.
pub fn axum_login(data: &HashMap<String, Value>) -> Result<Option<Principal>, NoPrincipal> {
    let id = data.get(DATA_KEY).and_then(|kept| kept.get(ID));
    match id {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(Principal::new(name)?)),
        Some(Value::Number(number)) => Ok(Some(Principal::new(&number.to_string())?)),
        Some(_) => Err(NoPrincipal::Kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_logged_in_is_read_off_and_nobody_else_is() {
        for (kept, expected) in [
            (json!({"user_id": 42, "auth_hash": [1]}), Ok(Some("42"))),
            (json!({"user_id": "ann", "auth_hash": [1]}), Ok(Some("ann"))),
            (json!({"user_id": null, "auth_hash": null}), Ok(None)),
            (json!({"auth_hash": [1]}), Ok(None)),
            (json!("ann"), Ok(None)),
            (
                json!({"user_id": ["ann"]}),
                Err("neither a number nor a text"),
            ),
            (json!({"user_id": ""}), Err("is empty")),
            (json!({"user_id": "a".repeat(256)}), Err("256 bytes")),
            (json!({"user_id": "ann\u{200e}"}), Err("control character")),
        ] {
            let data = HashMap::from([(DATA_KEY.to_owned(), kept)]);
            let found = axum_login(&data);
            match expected {
                Ok(expected) => {
                    let found = found.unwrap();
                    assert_eq!(found.as_ref().map(Principal::as_str), expected, "{data:?}");
                }
                Err(part) => {
                    let said = found.unwrap_err().to_string();
                    assert!(said.contains(part), "{said}");
                }
            }
        }
        assert_eq!(axum_login(&HashMap::new()), Ok(None));
    }
}
