//! A real browser and the driver that it is driven by; both end with the test, whatever it does.

use crate::wait::{until, within};
use rustix::process::{Pid, Signal, kill_process_group};
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use thirtyfour::{
    ChromeCapabilities, ChromiumLikeCapabilities as _, LoggingPrefsLogLevel, WebDriver,
};
use tokio::sync::oneshot;

/// How long one command to the driver may take.
const COMMAND: Duration = Duration::from_secs(90);

/// No sandbox, because containers have none; nothing that calls anywhere by itself; and every
/// name under `.test` is this machine, so that there are other sites to attack from.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--lang=en",
    "--window-size=1280,900",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
];

/// The programs of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    chromium: PathBuf,
    chromedriver: PathBuf,
}

impl Tools {
    /// Finds them; where one is missing, the test is skipped, or fails if it must run.
    pub(crate) fn find() -> Option<Self> {
        let found = |name| program(name).ok_or(name);
        let missing = match (found("chromium"), found("chromedriver")) {
            (Ok(chromium), Ok(chromedriver)) => {
                return Some(Self {
                    chromium,
                    chromedriver,
                });
            }
            (Err(missing), _) | (_, Err(missing)) => missing,
        };
        let required = env::var("COUNTERSIGN_BROWSER").is_ok_and(|value| value == "required");
        assert!(!required, "{missing} is missing, and a browser is required");
        let test = thread::current();
        let test = test.name().unwrap_or("a test");
        let line = format!("SKIPPED {test}: {missing} is missing, so no browser was driven\n");
        // Not by `eprintln!`, which is kept from view where a test passes.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        None
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// A running driver; the browser that it starts is in its process group.
#[derive(Debug)]
struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    async fn start(tools: &Tools, home: &Path) -> Self {
        let child = Command::new(&tools.chromedriver)
            .arg("--port=0")
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut driver = Self {
            child: child.unwrap(),
            url: String::new(),
        };
        let lines = BufReader::new(driver.child.stdout.take().unwrap()).lines();
        let (tell, told) = oneshot::channel();
        // Reads on after the port, so that the driver never waits for a reader.
        thread::spawn(move || {
            let mut tell = Some(tell);
            for line in lines.map_while(Result::ok) {
                let port = line.split_once("successfully on port ");
                let port = port.and_then(|(_, port)| port.trim_end_matches('.').parse().ok());
                if let (Some(port), Some(tell)) = (port, tell.take_if(|_| port.is_some())) {
                    let _ = tell.send(port);
                }
            }
        });
        let port: u16 = within("the driver's port", told).await.unwrap();
        driver.url = format!("http://127.0.0.1:{port}");
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A browser under the hand of a test.
#[derive(Debug)]
pub(crate) struct Browser {
    web: WebDriver,
    process: u64,
    _driver: Driver,
    _home: TempDir,
}

impl Browser {
    /// Opens one with the profile of a folder, which may be empty.
    pub(crate) async fn open(tools: &Tools, profile: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let driver = Driver::start(tools, home.path()).await;
        let mut wanted = ChromeCapabilities::new();
        wanted.set_binary(tools.chromium.to_str().unwrap()).unwrap();
        for argument in ARGUMENTS {
            wanted.add_arg(argument).unwrap();
        }
        let profile = format!("--user-data-dir={}", profile.display());
        wanted.add_arg(&profile).unwrap();
        wanted
            .set_browser_log_level(LoggingPrefsLogLevel::All)
            .unwrap();
        // What the environment says of proxies is not for this machine's own addresses.
        let client = reqwest::Client::builder().no_proxy().timeout(COMMAND);
        let opening = WebDriver::builder(&driver.url, wanted).client(client.build().unwrap());
        let web = within("a browser", opening.connect()).await.unwrap();
        let process = web.capabilities().get("goog:processID");
        Self {
            process: process.and_then(serde_json::Value::as_u64).unwrap(),
            web,
            _driver: driver,
            _home: home,
        }
    }

    /// Quits as a person does, and waits until everything is on disk.
    pub(crate) async fn quit(self) {
        self.web.clone().quit().await.unwrap();
        let process = self.process;
        until("the browser's end", async || ended(process).then_some(())).await;
    }
}

/// Whether a process is gone, or waits for nothing but to be asked how it ended.
fn ended(process: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver is ended right after this, and the browser with it: no need to ask.
        let _ = self.web.clone().leak();
    }
}

impl Deref for Browser {
    type Target = WebDriver;

    fn deref(&self) -> &WebDriver {
        &self.web
    }
}
