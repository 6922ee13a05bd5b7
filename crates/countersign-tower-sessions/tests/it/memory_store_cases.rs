//! What tower-sessions asks of its own memory store, case by case and under its names, of both
//! versions.

use crate::support::{in_half_an_hour, store};

macro_rules! cases {
    ($version:ident, $project:ident) => {
        mod $version {
            use super::*;
            use $project::SessionStore as _;
            use $project::session::{Id, Record};

            fn blank() -> Record {
                Record {
                    id: Id::default(),
                    data: Default::default(),
                    expiry_date: in_half_an_hour(),
                }
            }

            #[tokio::test]
            async fn test_create() {
                let (store, _home) = store();
                assert!(store.create(&mut blank()).await.is_ok());
            }

            #[tokio::test]
            async fn test_save() {
                let (store, _home) = store();
                assert!(store.save(&blank()).await.is_ok());
            }

            #[tokio::test]
            async fn test_load() {
                let (store, _home) = store();
                let mut record = blank();
                store.create(&mut record).await.unwrap();
                let loaded = store.load(&record.id).await.unwrap();
                assert_eq!(loaded, Some(record));
            }

            #[tokio::test]
            async fn test_delete() {
                let (store, _home) = store();
                let mut record = blank();
                store.create(&mut record).await.unwrap();
                assert!(store.delete(&record.id).await.is_ok());
                assert_eq!(store.load(&record.id).await.unwrap(), None);
            }

            #[tokio::test]
            async fn test_create_id_collision() {
                let (store, _home) = store();
                let (mut first, mut second) = (blank(), blank());
                store.create(&mut first).await.unwrap();
                second.id = first.id;
                store.create(&mut second).await.unwrap();
                assert_ne!(first.id, second.id);
            }
        }
    };
}

cases!(current, tower_sessions);
cases!(under_axum_login, tower_sessions_0_14);
