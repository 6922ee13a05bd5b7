//! Connections over TLS: which certificates are believed.

use crate::error::PostgresError;
use core::fmt;

/// Which certificates of a server are believed.
#[derive(Clone, Default)]
pub struct Tls(Roots);

#[derive(Clone, Default)]
enum Roots {
    /// Those that the machine believes.
    #[default]
    Platform,
    /// What the host has set up.
    #[cfg(feature = "tls")]
    Given(std::sync::Arc<rustls::ClientConfig>),
}

impl Tls {
    /// Those that the machine believes.
    #[must_use]
    pub fn platform() -> Self {
        Self::default()
    }

    /// What the host has set up: other roots, a certificate of its own.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn given(config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        Self(Roots::Given(config))
    }

    /// What connections are made with.
    #[cfg(feature = "tls")]
    pub(crate) fn connector(
        &self,
    ) -> Result<tokio_postgres_rustls::MakeRustlsConnect, PostgresError> {
        use rustls_platform_verifier::BuilderVerifierExt as _;
        let config = match &self.0 {
            Roots::Given(config) => rustls::ClientConfig::clone(config),
            Roots::Platform => {
                let refused = |error: rustls::Error| PostgresError::Option {
                    field: "tls",
                    detail: error.to_string(),
                };
                let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                rustls::ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(refused)?
                    .with_platform_verifier()
                    .map_err(refused)?
                    .with_no_client_auth()
            }
        };
        Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
    }

    /// What connections are made with: nothing, without the feature `tls`.
    #[cfg(not(feature = "tls"))]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same call as with the feature, where it can fail"
    )]
    pub(crate) const fn connector(&self) -> Result<tokio_postgres::NoTls, PostgresError> {
        let Roots::Platform = self.0;
        Ok(tokio_postgres::NoTls)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Roots::Platform => "Tls(platform)",
            #[cfg(feature = "tls")]
            Roots::Given(_) => "Tls(given)",
        })
    }
}
