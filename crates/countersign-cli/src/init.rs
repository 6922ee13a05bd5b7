//! `init`: a new store and its key file.

use crate::cli::Call;
use crate::failure::{Exit, Outcome};
use crate::out::Sheet;
use crate::view::Time;
use clap::Args;
use countersign::{Create, Engine, Maintenance, ServerId};
use serde::Serialize;

/// Make a new store and its key file, both for their owner alone (mode 0600)
///
/// Neither is ever overwritten. Keep a copy of the key file apart from copies of the store: one
/// is worth nothing without the other.
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
        let mut builder = Engine::builder()
            .create(Create::Always)
            .maintenance(Maintenance::HostDriven)
            .clock(call.site.clock)
            .key_file(&call.site.key);
        if let Some(word) = self.prefix {
            builder = builder.word(word);
        }
        if let Some(server_id) = self.server_id {
            builder = builder.server_id(server_id);
        }
        let engine = builder.open(&call.site.store)?;
        let deployment = engine.switches().list().wait()?.deployment;
        engine.close().wait()?;
        call.out.sheet(&Made {
            store: call.site.store.display().to_string(),
            key: call.site.key.display().to_string(),
            server_id: deployment.server_id.to_string(),
            prefix: deployment.word,
            created_at: Time(deployment.created_at),
        })?;
        Ok(Exit::Done)
    }
}
