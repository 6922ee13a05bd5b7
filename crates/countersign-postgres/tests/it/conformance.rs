//! The suite that every store must pass, on a real server.

use crate::support::store;
use countersign_testkit::Specimen;
use std::sync::Arc;

mod postgres {
    use super::{Arc, Specimen, store};

    countersign_testkit::suite!(|| Specimen::new(Arc::new(store())));
}
