//! Hazard: a secret that was handed out, or a key, lies where it has no business: in a log line, an
//! error, a dump, a file, or in memory long after it was used.
//!
//! Every piece of twelve bytes of every secret is looked for, as bytes, as text and in hexadecimal
//! digits, and every four bytes as the list of numbers that a derived `Debug` makes of them. Stacks
//! are not looked at: what a compiler leaves on them is not promised (see `docs/THREAT_MODEL.md`).

use crate::child::{Running, command, tell};
use crate::session_help::FRESH;
use crate::support::{
    Ears, Home, device, figures, keys, options, principal, request, with_wrong_secret,
};
use countersign::core::keys::file;
use countersign::core::{Key, Keyring};
use countersign::store::MemoryStore;
use countersign::{
    AttachmentId, AttributeName, Engine, Entropy, Label, Maintenance, Method, NewLogIn, Principal,
    Reason, RedbOptions, Rotation, SecretText, Selector, ServerId, TokenFormat, TokenName,
    TokenQuery,
};
use countersign_testkit::{Gated, ManualClock, SeededEntropy};
use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::fs::{self, File};
use std::io::{Write as _, stdin};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

/// As many bytes are taken for a secret, wherever they turn up.
const PIECE: usize = 12;

/// The same where they are written one by one, as a list of numbers.
const LISTED: usize = 4;
/// Digits that a list of so many numbers has at least, with the commas between them.
const SHORTEST: usize = 2 * LISTED - 1;

/// What the child of the search through a heap keeps of its secrets: nothing, all of them, or all
/// of them until shortly before the look.
const NOTHING: u64 = 0;
const ALL: u64 = 1;
const ALL_FREED: u64 = 2;

/// Secrets, in pieces.
#[derive(Default)]
struct Needles {
    secrets: usize,
    pieces: HashMap<[u8; PIECE], String>,
    listed: HashMap<[u8; LISTED], String>,
}

impl Needles {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.secrets += 1;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [bytes, hex.as_bytes()] {
            for piece in form.windows(PIECE) {
                self.pieces
                    .insert(piece.try_into().unwrap(), name.to_owned());
            }
        }
        for piece in bytes.windows(LISTED) {
            self.listed
                .insert(piece.try_into().unwrap(), name.to_owned());
        }
    }

    /// A text whose last characters are the secret ones, and what they stand for.
    fn add_text(&mut self, engine: &Engine, name: &str, text: &str) {
        let format = engine.format();
        if let Ok(token) = format.parse_any(text.as_bytes()) {
            self.add(&format!("{name}, bytes"), token.verifier().expose());
            // The first two groups of eleven digits are the selector.
            self.add(
                &format!("{name}, text"),
                &text.as_bytes()[text.len() - 44..],
            );
        } else {
            // A signature, or the part of a form token behind its hint.
            self.add(name, &text.as_bytes()[text.len() - 32..]);
            let code = match text.rsplit_once('.') {
                Some((_, signature)) => base64url(signature),
                // Behind its hint and its nonce.
                None => base62(&text[22..]),
            };
            assert!(matches!(code.len(), 16 | 32), "{name}: {}", code.len());
            self.add(&format!("{name}, bytes"), &code);
        }
    }

    /// Whose pieces are in there.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let pieces = bytes
            .windows(PIECE)
            .filter_map(|window| self.pieces.get(window));
        let mut found: Vec<_> = pieces.map(String::as_str).collect();
        found.extend(self.listed_in(bytes));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whose bytes are in there one by one, whatever blanks and ends of lines are between them.
    fn listed_in(&self, bytes: &[u8]) -> Vec<&str> {
        let dense = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
        let dense: Vec<u8> = dense.copied().collect();
        let mut found = Vec::new();
        for list in dense.split(|byte| !byte.is_ascii_digit() && *byte != b',') {
            if list.len() < SHORTEST {
                continue;
            }
            let numbers = list.split(|byte| *byte == b',').map(number);
            let numbers: Vec<Option<u8>> = numbers.collect();
            for some in numbers.windows(LISTED) {
                let piece: Option<Vec<u8>> = some.iter().copied().collect();
                let name = piece.and_then(|piece| self.listed.get(piece.as_slice()));
                found.extend(name.map(String::as_str));
            }
        }
        found
    }

    #[track_caller]
    fn none_in(&self, what: &str, bytes: &[u8]) {
        assert_eq!(self.found_in(bytes), [""; 0], "{what}");
    }
}

/// A byte that is written as a number.
fn number(digits: &[u8]) -> Option<u8> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What base64url digits without padding stand for.
fn base64url(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        held = (held << 6) | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    bytes
}

/// What groups of eleven base62 digits stand for.
fn base62(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let groups = text.as_bytes().chunks(11).map(|group| {
        group.iter().fold(0, |value: u64, digit| {
            let digit = DIGITS.iter().position(|known| known == digit).unwrap();
            value * 62 + digit as u64
        })
    });
    groups.flat_map(u64::to_be_bytes).collect()
}

/// The keys in a key file: the root key and a pepper.
fn keys_in(path: &Path) -> Needles {
    let text = fs::read_to_string(path).unwrap();
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut keys = Needles::default();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        if word.len() == 64 && hex(word) {
            let bytes: Vec<u8> = (0..32)
                .map(|at| u8::from_str_radix(&word[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            keys.add("key", &bytes);
        }
    }
    assert_eq!(
        keys.secrets,
        2,
        "the root key and a pepper: {} bytes",
        text.len()
    );
    keys
}

/// Something as people are shown it, for who prints it as logs have it.
struct Plainly<'a>(&'a dyn Display);

impl Debug for Plainly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.0, f)
    }
}

/// All that an error says, and what it came from: to logs and to people.
fn said_by(error: &dyn Error) -> Vec<String> {
    let mut said = vec![
        format!("{error:?}"),
        format!("{error:#?}"),
        format!("{error}"),
    ];
    if let Some(source) = error.source() {
        said.extend(said_by(source));
    }
    said
}

/// What everything that takes a text says of one that it does not take, because a secret strayed
/// there.
fn refused_texts(engine: &Engine, secret: &str) -> Vec<String> {
    let text = format!("{secret}\n");
    let errors: [Box<dyn Error>; 10] = [
        Box::new(Principal::new(&text).unwrap_err()),
        Box::new(TokenName::new(&text).unwrap_err()),
        Box::new(Label::new(&text).unwrap_err()),
        Box::new(Reason::new(&text).unwrap_err()),
        Box::new(ServerId::new(&text).unwrap_err()),
        Box::new(AttachmentId::new(&text).unwrap_err()),
        Box::new(AttributeName::new(&text).unwrap_err()),
        Box::new(TokenFormat::new(Some(secret)).unwrap_err()),
        Box::new(secret.parse::<Selector>().unwrap_err()),
        Box::new(engine.format().parse_any(text.as_bytes()).unwrap_err()),
    ];
    errors.iter().flat_map(|error| said_by(&**error)).collect()
}

/// Random bytes that can be repeated, and of which nothing is kept: a generator has the next ones,
/// and often the last ones, in a buffer.
#[derive(Debug, Default)]
struct Drawn(AtomicU64);

impl Entropy for Drawn {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        SeededEntropy::new(self.0.fetch_add(1, SeqCst)).fill(bytes)
    }
}

/// Told of each secret as it is handed out.
type Handed<'a> = &'a mut dyn FnMut(&Engine, &str, &str);
/// Told of everything that can be printed.
type Printed<'a> = &'a mut dyn FnMut(&str, &dyn Debug);

fn open(path: &Path, clock: &ManualClock, ears: Option<Ears>) -> Engine {
    let builder = Engine::builder()
        .clock(clock.clone())
        .entropy(Drawn::default())
        .maintenance(Maintenance::HostDriven)
        .redb(options());
    let builder = match ears {
        Some(ears) => builder.observer(ears),
        None => builder,
    };
    builder.open(path).unwrap()
}

/// Everything that a secret goes through, from its making to its end.
fn act(engine: &Engine, clock: &ManualClock, handed: Handed<'_>, printed: Printed<'_>) {
    let access = engine.access();
    let mut shown = |name: &str, text: &SecretText| {
        handed(engine, name, text.expose());
    };
    for name in ["ann", "bob"] {
        let token = access.issue(request(name)).wait().unwrap();
        shown("access token", &token.token);
        printed("issued", &token);
        let verdict = access.verify(token.token.expose()).wait();
        printed("verdict", &verdict);
        let wrong = with_wrong_secret(engine, token.selector, 7);
        printed("refused", &access.verify(wrong).wait());
        let mistyped = &token.token.expose()[..token.token.expose().len() - 1];
        printed("malformed", &access.verify(mistyped).wait());
        printed(
            "parsed",
            &engine.format().parse_any(token.token.expose().as_bytes()),
        );
        let next = access.rotate(token.selector, Rotation::default());
        let next = next.wait().unwrap();
        shown("rotated token", &next.token);
        printed("shown", &access.show(next.selector).wait());
        printed("revoked", &access.revoke(next.selector, None).wait());
        printed("refused", &access.verify(next.token.expose()).wait());
        let dead = access.rotate(next.selector, Rotation::default()).wait();
        let dead = dead.unwrap_err();
        printed("error of a token", &dead);
        printed("error of a token", &Plainly(&dead));

        let started = engine.remember().start(device(name)).wait().unwrap();
        shown("device", &started.token);
        printed("started", &started);
        // Old enough to be replaced.
        clock.advance(engine.policy().remember_me().rotate_after);
        let recalled = engine.remember().present(started.token.expose(), None);
        let recalled = recalled.wait().unwrap();
        printed("recalled", &recalled);
        let recalled = recalled.recalled().unwrap();
        let successor = recalled.successor.as_ref().unwrap();
        shown("successor", successor);
        printed(
            "again",
            &engine.remember().present(successor.expose(), None).wait(),
        );

        let login = NewLogIn::new(principal(name), Method::Password, FRESH);
        let opened = engine.sessions().log_in(None, login).wait().unwrap();
        shown("session", &opened.token);
        printed("opened", &opened);
        let touched = engine.sessions().touch(opened.token.expose(), None);
        printed("touched", &touched.wait());
        let form = engine.forms().stable(&opened.session, None);
        shown("form token", &form);
        printed("form", &form);
        let live = Some(&opened.session);
        let sent = Some(form.expose().as_bytes());
        printed("form verdict", &engine.forms().check(live, sent, None));
        let renewed = engine.sessions().renew(&opened.session).wait().unwrap();
        shown("renewed session", &renewed.token);
        let overtaken = engine.sessions().renew(&opened.session).wait();
        let overtaken = overtaken.unwrap_err();
        printed("error of a session", &overtaken);
        printed("error of a session", &Plainly(&overtaken));
        printed("listed", &engine.sessions().list(principal(name)).wait());

        let image = AttachmentId::new("10000").unwrap();
        let signed = engine.images().sign(principal(name), image.clone());
        let signed = signed.wait().unwrap();
        shown("image token", &signed.text);
        printed("signed", &signed);
        let opens = engine.images().verify(signed.text.expose(), &image, None);
        printed("image verdict", &opens.wait());
    }
    printed("list", &access.list(TokenQuery::default()).wait());
    printed("audit", &engine.audit().list(Default::default()).wait());
    printed("flush", &engine.flush().wait());
    printed("page", &engine.sessions().page(0));
    printed("stats", &engine.stats());
    printed("engine", engine);
    printed("subsystem", &engine.access());
}

/// What came of [`act`], which hands out the same each time.
struct Acted {
    home: Home,
    engine: Engine,
    ears: Ears,
    needles: Needles,
    /// What was printed, and of what.
    prints: Vec<(String, String)>,
}

fn acted() -> Acted {
    let (home, ears) = (Home::new(), Ears::default());
    let engine = open(&home.path(), &home.clock, Some(ears.clone()));
    let (mut needles, mut prints, mut refused) = (Needles::default(), Vec::new(), Vec::new());
    act(
        &engine,
        &home.clock,
        &mut |engine, name, text| {
            needles.add_text(engine, name, text);
            refused.extend(refused_texts(engine, text));
        },
        &mut |name, value| {
            prints.push((name.to_owned(), format!("{value:?}")));
            prints.push((name.to_owned(), format!("{value:#?}")));
        },
    );
    let of_texts = refused.into_iter().map(|said| ("text".to_owned(), said));
    prints.extend(of_texts);
    Acted {
        home,
        engine,
        ears,
        needles,
        prints,
    }
}

/// What an observer was told, of every kind something.
fn heard(ears: &Ears) -> Vec<(String, String)> {
    let (events, refusals) = (ears.events.lock().unwrap(), ears.refusals.lock().unwrap());
    let (sessions, restored) = (ears.sessions.lock().unwrap(), ears.restored.lock().unwrap());
    assert!(!events.is_empty() && !refusals.is_empty());
    assert!(!sessions.is_empty() && !restored.is_empty());
    vec![
        ("events".to_owned(), format!("{events:?}")),
        ("refusals".to_owned(), format!("{refusals:?}")),
        ("sessions".to_owned(), format!("{sessions:?}")),
        ("restored".to_owned(), format!("{restored:?}")),
    ]
}

/// The search finds what is there in every form that it looks for.
#[test]
fn a_secret_is_found_as_bytes_as_digits_and_as_a_list_of_numbers() {
    let secret: Vec<u8> = (0..28).map(|n| n * 9).collect();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut needles = Needles::default();
    needles.add("it", &secret);
    let (four, three) = (&secret[9..13], &secret[9..12]);
    for printed in [
        format!("{secret:?}"),
        format!("{secret:#?}"),
        format!("Some({four:?})"),
        format!("key{hex}"),
    ] {
        assert_eq!(needles.found_in(printed.as_bytes()), ["it"], "{printed}");
    }
    assert_eq!(needles.found_in(&secret), ["it"]);
    needles.none_in("three of its bytes", format!("{three:?}").as_bytes());
    assert_eq!(base64url("__79_A"), [0xff, 0xfe, 0xfd, 0xfc]);
    assert_eq!(base62("0000000004C"), 260_u64.to_be_bytes());
}

#[test]
fn nothing_that_is_printed_or_written_has_a_secret_in_it() {
    let Acted {
        home,
        engine,
        ears,
        needles,
        mut prints,
    } = acted();
    let mut lines = Vec::new();
    engine.export(&mut lines, &mut |_| {}).unwrap();
    needles.none_in("export", &lines);
    let twice = home.builder().open(home.path()).unwrap_err();
    prints.extend(
        said_by(&twice)
            .into_iter()
            .map(|said| ("twice".to_owned(), said)),
    );
    engine.close().wait().unwrap();
    drop(engine);
    // Opened again, with other random bytes, it tells of the sessions that it found.
    let again = home.builder().observer(ears.clone()).open(home.path());
    let again = again.unwrap();
    again.close().wait().unwrap();
    drop(again);
    prints.extend(heard(&ears));
    for (name, text) in &prints {
        needles.none_in(name, text.as_bytes());
        // What is not there is no proof that nothing is let out.
        assert!(!text.is_empty(), "{name}");
    }
    let of_engine = |text: &str| text.contains("Inner") && text.contains("keyring");
    assert!(prints.iter().any(|(_, text)| of_engine(text)));

    // The key file alone holds keys, and nothing else does.
    let key_file = fs::read(home.key_path()).unwrap();
    let keys = countersign::keyfile::read(&home.key_path()).unwrap();
    let keyring = Arc::new(Keyring::new(&keys));
    let store = RedbOptions::new().open(home.path(), Arc::clone(&keyring));
    let store = store.unwrap();
    store.backup(home.dir.path().join("backup.redb")).unwrap();
    let mut printed = format!("{keys:?} {keys:#?} {keyring:?} {store:?}");
    drop(store);
    // What is wrong with a key file is said without what is in it.
    for at in (0..key_file.len()).step_by(5) {
        let mut damaged = key_file.clone();
        damaged[at] = b'!';
        let fault = file::read(&damaged).unwrap_err();
        printed.push_str(&said_by(&fault).concat());
    }
    let keys = keys_in(&home.key_path());
    keys.none_in("export", &lines);
    for (_, text) in prints {
        printed.push_str(&text);
    }
    keys.none_in("what was printed", printed.as_bytes());
    let mut files = 0;
    for entry in fs::read_dir(home.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        needles.none_in(&path.display().to_string(), &bytes);
        if path != home.key_path() {
            keys.none_in(&path.display().to_string(), &bytes);
        }
        files += 1;
    }
    assert!(files >= 4, "store, keys, snapshot and backup: {files}");
    figures(&format!(
        "secrets: {} not in {} bytes of prints, an export and {files} files",
        needles.secrets,
        printed.len()
    ));
}

/// Does everything with secrets, lets go of all of it but for what is `planted`, and waits to be
/// looked at.
pub(crate) fn child(path: &Path, planted: u64) {
    let clock = ManualClock::default();
    let engine = open(path, &clock, None);
    let mut leak: Vec<Vec<u8>> = Vec::new();
    act(
        &engine,
        &clock,
        &mut |_, _, text| {
            if planted != NOTHING {
                leak.push(text.as_bytes().to_vec());
            }
        },
        &mut |_, _| (),
    );
    engine.close().wait().unwrap();
    drop(engine);
    if planted != NOTHING {
        leak.push(fs::read(path.with_extension("key")).unwrap());
    }
    if planted == ALL_FREED {
        leak.clear();
    }
    be_looked_at();
    drop(leak);
}

/// Waits until the parent has looked into this process's memory, but for this stack.
fn be_looked_at() {
    let here = 0;
    tell(&format!("stack {}", std::ptr::from_ref(&here).addr()));
    let _ = stdin().read_line(&mut String::new());
}

/// Begins operations, each on a stack on which secrets were checked that are gone by then, and
/// calls `meanwhile` while they wait for the store.
fn begin_on_used_stacks(handed: Handed<'_>, meanwhile: fn()) {
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let builder = Engine::builder()
        .clock(ManualClock::default())
        .entropy(Drawn::default())
        .maintenance(Maintenance::HostDriven);
    let engine = builder
        .open_store(Arc::clone(&store) as _, &keys())
        .unwrap();
    let (access, remember) = (engine.access(), engine.remember());
    for revokes in [false, true] {
        // By the store, by what is in memory, and with a device's token after that.
        for checks in 1..4 {
            let token = access.issue(request("ann")).wait().unwrap();
            handed(&engine, "checked token", token.token.expose());
            let started = remember.start(device("ann")).wait().unwrap();
            handed(&engine, "checked device", started.token.expose());
            let selector = token.selector;
            let gate = store.hold_next_load(&[Key::SYSTEM, Key::grant(selector)]);
            thread::scope(|scope| {
                scope.spawn(|| {
                    assert!(gate.is_reached());
                    meanwhile();
                    gate.open();
                });
                for check in 0..checks {
                    if check < 2 {
                        let verdict = access.verify(token.token.expose()).wait();
                        assert!(verdict.unwrap().is_in());
                    } else {
                        let recalled = remember.present(started.token.expose(), None).wait();
                        assert!(recalled.unwrap().is_in());
                    }
                }
                drop((token, started));
                if revokes {
                    access.revoke(selector, None).wait().unwrap();
                } else {
                    let next = access.rotate(selector, Rotation::default());
                    next.wait().unwrap();
                }
            });
        }
    }
}

/// Is looked at while operations wait.
pub(crate) fn child_that_waits(_: &Path, _: u64) {
    begin_on_used_stacks(&mut |_, _, _| (), be_looked_at);
}

/// A mapping of a process's memory.
struct Mapping {
    first: u64,
    end: u64,
    writable: bool,
    guard: bool,
    name: String,
}

fn mappings(process: u32) -> Vec<Mapping> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mapping = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        Some(Mapping {
            first: u64::from_str_radix(first, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            writable: rights.starts_with("rw"),
            guard: rights.starts_with("---"),
            name: words.nth(3).unwrap_or_default().to_owned(),
        })
    };
    maps.lines().filter_map(mapping).collect()
}

/// What lies in the memory of a process, but for its stacks: a thread's lies behind a guard page.
fn memory(process: u32, stack: u64) -> Vec<(String, Vec<u8>)> {
    let all = mappings(process);
    let file = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = Vec::new();
    for (at, mapping) in all.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| &all[at]);
        let guarded = before.is_some_and(|before| {
            before.guard && before.end == mapping.first && before.end - before.first <= 0x1000
        });
        let is_stack = guarded
            || (mapping.first..mapping.end).contains(&stack)
            || mapping.name.starts_with("[stack");
        if !mapping.writable || is_stack {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(mapping.end - mapping.first).unwrap()];
        if file.read_exact_at(&mut bytes, mapping.first).is_ok() {
            found.push((format!("{:x} {}", mapping.first, mapping.name), bytes));
        }
    }
    found
}

/// Which secrets a child leaves in its memory, its keys among them, and how many bytes of that
/// there are.
fn left_behind(needles: &Needles, planted: u64) -> (Vec<String>, usize) {
    let home = Home::new();
    let mut child = Running::start(command("secrets", &home.path(), planted));
    let told = child.next().expect("it got there");
    let stack = told.strip_prefix("stack ").unwrap().parse().unwrap();
    let keys = keys_in(&home.key_path());
    let (mut found, mut looked_at) = (Vec::new(), 0);
    for (place, bytes) in memory(child.child.id(), stack) {
        looked_at += bytes.len();
        let here = [needles.found_in(&bytes), keys.found_in(&bytes)].concat();
        found.extend(here.iter().map(|name| format!("{name} in {place}")));
    }
    child.kill();
    (found, looked_at)
}

#[test]
fn no_secret_stays_in_the_heap_when_everything_was_let_go_of() {
    let Acted {
        home: _home,
        needles,
        engine,
        ..
    } = acted();
    drop(engine);
    let (found, looked_at) = left_behind(&needles, NOTHING);
    assert_eq!(found, [""; 0]);
    assert!(looked_at > 100_000, "only {looked_at} bytes were looked at");
    // The search finds what is there.
    let (planted, _) = left_behind(&needles, ALL);
    assert!(planted.len() > 5, "{planted:?}");
    assert!(planted.iter().any(|found| found.starts_with("key in ")));
    // And what was there: of a piece of memory that is given back, glibc changes a few bytes.
    if cfg!(target_env = "gnu") {
        let (freed, _) = left_behind(&needles, ALL_FREED);
        assert!(!freed.is_empty(), "what was freed is not looked at");
    }
    figures(&format!(
        "secrets: {} and the keys not in {looked_at} bytes of a process that had let go of them",
        needles.secrets
    ));
}

/// A value that is moved to the heap takes along what lay in the places of the stack that it does
/// not fill, and that was a secret if one was checked there before.
#[test]
fn no_secret_that_was_checked_is_in_the_heap_while_something_else_waits() {
    let mut needles = Needles::default();
    let mut handed = |engine: &Engine, name: &str, text: &str| needles.add_text(engine, name, text);
    begin_on_used_stacks(&mut handed, || ());
    let home = Home::new();
    let mut child = Running::start(command("secrets-waiting", &home.path(), 0));
    let mut stdin = child.child.stdin.take().unwrap();
    let (mut found, mut looks) = (Vec::new(), 0);
    while let Some(told) = child.next() {
        let Some(stack) = told.strip_prefix("stack ") else {
            break;
        };
        for (place, bytes) in memory(child.child.id(), stack.parse().unwrap()) {
            for name in needles.found_in(&bytes) {
                found.push(format!("{name} in {place}, at look {looks}"));
            }
        }
        looks += 1;
        stdin.write_all(b"\n").unwrap();
    }
    assert_eq!(found, [""; 0]);
    assert_eq!(looks, 6);
}
