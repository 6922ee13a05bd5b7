//! Hazard: a scope that covers what it does not name, or two texts for one.
//!
//! The first line is what a request needs, the others are granted.
#![no_main]

use countersign_core::{SCOPE_BYTES_MAX, SCOPES_MAX, Scope, ScopeError, ScopeSet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = core::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.split('\n').map(read);
    let required = lines.next().flatten();
    let granted: Vec<Scope> = lines.flatten().collect();
    let set = match ScopeSet::new(granted.iter().cloned()) {
        Ok(set) => set,
        Err(ScopeError::TooMany { count, .. }) => return assert!(count > SCOPES_MAX),
        Err(other) => panic!("{other}"),
    };
    assert!(set.len() <= granted.len().min(SCOPES_MAX));
    assert!(set.iter().is_sorted_by(|a, b| a < b), "each once, in order");
    let Some(required) = required else {
        return;
    };
    let mut covered = false;
    for scope in &granted {
        assert_eq!(
            scope.covers(&required),
            names(scope, &required),
            "{scope} {required}"
        );
        covered |= scope.covers(&required);
    }
    assert_eq!(set.covers(&required), covered);
});

fn read(text: &str) -> Option<Scope> {
    match Scope::new(text) {
        Ok(scope) => {
            assert_eq!(scope.as_str(), text, "a second text for one scope");
            assert!(text.len() <= SCOPE_BYTES_MAX);
            Some(scope)
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            None
        }
    }
}

/// The rule, word by word: a last `*` stands for one word or more, everything else for itself.
fn names(granted: &Scope, required: &Scope) -> bool {
    let granted: Vec<&str> = granted.as_str().split(':').collect();
    let required: Vec<&str> = required.as_str().split(':').collect();
    match granted.split_last() {
        Some((&"*", above)) => required.len() > above.len() && required.starts_with(above),
        _ => granted == required,
    }
}
