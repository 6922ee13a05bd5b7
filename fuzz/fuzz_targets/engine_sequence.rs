//! Hazard: calls in an order that nobody thought of, after which a token lets in whom it should
//! not, or keeps out whom it should let in (E1, E6).
//!
//! The model and the meaning of the bytes are in `countersign_models::access`.
#![no_main]

use countersign_models::{Choices, Memory, access};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: u64 = 48;

fuzz_target!(|input: &[u8]| {
    access::run(&mut Memory::default(), &mut Choices::new(input), STEPS_MAX);
});
