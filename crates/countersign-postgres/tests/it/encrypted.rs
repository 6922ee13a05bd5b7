//! Hazard: records that cross the network in clear, or go to somebody who is not the database.

use crate::support::make;
use countersign_postgres::{PostgresError, PostgresOptions, PostgresStore, Tls};
use countersign_testkit::postgres::{Cluster, Options, Server};
use countersign_testkit::samples;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Vouches for servers.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn roots(&self) -> Tls {
        Tls::roots(self.0.pem().as_bytes()).unwrap()
    }

    /// Gives a server a certificate for a name.
    fn vouch(&self, server: &Server, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        for (file, pem) in [
            ("server.crt", certificate.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            let pem = pem.replace('\r', "");
            // Written by the server, so that it is its own and nobody else can read it.
            server.sql(&format!(
                "copy (select unnest(string_to_array(trim('{pem}'), E'\\n')))
                    to program 'umask 077; cat > {file}'"
            ));
        }
        server.set("ssl", "on");
    }
}

fn open(server: &Server, tls: Tls) -> Result<PostgresStore, PostgresError> {
    let connection = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=countersign dbname=postgres \
         sslmode=require",
        server.port()
    );
    let options = PostgresOptions::new(&connection).unwrap();
    options
        .tls(tls)
        .allow_lossy_crash()
        .open(samples::keyring())
}

#[test]
fn a_server_that_is_vouched_for_is_spoken_to_over_tls_and_another_one_not_at_all() {
    let Some(cluster) = Cluster::start_or_skip(&Options::new().fsync(false)) else {
        return;
    };
    let server = cluster.primary();
    let refused = |tls: Tls| open(server, tls).map(drop).unwrap_err();
    let authority = Authority::new();
    let plain = refused(authority.roots());
    assert!(matches!(plain, PostgresError::Unreachable(_)), "{plain}");

    authority.vouch(server, "localhost");
    let store = open(server, authority.roots()).unwrap();
    make(&store, 1).unwrap();
    let encrypted = "select count(*), bool_and(ssl) from pg_stat_ssl join pg_stat_activity
        using (pid) where application_name = 'countersign'";
    let told = server.sql(encrypted);
    let (count, all) = told.split_once('|').unwrap();
    assert!(count.parse::<u32>().unwrap() >= 2 && all == "t", "{told}");
    drop(store);

    // Nobody here vouches for it, or somebody does for another server.
    for stranger in [Authority::new().roots(), Tls::platform()] {
        let error = refused(stranger).to_string();
        assert!(error.to_lowercase().contains("certificate"), "{error}");
    }
    authority.vouch(server, "db.example.org");
    let error = refused(authority.roots()).to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
}

#[test]
fn roots_that_are_none_are_refused() {
    for (pem, told) in [
        (&b""[..], "no certificate"),
        (b"hello", "no certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "",
        ),
    ] {
        let error = Tls::roots(pem).map(drop).unwrap_err();
        assert!(matches!(
            error,
            PostgresError::Option { field: "roots", .. }
        ));
        assert!(error.to_string().contains(told), "{error}");
    }
}
