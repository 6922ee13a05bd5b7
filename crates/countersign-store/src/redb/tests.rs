//! Hazards of the redb store.
