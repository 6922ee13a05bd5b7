//! Hazard: calls in an order that nobody thought of, after which a dead secret of a remembered
//! device is accepted, or an owner is taken for a thief.
//!
//! The model and the meaning of the bytes are in `countersign_models::devices`.
#![no_main]

use countersign_models::{Choices, Memory, devices};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: u64 = 64;

fuzz_target!(|input: &[u8]| {
    devices::run(&mut Memory::default(), &mut Choices::new(input), STEPS_MAX);
});
