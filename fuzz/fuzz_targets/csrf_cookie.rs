//! Hazard: two values for one cookie of scripts, or a value that hurts its reader (S5).
#![no_main]

use countersign_core::ServerId;
use countersign_core::csrf::{CSRF_COOKIE_MAX, CsrfCookie, CsrfVerdict, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let server = ServerId::new("tracker").expect("a server id");
    let told = read(&server, Some(input));
    let Ok(cookie) = CsrfCookie::parse(input) else {
        let foreign = matches!(told, Err(CsrfVerdict::ForeignServer));
        assert!(!foreign, "a server is named by what is no cookie");
        return;
    };
    assert!(input.len() <= CSRF_COOKIE_MAX && cookie.token.is_stable());
    let text = cookie.text().expect("a stable token");
    assert_eq!(
        text.expose().as_bytes(),
        input,
        "a second value for one cookie"
    );
    match told {
        Ok(_) => assert_eq!(cookie.server_id, server),
        Err(verdict) => {
            assert_eq!(verdict, CsrfVerdict::ForeignServer);
            assert_ne!(cookie.server_id, server);
        }
    }
});
