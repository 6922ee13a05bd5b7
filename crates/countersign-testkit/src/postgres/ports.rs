//! Ports that are free, below those that the system hands out by itself.

use super::failure::{Failure, Outcome};
use core::sync::atomic::{AtomicU32, Ordering};
use std::net::{Ipv4Addr, TcpListener};
use std::process;

/// The first of them.
const FIRST: u16 = 10_000;
/// How many there are: the last one is below 32768, where ports of outgoing connections begin.
const SPAN: u32 = 20_000;
/// How many lie between those of one process and those of the next one.
const STRIDE: u32 = 10;

/// How many this process has looked at.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on just now.
///
/// Test processes that run side by side have neighbouring numbers, so each begins elsewhere, and
/// the port of a server that is down for a while is unlikely to be taken by another test.
pub(super) fn free() -> Outcome<u16> {
    let begin = process::id().wrapping_mul(STRIDE);
    for _ in 0..SPAN {
        let at = LOOKED_AT.fetch_add(1, Ordering::Relaxed);
        let offset = begin.wrapping_add(at).checked_rem(SPAN).unwrap_or(0);
        let port = u16::try_from(offset).unwrap_or(0).saturating_add(FIRST);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("every port is taken"))
}
