//! One simulated node: a real engine, and a feed whose connection is simulated and whose decisions
//! are the real ones.

use crate::database::{Database, Heads, Logged, Server};
use crate::hand::{self, MICRO, MILLI, Nanos, SECOND, Wall, nanos};
use crate::people::People;
use crate::plan::{Harm, Plan};
use crate::random::Chance;
use crate::shared::NodeStore;
use countersign::{Draft, Engine, Maintenance, Policy};
use countersign_postgres::follow::{COALESCE, Moved, POLL, Pace, SHARDS};
use countersign_postgres::history;
use countersign_testkit::SeededEntropy;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a feed that has lost its server waits before it looks for one again.
const LOOK_FOR: Nanos = SECOND / 2;

pub(crate) struct SimulatedNode {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<NodeStore>,
    /// Which of all openings it is.
    pub(crate) number: u64,
    pace: Pace,
    look: Look,
    /// Counts what was planned for the feed: only the latest of it counts.
    pub(crate) planned: u64,
    is_rung: bool,
    has_lost: bool,
    pub(crate) verified: u64,
    pub(crate) hits: u64,
}

/// Where the feed is.
enum Look {
    /// It rests, and looks again at this instant.
    Resting(Nanos),
    /// It has read the counters.
    Read(Reading),
}

struct Reading {
    /// Before anything was sent.
    from: Nanos,
    renews: bool,
    /// When all of its first answers are there.
    answered: Nanos,
    moved: Moved,
    logged: Vec<Logged>,
    turn: u64,
    asked: u64,
}

/// What the feed's connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The question for the counters arrives at the server.
    Heads,
    /// The question for the log does.
    Log,
    /// The last answer is there.
    Answers,
}

impl SimulatedNode {
    pub(crate) fn open(plan: &Plan, database: &Arc<Mutex<Database>>, number: u64) -> Self {
        let node = history::Node {
            id: Uuid::from_u128(u128::from(number) + 1),
            number: number as i64 + 1,
            shard: (number as usize % SHARDS) as i16,
        };
        let database = Arc::clone(database);
        let store = Arc::new(NodeStore::new(database, node, plan.bound(), plan.harm));
        let entropy = SeededEntropy::new(plan.seed.wrapping_mul(1_000_003) + number);
        let engine = Engine::builder()
            .policy(policy(plan))
            .clock(Wall)
            .entropy(entropy)
            .maintenance(Maintenance::HostDriven)
            .open_store(Arc::clone(&store) as _, &People::keys())
            .unwrap();
        Self {
            engine,
            store,
            number,
            pace: Pace::default(),
            look: Look::Resting(hand::now()),
            planned: 0,
            is_rung: false,
            has_lost: false,
            verified: 0,
            hits: 0,
        }
    }

    /// The feed's next step, and when.
    pub(crate) fn begin(&mut self, at: Nanos, chance: &mut Chance) -> (Nanos, Step) {
        self.look = Look::Resting(at);
        self.planned += 1;
        (at + way(chance), Step::Heads)
    }

    /// A notification has come: the next look is soon, and one that is under way is not the last.
    pub(crate) fn ring(&mut self, at: Nanos, chance: &mut Chance) -> Option<(Nanos, Step)> {
        let soon = at + nanos(COALESCE);
        match self.look {
            _ if self.has_lost => None,
            Look::Resting(next) if next > soon => Some(self.begin(soon, chance)),
            Look::Resting(_) => None,
            Look::Read(_) => {
                self.is_rung = true;
                None
            }
        }
    }

    fn rest(&mut self, at: Nanos, bound: Duration, chance: &mut Chance) -> (Nanos, Step) {
        let pause = match std::mem::take(&mut self.is_rung) {
            true => COALESCE,
            false => Pace::rest(POLL, bound),
        };
        self.begin(at + nanos(pause), chance)
    }

    /// The question for the counters is at the server.
    pub(crate) fn read_heads(
        &mut self,
        database: &mut Database,
        bound: Duration,
        chance: &mut Chance,
    ) -> (Nanos, Step) {
        let now = hand::now();
        let Look::Resting(from) = self.look else {
            return self.begin(now, chance);
        };
        let Some(server) = self.store.server(database) else {
            return self.lose(now, chance);
        };
        if self.has_lost && server == Server::Primary {
            self.has_lost = false;
            self.pace = Pace::default();
            self.store.history.lease.moved();
        }
        let renews = self.pace.renews(hand::at(from), bound, false);
        let mut answered = now + way(chance);
        if renews {
            if server == Server::Old && self.store_harm() != Harm::RenewedByReads {
                // Its write waits for standbys that follow another one by now.
                return self.lose(now, chance);
            }
            database.load.beats += 1;
            answered = now + quorum(chance) + way(chance);
        }
        let heads: Heads = database.heads(server);
        let moved = self.store.moved(&heads);
        if moved.is_empty() && !renews {
            return self.rest(answered, bound, chance);
        }
        let step = match moved.is_empty() {
            true => (answered, Step::Answers),
            false => (answered + way(chance), Step::Log),
        };
        self.look = Look::Read(Reading {
            from,
            renews,
            answered,
            moved,
            logged: Vec::new(),
            turn: database.turns,
            asked: self.store.asked(),
        });
        self.planned += 1;
        step
    }

    /// The question for the log is at the server.
    pub(crate) fn read_log(
        &mut self,
        database: &mut Database,
        chance: &mut Chance,
    ) -> (Nanos, Step) {
        let now = hand::now();
        if self.store.server(database).is_none() {
            return self.lose(now, chance);
        }
        let Look::Read(reading) = &mut self.look else {
            return self.begin(now, chance);
        };
        reading.logged = database.entries(&reading.moved);
        reading.answered = now + way(chance);
        self.planned += 1;
        (reading.answered, Step::Answers)
    }

    /// Everything was answered: what was heard is told, and the lease renewed.
    pub(crate) fn take_answers(
        &mut self,
        turn: u64,
        bound: Duration,
        chance: &mut Chance,
    ) -> (Nanos, Step) {
        let now = hand::now();
        let look = std::mem::replace(&mut self.look, Look::Resting(now));
        let Look::Read(reading) = look else {
            return self.begin(now, chance);
        };
        let is_old = self.store.is_cut_off() && self.store_harm() != Harm::RenewedByReads;
        if reading.turn != turn || is_old {
            return self.lose(now, chance);
        }
        // Somebody who was out of the lease has asked meanwhile, and has heard more by that.
        if reading.asked != self.store.asked() {
            return self.begin(now, chance);
        }
        if !reading.moved.is_empty() {
            self.store.hear(reading.moved, &reading.logged);
        }
        if reading.renews {
            self.store.history.lease.renew(hand::at(reading.from));
        }
        self.rest(now, bound, chance)
    }

    fn lose(&mut self, now: Nanos, chance: &mut Chance) -> (Nanos, Step) {
        self.has_lost = true;
        self.begin(now + LOOK_FOR, chance)
    }

    fn store_harm(&self) -> Harm {
        self.store.harm()
    }
}

fn policy(plan: &Plan) -> Policy {
    let mut draft = Draft::default();
    draft.cache.staleness_ms = plan.staleness_ms;
    draft.cache.max_tokens = plan.max_tokens;
    draft.cache.max_principals = plan.max_tokens;
    draft.access_tokens.last_used_interval = Duration::from_secs(plan.last_used_seconds);
    draft.access_tokens.max_live_per_principal = 100;
    draft.build().unwrap()
}

/// What a message takes one way: within one region, and now and then far longer.
pub(crate) fn way(chance: &mut Chance) -> Nanos {
    let odd = match chance.unit() {
        unit if unit < 0.000_1 => chance.around(100.0 * MILLI as f64),
        unit if unit < 0.01 => chance.around(3.0 * MILLI as f64),
        _ => 0,
    };
    150 * MICRO + chance.around(100.0 * MICRO as f64) + odd
}

/// What a commit takes until the quorum of standbys has it.
pub(crate) fn quorum(chance: &mut Chance) -> Nanos {
    MILLI + chance.around(MILLI as f64) + way(chance)
}
