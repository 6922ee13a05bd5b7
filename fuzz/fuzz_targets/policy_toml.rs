//! Hazard: a policy that means something else once it was written and read again, or a text that
//! hurts its reader or the terminal that its fault is shown on.
#![no_main]

use countersign_core::policy::{POLICY_TEXT_MAX, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = core::str::from_utf8(input) else {
        return;
    };
    match Policy::from_toml(text) {
        Ok(policy) => {
            let written = policy.to_toml();
            assert!(written.len() <= POLICY_TEXT_MAX, "too long to be read");
            assert_eq!(Policy::from_toml(&written).as_ref(), Ok(&policy));
            assert_eq!(policy.to_draft().build().as_ref(), Ok(&policy));
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            assert!(shown.len() < 4096, "{} bytes of fault", shown.len());
        }
    }
});
