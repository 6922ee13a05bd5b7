//! One binary for every hazard: each module is named by what goes wrong in it.

mod access_tokens;
