//! Hazard: a subsystem that is off in name only, or whose dead credentials come back with it.
