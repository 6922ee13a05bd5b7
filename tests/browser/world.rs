//! A tracker that listens on this machine, with a clock that the test moves and two users.

use crate::chromium::{Browser, Tools};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use countersign::Timestamp;
use countersign_testkit::ManualClock;
use countersign_tracker::{PasswordCost, Running, Tracker, TrackerOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

/// The names of the cookies, as they are without TLS.
pub(crate) const SESSION: &str = "session";
pub(crate) const REMEMBER: &str = "seraph.rememberme.cookie";
pub(crate) const SCRIPTS: &str = "atlassian.xsrf.token";

/// This machine's own address.
pub(crate) const LOOPBACK: &str = "127.0.0.1";
/// A name of it that browsers trust, with room for siblings and for strangers.
pub(crate) const SECURED: &str = "tracker.shop.localhost";

/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// After how long a session that nobody uses is over.
pub(crate) const IDLE: Duration = Duration::from_secs(18_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Two by two pixels.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xfd, 0xd4, 0x9a,
    0x73, 0x00, 0x00, 0x00, 0x13, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xd0, 0xc8, 0xdb, 0x01,
    0x44, 0x0c, 0x29, 0x79, 0x3b, 0x80, 0x08, 0x00, 0x24, 0x72, 0x05, 0xb1, 0xc9, 0x11, 0x86, 0xad,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// A request that came, and how it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) uri: String,
    /// What the browser says of where it came from.
    pub(crate) site: String,
    pub(crate) cookies: String,
    pub(crate) status: u16,
}

/// What came so far, and where pages wait for one another.
#[derive(Debug, Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    /// How many pages still gather there.
    gate: Mutex<Option<(Arc<Barrier>, usize)>>,
}

impl Log {
    /// Where a page waits for the others, if it is one of those that gather.
    fn gate(&self) -> Option<Arc<Barrier>> {
        let mut gate = self.gate.lock().unwrap();
        let (barrier, left) = gate.take()?;
        *gate = left
            .checked_sub(1)
            .filter(|left| *left > 0)
            .map(|left| (Arc::clone(&barrier), left));
        Some(barrier)
    }
}

/// What holds the tracker: itself, or a server of the test's own around it.
#[expect(dead_code, reason = "it is held, so that it goes with the world")]
enum Held {
    Itself(Running),
    Inside(Tracker),
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) port: u16,
    /// The name under which browsers know it.
    pub(crate) home: &'static str,
    pub(crate) dir: TempDir,
    tools: Tools,
    log: Arc<Log>,
    _held: Held,
}

impl World {
    /// Starts one with `ada`, an administrator, and `ben`; `None` where there is no browser.
    pub(crate) async fn start() -> Option<Self> {
        let tools = Tools::find()?;
        let (dir, clock, options) = prepared();
        let running = Tracker::start(options).await.unwrap();
        for (name, administrator) in [("ada", true), ("ben", false)] {
            let added = running.add_user(name, PASSWORD, administrator);
            added.await.unwrap();
        }
        Some(Self {
            clock,
            port: running.address.port(),
            home: LOOPBACK,
            dir,
            tools,
            log: Arc::default(),
            _held: Held::Itself(running),
        })
    }

    /// The same, with every request noted.
    pub(crate) async fn watched() -> Option<Self> {
        Self::inside(LOOPBACK, false).await
    }

    /// The same with the cookies that a tracker has behind TLS. To browsers every name under
    /// `localhost` is as safe, so they take them, and say of each request where it comes from.
    pub(crate) async fn secured() -> Option<Self> {
        Self::inside(SECURED, true).await
    }

    async fn inside(home: &'static str, secure_cookies: bool) -> Option<Self> {
        let tools = Tools::find()?;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (dir, clock, mut options) = prepared();
        if secure_cookies {
            options.secure_cookies = true;
            // Otherwise such a tracker takes forms from `https://` alone.
            options.base_url = Some(format!("http://{home}:{port}"));
        }
        let tracker = Tracker::open(options).unwrap();
        for (name, administrator) in [("ada", true), ("ben", false)] {
            let added = tracker.add_user(name, PASSWORD, administrator);
            added.await.unwrap();
        }
        let log = Arc::<Log>::default();
        let noted = from_fn_with_state(Arc::clone(&log), note);
        let router = tracker.router().unwrap().layer(noted);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Some(Self {
            clock,
            port,
            home,
            dir,
            tools,
            log,
            _held: Held::Inside(tracker),
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_at(self.home, path)
    }

    /// Under another name of this machine.
    pub(crate) fn url_at(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// A browser that nobody has used.
    pub(crate) async fn browser(&self) -> Browser {
        self.browser_in(&self.profile()).await
    }

    /// A browser with a profile that may have been used.
    pub(crate) async fn browser_in(&self, profile: &TempDir) -> Browser {
        Browser::open(&self.tools, profile.path()).await
    }

    /// A profile, which goes with the world.
    pub(crate) fn profile(&self) -> TempDir {
        tempfile::tempdir_in(self.dir.path()).unwrap()
    }

    /// A browser in which somebody is signed in.
    pub(crate) async fn signed_in(&self, name: &str) -> Browser {
        self.logged_in(name, false).await
    }

    /// A browser in which somebody logged in, with the box ticked or not.
    pub(crate) async fn logged_in(&self, name: &str, remember: bool) -> Browser {
        let browser = self.browser().await;
        browser.go(&self.url("/log-in")).await;
        browser.give_password(name, remember).await;
        assert_eq!(browser.text("#who").await, name);
        browser
    }

    /// A file to be picked.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, PNG).unwrap();
        path
    }

    /// The users as they are on disk.
    pub(crate) fn users(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("users.json")).unwrap()
    }

    /// What came so far and holds a text in its address.
    pub(crate) fn seen(&self, text: &str) -> Vec<Seen> {
        let log = self.log.seen.lock().unwrap();
        let found = log.iter().filter(|seen| seen.uri.contains(text));
        found.cloned().collect()
    }

    /// The next pages are answered `together`, once all are asked for: it makes a race of them.
    pub(crate) fn gather(&self, together: usize) {
        self.log.seen.lock().unwrap().clear();
        let barrier = Arc::new(Barrier::new(together));
        *self.log.gate.lock().unwrap() = Some((barrier, together));
    }
}

fn prepared() -> (TempDir, ManualClock, TrackerOptions) {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(present());
    let mut options = TrackerOptions::loopback(dir.path()).with_clock(clock.clone());
    options.listen.set_port(0);
    options.password_cost = PasswordCost::for_tests();
    (dir, clock, options)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the browser's clock is the machine's, so the tracker's begins there"
)]
fn present() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis().try_into().unwrap())
}

async fn note(State(log): State<Arc<Log>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut seen = Seen {
        uri: request.uri().to_string(),
        site: text_of(headers, "sec-fetch-site"),
        cookies: text_of(headers, "cookie"),
        status: 0,
    };
    let is_page = text_of(headers, "accept").contains("text/html");
    if let Some(gate) = is_page.then(|| log.gate()).flatten() {
        gate.wait().await;
    }
    let response = next.run(request).await;
    seen.status = response.status().as_u16();
    log.seen.lock().unwrap().push(seen);
    response
}

fn text_of(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    texts.collect::<Vec<_>>().join("; ")
}
