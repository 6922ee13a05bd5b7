//! A tracker from its start to its end.

use crate::app::App;
use crate::board::Board;
use crate::counts::{self, Counts, Watcher};
use crate::error::TrackerError;
use crate::json_file::JsonFile;
use crate::options::{SharedClock, TrackerOptions};
use crate::outbox::Outbox;
use crate::passwords::Passwords;
use crate::render;
use crate::routes;
use crate::turned_away::TrackerPages;
use crate::users::Users;
use axum::Router;
use axum::extract::ConnectInfo;
use countersign::{Draft, Engine, Entropy, Policy, SystemEntropy};
use countersign_axum::CountersignLayer;
use parking_lot::RwLock;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A tracker that is open and does not listen yet.
#[derive(Debug)]
pub struct Tracker {
    app: Arc<App>,
    options: TrackerOptions,
}

/// A tracker that listens. It stops when [`Running::stop`] is awaited, or with its runtime.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The engine that it stands on.
    pub engine: Engine,
    app: Arc<App>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    sampling: JoinHandle<()>,
}

impl Tracker {
    /// Opens the tracker of a folder, or makes it.
    ///
    /// # Errors
    /// When the folder, the engine or a file in it does not open.
    pub fn open(options: TrackerOptions) -> Result<Self, TrackerError> {
        let dir = &options.dir;
        let (attachments, outbox) = (dir.join("attachments"), dir.join("outbox"));
        for dir in [dir, &attachments, &outbox] {
            make_dir(dir)?;
        }
        let counts = Arc::new(Counts::default());
        let mut builder = Engine::builder()
            .policy(policy(&options)?)
            .observer(Watcher(Arc::clone(&counts)));
        if let Some(clock) = &options.clock {
            builder = builder.clock(SharedClock(Arc::clone(clock)));
        }
        let engine = builder.open(dir.join("state.redb"))?;
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let app = App {
            engine,
            users: JsonFile::<Users>::open(dir.join("users.json"))?,
            board: JsonFile::<Board>::open(dir.join("issues.json"))?,
            passwords: Passwords::new(options.password_cost, Arc::clone(&entropy))?,
            templates: render::templates()?,
            counts,
            attachments,
            outbox: Outbox::new(outbox),
            base_url: RwLock::new(options.base_url.clone().unwrap_or_default()),
            entropy,
        };
        let app = Arc::new(app);
        Ok(Self { app, options })
    }

    /// Opens a tracker and listens.
    ///
    /// # Errors
    /// As [`Tracker::open`] and [`Tracker::serve`].
    pub async fn start(options: TrackerOptions) -> Result<Running, TrackerError> {
        Self::open(options)?.serve().await
    }

    /// The engine that it stands on.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// The application, for a server of one's own.
    ///
    /// # Errors
    /// When `base_url` is no origin.
    pub fn router(&self) -> Result<Router, TrackerError> {
        let app = &self.app;
        let mut layer = CountersignLayer::builder(app.engine.clone())
            .realm("tracker")
            .image_parameter("token")
            .carry(crate::draft::attribute())
            // A page that asks by itself whether there is something new keeps nobody signed in.
            .passive(|parts| parts.uri.path() == "/poll")
            .address(|parts| {
                let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                from.map(|from| from.0.ip())
            })
            .pages(TrackerPages(Arc::clone(app)));
        if let Some(origin) = &self.options.base_url {
            layer = layer.trusted_origin(origin);
        }
        Ok(routes::all(app, &layer.build()?))
    }

    /// Takes a user in.
    ///
    /// # Errors
    /// When the name or the password breaks a rule, or the file cannot be written.
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        administrator: bool,
    ) -> Result<(), TrackerError> {
        self.app.add_user(name, password, administrator).await
    }

    /// The first user and their password, made where there is nobody yet.
    ///
    /// # Errors
    /// As [`Tracker::add_user`].
    pub async fn first_user(&self) -> Result<Option<(String, String)>, TrackerError> {
        if !self.app.users.read().is_empty() {
            return Ok(None);
        }
        let (name, password) = ("admin".to_owned(), self.app.random_name()?);
        self.add_user(&name, &password, true).await?;
        Ok(Some((name, password)))
    }

    /// Listens, and answers until it is stopped.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve(self) -> Result<Running, TrackerError> {
        let listening = |error: std::io::Error| TrackerError::Listen(error.to_string());
        let listener = TcpListener::bind(self.options.listen);
        let listener = listener.await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let router = self.router()?;
        let app = self.app;
        if self.options.base_url.is_none() {
            *app.base_url.write() = format!("http://{address}");
        }
        let (stop, stopped) = oneshot::channel();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move {
            let server = axum::serve(listener, service).with_graceful_shutdown(async {
                let _ = stopped.await;
            });
            if let Err(error) = server.await {
                crate::trouble::log(&format!("the server stopped: {error}"));
            }
        });
        let sampling = tokio::spawn(sample(Arc::clone(&app)));
        Ok(Running {
            address,
            engine: app.engine.clone(),
            app,
            stop: Some(stop),
            serving,
            sampling,
        })
    }
}

impl Running {
    /// Takes a user in.
    ///
    /// # Errors
    /// As [`Tracker::add_user`].
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        administrator: bool,
    ) -> Result<(), TrackerError> {
        self.app.add_user(name, password, administrator).await
    }

    /// Answers what it has begun, writes what is waiting and closes the engine.
    pub async fn stop(mut self) {
        self.sampling.abort();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // Connections that a browser keeps open without asking anything are not waited for.
        let patience = std::time::Duration::from_secs(2);
        if tokio::time::timeout(patience, &mut self.serving)
            .await
            .is_err()
        {
            self.serving.abort();
        }
        if let Err(error) = self.engine.close().await {
            crate::trouble::log(&format!("closing the engine: {error}"));
        }
    }
}

/// The policy: the engine's, but for where its cookies travel.
fn policy(options: &TrackerOptions) -> Result<Policy, TrackerError> {
    let mut draft = Draft::default();
    draft.remember_me.cookie_secure = options.secure_cookies;
    Ok(draft.build()?)
}

/// A folder for nobody else: users' hashes and attachments are in it.
fn make_dir(dir: &Path) -> Result<(), TrackerError> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(dir);
    made.map_err(|error| TrackerError::file(dir, &error))
}

async fn sample(app: Arc<App>) {
    let mut every = tokio::time::interval(counts::EVERY);
    loop {
        every.tick().await;
        app.counts.take(&app.engine);
    }
}

#[cfg(test)]
mod tests;
