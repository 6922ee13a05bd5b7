//! `init`: a new store and its key file.

use crate::cli::Call;
use crate::database::Tables;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Site;
use crate::out::Sheet;
use crate::place::Place;
use crate::view::Time;
use clap::Args;
use countersign::core::Key;
use countersign::{Builder, Create, Engine, Maintenance, ServerId, SystemEntropy, keyfile};
use serde::Serialize;
use std::path::Path;

/// Make a new store and its key file, both for their owner alone (mode 0600)
///
/// Neither is ever overwritten. Keep a copy of the key file apart from copies of the store: one
/// is worth nothing without the other. A store in a database takes the key file that is named, and
/// makes it where it is not there yet.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A word in front of this deployment's tokens: `acme` makes them begin with `acme_csa_`
    #[arg(long, value_name = "WORD")]
    prefix: Option<String>,

    /// The deployment's name in cookies and image tokens [default: a random one]
    #[arg(long, value_name = "ID")]
    server_id: Option<ServerId>,
}

#[derive(Serialize)]
struct Made {
    store: String,
    key: String,
    server_id: String,
    prefix: Option<String>,
    created_at: Time,
}

impl Sheet for Made {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let tokens = match &self.prefix {
            Some(word) => format!("{word}_csa_..."),
            None => "csa_...".to_owned(),
        };
        vec![
            ("store", self.store.clone()),
            ("key file", self.key.clone()),
            ("server id", self.server_id.clone()),
            ("tokens", tokens),
            ("created", self.created_at.to_string()),
        ]
    }
}

impl Init {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let site = &call.site;
        let key = site.key()?;
        let engine = match &site.place {
            Place::File(path) => self.describe(in_file(site, &key)).open(path)?,
            Place::Database(_) => self.in_database(site, &key)?,
        };
        let deployment = engine.switches().list().wait()?.deployment;
        engine.close().wait()?;
        let made = Made {
            store: site.place.to_string(),
            key: key.display().to_string(),
            server_id: deployment.server_id.to_string(),
            prefix: deployment.word,
            created_at: Time(deployment.created_at),
        };
        call.out.sheet(&made)?;
        Ok(Exit::Done)
    }

    fn describe(self, mut builder: Builder) -> Builder {
        if let Some(word) = self.prefix {
            builder = builder.word(word);
        }
        if let Some(server_id) = self.server_id {
            builder = builder.server_id(server_id);
        }
        builder
    }

    /// A key file that is there serves, so that a call that failed on the way can be made again.
    fn in_database(self, site: &Site, key: &Path) -> Result<Engine, Failure> {
        let keys = match key.symlink_metadata() {
            Ok(_) => keyfile::read(key)?,
            Err(_) => keyfile::create(key, &site.clock, &SystemEntropy)?,
        };
        let records = site.tables(Tables::Made, &keys)?;
        let found = records.store().load(&[Key::SYSTEM]).wait()?;
        if found.iter().any(Option::is_some) {
            records.store().close().wait()?;
            let message = format_args!("there is a store in {} already", site.place);
            return Err(Failure::new(Exit::Refused, "exists", message));
        }
        let opened = site.make_in_database(records, &keys, |builder| self.describe(builder))?;
        Ok(opened.engine)
    }
}

fn in_file(site: &Site, key: &Path) -> Builder {
    Engine::builder()
        .create(Create::Always)
        .maintenance(Maintenance::HostDriven)
        .clock(site.clock)
        .key_file(key)
}
