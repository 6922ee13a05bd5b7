//! Presentation cookies: what a page remembers about how it was looked at (S12).
//!
//! A catalogue declares every name with its purpose, the grammar of its values and its lifetime;
//! what is not declared is neither read nor written. Values are parsed within bounds and written
//! in one way.
//!
//! None of them can carry authentication. No function of this crate makes a verdict of a value, a
//! value is shorter than the shortest token, and a catalogue refuses the names that authentication
//! cookies have. The cookie for scripts is declared here for its lifetime; what it holds shows
//! where a form came from, and never who sent it.

mod catalogue;
mod pairs;
mod value;

pub use catalogue::{
    CATALOGUE_MAX, Catalogue, CatalogueError, Declaration, EFFECTIVE_MAX, Lifetime, SetCookie,
    Unread,
};
pub use pairs::{MalformedPairs, PAIRS_BYTES_MAX, PAIRS_MAX, Pairs};
pub use value::{COOKIE_TEXT_MAX, CookieText, Grammar, NotCookieText, Value};

#[cfg(test)]
mod tests;
