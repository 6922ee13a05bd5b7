//! Whose a session is, read off what an application keeps in it.

use countersign::Principal;
use serde_json::Value;
use std::collections::HashMap;

/// Where axum-login keeps who is logged in, unless it was told another key.
const DATA_KEY: &str = "axum-login.data";
/// The name of their id there.
const ID: &str = "user_id";

/// Whom axum-login has logged in, if it keeps that under its usual key and their id is a number or
/// a text.
///
/// For another key, or for an application of one's own, see
/// [`CountersignStore::with_principal`](crate::CountersignStore::with_principal).
#[must_use]
pub fn axum_login(data: &HashMap<String, Value>) -> Option<Principal> {
    let name = match data.get(DATA_KEY)?.get(ID)? {
        Value::String(name) => Principal::new(name),
        Value::Number(number) => Principal::new(&number.to_string()),
        _ => return None,
    };
    name.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_logged_in_is_read_off_and_nobody_else_is() {
        for (kept, expected) in [
            (json!({"user_id": 42, "auth_hash": [1]}), Some("42")),
            (json!({"user_id": "ann", "auth_hash": [1]}), Some("ann")),
            (json!({"user_id": null, "auth_hash": null}), None),
            (json!({"user_id": ["ann"]}), None),
            (json!({"user_id": ""}), None),
            (json!("ann"), None),
        ] {
            let data = HashMap::from([(DATA_KEY.to_owned(), kept)]);
            let found = axum_login(&data);
            let found = found.as_ref().map(Principal::as_str);
            assert_eq!(found, expected, "{data:?}");
        }
        assert_eq!(axum_login(&HashMap::new()), None);
    }
}
