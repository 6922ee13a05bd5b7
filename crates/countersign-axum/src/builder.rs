//! Everything about the layer that has a default.

use crate::cookies::{CookieNameError, CookieNames, CookiePlan};
use crate::layer::{CountersignLayer, Shared};
use crate::origin::{Origin, Wall};
use crate::pages::{DefaultPages, Pages};
use crate::turned_away::Realm;
use countersign::{AttributeName, Engine};
use http::request::Parts;
use parking_lot::RwLock;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Passive = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
pub(crate) type Address = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

/// Why a layer is not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The policy's cookies cannot be written.
    #[error(transparent)]
    Cookies(#[from] CookieNameError),
    /// What is to be trusted is no origin.
    #[error("`{0}` is no origin: `https://host`, or with a port, and nothing behind it")]
    Origin(String),
    /// The realm cannot stand in a header.
    #[error("`{0}` is no realm: 1 to 128 printable ASCII characters, none of them `\"` or `\\`")]
    Realm(String),
    /// The parameter cannot stand in a query.
    #[error("`{0}` is no parameter: 1 to 64 letters, digits, `-`, `_` and `.`")]
    ImageParameter(String),
    /// A bound is out of its own bounds.
    #[error("{field} is {value}; it must lie between {min} and {max}")]
    Bound {
        /// Which.
        field: &'static str,
        /// What it was to be.
        value: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
}

/// Builds a layer. Made by [`CountersignLayer::builder`].
///
/// Names, path, domain, `Secure` and ages of the cookies are those of the engine's policy, also
/// when that changes; they are not said again here.
#[must_use = "it builds nothing by itself"]
pub struct LayerBuilder {
    engine: Engine,
    names: CookieNames,
    trusted: Vec<String>,
    same_site: bool,
    realm: String,
    carry: Vec<AttributeName>,
    passive: Option<Passive>,
    address: Option<Address>,
    pages: Arc<dyn Pages>,
    pass_over_ambiguous: bool,
    max_cookie_bytes: usize,
    #[cfg(feature = "multipart")]
    max_drained_bytes: usize,
    image_parameter: String,
    image_max_age: Duration,
}

impl LayerBuilder {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            names: CookieNames::default(),
            trusted: Vec::new(),
            same_site: false,
            realm: "countersign".to_owned(),
            carry: Vec::new(),
            passive: None,
            address: None,
            pages: Arc::new(DefaultPages),
            pass_over_ambiguous: false,
            max_cookie_bytes: 16 * 1024,
            #[cfg(feature = "multipart")]
            max_drained_bytes: 32 * 1024 * 1024,
            image_parameter: "jwt".to_owned(),
            image_max_age: Duration::from_secs(3600),
        }
    }

    /// How the cookies are named; by default with `__Host-` in front wherever that may
    /// stand, and else with `__Secure-` where there is TLS.
    pub const fn cookie_names(mut self, names: CookieNames) -> Self {
        self.names = names;
        self
    }

    /// Takes requests that change something from this origin too, such as `https://example.org`.
    ///
    /// Behind a proxy that changes the `Host` header, name the origin that browsers see.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted.push(origin.into());
        self
    }

    /// Takes requests that change something from every host of our site: whoever can put a page on
    /// one of them can send any request whose handler asks for no form token.
    pub const fn trust_same_site(mut self) -> Self {
        self.same_site = true;
        self
    }

    /// What the protected area is called in challenges; `countersign` by default.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Which attributes a session of nobody in particular hands on to the one that a remembered
    /// device opens; none by default.
    pub fn carry(mut self, names: impl IntoIterator<Item = AttributeName>) -> Self {
        self.carry = names.into_iter().collect();
        self
    }

    /// Which requests keep no session alive, such as those that a page makes by itself now and
    /// then (E12); none by default.
    pub fn passive(mut self, passive: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.passive = Some(Arc::new(passive));
        self
    }

    /// From where a request comes, for last uses and the log. By default that is not noted: only
    /// the host knows which proxies to believe.
    ///
    /// With axum's `ConnectInfo` and no proxy in front:
    /// `|parts| parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip())`.
    pub fn address(
        mut self,
        address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.address = Some(Arc::new(address));
        self
    }

    /// The pages that are shown to whoever is turned away.
    pub fn pages(mut self, pages: impl Pages) -> Self {
        self.pages = Arc::new(pages);
        self
    }

    /// Passes over a cookie that came twice, as if it had not come, instead of answering 400.
    /// [`Visit::ambiguous`](crate::Visit::ambiguous) tells of it.
    pub const fn pass_over_ambiguous_cookies(mut self) -> Self {
        self.pass_over_ambiguous = true;
        self
    }

    /// The most bytes of a request's cookies together, 256 to 262 144; 16 384 by default. Longer
    /// ones are answered 431.
    pub const fn max_cookie_bytes(mut self, bytes: usize) -> Self {
        self.max_cookie_bytes = bytes;
        self
    }

    /// How much of an upload is read and thrown away after its token was refused, 0 to 1 GiB; 32
    /// MiB by default. A browser that is still sending shows no page that is answered before.
    #[cfg(feature = "multipart")]
    pub const fn max_drained_bytes(mut self, bytes: usize) -> Self {
        self.max_drained_bytes = bytes;
        self
    }

    /// The parameter of the query that image tokens are in; `jwt` by default.
    pub fn image_parameter(mut self, name: impl Into<String>) -> Self {
        self.image_parameter = name.into();
        self
    }

    /// How long a browser may keep an image that a token opened; an hour by default, and never
    /// longer than the token works. Whoever has it in their cache sees it that long after a
    /// revocation.
    pub const fn image_max_age(mut self, age: Duration) -> Self {
        self.image_max_age = age;
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    /// When something that was given does not fit.
    pub fn build(self) -> Result<CountersignLayer, ConfigError> {
        let plan = CookiePlan::new(self.engine.policy(), self.names)?;
        let trusted = self.trusted.into_iter().map(|text| {
            let origin = Origin::parse(&text);
            origin.ok_or(ConfigError::Origin(text))
        });
        let wall = Wall {
            trusted: trusted.collect::<Result<_, _>>()?,
            same_site: self.same_site,
        };
        let realm = Realm::new(&self.realm).ok_or(ConfigError::Realm(self.realm))?;
        let name = &self.image_parameter;
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(ConfigError::ImageParameter(self.image_parameter));
        }
        bounded("max_cookie_bytes", self.max_cookie_bytes, 256, 256 * 1024)?;
        #[cfg(feature = "multipart")]
        bounded(
            "max_drained_bytes",
            self.max_drained_bytes,
            0,
            1024 * 1024 * 1024,
        )?;
        Ok(CountersignLayer::from_parts(Shared {
            engine: self.engine,
            names: self.names,
            plan: RwLock::new(Arc::new(plan)),
            wall,
            realm,
            carry: self.carry,
            passive: self.passive,
            address: self.address,
            pages: self.pages,
            pass_over_ambiguous: self.pass_over_ambiguous,
            max_cookie_bytes: self.max_cookie_bytes,
            #[cfg(feature = "multipart")]
            max_drained_bytes: self.max_drained_bytes,
            image_parameter: self.image_parameter,
            image_max_age: self.image_max_age,
        }))
    }
}

fn bounded(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(ConfigError::Bound {
            field,
            value,
            min,
            max,
        }),
    }
}

impl fmt::Debug for LayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerBuilder")
            .field("names", &self.names)
            .field("trusted", &self.trusted)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
