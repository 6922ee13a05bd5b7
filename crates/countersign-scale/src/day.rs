//! A day of many nodes, from its first request to its report.
//!
//! Everything that happens is planned in one queue and done in its order, on one thread.

mod faults;
mod requests;

use crate::database::Database;
use crate::hand::{self, HOUR, MILLI, Nanos, SECOND, nanos};
use crate::load::Load;
use crate::node::{SimulatedNode, Step, way};
use crate::people::People;
use crate::plan::Plan;
use crate::probe::{Lateness, Probe};
use crate::queue::Queue;
use crate::random::{Chance, Zipf};
use faults::Fault;
use parking_lot::Mutex;
use requests::Operation;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What a day came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What it was like.
    pub plan: Plan,
    /// Its load, by the hour.
    pub hours: Vec<Load>,
    /// How late tokens that were revoked one at a time were let in, where that was tried.
    pub one: Lateness,
    /// The same, of many that were revoked at once.
    pub mass: Lateness,
    /// The same, of a principal's that were ended by one row, at every node.
    pub principal: Lateness,
    /// How late nodes heard of revocations, trusting their memory or not.
    pub heard: Lateness,
    /// Verifications beside those that let a revoked token in later than the bound.
    pub beyond: u64,
    /// Tokens that the mass revocation ended, and how many milliseconds that took.
    pub mass_tokens: usize,
    /// See [`Outcome::mass_tokens`].
    pub mass_ms: u64,
    /// Events that were simulated.
    pub events: u64,
}

impl Outcome {
    /// How often somebody was let in later than the bound allows.
    #[must_use]
    pub const fn violations(&self) -> u64 {
        (self.one.beyond + self.mass.beyond + self.principal.beyond) as u64 + self.beyond
    }
}

/// Simulates a day; `tell` hears of each hour as it is over.
pub fn simulate(plan: &Plan, tell: impl FnMut(usize, &Load)) -> Outcome {
    hand::set(0);
    Day::new(plan.clone()).run(tell)
}

#[derive(Clone, Debug)]
enum Happening {
    /// Somebody asks for something.
    Arrival,
    Operation(Operation),
    /// The step that was planned as this one for that opening of a node.
    Feed(usize, u64, u64, Step),
    /// A notification reaches the nodes.
    Ring,
    Probe(Box<Probe>),
    Maintenance(usize, u64),
    Fault(Fault),
    Hour,
}

struct Day {
    plan: Plan,
    people: Arc<People>,
    database: Arc<Mutex<Database>>,
    /// Nothing where a node was lost.
    nodes: Vec<Option<SimulatedNode>>,
    opened: u64,
    queue: Queue<Happening>,
    zipf: Zipf,
    /// Who is asked for first.
    popular: Vec<u32>,
    network: Chance,
    requests: Chance,
    /// The device that a user is remembered by.
    devices: HashMap<usize, String>,
    /// When the revocation of a token was acknowledged.
    revoked: HashMap<usize, Nanos>,
    /// What waits for a primary.
    held: Vec<Operation>,
    /// When a notification was sent last.
    rung_at: Option<Nanos>,
    hours: Vec<Load>,
    heard: Vec<Nanos>,
    late: Late,
    events: u64,
}

#[derive(Default)]
struct Late {
    one: Vec<Nanos>,
    mass: Vec<Nanos>,
    principal: Vec<Nanos>,
    beyond: u64,
    mass_tokens: usize,
    mass_from: Nanos,
    mass_until: Nanos,
}

impl Day {
    fn new(plan: Plan) -> Self {
        let people = Arc::new(People::new(plan.users, plan.tokens_each));
        let database = Arc::new(Mutex::new(Database::new(Arc::clone(&people))));
        let mut shuffle = Chance::new(plan.seed, 3);
        let mut popular: Vec<u32> = (0..plan.users as u32).collect();
        for last in (1..popular.len()).rev() {
            popular.swap(last, shuffle.below(last + 1));
        }
        Self {
            zipf: Zipf::new(plan.users, plan.unevenness),
            people,
            database,
            nodes: Vec::new(),
            opened: 0,
            queue: Queue::new(),
            popular,
            network: Chance::new(plan.seed, 1),
            requests: Chance::new(plan.seed, 2),
            devices: HashMap::new(),
            revoked: HashMap::new(),
            held: Vec::new(),
            rung_at: None,
            hours: Vec::new(),
            heard: Vec::new(),
            late: Late::default(),
            events: 0,
            plan,
        }
    }

    fn run(mut self, mut tell: impl FnMut(usize, &Load)) -> Outcome {
        for slot in 0..self.plan.nodes {
            self.nodes.push(None);
            self.open(slot);
        }
        self.queue.plan(0, Happening::Arrival);
        self.plan_faults();
        let mut end = HOUR;
        while end < self.plan.length() {
            self.queue.plan(end, Happening::Hour);
            end += HOUR;
        }
        while let Some((at, happening)) = self.queue.next() {
            if at >= self.plan.length() {
                break;
            }
            hand::set(at);
            self.events += 1;
            if matches!(happening, Happening::Hour) {
                self.close_hour();
                if let Some(hour) = self.hours.last() {
                    tell(self.hours.len(), hour);
                }
            } else {
                self.happen(at, happening);
            }
        }
        self.close_hour();
        if let Some(hour) = self.hours.last() {
            tell(self.hours.len(), hour);
        }
        self.outcome()
    }

    fn happen(&mut self, at: Nanos, happening: Happening) {
        match happening {
            Happening::Arrival => self.arrive(at),
            Happening::Operation(operation) => self.operate(at, operation),
            Happening::Feed(slot, number, planned, step) => self.feed(slot, number, planned, step),
            Happening::Ring => self.ring(at),
            Happening::Probe(probe) => self.probe(at, *probe),
            Happening::Maintenance(slot, number) => self.maintain(at, slot, number),
            Happening::Fault(fault) => self.befall(at, fault),
            Happening::Hour => {}
        }
    }

    /// Puts a new node in a place.
    fn open(&mut self, slot: usize) {
        let now = hand::now();
        let mut node = SimulatedNode::open(&self.plan, &self.database, self.opened);
        self.opened += 1;
        // Nodes are not started at the same instant.
        let begins = now + self.network.around(20.0 * MILLI as f64);
        let step = node.begin(begins, &mut self.network);
        let chores =
            now + (self.plan.last_used_seconds as f64 * self.network.unit() * 1e9) as Nanos;
        self.queue
            .plan(chores, Happening::Maintenance(slot, node.number));
        self.plan_step(slot, &node, step);
        self.nodes[slot] = Some(node);
    }

    fn plan_step(&mut self, slot: usize, node: &SimulatedNode, (at, step): (Nanos, Step)) {
        let next = Happening::Feed(slot, node.number, node.planned, step);
        self.queue.plan(at, next);
    }

    fn feed(&mut self, slot: usize, number: u64, planned: u64, step: Step) {
        let Some(mut node) = self.nodes[slot].take() else {
            return;
        };
        if (node.number, node.planned) == (number, planned) {
            let bound = node.store.history.lease.bound();
            let chance = &mut self.network;
            let next = match step {
                Step::Heads => node.read_heads(&mut self.database.lock(), bound, chance),
                Step::Log => node.read_log(&mut self.database.lock(), chance),
                Step::Answers => {
                    let turn = self.database.lock().turns;
                    let next = node.take_answers(turn, bound, chance);
                    self.heard.extend(node.store.take_late());
                    next
                }
            };
            self.plan_step(slot, &node, next);
        }
        self.nodes[slot] = Some(node);
    }

    /// A notification is sent soon after a commit, and reaches all nodes at about the same time.
    fn notify(&mut self, committed: Nanos) {
        // One that is under way tells of this commit too, if it has not been sent by then.
        if self.rung_at.is_some_and(|sent| sent > committed) {
            return;
        }
        let sent = committed + way(&mut self.network);
        self.rung_at = Some(sent);
        self.database.lock().load.notifications += 1;
        self.queue
            .plan(sent + way(&mut self.network), Happening::Ring);
    }

    fn ring(&mut self, at: Nanos) {
        if !self.database.lock().is_up {
            return;
        }
        for slot in 0..self.nodes.len() {
            let Some(mut node) = self.nodes[slot].take() else {
                continue;
            };
            if !node.store.is_cut_off()
                && let Some(next) = node.ring(at, &mut self.network)
            {
                self.plan_step(slot, &node, next);
            }
            self.nodes[slot] = Some(node);
        }
    }

    fn maintain(&mut self, at: Nanos, slot: usize, number: u64) {
        let Some(node) = self.nodes[slot]
            .as_ref()
            .filter(|node| node.number == number)
        else {
            return;
        };
        // What could not be written is put back, and written the next time.
        let written = node.engine.maintain().wait();
        let interval = self.plan.last_used_seconds * SECOND;
        self.queue
            .plan(at + interval, Happening::Maintenance(slot, number));
        if written.is_ok_and(|report| report.usages_written > 0) {
            self.notify(at + MILLI);
        }
    }

    fn close_hour(&mut self) {
        let mut hour = std::mem::take(&mut self.database.lock().load);
        let mut shares = Vec::new();
        for node in self.nodes.iter_mut().flatten() {
            let cached = node.engine.stats().cached_tokens as u64;
            hour.cached += cached;
            hour.cached_most = hour.cached_most.max(cached);
            shares.extend((node.hits * 10_000).checked_div(node.verified));
            (node.verified, node.hits) = (0, 0);
        }
        let ends = (shares.iter().min(), shares.iter().max());
        if let (Some(least), Some(most)) = ends {
            hour.hits_of_nodes = (*least, *most);
        }
        self.hours.push(hour);
    }

    fn outcome(self) -> Outcome {
        let bound = nanos(self.plan.bound());
        let took = self.late.mass_until.saturating_sub(self.late.mass_from);
        Outcome {
            plan: self.plan,
            hours: self.hours,
            one: Lateness::of(self.late.one, bound),
            mass: Lateness::of(self.late.mass, bound),
            principal: Lateness::of(self.late.principal, bound),
            heard: Lateness::of(self.heard, bound),
            beyond: self.late.beyond,
            mass_tokens: self.late.mass_tokens,
            mass_ms: took / MILLI,
            events: self.events,
        }
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Day")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
