//! Hazard: the power fails while a commit is on its way to the disk, and what was acknowledged is
//! gone, or half of something is there, or a revocation is undone.
//!
//! A store works on a disk that notes every write and sync. At every point of the notes the power
//! is cut, in each way that it can be, and what is left is opened: it must stand at a revision that
//! is not below the last one that was acknowledged as durable, and hold exactly what the commits up
//! to it make of the plain model in memory. Opening is cut too, and what that leaves opened again.
//!
//! `COUNTERSIGN_POWER_CUTS` asks for about so many cuts.

mod lost_syncs;

use crate::support::{
    Dice, Home, asked, device, everything, figures, options, principal, request, roomy,
};
use countersign::core::{Batch, Key, Versioned};
use countersign::store::{MemoryStore, Mode, RedbOptions, RedbStore, Revision, Store};
use countersign::{AttachmentId, Engine, Rejection, Rotation, Subsystem};
use countersign_testkit::power::Notes;
use countersign_testkit::{Cut, Disk, Gated, ManualClock, samples};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

const CUTS: u64 = 1500;
/// How many cuts are made in the notes of one store before there is another.
const CUTS_EACH: usize = 6000;
const THREADS: u64 = 3;
const STEPS: u64 = 25;

type Contents = BTreeMap<Key, Versioned>;

/// What was said at a moment of the notes.
#[derive(Clone, Debug)]
enum Told {
    /// A commit was acknowledged as durable.
    Durable(Revision),
    /// A token was handed to its owner.
    Issued(String),
    /// Somebody asked to end a token; it may have ended.
    Ending(String),
    /// And was told that it is.
    Ended(String),
}

/// A store's history, with everything that was said meanwhile.
struct History {
    home: Home,
    mode: Mode,
    notes: Notes,
    told: Vec<Told>,
    /// What the store holds at each revision, by its number.
    states: Vec<Contents>,
}

/// Notes what is said, at the moment of the disk's notes.
struct Minutes {
    disk: Disk,
    told: Mutex<Vec<Told>>,
}

impl Minutes {
    fn tell(&self, what: Told) {
        let mut told = self.told.lock().unwrap();
        self.disk.mark();
        told.push(what);
    }
}

fn plain() -> RedbOptions {
    options().ballast_bytes(0)
}

fn on(disk: &Disk, mode: Mode) -> RedbOptions {
    plain().mode(mode).backend(disk.hook())
}

/// A store that readers share commits in another way.
const fn mode(seed: u64) -> Mode {
    match seed % 2 {
        0 => Mode::Exclusive,
        _ => Mode::SharedReaders,
    }
}

/// A file with an empty store in it, as bytes.
fn made(home: &Home) -> Vec<u8> {
    let path = home.path();
    let made = plain().create(&path, samples::keyring(), [1; 16], vec![]);
    made.unwrap().close().wait().unwrap();
    std::fs::read(&path).unwrap()
}

fn contents(store: &dyn Store) -> Contents {
    everything(store).1.into_iter().collect()
}

fn engine(store: Arc<dyn Store>) -> Engine {
    let builder = crate::support::builder(&ManualClock::default()).policy(roomy());
    builder.open_store(store, &samples::keys()).unwrap()
}

impl History {
    fn new(seed: u64) -> Self {
        let home = Home::new();
        let (first, mode) = (made(&home), mode(seed));
        let disk = Disk::holding(first.clone());
        let store = on(&disk, mode).open(home.path(), samples::keyring());
        let store = store.unwrap();
        let gated = Arc::new(Gated::new(Arc::new(store)));
        let minutes = Arc::new(Minutes {
            disk: disk.clone(),
            told: Mutex::new(Vec::new()),
        });
        let commits = Arc::new(Mutex::new(Vec::<(Revision, Batch)>::new()));
        let (listening, noting) = (Arc::clone(&minutes), Arc::clone(&commits));
        gated.listen(move |batch, revision| {
            let durable = batch.durability == countersign::core::Durability::Immediate;
            noting.lock().unwrap().push((revision, batch));
            if durable {
                listening.tell(Told::Durable(revision));
            }
        });
        let engine = engine(gated as _);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (engine, minutes) = (&engine, &minutes);
                scope.spawn(move || work(engine, minutes, Dice(seed ^ number << 32), number));
            }
        });
        engine.close().wait().unwrap();
        let commits = std::mem::take(&mut *commits.lock().unwrap());
        let told = minutes.told.lock().unwrap().clone();
        Self {
            home,
            mode,
            notes: disk.notes(first),
            told,
            states: states(commits),
        }
    }
}

/// What the plain model holds after each commit.
fn states(mut commits: Vec<(Revision, Batch)>) -> Vec<Contents> {
    commits.sort_by_key(|(revision, _)| *revision);
    let model = MemoryStore::new([]);
    // There is no revision 0, and 1 is the empty store.
    let mut states = vec![Contents::new(), contents(&model)];
    for (revision, batch) in commits {
        assert_eq!(model.commit(batch).wait().unwrap(), revision);
        if revision.0 as usize == states.len() {
            states.push(contents(&model));
        }
    }
    states
}

/// Everything that is written, each thread for principals of its own and for one whom all share.
fn work(engine: &Engine, minutes: &Minutes, mut dice: Dice, number: u64) {
    let mut live = Vec::new();
    let mut devices = Vec::new();
    for step in 0..STEPS {
        let who = match dice.below(4) {
            0 => "shared".to_owned(),
            _ => format!("principal-{number}-{}", dice.below(3)),
        };
        let access = engine.access();
        match dice.below(12) {
            0..=3 => {
                // One whom another thread has just switched off is refused.
                if let Ok(token) = access.issue(request(&who)).wait() {
                    minutes.tell(Told::Issued(token.token.expose().to_owned()));
                    live.push(token);
                }
            }
            4 | 5 if !live.is_empty() => {
                let token = live.swap_remove(dice.below(live.len() as u64) as usize);
                let text = token.token.expose().to_owned();
                minutes.tell(Told::Ending(text.clone()));
                if dice.below(2) == 0 {
                    let rotated = access.rotate(token.selector, Rotation::default());
                    if let Ok(rotated) = rotated.wait() {
                        minutes.tell(Told::Issued(rotated.token.expose().to_owned()));
                        live.push(rotated);
                    }
                } else {
                    access.revoke(token.selector, None).wait().unwrap();
                }
                minutes.tell(Told::Ended(text));
            }
            6 => {
                if let Ok(device) = engine.remember().start(device(&who)).wait() {
                    devices.push(device.token.expose().to_owned());
                }
            }
            7 if !devices.is_empty() => {
                let at = dice.below(devices.len() as u64) as usize;
                let recalled = engine.remember().present(&devices[at], None).wait();
                if let Ok(countersign::Recall::In(recalled)) = recalled
                    && let Some(successor) = recalled.successor
                {
                    devices[at] = successor.expose().to_owned();
                }
            }
            8 => {
                let attachment = AttachmentId::new(&format!("attachment-{}", dice.below(4)));
                let attachment = attachment.unwrap();
                // Right after a revocation nothing is signed.
                let _ = engine
                    .images()
                    .sign(principal(&who), attachment.clone())
                    .wait();
                if dice.below(3) == 0 {
                    engine.images().revoke(attachment, None).wait().unwrap();
                }
            }
            9 => {
                // Of those who own no token that is judged here.
                let who = principal(&format!("passing-{number}"));
                let principals = engine.principals();
                principals.disable(who.clone(), None).wait().unwrap();
                if dice.below(2) == 0 {
                    principals.enable(who.clone(), None).wait().unwrap();
                }
                if dice.below(2) == 0 {
                    engine.revoke_everything(who, None).wait().unwrap();
                }
            }
            10 => {
                let subsystem = Subsystem::RememberMe;
                engine.switches().off(subsystem, None).wait().unwrap();
                engine.switches().on(subsystem, None).wait().unwrap();
            }
            _ => {
                for token in &live {
                    let _ = access.verify(token.token.expose()).wait();
                }
                // Uses are deferred, and become durable with what comes after them.
                engine.flush().wait().unwrap();
                if step % 3 == 0 {
                    engine.maintain().wait().unwrap();
                }
            }
        }
    }
}

/// What was seen of cuts.
#[derive(Debug, Default)]
struct Seen {
    cuts: usize,
    in_recovery: usize,
    /// How many left more than what was acknowledged.
    ahead: usize,
    judged: usize,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.in_recovery += other.in_recovery;
        self.ahead += other.ahead;
        self.judged += other.judged;
    }
}

/// What must hold after a cut.
struct Held<'a> {
    history: &'a History,
    acknowledged: Revision,
    said: &'a [Told],
    what: String,
}

impl History {
    /// Cuts at every point, about so often in all.
    fn cut(&self, cuts: usize, seed: u64) -> Seen {
        let (mut seen, mut dice) = (Seen::default(), Dice(seed));
        let mut replay = self.notes.replay();
        let points = self.notes.len();
        let mut at = 0;
        while replay.step() {
            at += 1;
            // So many here that it adds up, however few there are.
            let here = cuts * at / points - cuts * (at - 1) / points;
            let said = &self.told[..replay.marks()];
            // Threads tell in any order.
            let durable = said.iter().filter_map(|told| match told {
                Told::Durable(revision) => Some(*revision),
                _ => None,
            });
            let durable = durable.max();
            for _ in 0..here {
                let cut = Cut::ALL[dice.below(Cut::ALL.len() as u64) as usize];
                let image = replay.image(cut, &mut |sides| dice.below(sides));
                let held = Held {
                    history: self,
                    acknowledged: durable.unwrap_or(Revision(1)),
                    said,
                    what: format!("seed {seed}, {cut:?} at {at} of {points}"),
                };
                held.hold(image, &mut dice, &mut seen);
            }
        }
        seen
    }
}

impl Held<'_> {
    fn hold(&self, image: Vec<u8>, dice: &mut Dice, seen: &mut Seen) {
        seen.cuts += 1;
        let disk = Disk::holding(image.clone());
        let path = self.history.home.path();
        drop(self.opened(&disk, &path, seen));
        if dice.below(4) == 0 {
            // What opening and closing did is cut as well.
            let notes = disk.notes(image);
            let mut replay = notes.replay();
            for _ in 0..dice.below(notes.len() as u64 + 1) {
                replay.step();
            }
            let cut = Cut::ALL[dice.below(Cut::ALL.len() as u64) as usize];
            let again = replay.image(cut, &mut |sides| dice.below(sides));
            seen.in_recovery += 1;
            let disk = Disk::holding(again);
            drop(self.opened(&disk, &path, seen));
            self.looked_through(&disk, &path);
        }
        if dice.below(8) == 0 {
            let store = self.opened(&disk, &path, seen);
            self.judged(store, seen);
        }
    }

    /// It opens, and is what some number of commits has made of it.
    fn opened(&self, disk: &Disk, path: &Path, seen: &mut Seen) -> RedbStore {
        let what = &self.what;
        let store = on(disk, self.history.mode).open(path, samples::keyring());
        let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
        let revision = store.attest().wait().unwrap();
        assert!(
            revision >= self.acknowledged,
            "{what}: {revision:?} is back behind what was told"
        );
        seen.ahead += usize::from(revision > self.acknowledged);
        let expected = &self.history.states[revision.0 as usize];
        assert!(
            contents(&store) == *expected,
            "{what}: not what {revision:?} is"
        );
        store
    }

    /// The deep check finds nothing.
    fn looked_through(&self, disk: &Disk, path: &Path) {
        let report =
            on(disk, self.history.mode).check(path, samples::keyring(), true, &mut |_, _| ());
        let report = report.unwrap();
        assert!(report.is_sound(), "{}: {report:?}", self.what);
    }

    /// Everybody is judged as was told, and work goes on.
    fn judged(&self, store: RedbStore, seen: &mut Seen) {
        let mut fates = BTreeMap::new();
        for told in self.said {
            match told {
                Told::Issued(text) => fates.insert(text, Some(true)),
                Told::Ending(text) => fates.insert(text, None),
                Told::Ended(text) => fates.insert(text, Some(false)),
                Told::Durable(_) => None,
            };
        }
        let engine = engine(Arc::new(store));
        for (text, fate) in fates {
            let verdict = crate::support::verify(&engine, text);
            let refused = verdict.rejection();
            let known = [None, Some(Rejection::Revoked)];
            let fits = match fate {
                Some(true) => refused.is_none(),
                Some(false) => refused == Some(Rejection::Revoked),
                None => known.contains(&refused),
            };
            assert!(fits, "{}: {fate:?} and {verdict:?}", self.what);
            seen.judged += 1;
        }
        let after = engine.access().issue(request("after")).wait();
        assert!(after.is_ok(), "{}: {after:?}", self.what);
        engine.close().wait().unwrap();
    }
}

#[test]
fn a_cut_anywhere_leaves_what_was_acknowledged_and_nothing_by_halves() {
    let cuts = asked("COUNTERSIGN_POWER_CUTS", CUTS) as usize;
    let seeds = cuts.div_ceil(CUTS_EACH).max(2) as u64;
    let one = |seed| History::new(seed).cut(cuts.div_ceil(seeds as usize), seed);
    let share = |first: u64| {
        let mut seen = Seen::default();
        for seed in (first..seeds).step_by(2) {
            seen.add(&one(seed));
        }
        seen
    };
    // Both halves at once.
    let mut seen = thread::scope(|scope| {
        let other = scope.spawn(|| share(1));
        let mut seen = share(0);
        seen.add(&other.join().unwrap());
        seen
    });
    seen.cuts += seen.in_recovery;
    assert!(
        seen.ahead > 0 && seen.in_recovery > 0 && seen.judged > 0,
        "{seen:?}"
    );
    figures(&format!(
        "power cuts: {} images opened, {} of them after a cut in recovery; {} stood at more than \
         was acknowledged, none at less; {} tokens judged",
        seen.cuts, seen.in_recovery, seen.ahead, seen.judged
    ));
}
