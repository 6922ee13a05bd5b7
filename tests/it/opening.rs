//! Hazard: opening goes on where it should stop: beside another process, on a file that is no
//! store or a broken one, with the wrong keys or without rights. Then it overwrites what somebody
//! needs, or makes a new empty store where the old one was, and everybody is logged out.

use crate::child::{Running, command, tell, told, wrapped};
use crate::support::{
    Home, MINUTE, builder, contents, everything, is_in, issue, keys, on_store, options, policy,
    principal,
};
use countersign::core::keys::KeyMaterialError;
use countersign::core::keys::file::KeyFileError;
use countersign::keyfile::KeyFileFault;
use countersign::store::{MemoryStore, OpenError, Store};
use countersign::{Create, Engine, Error, IssuedToken, Mode, Subsystem, SystemEntropy, keyfile};
use countersign_testkit::{ManualClock, tamper};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store with one token, closed.
fn made() -> (Home, IssuedToken) {
    let home = Home::new();
    let engine = home.open();
    let token = issue(&engine, "ann");
    engine.close().wait().unwrap();
    (home, token)
}

/// Opening is refused, names the file, and touches nothing.
#[track_caller]
fn check(home: &Home, named: &Path, expected: impl FnOnce(&Error) -> bool) {
    for mode in [Mode::Exclusive, Mode::SharedReaders] {
        let before = contents(home.dir.path());
        let error = home.builder().mode(mode).open(home.path()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(named.to_str().unwrap()), "{text}");
        assert!(
            contents(home.dir.path()) == before,
            "{text}: files were touched"
        );
        if mode == Mode::SharedReaders {
            assert!(expected(&error), "{error:?}");
            return;
        }
    }
}

pub(crate) fn child_hold(path: &Path, mode: u64) {
    let mode = [Mode::Exclusive, Mode::SharedReaders][mode as usize];
    let engine = Engine::builder().redb(options()).mode(mode).open(path);
    tell("open");
    // Until the parent lets go of the other end.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    engine.unwrap().close().wait().unwrap();
}

/// Tells the error's code and whether it names a file, or "open".
pub(crate) fn child_try_open(path: &Path, mode: u64) {
    let mode = [Mode::Exclusive, Mode::SharedReaders, Mode::ReadOnly][mode as usize];
    let opened = Engine::builder().redb(options()).mode(mode).open(path);
    match opened {
        Ok(_) => tell("open"),
        Err(error) => {
            tell(error.code());
            tell(&error.to_string());
        }
    }
}

#[test]
fn a_second_opener_is_told_so_or_reads_if_the_first_one_shares() {
    let (home, token) = made();
    let already = Error::Open(OpenError::AlreadyOpen(home.path()));
    let modes = [Mode::Exclusive, Mode::SharedReaders, Mode::ReadOnly];
    for first in [Mode::Exclusive, Mode::SharedReaders] {
        let engine = home.builder().mode(first).open(home.path()).unwrap();
        for second in modes {
            let opened = home.builder().mode(second).open(home.path());
            let may = first == Mode::SharedReaders && second == Mode::ReadOnly;
            match opened {
                Ok(reader) => {
                    assert!(may, "{second:?} beside {first:?}");
                    assert!(is_in(&reader, &token));
                    let fresh = issue(&engine, "bob");
                    assert!(is_in(&reader, &fresh), "a reader follows its writer");
                    let request = crate::support::request("ann");
                    let refused = reader.access().issue(request).wait().unwrap_err();
                    assert_eq!(refused.code(), "read_only");
                    let refused = reader.access().revoke(fresh.selector, None).wait();
                    assert_eq!(refused.unwrap_err().code(), "read_only");
                }
                Err(error) => {
                    assert!(!may, "{second:?} beside {first:?}: {error}");
                    assert_eq!(error, already);
                }
            }
        }
        assert!(is_in(&engine, &token), "the first one goes on");
        engine.close().wait().unwrap();
    }
}

#[test]
fn a_second_process_is_told_so_until_the_first_one_ends() {
    let (home, token) = made();
    let already = Error::Open(OpenError::AlreadyOpen(home.path()));
    for (number, shares) in [(0, false), (1, true)] {
        let mut holder = Running::start(command("hold", &home.path(), number));
        assert_eq!(holder.next().as_deref(), Some("open"));
        let refused = home.builder().open(home.path()).unwrap_err();
        assert_eq!(refused, already);
        let reader = home.builder().mode(Mode::ReadOnly).open(home.path());
        assert_eq!(reader.is_ok(), shares);
        if let Ok(reader) = reader {
            assert!(is_in(&reader, &token));
        }
        holder.kill();
        // Killed without a chance to let go: the lock went with the process.
        let engine = home.open();
        assert!(is_in(&engine, &token));
        let output = command("try-open", &home.path(), number).output().unwrap();
        assert_eq!(told(&output)[0], "already_open");
        assert!(told(&output)[1].contains(home.path().to_str().unwrap()));
    }
}

#[test]
fn what_is_no_store_is_named_and_left_alone() {
    let text = b"user,password\nann,123\n".repeat(500);
    let contents: [(&str, Vec<u8>); 4] = [
        ("empty", vec![]),
        ("a text", text),
        ("zeros", vec![0; 1 << 20]),
        ("one byte", vec![7]),
    ];
    for (what, bytes) in contents {
        let (home, _) = made();
        fs::write(home.path(), bytes).unwrap();
        check(&home, &home.path(), |error| {
            matches!(error, Error::Open(OpenError::NotAStore { .. }))
        });
        assert!(!what.is_empty());
    }
    let (home, _) = made();
    fs::remove_file(home.path()).unwrap();
    fs::create_dir(home.path()).unwrap();
    check(&home, &home.path(), |error| {
        matches!(error, Error::Open(OpenError::NotAStore { .. }))
    });
    // A link to nowhere is something, and nothing is made where it leads.
    let (home, _) = made();
    fs::remove_file(home.path()).unwrap();
    symlink(home.dir.path().join("nowhere"), home.path()).unwrap();
    check(&home, &home.path(), |error| {
        matches!(error, Error::Open(OpenError::NotFound(_)))
    });
    // A file of redb's with other tables in it.
    let (home, _) = made();
    for (id, _) in tamper::rows(&home.path(), tamper::META).unwrap() {
        tamper::put(&home.path(), tamper::META, id, None).unwrap();
    }
    check(&home, &home.path(), |error| {
        matches!(error, Error::Open(OpenError::NotAStore { .. }))
    });
}

#[test]
fn a_damaged_or_truncated_store_is_named_and_left_as_it_is() {
    let whole = |home: &Home| fs::read(home.path()).unwrap();
    let (sample, _) = made();
    let length = whole(&sample).len();
    for cut in [4, 64, 4095, 4096, length / 2, length - 4096] {
        let (home, _) = made();
        let mut bytes = whole(&home);
        bytes.truncate(cut);
        fs::write(home.path(), bytes).unwrap();
        check(&home, &home.path(), |error| {
            matches!(error, Error::Open(OpenError::Damaged { .. }))
        });
    }
    // Every block of the file in turn: it opens only where nothing was in it.
    let mut refused = 0;
    for block in 0..length / 4096 {
        let (home, token) = made();
        let mut bytes = whole(&home);
        let (from, to) = (block * 4096, (block + 1) * 4096);
        if bytes[from..to].iter().all(|byte| *byte == 0) {
            continue;
        }
        bytes[from..to].fill(0xa5);
        fs::write(home.path(), &bytes).unwrap();
        match home.builder().open(home.path()) {
            Ok(engine) => assert!(is_in(&engine, &token), "block {block}"),
            Err(Error::Open(
                OpenError::Damaged { path, .. } | OpenError::NotAStore { path, .. },
            )) => {
                assert_eq!(path, home.path());
                assert!(whole(&home) == bytes, "block {block}: it was written to");
                refused += 1;
            }
            Err(other) => panic!("block {block}: {other:?}"),
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_newer_format_is_told_apart_from_damage() {
    let (home, _) = made();
    let rows = tamper::rows(&home.path(), tamper::META).unwrap();
    let (id, mut header) = rows.into_iter().find(|(id, _)| id[15] == 1).unwrap();
    header[..4].copy_from_slice(&77u32.to_be_bytes());
    tamper::put(&home.path(), tamper::META, id, Some(&header)).unwrap();
    let path = home.path();
    check(&home, &path, |error| {
        *error
            == Error::Open(OpenError::NewerFormat {
                path: path.clone(),
                found: 77,
                supported: 1,
            })
    });
}

#[test]
fn a_store_is_made_and_opened_only_as_it_was_asked_for() {
    let (home, _) = made();
    let exists = home.builder().create(Create::Always).open(home.path());
    assert_eq!(
        exists.unwrap_err(),
        Error::Open(OpenError::Exists(home.path()))
    );
    let empty = Home::new();
    for (create, mode) in [
        (Create::Never, Mode::Exclusive),
        (Create::IfMissing, Mode::ReadOnly),
    ] {
        let missing = empty.builder().create(create).mode(mode);
        let error = missing.open(empty.path()).unwrap_err();
        assert_eq!(error, Error::Open(OpenError::NotFound(empty.path())));
        assert!(contents(empty.dir.path()).is_empty(), "nothing is made");
    }
}

#[test]
fn keys_come_from_where_the_host_says_and_from_nowhere_else() {
    let home = Home::new();
    let elsewhere = home.dir.path().join("kept.secret");
    let in_file = || home.builder().key_file(&elsewhere);
    let engine = in_file().open(home.path()).unwrap();
    let token = issue(&engine, "ann");
    engine.close().wait().unwrap();
    assert!(elsewhere.exists() && !home.key_path().exists());
    let error = home.builder().open(home.path()).unwrap_err();
    let missing = KeyFileFault::Missing(home.key_path());
    assert_eq!(error, Error::Keys(missing));
    let engine = in_file().open(home.path()).unwrap();
    assert!(is_in(&engine, &token));
    engine.close().wait().unwrap();
    let kept = keyfile::read(&elsewhere).unwrap();
    fs::remove_file(&elsewhere).unwrap();
    let engine = home.builder().keys(kept).open(home.path()).unwrap();
    assert!(is_in(&engine, &token));
    engine.close().wait().unwrap();

    let given = Home::new();
    let engine = given.builder().keys(keys()).open(given.path()).unwrap();
    let token = issue(&engine, "ann");
    engine.close().wait().unwrap();
    assert!(!given.key_path().exists(), "none is made");
    let engine = given.builder().keys(keys()).open(given.path()).unwrap();
    assert!(is_in(&engine, &token));
}

#[test]
fn a_key_file_that_was_left_serves_unless_a_new_one_was_asked_for() {
    let home = Home::new();
    for path in [home.key_path(), home.dir.path().join("kept.secret")] {
        let made = keyfile::create(&path, &home.clock, &SystemEntropy).unwrap();
        let before = contents(home.dir.path());
        let named = || home.builder().key_file(&path);
        let error = named().create(Create::Always).open(home.path());
        let exists = KeyFileFault::Exists(path.clone());
        assert_eq!(error.unwrap_err(), Error::Keys(exists));
        assert!(contents(home.dir.path()) == before, "nothing is made");
        let engine = named().open(home.path()).unwrap();
        engine.close().wait().unwrap();
        drop(engine);
        drop(home.builder().keys(made).open(home.path()).unwrap());
        fs::remove_file(home.path()).unwrap();
    }
}

#[test]
fn a_store_of_another_kind_is_begun_only_where_that_was_asked_for() {
    let (clock, store) = (ManualClock::default(), Arc::new(MemoryStore::new([])));
    let open = |create| {
        let store = Arc::clone(&store) as Arc<dyn Store>;
        builder(&clock).create(create).open_store(store, &keys())
    };
    let before = everything(&*store);
    assert!(open(Create::Never).is_err());
    assert_eq!(everything(&*store), before, "something was put into it");
    // Whoever is let go of first closes the store for all.
    let first = open(Create::IfMissing).unwrap();
    let token = issue(&first, "ann");
    let before = everything(&*store);
    let others = [Create::Never, Create::IfMissing].map(|create| open(create).unwrap());
    for other in &others {
        assert!(is_in(other, &token));
        assert_eq!(everything(&*store), before);
    }
}

#[test]
fn handles_are_told_apart_by_their_engine_and_not_by_their_store() {
    let (clock, store) = (ManualClock::default(), Arc::new(MemoryStore::new([])));
    let one = on_store(&clock, Arc::clone(&store) as _);
    let other = on_store(&clock, store);
    assert!(one.is_same(&one.clone()) && one.clone().is_same(&one));
    assert!(!one.is_same(&other) && !other.is_same(&one));
}

#[test]
fn who_reads_beside_a_writer_keeps_nothing_that_may_be_over() {
    let home = Home::new();
    let shared = home.builder().mode(Mode::SharedReaders);
    let writer = shared.open(home.path()).unwrap();
    let reader = home.builder().mode(Mode::ReadOnly);
    let reader = reader.open(home.path()).unwrap();
    let tokens = ["ann", "bob", "cid", "dan"].map(|name| issue(&writer, name));
    let check = |living: usize| {
        for (number, token) in tokens.iter().enumerate() {
            assert_eq!(is_in(&reader, token), number < living, "{living}: {number}");
        }
    };
    check(4);
    crate::support::revoke(&writer, tokens[3].selector);
    check(3);
    let disabled = writer.principals().disable(principal("cid"), None);
    assert!(disabled.wait().unwrap().durable);
    check(2);
    let tightened = policy(|draft| {
        draft.access_tokens.max_lifetime = MINUTE;
        draft.access_tokens.allow_never = false;
    });
    writer.set_policy(tightened).wait().unwrap();
    home.clock.advance(2 * MINUTE);
    check(0);
    writer.set_policy(policy(|_| ())).wait().unwrap();
    check(2);
    let off = writer.switches().off(Subsystem::AccessTokens, None);
    assert!(off.wait().unwrap().durable);
    check(0);
    assert_eq!(reader.stats().cached_tokens, 0);
}

#[test]
fn a_key_file_that_is_missing_open_to_others_or_broken_is_never_replaced() {
    type Spoil = fn(&Path);
    type Fits = fn(&KeyFileFault) -> bool;
    let cases: [(Spoil, Fits); 8] = [
        (
            |path| fs::remove_file(path).unwrap(),
            |fault| matches!(fault, KeyFileFault::Missing(_)),
        ),
        (
            |path| fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap(),
            |fault| matches!(fault, KeyFileFault::Permissions { mode: 0o644, .. }),
        ),
        (
            |path| rewrite(path, |_| String::new()),
            |fault| content(fault, &KeyFileError::Header),
        ),
        (
            |path| rewrite(path, |text| text[..text.len() - 2].to_owned()),
            |fault| matches!(fault, KeyFileFault::Content { .. }),
        ),
        (
            |path| rewrite(path, |text| text.repeat(200)),
            |fault| content(fault, &KeyFileError::TooLong),
        ),
        (
            |path| rewrite(path, |text| flip_digit(&text)),
            |fault| content(fault, &KeyFileError::Check),
        ),
        (
            |path| rewrite(path, |text| text.replace("keys 1", "keys 2")),
            |fault| content(fault, &KeyFileError::Header),
        ),
        (
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            |fault| matches!(fault, KeyFileFault::Io { .. }),
        ),
    ];
    for (number, (spoil, fits)) in cases.into_iter().enumerate() {
        let (home, _) = made();
        spoil(&home.key_path());
        check(&home, &home.key_path(), |error| match error {
            Error::Keys(fault) => fits(fault),
            other => panic!("case {number}: {other:?}"),
        });
    }
}

fn content(fault: &KeyFileFault, expected: &KeyFileError) -> bool {
    matches!(fault, KeyFileFault::Content { fault, .. } if fault == expected)
}

fn rewrite(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, change(text)).unwrap();
}

/// One digit of the root key is another one.
fn flip_digit(text: &str) -> String {
    let at = text.find("root ").unwrap() + 5;
    let other = if text[at..].starts_with('0') {
        "1"
    } else {
        "0"
    };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[test]
fn keys_of_another_store_and_keys_that_lack_a_pepper_are_told_apart() {
    let (home, _) = made();
    let (other, _) = made();
    let own = fs::read(home.key_path()).unwrap();
    fs::copy(other.key_path(), home.key_path()).unwrap();
    let path = home.path();
    check(&home, &path, |error| {
        *error == Error::Open(OpenError::WrongKey(path.clone()))
    });
    fs::write(home.key_path(), own).unwrap();

    // The store notes the second pepper when it is opened with it.
    let material = keyfile::read(&home.key_path()).unwrap();
    let rotated = material.rotated(countersign_testkit::samples::NOW, [9; 32]);
    keyfile::replace(&home.key_path(), &rotated.unwrap()).unwrap();
    home.open().close().wait().unwrap();
    for dropped in [1, 2] {
        let complete = fs::read(home.key_path()).unwrap();
        without_pepper(&home.key_path(), dropped);
        check(&home, &path, |error| {
            matches!(error, Error::Open(OpenError::MissingPepper { id, .. })
                if id.number() == dropped)
        });
        fs::write(home.key_path(), complete).unwrap();
    }
    home.open();
    let none = KeyMaterialError::NoPepper;
    assert_eq!(none.to_string(), "a keyring has at least one pepper");
}

/// Takes a pepper out of a key file, as somebody would who wants to tidy it up.
fn without_pepper(path: &Path, dropped: u16) {
    use countersign::core::keys::{PepperMaterial, file};
    use countersign::core::{KeyMaterial, SecretKey};
    let text = fs::read_to_string(path).unwrap();
    let hex = |text: &str| -> [u8; 32] {
        let byte = |at: usize| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap();
        core::array::from_fn(byte)
    };
    let mut lines = text.lines().skip(1);
    let root = hex(lines.next().unwrap().strip_prefix("root ").unwrap());
    let peppers = lines.filter_map(|line| line.strip_prefix("pepper "));
    let peppers = peppers.filter_map(|line| {
        let mut parts = line.split(' ');
        let id: u16 = parts.next().unwrap().parse().unwrap();
        let key = SecretKey::from_bytes(hex(parts.next().unwrap()));
        let created_at = countersign::Timestamp::from_rfc3339(parts.next().unwrap()).unwrap();
        let id = (id != dropped).then(|| countersign::KeyId::new(id).unwrap())?;
        Some(PepperMaterial {
            id,
            key,
            created_at,
        })
    });
    let material = KeyMaterial::new(SecretKey::from_bytes(root), peppers.collect()).unwrap();
    fs::write(path, file::write(&material).expose()).unwrap();
}

#[test]
fn where_nothing_can_be_written_nothing_is_made_and_the_place_is_named() {
    // Below a file there is no directory: this stops everybody, whatever their rights.
    let home = Home::new();
    let file = home.dir.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    for path in [
        file.join("state.redb"),
        home.dir.path().join("missing").join("state.redb"),
    ] {
        let error = home.builder().open(&path).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(path.with_extension("key").to_str().unwrap()),
            "{text}"
        );
        let left = fs::read_dir(home.dir.path()).unwrap().count();
        assert_eq!(
            (left, fs::read(&file).unwrap()),
            (1, b"in the way".to_vec())
        );
    }
}

/// What a process without rights is told: run as nobody where this one may become that.
#[test]
fn without_rights_a_store_is_neither_opened_nor_made() {
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let (home, _) = made();
    let parent = home.dir.path();
    fs::set_permissions(parent, Permissions::from_mode(0o755)).unwrap();
    // (who may read what, the file that is named)
    let readable = |path: &PathBuf, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let probe = wrapped(&nobody, "try-open", &parent.join("probe/state.redb"), 0);
    let probe = { probe }.output();
    let may = probe.as_ref().is_ok_and(|output| !told(output).is_empty());
    if !may {
        loudly("this process cannot run another one as nobody: rights were not tried");
        assert!(probe.is_err() || told(&probe.unwrap()).is_empty());
        return;
    }
    let try_open = |path: &Path| told(&wrapped(&nobody, "try-open", path, 0).output().unwrap());

    // The directory may be read, and not written to.
    let before = contents(parent);
    let fresh = parent.join("fresh.redb");
    let lines = try_open(&fresh);
    assert_eq!(lines[0], "keys");
    assert!(lines[1].contains("fresh.key"), "{}", lines[1]);
    // The key file is root's.
    let lines = try_open(&home.path());
    assert_eq!(lines[0], "keys");
    assert!(
        lines[1].contains(home.key_path().to_str().unwrap()),
        "{}",
        lines[1]
    );
    assert!(contents(parent) == before);
    // The store is root's, and may at most be read.
    std::os::unix::fs::chown(home.key_path(), Some(65534), Some(65534)).unwrap();
    for mode in [0o600, 0o644] {
        readable(&home.path(), mode);
        let before = contents(parent);
        let lines = try_open(&home.path());
        assert!(
            lines[1].contains(home.path().to_str().unwrap()),
            "{}",
            lines[1]
        );
        assert_ne!(lines[0], "open");
        assert!(contents(parent) == before);
    }
}

/// Says that something was not tried, where nobody overlooks it.
pub(crate) fn loudly(text: &str) {
    use std::io::Write as _;
    // Past the capture of the test harness.
    let line = format!("\n*** NOT TRIED: {text} ***\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
