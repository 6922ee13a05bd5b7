//! Hazard: a principal who is shut out in name only, or let in again by accident.
