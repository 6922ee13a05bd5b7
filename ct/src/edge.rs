//! Taking a credential out of what a request presents.
//!
//! Not out of a `Cookie` header: what is found there is a place, which is computed of all the bytes
//! before it, so everything behind would be reported.

use crate::secrets::{Presents, format, framed, presented, token, watched};
use countersign::core::CredentialKind;
use countersign::core::header;

pub(crate) const CASES: &[(&str, fn())] = &[("edge-bearer", bearer)];

fn bearer() {
    let text = format().text(&token(CredentialKind::Access));
    let text = presented(text.expect("a text").expose(), Presents::Right);
    let value = framed("Bearer ", &text, "");
    watched(|| {
        assert!(header::bearer(&value).is_ok());
    });
}
