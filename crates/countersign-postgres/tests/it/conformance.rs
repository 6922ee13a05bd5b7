//! The suite that every store must pass, on a real server.

use crate::support::store;
use countersign_testkit::Specimen;
use countersign_testkit::postgres::shared;
use std::sync::Arc;

mod postgres {
    use super::{Arc, Specimen, shared, store};

    countersign_testkit::suite!(
        if || shared().is_some(),
        || Specimen::new(Arc::new(store().unwrap()))
    );
}
