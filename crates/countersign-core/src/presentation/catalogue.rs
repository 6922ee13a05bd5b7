//! The catalogue: every presentation cookie that there is, with what it is for.

use super::value::{CookieText, Grammar, NotCookieText, Value};
use crate::policy::Policy;
use crate::text::{TextError, check};
use core::fmt;
use core::time::Duration;

/// The most declarations of a catalogue.
pub const CATALOGUE_MAX: usize = 64;
/// The longest that browsers keep a cookie, whatever it asks for (RFC 6265bis, section 5.5).
pub const EFFECTIVE_MAX: Duration = days(400);

/// Names of authentication cookies, whatever the policy calls ours.
const AUTHENTICATION: [&str; 3] = ["JSESSIONID", "seraph.rememberme.cookie", "__Host-session"];
const NAME_MAX: usize = 128;
const PURPOSE_MAX: usize = 200;

/// How long a cookie is meant to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the browser is closed.
    BrowserSession,
    /// So long from when it was last set.
    For(Duration),
}

impl Lifetime {
    /// What is asked for; `None` for the browser's session.
    #[must_use]
    pub const fn declared(self) -> Option<Duration> {
        match self {
            Self::BrowserSession => None,
            Self::For(span) => Some(span),
        }
    }

    /// What a browser grants: at most [`EFFECTIVE_MAX`].
    #[must_use]
    pub fn effective(self) -> Option<Duration> {
        self.declared().map(|span| span.min(EFFECTIVE_MAX))
    }
}

/// One presentation cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    name: String,
    purpose: String,
    grammar: Grammar,
    lifetime: Lifetime,
}

/// Why a catalogue, or a declaration for one, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// A name that no cookie can have.
    #[error("a cookie's name has 1 to {NAME_MAX} letters, digits or !#$%&'*+-.^_`|~")]
    Name,
    /// The purpose is no line of text.
    #[error(transparent)]
    Purpose(#[from] TextError),
    /// One of the values that are to be allowed is none.
    #[error(transparent)]
    Value(#[from] NotCookieText),
    /// A name of an authentication cookie, in any case of its letters.
    #[error("`{0}` is the name of an authentication cookie")]
    Authentication(String),
    /// Two cookies of one name.
    #[error("`{0}` is declared twice")]
    Twice(String),
    /// Over the bound.
    #[error("a catalogue has at most {CATALOGUE_MAX} cookies")]
    TooMany,
}

impl Declaration {
    /// Declares a cookie.
    ///
    /// # Errors
    /// When the name cannot be one, or the purpose is empty or longer than 200 bytes.
    pub fn new(
        name: &str,
        purpose: &str,
        grammar: Grammar,
        lifetime: Lifetime,
    ) -> Result<Self, CatalogueError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(CatalogueError::Name);
        }
        check("the cookie's purpose", purpose, PURPOSE_MAX)?;
        Ok(Self {
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            grammar,
            lifetime,
        })
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// What values it may have.
    #[must_use]
    pub const fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// How long it is meant to live.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }
}

/// Every presentation cookie of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue(Vec<Declaration>);

/// Why a cookie was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// Its name is in no catalogue.
    #[error("no presentation cookie of this name is declared")]
    Undeclared,
    /// Its value is not one of its grammar.
    #[error("the value is not one of this cookie's grammar")]
    Malformed,
}

/// A cookie to be set. Its `Debug` tells how long its value is, and not the value, which may be a
/// form token's.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, which needs no quotes.
    pub value: String,
    /// `Max-Age`, in seconds; none ends it with the browser's session.
    pub max_age_s: Option<u64>,
}

impl fmt::Debug for SetCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie")
            .field("name", &self.name)
            .field("value_bytes", &self.value.len())
            .field("max_age_s", &self.max_age_s)
            .finish()
    }
}

impl Catalogue {
    /// The five cookies of the product that this library follows, and those of a host's own.
    ///
    /// # Errors
    /// When two have one name, when one has the name of an authentication cookie, this policy's
    /// among them, or when there are too many.
    pub fn new(policy: &Policy, own: Vec<Declaration>) -> Result<Self, CatalogueError> {
        let mut all = standard(policy)?;
        all.extend(own);
        if all.len() > CATALOGUE_MAX {
            return Err(CatalogueError::TooMany);
        }
        let ours = [
            policy.sessions().cookie_name.as_str(),
            policy.remember_me().cookie_name.as_str(),
        ];
        for (place, cookie) in all.iter().enumerate() {
            let is = |name: &str| cookie.name.eq_ignore_ascii_case(name);
            if AUTHENTICATION.into_iter().chain(ours).any(is) {
                return Err(CatalogueError::Authentication(cookie.name.clone()));
            }
            if all.iter().take(place).any(|other| is(&other.name)) {
                return Err(CatalogueError::Twice(cookie.name.clone()));
            }
        }
        Ok(Self(all))
    }

    /// The declarations.
    pub fn iter(&self) -> impl Iterator<Item = &Declaration> {
        self.0.iter()
    }

    /// The declaration of a name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Declaration> {
        self.0.iter().find(|cookie| cookie.name.as_bytes() == name)
    }

    /// Reads a cookie's value by the grammar of its name.
    ///
    /// # Errors
    /// When the name is not declared, or the value is none of its grammar.
    pub fn read(&self, name: &[u8], value: &[u8]) -> Result<Value, Unread> {
        let cookie = self.find(name).ok_or(Unread::Undeclared)?;
        cookie.grammar.read(value).ok_or(Unread::Malformed)
    }

    /// Writes a cookie.
    ///
    /// # Errors
    /// When the name is not declared, or the value is none of its grammar.
    pub fn write(&self, name: &str, value: &Value) -> Result<SetCookie<'_>, Unread> {
        let cookie = self.find(name.as_bytes()).ok_or(Unread::Undeclared)?;
        if !cookie.grammar.takes(value) {
            return Err(Unread::Malformed);
        }
        Ok(SetCookie {
            name: &cookie.name,
            value: value.text().ok_or(Unread::Malformed)?,
            max_age_s: cookie.lifetime.effective().map(|span| span.as_secs()),
        })
    }
}

/// The cookies of the product whose mechanisms these are.
fn standard(policy: &Policy) -> Result<Vec<Declaration>, CatalogueError> {
    let one_of = |texts: &[&str]| -> Result<Grammar, NotCookieText> {
        let texts = texts.iter().map(|text| CookieText::new(text));
        Ok(Grammar::OneOf(texts.collect::<Result<_, _>>()?))
    };
    let (session, year) = (Lifetime::BrowserSession, Lifetime::For(days(365)));
    let ten_years = Lifetime::For(days(3652));
    Ok(vec![
        Declaration::new(
            &policy.form_tokens().cookie_name,
            "the form token, for scripts of our own pages",
            Grammar::FormToken,
            session,
        )?,
        Declaration::new(
            "jira.issue.navigator.type",
            "which type of search view was last used",
            one_of(&["simple", "advanced"])?,
            ten_years,
        )?,
        Declaration::new(
            "AJS.conglomerate.cookie",
            "which tabs were last used and which elements stand open",
            Grammar::Pairs,
            year,
        )?,
        Declaration::new(
            "UNSUPPORTED_BROWSER_WARNING",
            "the warning about the browser has been read",
            one_of(&["handled"])?,
            session,
        )?,
        Declaration::new(
            "AJS.thisPage",
            "the browser does not support local storage",
            Grammar::Text,
            session,
        )?,
    ])
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}
