//! The traits of both versions, whose records are the same in all but the crate that they are of.

use crate::fault::Fault;
use crate::store::CountersignStore;
use async_trait::async_trait;

/// The store of the version whose core crate is named.
macro_rules! store_of {
    ($core:ident) => {
        const _: () = {
            use $core::session::{Id, Record};
            use $core::session_store::{Error, ExpiredDeletion, Result, SessionStore};

            fn told(fault: Fault) -> Error {
                let message = fault.to_string();
                match fault {
                    Fault::Encode(_) => Error::Encode(message),
                    Fault::Decode(_) => Error::Decode(message),
                    Fault::Engine(_) | Fault::SameId | Fault::NoPrincipal(_) => {
                        Error::Backend(message)
                    }
                }
            }

            #[async_trait]
            impl SessionStore for CountersignStore {
                /// Opens a session under an id of the engine's, which takes the place of the
                /// record's; its expiry becomes what holds, in whole milliseconds.
                async fn create(&self, record: &mut Record) -> Result<()> {
                    let created = self.shared().create(&record.data, record.expiry_date).await;
                    let (id, expiry) = created.map_err(told)?;
                    (record.id, record.expiry_date) = (Id(id), expiry);
                    Ok(())
                }

                /// Makes the changes that the request made, if the session still lives.
                async fn save(&self, record: &Record) -> Result<()> {
                    let (id, expiry) = (record.id.0, record.expiry_date);
                    self.shared()
                        .save(id, &record.data, expiry)
                        .await
                        .map_err(told)
                }

                /// What the session holds, as a use of it; `None` where there is none, whatever
                /// the reason.
                async fn load(&self, id: &Id) -> Result<Option<Record>> {
                    let loaded = self.shared().load(id.0).await.map_err(told)?;
                    Ok(loaded.map(|(data, expiry_date)| Record {
                        id: *id,
                        data,
                        expiry_date,
                    }))
                }

                /// Ends the session. Whatever the disk does, it is over when this returns.
                async fn delete(&self, id: &Id) -> Result<()> {
                    self.shared().delete(id.0).map_err(told)
                }
            }

            /// The engine does this by itself; whoever has a task for it may keep it.
            #[async_trait]
            impl ExpiredDeletion for CountersignStore {
                async fn delete_expired(&self) -> Result<()> {
                    self.shared().delete_expired().await.map_err(told)
                }
            }
        };
    };
}

#[cfg(feature = "v0_14")]
store_of!(tower_sessions_core_0_14);
#[cfg(feature = "v0_15")]
store_of!(tower_sessions_core_0_15);
