//! Hazard: a store in a database does less than one in a file, or moving between the two loses or
//! lets in somebody; and a connection string tells its password.

use crate::place::{Place, Told};
use crate::stops::piped;
use countersign::core::Keyring;
use countersign::{Create, Engine, Label, Method, Mode, NewLogIn, NewSeries, Principal, keyfile};
use countersign_postgres::PostgresOptions;
use countersign_testkit::postgres::shared;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A place with a store in a file, and a schema of its own in the shared server's database.
struct Both {
    place: Place,
    url: String,
    schema: String,
}

const KEY: &str = "countersign.key";

impl Both {
    /// Nothing, with a loud line, without PostgreSQL.
    fn new() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let url = url(shared()?.connection_string());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            place: Place::new(),
            url,
            schema: format!("cli{}_{number}", std::process::id()),
        })
    }

    /// The arguments that name the database; the tests' server syncs nothing.
    fn there<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let place = ["--store", &self.url, "--schema", &self.schema, "--key", KEY];
        [&place, &["--allow-lossy-crash"][..], arguments].concat()
    }

    fn run(&self, arguments: &[&str]) -> Told {
        self.place.run(&self.there(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.place.json(&self.there(arguments))
    }

    fn sql(&self, statement: &str) -> String {
        let statement = statement.replace("SCHEMA", &self.schema);
        shared().unwrap().sql(&statement)
    }

    /// Some of everything: tokens that live and do not, a principal that is disabled, a policy.
    fn fill(&self) -> Vec<String> {
        let tokens = ["ann", "bob", "cid"].map(|name| self.place.issue(name, &["--scope", "a:b"]));
        let tell = |arguments: &[&str]| drop(self.place.run(arguments).done());
        tell(&["token", "revoke", &tokens[1].selector]);
        tell(&["principal", "disable", "cid"]);
        tell(&["switch", "image-tokens", "off"]);
        tokens.map(|issued| issued.token).to_vec()
    }

    /// An import from a file: one that is refused does not read all of it.
    fn import(&self, more: &[&str], lines: &str) -> Told {
        std::fs::write(self.place.path("lines.jsonl"), lines).unwrap();
        self.run(&[&["--json", "import", "lines.jsonl"], more].concat())
    }

    /// What a store says of credentials, one a line.
    fn verdicts(&self, arguments: &[&str], tokens: &[String]) -> Vec<Value> {
        let arguments = [&["--json"], arguments, &["verify", "--kind", "access"]].concat();
        let told = self.place.feed(&arguments, tokens.join("\n").into_bytes());
        assert_eq!(told.code, Some(1), "one of them is refused: {told:?}");
        told.objects()
    }
}

/// A connection string of libpq's as a URL.
fn url(connection: &str) -> String {
    if connection.contains("://") {
        return connection.to_owned();
    }
    let pairs = connection
        .split(' ')
        .filter_map(|pair| pair.split_once('='));
    let parts: BTreeMap<&str, &str> = pairs.collect();
    let part = |name: &str| parts.get(name).copied().unwrap_or_default();
    let host = part("host").replace('/', "%2F");
    format!(
        "postgres://{}@{host}:{}/{}",
        part("user"),
        part("port"),
        part("dbname")
    )
}

/// An export's records by their keys, without what a store counts by itself: versions, and the
/// tags over them. Events of an import are left out: each is told where it took place.
fn records(export: &str) -> BTreeMap<(String, String), String> {
    let lines = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines = lines.filter(|line: &Value| line.get("record").is_some());
    let parts = lines.map(|line| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let record = text("record");
        // 3 bytes say what it is, 8 its version, the last 16 are the tag.
        let (what, rest) = record.split_at(6);
        let (_, rest) = rest.split_at(16);
        let (body, _) = rest.as_bytes().split_last_chunk::<32>().unwrap();
        let body = what.to_owned() + std::str::from_utf8(body).unwrap();
        ((text("table"), text("key")), body)
    });
    parts.collect()
}

#[test]
fn records_come_back_from_a_database_as_they_went_there() {
    let Some(both) = Both::new() else { return };
    let tokens = both.fill();
    let first = both.place.run(&["export"]).done().out;
    let before = both.verdicts(&[], &tokens);
    let told = both
        .place
        .feed(&both.there(&["import"]), first.clone().into_bytes());
    assert!(told.done().out.contains("3 grants"));
    let second = both.run(&["export"]).done().out;
    assert_eq!(both.verdicts(&both.there(&[]), &tokens), before);
    let back = ["--store", "back.redb", "--key", KEY, "import"];
    both.place.feed(&back, second.clone().into_bytes()).done();
    let third = both
        .place
        .run(&["--store", "back.redb", "--key", KEY, "export"]);
    let third = third.done().out;
    let back = ["--store", "back.redb", "--key", KEY];
    assert_eq!(both.verdicts(&back, &tokens), before);
    let (first, second, third) = (records(&first), records(&second), records(&third));
    for (earlier, later) in [(&first, &second), (&second, &third)] {
        // All that was there, and besides that it was imported.
        let new = later.iter().filter(|(key, _)| !earlier.contains_key(*key));
        let new: Vec<_> = new.map(|((table, _), _)| table.as_str()).collect();
        assert_eq!(new, ["events"]);
        for (key, record) in earlier {
            assert_eq!(later.get(key), Some(record), "{key:?}");
        }
    }
    let imported = both.run(&["--json", "audit", "--kind", "imported"]).done();
    assert_eq!(imported.objects().len(), 1);
}

#[test]
fn a_store_in_a_database_is_made_used_and_counted() {
    let Some(both) = Both::new() else { return };
    let told = both.run(&["--json", "token", "list"]).failed(3, "no_store");
    assert!(told.to_string().contains(&both.schema), "{told}");
    let made = both.json(&["init", "--prefix", "acme", "--server-id", "tracker"]);
    assert_eq!(made["server_id"], "tracker");
    both.run(&["--json", "init"]).failed(1, "exists");
    let issue = [
        "token",
        "issue",
        "--principal",
        "ann",
        "--name",
        "x",
        "--never",
    ];
    let issued = both.json(&issue);
    let (token, selector) = (issued["token"].as_str(), issued["selector"].as_str());
    let (token, selector) = (token.unwrap().to_owned(), selector.unwrap());
    assert!(token.starts_with("acme_csa_"));
    let verify = |expected| {
        let verify = both.there(&["verify", "--kind", "access"]);
        let told = both.place.feed(&verify, token.clone().into_bytes());
        assert_eq!(told.code, Some(expected), "{told:?}");
    };
    verify(0);
    for arguments in [
        &["token", "list"][..],
        &["token", "show", selector],
        &["token", "forecast", "--within", "30d"],
        &["remember", "list"],
        &["principal", "list"],
        &["principal", "show", "ann"],
        &["switch", "list"],
        &["policy", "show"],
        &["keys", "list"],
        &["keys", "check"],
        &["audit"],
        &["sweep"],
        &["image", "sign", "--principal", "ann", "--attachment", "7"],
        &["image", "revoke", "--attachment", "7"],
        &["principal", "disable", "ann"],
        &["principal", "enable", "ann"],
    ] {
        both.run(arguments).done();
    }
    let stats = both.json(&["stats"]);
    assert_eq!(
        (&stats["records"]["grants"], &stats["usable"]),
        (&1.into(), &1.into())
    );
    assert_eq!(stats.get("file_bytes"), None);
    verify(0);
    both.run(&["switch", "access-tokens", "off"]).done();
    verify(1);
    both.run(&["switch", "access-tokens", "on"]).done();
    both.run(&["token", "revoke", selector]).done();
    verify(1);
}

#[test]
fn commands_that_only_read_leave_no_record_behind() {
    let Some(both) = Both::new() else { return };
    let tokens = both.fill();
    let lines = both.place.run(&["export"]).done().out.into_bytes();
    both.place.feed(&both.there(&["import"]), lines).done();
    let all = "select count(*), max(version), (select count(*) from SCHEMA.change_log) \
               from SCHEMA.record";
    let before = both.sql(all);
    both.verdicts(&both.there(&[]), &tokens);
    for arguments in [&["stats"][..], &["token", "list"], &["audit"], &["export"]] {
        both.run(arguments).done();
    }
    assert_eq!(both.sql(all), before);
}

#[test]
fn what_works_on_a_file_alone_says_so_and_what_to_do() {
    let Some(both) = Both::new() else { return };
    both.run(&["init"]).done();
    for (arguments, instead) in [
        (&["check"][..], "pg_amcheck"),
        (&["compact"], "VACUUM"),
        (&["backup", "b.redb"], "pg_dump"),
        (&["restore", "b.redb", "--adopt", "keep"], "pg_restore"),
        (&["keys", "rotate"], "docs/MOVING.md"),
        (&["keys", "retire", "1"], "docs/MOVING.md"),
        (&["session", "list"], "switch sessions off"),
        (
            &["session", "show", "01934f3c-8a00-7abc-8def-0123456789ab"],
            "switch sessions off",
        ),
        (&["session", "end", "--all"], "switch sessions off"),
        (&["verify", "--kind", "session"], "switch sessions off"),
    ] {
        let arguments = [&["--json"], arguments].concat();
        let told = both.run(&arguments).failed(2, "usage");
        assert!(told.to_string().contains(instead), "{arguments:?}: {told}");
    }
    // Which key file it is, nobody can guess.
    let told = both
        .place
        .run(&["--json", "--store", &both.url, "token", "list"]);
    assert!(told.failed(2, "usage").to_string().contains("--key"));
    // Nor is a database opened that can lose what it acknowledges, unless that is allowed.
    let store = ["--store", &both.url, "--schema", &both.schema, "--key", KEY];
    let told = both
        .place
        .run(&[&["--json"], &store[..], &["token", "list"]].concat());
    let told = told.failed(3, "not_durable").to_string();
    assert!(told.contains("--allow-lossy-crash"), "{told}");
}

#[test]
fn other_keys_are_refused_and_a_new_schema_is_not_bound_to_them() {
    let Some(both) = Both::new() else { return };
    both.fill();
    let lines = both.place.run(&["export"]).done().out.into_bytes();
    both.place.run(&["--store", "other.redb", "init"]).done();
    let store = [
        "--json",
        "--allow-lossy-crash",
        "--store",
        &both.url,
        "--schema",
        &both.schema,
    ];
    let other = [&store[..], &["--key", "other.key"]].concat();
    std::fs::write(both.place.path("lines.jsonl"), &lines).unwrap();
    let import = [&other[..], &["import", "lines.jsonl"]].concat();
    let told = both.place.run(&import).failed(1, "import");
    assert!(told.to_string().contains("line 2"), "{told}");
    both.place.feed(&both.there(&["import"]), lines).done();
    both.place
        .run(&[&other[..], &["stats"]].concat())
        .failed(3, "wrong_key");
}

#[test]
fn an_import_that_was_killed_goes_on_and_comes_to_the_same() {
    let Some(both) = Both::new() else { return };
    for number in 0..300 {
        both.place.issue(&format!("principal {number}"), &[]);
    }
    let tokens = both.fill();
    let lines = both.place.run(&["export"]).done().out;
    let all = lines.lines().count() - 2;
    let mut child = piped(both.place.command(&both.there(&["import"])));
    let (head, _) = lines.split_at(lines.len() * 3 / 4);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(head.as_bytes()).unwrap();
    // Until some of it is there.
    let count = || {
        let there = both.sql("select to_regclass('SCHEMA.record') is not null");
        match there.trim() {
            "t" => both
                .sql("select count(*) from SCHEMA.record")
                .trim()
                .parse()
                .unwrap(),
            _ => 0,
        }
    };
    while count() < 300 {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);
    // Half of it lets nobody in.
    let live = &tokens[..1];
    let verify = both.there(&["--json", "verify", "--kind", "access"]);
    let told = both.place.feed(&verify, live.concat().into_bytes());
    assert_eq!(told.objects()[0]["verdict"], "refused", "{told:?}");
    // A later export of the same store is another one.
    let revoke = ["token", "revoke", "--principal", "principal 0"];
    both.place.run(&revoke).done();
    let later = both.place.run(&["export"]).done().out;
    let told = both.import(&[], &later).failed(1, "import").to_string();
    assert!(
        told.contains("is in the store already, and differs"),
        "{told}"
    );
    let told = both.import(&[], &lines).done().objects().remove(0);
    let counted = |name: &str| told[name].as_u64().unwrap();
    let read = counted("filed") + counted("present");
    assert_eq!((counted("records"), read), (all as u64, all as u64));
    assert!(counted("present") >= 256, "{told}");
    let came = |lines: &str| {
        let (sent, there) = (records(lines), records(&both.run(&["export"]).done().out));
        let mut sent = sent.iter();
        assert!(sent.all(|(key, record)| there.get(key) == Some(record)));
        there.len()
    };
    assert_eq!(came(&lines), all + 1);
    both.verdicts(&both.there(&[]), &tokens);

    // It is in use from now on: again it is filled by name alone.
    both.import(&[], &lines).failed(1, "not_empty");
    both.place.issue("dan", &[]);
    let later = both.place.run(&["export"]).done().out;
    let told = both
        .import(&["--replace"], &later)
        .done()
        .objects()
        .remove(0);
    assert_eq!(told["removed"], 0, "{told}");
    came(&later);
    // And back to the earlier one: what that has not is gone, but for events.
    let told = both
        .import(&["--replace"], &lines)
        .done()
        .objects()
        .remove(0);
    assert_eq!(told["removed"], 2, "a principal and a token: {told}");
    came(&lines);
    assert_eq!(both.json(&["stats"])["records"]["grants"], 303);
}

/// A system that is moved goes on with everybody who was in: by token, by device, by session.
#[test]
fn nobody_is_logged_out_by_a_move() {
    let Some(both) = Both::new() else { return };
    let token = both.place.issue("ann", &[]).token;
    let builder = Engine::builder().create(Create::Never);
    let before = builder.open(both.place.path("countersign.redb")).unwrap();
    let ann = Principal::new("ann").unwrap();
    let login = NewLogIn::new(ann.clone(), Method::Password, Duration::from_secs(60));
    let session = before.sessions().log_in(None, login).wait().unwrap();
    let label = Label::new("a browser").unwrap();
    let device = NewSeries {
        principal: ann,
        label,
    };
    let device = before.remember().start(device).wait().unwrap();
    before.close().wait().unwrap();

    let store_id = both.place.json(&["stats"])["store_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let lines = both.place.run(&["export"]).done().out.into_bytes();
    both.place.feed(&both.there(&["import"]), lines).done();

    let keys = keyfile::read(&both.place.path(KEY)).unwrap();
    let options = PostgresOptions::new(&both.url).unwrap();
    let options = options.schema(&both.schema).unwrap().allow_lossy_crash();
    let store = options.open(Arc::new(Keyring::new(&keys))).unwrap();
    let binding = u128::from_str_radix(&store_id, 16).unwrap().to_be_bytes();
    let after = Engine::builder()
        .create(Create::Never)
        .session_snapshot(both.place.path("countersign.sessions"), binding)
        .open_store(Arc::new(store), &keys)
        .unwrap();
    assert!(after.access().verify(&token).wait().unwrap().is_in());
    let touched = after
        .sessions()
        .peek(session.token.expose(), None)
        .wait()
        .unwrap();
    assert!(touched.is_in(), "{touched:?}");
    let recalled = after
        .remember()
        .check(device.token.expose())
        .wait()
        .unwrap();
    assert!(recalled.is_in(), "{recalled:?}");
    after.close().wait().unwrap();
}

/// The way of docs/MOVING.md: what happened between two passes arrives with the second.
#[test]
fn a_second_pass_brings_what_happened_since_the_first() {
    let Some(both) = Both::new() else { return };
    let token = |issued: &crate::place::Issued| issued.token.clone();
    let (lives, revoked) = (both.place.issue("ann", &[]), both.place.issue("bob", &[]));
    let builder = Engine::builder()
        .create(Create::Never)
        .mode(Mode::SharedReaders);
    let serving = builder.open(both.place.path("countersign.redb")).unwrap();
    let first = both.place.run(&["export"]).done().out.into_bytes();
    both.place.feed(&both.there(&["import"]), first).done();
    let selector = revoked.selector.parse().unwrap();
    serving.access().revoke(selector, None).wait().unwrap();
    serving.close().wait().unwrap();
    let new = both.place.issue("cid", &[]);
    both.place.run(&["export", "last.jsonl"]).done();
    both.run(&["--json", "import", "last.jsonl"])
        .failed(1, "not_empty");
    both.run(&["import", "--replace", "last.jsonl"]).done();
    let tokens = [token(&lives), token(&revoked), token(&new)];
    let verdicts = both.verdicts(&both.there(&[]), &tokens);
    assert_eq!(verdicts, both.verdicts(&[], &tokens));
    let told: Vec<_> = verdicts.iter().map(|told| &told["verdict"]).collect();
    assert_eq!(told, ["in", "refused", "in"]);

    // And keys are changed in a file, on the way there and back.
    both.run(&["export", "there.jsonl"]).done();
    let file = ["--store", "back.redb", "--key", KEY];
    both.place
        .run(&[&file[..], &["import", "there.jsonl"]].concat())
        .done();
    both.place
        .run(&[&file[..], &["keys", "rotate"]].concat())
        .done();
    both.place
        .run(&[&file[..], &["export", "back.jsonl"]].concat())
        .done();
    both.run(&["import", "--replace", "back.jsonl"]).done();
    assert_eq!(both.verdicts(&both.there(&[]), &tokens), verdicts);
    assert_eq!(both.json(&["keys", "check"])["peppers"], 2);
}

#[test]
fn a_password_is_not_told() {
    let Some(both) = Both::new() else { return };
    let secret = "hunter2hunter2";
    // Nobody listens there.
    let urls = [
        format!("postgres://ann:{secret}@127.0.0.1:1/d"),
        format!("postgresql://127.0.0.1:1/d?user=ann&password={secret}"),
        format!("postgres://ann:{secret}@[broken/d"),
        format!("postgres://ann:x@{secret}@127.0.0.1:1/d"),
        format!("host=127.0.0.1 password={secret}"),
    ];
    for url in &urls {
        for json in [&[][..], &["--json"]] {
            for arguments in [
                &["--store", url, "--key", KEY, "token", "list"][..],
                &["--store", url, "token", "list"],
                &["--store", url, "--key", KEY, "check"],
                &["--store", url, "--key", KEY, "init"],
                &["--store", url, "--schema", "No", "--key", KEY, "stats"],
                &[url],
                &["token", "list", url],
                &["--now", url, "token", "list"],
            ] {
                let told = both.place.run(&[json, arguments].concat());
                assert_ne!(told.code, Some(0));
                let said = told.out + &told.err;
                assert!(!said.contains(secret), "{arguments:?}: {said}");
            }
            // Nor where it comes from the environment.
            let mut command = both.place.command(&[json, &["token", "list"]].concat());
            command.env("COUNTERSIGN_STORE", url);
            let told: Told = command.output().unwrap().into();
            assert!(!(told.out + &told.err).contains(secret));
            let mut command = both.place.command(&["--help"]);
            command.env("COUNTERSIGN_STORE", url);
            let told: Told = command.output().unwrap().into();
            assert!(!(told.out + &told.err).contains(secret));
        }
    }
    let mut command = both
        .place
        .command(&["--key", KEY, "--allow-lossy-crash", "init"]);
    command
        .args(["--schema", &both.schema])
        .env("COUNTERSIGN_STORE", &both.url);
    let told: Told = command.output().unwrap().into();
    told.done();
}
