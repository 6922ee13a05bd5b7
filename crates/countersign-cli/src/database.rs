//! Opening a store in a database, and saying in this command's words why that failed.

use crate::failure::Failure;
use crate::place::{DatabaseOptions, Url};
use countersign::KeyMaterial;
use countersign::store::Store;
use std::sync::Arc;

/// Whether tables may be made where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    Found,
    Made,
}

#[cfg(feature = "postgres")]
pub(crate) fn open(
    url: &Url,
    asked: &DatabaseOptions,
    tables: Tables,
    keys: &KeyMaterial,
) -> Result<Arc<dyn Store>, Failure> {
    use crate::open::ring;
    use countersign_postgres::{PostgresOptions, Tls};
    let failed = |error| failure(url, error);
    let mut options = PostgresOptions::new(url.expose()).map_err(failed)?;
    if let Some(schema) = &asked.schema {
        options = options.schema(schema).map_err(failed)?;
    }
    if let Some(path) = &asked.ca_file {
        let pem = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        let tls = Tls::roots(&pem).map_err(|error| failure(url, error).about(path))?;
        options = options.tls(tls);
    }
    if asked.allow_lossy_failover {
        options = options.allow_lossy_failover();
    }
    if asked.allow_lossy_crash {
        options = options.allow_lossy_crash();
    }
    if asked.allow_plaintext {
        options = options.allow_plaintext();
    }
    let options = options.create(tables == Tables::Made);
    Ok(Arc::new(options.open(ring(keys)).map_err(failed)?))
}

#[cfg(feature = "postgres")]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
fn failure(url: &Url, error: countersign_postgres::PostgresError) -> Failure {
    use crate::failure::Exit;
    use countersign_postgres::PostgresError;
    let hint = match &error {
        PostgresError::NotFound(_) => "; make one with `countersign init`, or `countersign import`",
        _ => "",
    };
    let (exit, code) = match &error {
        PostgresError::Option { .. } => (Exit::Usage, "usage"),
        PostgresError::NotDurable { .. } => (Exit::Failed, "not_durable"),
        PostgresError::WrongKeys(_) => (Exit::Failed, "wrong_key"),
        PostgresError::NewerSchema { .. } => (Exit::Failed, "newer_format"),
        PostgresError::NotFound(_) => (Exit::Failed, "no_store"),
        _ => (Exit::Failed, "unavailable"),
    };
    // What a host sets by a call, this command takes as an option.
    let said = [
        ("`allow_lossy_failover()`", "`--allow-lossy-failover`"),
        ("`allow_lossy_crash()`", "`--allow-lossy-crash`"),
        ("`allow_plaintext()`", "`--allow-plaintext`"),
        ("or call `--", "or say `--"),
    ];
    let told = said
        .into_iter()
        .fold(error.to_string(), |text, (call, option)| {
            text.replace(call, option)
        });
    Failure::new(exit, code, format_args!("{url}: {told}{hint}"))
}

#[cfg(not(feature = "postgres"))]
pub(crate) fn open(
    url: &Url,
    _: &DatabaseOptions,
    _: Tables,
    _: &KeyMaterial,
) -> Result<Arc<dyn Store>, Failure> {
    Err(Failure::usage(format_args!(
        "{url}: this command was built without its feature `postgres`"
    )))
}
