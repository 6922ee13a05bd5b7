//! Hazard: an access token that is accepted when it must not be, or refused when it must be.
