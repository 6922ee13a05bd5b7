//! What a day is to be like.

use crate::hand::{HOUR, MINUTE, Nanos, SECOND};
use serde::Serialize;
use std::time::Duration;

/// A day's people, nodes, rates and faults.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The same seed makes the same day.
    pub seed: u64,
    /// Nodes that serve.
    pub nodes: usize,
    /// Principals.
    pub users: usize,
    /// Access tokens of each when the day begins.
    pub tokens_each: usize,
    /// How long the day is.
    pub seconds: u64,
    /// At which hour of the clock it begins: most is asked at three in the afternoon.
    pub first_hour: f64,
    /// Verifications of a user in 24 hours, on average.
    pub verifications: f64,
    /// Sign-ins of a user in 24 hours: with a password the first time, then by a remembered device.
    pub sign_ins: f64,
    /// Access tokens of a user that are replaced in 24 hours.
    pub rotations: f64,
    /// Access tokens of a user that are revoked in 24 hours, one at a time.
    pub revocations: f64,
    /// How uneven users are: the exponent of Zipf's law.
    pub unevenness: f64,
    /// The share of requests that come to the node that their user is balanced to.
    pub sticky: f64,
    /// `cache.staleness_ms`.
    pub staleness_ms: u32,
    /// `cache.max_tokens`, of principals as well.
    pub max_tokens: u64,
    /// `access_tokens.last_used_interval`.
    pub last_used_seconds: u64,
    /// Nodes that are cut off with the old primary when it fails.
    pub cut_off: usize,
    /// For how long there is no primary.
    pub outage_seconds: u64,
    /// For how long after that the cut off stay so.
    pub split_seconds: u64,
    /// The share of all tokens that is revoked at once.
    pub mass: f64,
    /// What is wrong with it.
    pub harm: Harm,
}

/// A rule that is broken on purpose, to see that the day tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Harm {
    /// Nothing.
    None,
    /// A lease is renewed where reads are answered, acknowledged or not.
    RenewedByReads,
    /// The cache is told of no change.
    Deaf,
}

impl Plan {
    /// A hundred nodes and a quarter of a million users for a day.
    #[must_use]
    pub const fn day() -> Self {
        Self {
            seed: 1,
            nodes: 100,
            users: 250_000,
            tokens_each: 5,
            seconds: 24 * 3600,
            first_hour: 0.0,
            verifications: 40.0,
            sign_ins: 1.0,
            rotations: 0.05,
            revocations: 0.02,
            unevenness: 0.9,
            sticky: 0.9,
            staleness_ms: 1000,
            max_tokens: 100_000,
            last_used_seconds: 60,
            cut_off: 10,
            outage_seconds: 20,
            split_seconds: 30,
            mass: 0.01,
            harm: Harm::None,
        }
    }

    /// Five nodes for three minutes: everything that a day has, in seconds.
    #[must_use]
    pub const fn smoke() -> Self {
        Self {
            nodes: 5,
            users: 2_000,
            seconds: 180,
            first_hour: 14.0,
            verifications: 2_000.0,
            sign_ins: 40.0,
            rotations: 10.0,
            revocations: 20.0,
            cut_off: 2,
            ..Self::day()
        }
    }

    pub(crate) const fn length(&self) -> Nanos {
        self.seconds * SECOND
    }

    pub(crate) const fn bound(&self) -> Duration {
        Duration::from_millis(self.staleness_ms as u64)
    }

    /// How much is asked at an instant, as a multiple of the day's average: least at three in the
    /// night, most twelve hours later.
    pub(crate) fn demand(&self, at: Nanos) -> f64 {
        let hour = self.first_hour + at as f64 / HOUR as f64;
        let turn = (hour - 15.0) / 24.0 * std::f64::consts::TAU;
        1.0 + (Self::DEMAND_MOST - 1.0) * turn.cos()
    }

    pub(crate) const DEMAND_MOST: f64 = 1.8;

    /// When something happens that happens once, as a share of the day.
    pub(crate) fn at(&self, share: f64) -> Nanos {
        (self.length() as f64 * share) as Nanos
    }

    /// How long a node that was lost is away.
    pub(crate) fn away(&self) -> Nanos {
        MINUTE.min(self.length() / 10)
    }
}
