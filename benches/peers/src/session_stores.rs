//! The stores of `tower-sessions` in memory, driven without a runtime: neither ever waits.
//!
//! A session holds its principal, as ours does, and its end is moved with every use.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use time::{Duration, OffsetDateTime};

/// How long a session lasts from its last use.
const HALF_AN_HOUR: Duration = Duration::minutes(30);

/// Runs what never waits.
fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a store in memory waited"),
    }
}

/// The same store twice, since the two stand on different versions of its traits.
macro_rules! store {
    ($name:ident, $store:ty, $new:expr, $($core:ident)::+) => {
        /// A store with its sessions.
        pub struct $name($store);

        impl $name {
            /// An empty one.
            pub fn empty() -> Self {
                Self($new)
            }

            /// Adds sessions, each under an id that it tells.
            pub fn fill(&self, many: usize, mut tell: impl FnMut($($core)::+::session::Id)) {
                use $($core)::+::{SessionStore as _, session::{Id, Record}};
                let expiry_date = OffsetDateTime::now_utc() + HALF_AN_HOUR;
                for n in 0..many {
                    let principal = crate::kept::principal(n).into();
                    let mut record = Record {
                        id: Id::default(),
                        data: [("principal".to_owned(), principal)].into(),
                        expiry_date,
                    };
                    now_or_never(self.0.create(&mut record)).unwrap();
                    tell(record.id);
                }
            }

            /// Adds sessions, and answers the texts of their cookies.
            pub fn fill_texts(&self, many: usize) -> Vec<String> {
                let mut texts = Vec::with_capacity(many);
                self.fill(many, |id| texts.push(id.to_string()));
                texts
            }

            /// Loads sessions and saves each with a later end. The clock is read once for all.
            pub fn touch(&self, texts: &[String]) -> usize {
                use $($core)::+::{SessionStore as _, session::Id};
                let end = OffsetDateTime::now_utc() + HALF_AN_HOUR;
                let touched = texts.iter().filter(|text| {
                    let Ok(id) = text.parse::<Id>() else {
                        return false;
                    };
                    let Some(mut record) = now_or_never(self.0.load(&id)).unwrap() else {
                        return false;
                    };
                    record.expiry_date = end;
                    now_or_never(self.0.save(&record)).unwrap();
                    record.data["principal"].as_str().is_some_and(|name| name.len() == 11)
                });
                touched.count()
            }
        }
    };
}

store!(
    Memory,
    tower_sessions::MemoryStore,
    tower_sessions::MemoryStore::default(),
    tower_sessions
);

store!(
    Moka,
    tower_sessions_moka_store::MokaStore,
    tower_sessions_moka_store::MokaStore::new(None),
    tower_sessions_core_0_14
);
