//! Flows of several commands, in which one needs a token or a selector that another has told, or
//! in which the store is in somebody else's hands. The cases of `cases.rs` hold everything else.

#[cfg(test)]
#[path = "flows/bench.rs"]
mod bench;
#[cfg(feature = "postgres")]
#[cfg(test)]
#[path = "flows/database.rs"]
mod database;
#[cfg(test)]
#[path = "flows/durable.rs"]
mod durable;
#[cfg(test)]
#[path = "flows/hands.rs"]
mod hands;
#[cfg(test)]
#[path = "flows/life.rs"]
mod life;
#[cfg(test)]
#[path = "flows/place.rs"]
mod place;
#[cfg(test)]
#[path = "flows/remember.rs"]
mod remember;
#[cfg(test)]
#[path = "flows/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "flows/stops.rs"]
mod stops;
#[cfg(test)]
#[path = "flows/verify.rs"]
mod verify;
