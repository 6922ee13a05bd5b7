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

    /// Those that the certificates in a PEM file of one's own vouch for, and no others.
    ///
    /// # Errors
    /// [`PostgresError::Option`] when there is none in it, or one that is none.
    #[cfg(feature = "tls")]
    pub fn roots(pem: &[u8]) -> Result<Self, PostgresError> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let none = |detail: String| PostgresError::Option {
            field: "roots",
            detail,
        };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| none(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| none(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(none(
                "there is no certificate in it: one begins with `-----BEGIN CERTIFICATE-----`"
                    .to_owned(),
            ));
        }
        let config = begin()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self::given(std::sync::Arc::new(config)))
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
            Roots::Platform => begin()?
                .with_platform_verifier()
                .map_err(|error| refused(&error))?
                .with_no_client_auth(),
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

#[cfg(feature = "tls")]
fn refused(error: &rustls::Error) -> PostgresError {
    PostgresError::Option {
        field: "tls",
        detail: error.to_string(),
    }
}

#[cfg(feature = "tls")]
fn begin()
-> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, PostgresError> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))
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
