//! `stats`: counts, bytes, ages, and when tokens end.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::inspect::hex;
use crate::open::Records;
use crate::out::Out;
use crate::parse::{Bytes, distance};
use crate::progress::Progress;
use crate::remember;
use crate::stop;
use crate::token::pages;
use crate::view::Time;
use clap::Args;
use countersign::core::Table;
use countersign::store::{KeyRange, RedbStore, Store, StoreStats};
use countersign::{DeviceQuery, GrantState, SeriesState, Timestamp, TokenInfo};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

/// Columns of the longest bar.
const BAR: u64 = 40;
/// Records that are read at once where they have to be counted.
const PAGE: usize = 1024;
const DAY: Duration = Duration::from_secs(86_400);

/// Count what is in the store: records, bytes, ages, and when tokens end
#[derive(Debug, Args)]
pub(crate) struct Stats {}

#[derive(Serialize)]
struct Counts {
    #[serde(flatten)]
    file: Option<FileSizes>,
    records: BTreeMap<&'static str, u64>,
    tokens: BTreeMap<&'static str, u64>,
    usable: u64,
    never_used: u64,
    devices: BTreeMap<&'static str, u64>,
    oldest: Option<Time>,
    newest: Option<Time>,
    expiries: Vec<Bucket>,
}

/// What a store's file takes up. How large its tables are, a database tells itself.
#[derive(Serialize)]
struct FileSizes {
    store_id: String,
    revision: u64,
    file_bytes: u64,
    stored_bytes: u64,
    metadata_bytes: u64,
    fragmented_bytes: u64,
}

impl FileSizes {
    fn new(store: &RedbStore, sizes: &StoreStats) -> Self {
        Self {
            store_id: hex(&store.store_id()),
            revision: sizes.revision.0,
            file_bytes: sizes.file_bytes,
            stored_bytes: sizes.stored_bytes,
            metadata_bytes: sizes.metadata_bytes,
            fragmented_bytes: sizes.fragmented_bytes,
        }
    }
}

/// How many live tokens end within a stretch of time.
#[derive(Serialize)]
struct Bucket {
    within: &'static str,
    tokens: u64,
    #[serde(skip)]
    up_to: Timestamp,
}

impl Stats {
    #[expect(clippy::unused_self, reason = "all commands are run alike")]
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.read()?;
        let (records, file) = match &opened.records {
            Records::File(store) => {
                let sizes = store.stats()?;
                let tables = sizes.tables.iter();
                let records = tables.map(|table| (table.table.name(), table.records));
                (records.collect(), Some(FileSizes::new(store, &sizes)))
            }
            Records::Database(store) => (count(&**store)?, None),
        };
        let mut counts = Counts::new(records, file, call.site.now());
        let progress = Progress::new("tokens", counts.records.get("grants").copied());
        let mut seen = 0u64;
        pages::walk_all(&mut call.out, &opened.engine, &mut |_, tokens| {
            seen = seen.saturating_add(u64::try_from(tokens.len()).unwrap_or(u64::MAX));
            tokens.iter().for_each(|token| counts.count(token));
            progress.at(seen);
            Ok(ControlFlow::Continue(()))
        })?;
        drop(progress);
        let query = DeviceQuery::default();
        remember::pages::walk(&mut call.out, &opened.engine, query, &mut |_, devices| {
            let states = devices.iter().map(|device| device.state.name());
            states.for_each(|state| add(counts.devices.entry(state).or_default()));
            Ok(())
        })?;
        opened.close()?;
        match call.out.is_json() {
            true => call.out.object(&counts)?,
            false => counts.show(&mut call.out, call.site.now())?,
        }
        Ok(Exit::Done)
    }
}

impl Counts {
    fn new(records: BTreeMap<&'static str, u64>, file: Option<FileSizes>, now: Timestamp) -> Self {
        let bucket = |(within, up_to)| Bucket {
            within,
            tokens: 0,
            up_to,
        };
        let ends = [
            ("1d", now.after(DAY)),
            ("7d", now.after(DAY.saturating_mul(7))),
            ("30d", now.after(DAY.saturating_mul(30))),
            ("90d", now.after(DAY.saturating_mul(90))),
            ("365d", now.after(DAY.saturating_mul(365))),
            ("later", Timestamp::from_millis(u64::MAX.saturating_sub(1))),
            ("never", Timestamp::MAX),
        ];
        let states = [
            GrantState::Live,
            GrantState::Rotated,
            GrantState::Revoked,
            GrantState::Expired,
        ];
        Self {
            file,
            records,
            tokens: states.into_iter().map(|state| (state.name(), 0)).collect(),
            usable: 0,
            never_used: 0,
            devices: SeriesState::ALL
                .into_iter()
                .map(|state| (state.name(), 0))
                .collect(),
            oldest: None,
            newest: None,
            expiries: ends.into_iter().map(bucket).collect(),
        }
    }

    fn count(&mut self, token: &TokenInfo) {
        let made = token.created_at;
        self.oldest = Some(Time(self.oldest.map_or(made, |oldest| oldest.0.min(made))));
        self.newest = Some(Time(self.newest.map_or(made, |newest| newest.0.max(made))));
        add(self.tokens.entry(token.state.name()).or_default());
        if token.usage.is_none() {
            add(&mut self.never_used);
        }
        if !token.usable {
            return;
        }
        add(&mut self.usable);
        let bucket = self
            .expiries
            .iter_mut()
            .find(|bucket| token.ends_at <= bucket.up_to);
        if let Some(bucket) = bucket {
            add(&mut bucket.tokens);
        }
    }

    fn show(&self, out: &mut Out, now: Timestamp) -> Result<(), Failure> {
        let records: Vec<String> = self
            .records
            .iter()
            .map(|(table, count)| format!("{count} {table}"))
            .collect();
        out.line(format_args!("tokens    {}", by_state(&self.tokens)))?;
        out.line(format_args!(
            "usable    {}; never used {}",
            self.usable, self.never_used
        ))?;
        out.line(format_args!("devices   {}", by_state(&self.devices)))?;
        if let (Some(oldest), Some(newest)) = (self.oldest, self.newest) {
            out.line(format_args!(
                "ages      {} to {}",
                distance(newest.0, now),
                distance(oldest.0, now)
            ))?;
        }
        out.line(format_args!("records   {}", records.join(", ")))?;
        if let Some(file) = &self.file {
            out.line(format_args!(
                "bytes     {} in the file: {} stored, {} of trees, {} in half-filled pages",
                Bytes(file.file_bytes),
                Bytes(file.stored_bytes),
                Bytes(file.metadata_bytes),
                Bytes(file.fragmented_bytes)
            ))?;
            out.line(format_args!("revision  {}", file.revision))?;
            out.line(format_args!("store id  {}", file.store_id))?;
        }
        out.line("")?;
        out.line("usable tokens by when they end")?;
        let longest = self
            .expiries
            .iter()
            .map(|bucket| bucket.tokens)
            .max()
            .unwrap_or(0)
            .max(1);
        for Bucket { within, tokens, .. } in &self.expiries {
            // At least one column for one token.
            let columns = tokens.saturating_mul(BAR).div_ceil(longest);
            let bar = "#".repeat(usize::try_from(columns).unwrap_or(0));
            let line = format!("{within:>6}  {tokens:>9}  {bar}");
            out.line(line.trim_end())?;
        }
        Ok(())
    }
}

/// How many records there are of each kind, one after the other: damaged ones are not among them.
fn count(store: &dyn Store) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let progress = Progress::new("records", None);
    let (mut counts, mut seen) = (BTreeMap::new(), 0u64);
    for table in Table::ALL {
        let mut count = 0u64;
        let mut range = Some(KeyRange::all(table));
        while let Some(next) = range {
            stop::check()?;
            let page = store.scan(next, PAGE).wait()?;
            let found = u64::try_from(page.records.len()).unwrap_or(u64::MAX);
            count = count.saturating_add(found);
            seen = seen.saturating_add(found);
            progress.at(seen);
            range = page.rest;
        }
        counts.insert(table.name(), count);
    }
    Ok(counts)
}

/// How many there are, and how many in each state.
fn by_state(counts: &BTreeMap<&'static str, u64>) -> String {
    let in_all = counts
        .values()
        .fold(0u64, |sum, count| sum.saturating_add(*count));
    let states: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    format!("{in_all}: {}", states.join(", "))
}

fn add(count: &mut u64) {
    *count = count.saturating_add(1);
}
