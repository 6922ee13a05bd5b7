//! The store that is measured: so many tokens, and one for each way of being refused.

use super::chain::shuffled;
use crate::failure::Failure;
use crate::open::ring;
use crate::progress::Progress;
use crate::stop;
use countersign::core::{Keyring, SplitToken, Verifier};
use countersign::store::{RedbStore, Store};
use countersign::{
    Create, CredentialKind, Draft, Engine, Error, Expiry, IssuedToken, KeyMaterial, Maintenance,
    NewToken, Policy, Principal, RedbOptions, ScopeSet, Selector, TokenName, keyfile,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Issues that are under way at once while the store is filled.
const AT_ONCE: usize = 1024;

/// Everything that is measured, open.
pub(super) struct World {
    /// With every record in memory.
    pub(super) cached: Engine,
    /// With none.
    pub(super) uncached: Engine,
    pub(super) store: Arc<RedbStore>,
    pub(super) keyring: Arc<Keyring>,
    /// Texts of live tokens, in random order.
    pub(super) live: Vec<Vec<u8>>,
    /// For each way of being refused, a name and a text.
    pub(super) refused: Vec<(&'static str, Vec<u8>)>,
}

impl World {
    pub(super) fn build(dir: &Path, tokens: u32) -> Result<Self, Failure> {
        let path = dir.join("bench.redb");
        let made = Engine::builder()
            .create(Create::Always)
            .maintenance(Maintenance::HostDriven);
        made.open(&path)?.close().wait()?;
        let keys = keyfile::read(&keyfile::beside(&path))?;
        let keyring = ring(&keys);
        let store = Arc::new(RedbOptions::new().open(&path, Arc::clone(&keyring))?);
        let room = u64::from(tokens).saturating_mul(2);
        let uncached = engine(&store, &keys, 0)?;
        // The last one to watch is the one that is told of changes, which the other needs not.
        let cached = engine(&store, &keys, room)?;
        let live = fill(&cached, tokens)?;
        let refused = refusals(&cached)?;
        Ok(Self {
            cached,
            uncached,
            store,
            keyring,
            live,
            refused,
        })
    }

    pub(super) fn close(self) -> Result<(), Failure> {
        self.cached.close().wait()?;
        match self.uncached.close().wait() {
            // It is the same store, which is closed by now.
            Ok(()) | Err(Error::Store(_) | Error::Closed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn engine(store: &Arc<RedbStore>, keys: &KeyMaterial, room: u64) -> Result<Engine, Failure> {
    let mut draft = Draft::default();
    draft.cache.max_tokens = room;
    draft.cache.max_principals = room;
    let policy: Policy = draft.build().map_err(Failure::usage)?;
    let builder = Engine::builder()
        .policy(policy)
        .maintenance(Maintenance::HostDriven)
        .create(Create::Never);
    Ok(builder.open_store(Arc::clone(store) as Arc<dyn Store>, keys)?)
}

/// Issues tokens, many at a time, so that one commit takes many.
fn fill(engine: &Engine, tokens: u32) -> Result<Vec<Vec<u8>>, Failure> {
    let progress = Progress::new("issuing", Some(u64::from(tokens)));
    let order = shuffled(tokens);
    let mut texts = Vec::with_capacity(order.len());
    for numbers in order.chunks(AT_ONCE) {
        stop::check()?;
        let pending = numbers.iter().map(|number| {
            Ok(engine
                .access()
                .issue(request(&format!("principal-{number}"), Expiry::Never)?))
        });
        for issued in pending.collect::<Result<Vec<_>, Failure>>()? {
            texts.push(text(&issued.wait()?));
        }
        progress.at(u64::try_from(texts.len()).unwrap_or(u64::MAX));
    }
    // In the order of presentation, which is not the order of the store.
    let order = shuffled(tokens);
    let mut presented: Vec<(u32, Vec<u8>)> = order.into_iter().zip(texts).collect();
    presented.sort_unstable_by_key(|(place, _)| place.reverse_bits());
    // Each copied anew, so that the texts lie in memory as they are read: only the records miss.
    Ok(presented.iter().map(|(_, text)| text.clone()).collect())
}

/// One text for each verdict that can be had without waiting.
fn refusals(engine: &Engine) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let access = engine.access();
    let issue = |principal: &str| -> Result<IssuedToken, Failure> {
        Ok(access.issue(request(principal, Expiry::Never)?).wait()?)
    };
    let good = issue("refused")?;
    let mut mistyped = text(&good);
    if let Some(last) = mistyped.last_mut() {
        *last = if *last == b'0' { b'1' } else { b'0' };
    }
    let wrong = forged(engine, &good, |token| {
        let mut secret = *token.verifier().expose();
        let [first, ..] = &mut secret;
        *first ^= 1;
        (token.selector(), secret)
    })?;
    let unknown = forged(engine, &good, |token| {
        let mut id = token.selector().to_bytes();
        let [.., last] = &mut id;
        *last ^= 1;
        (
            Selector::from_bytes(id).unwrap_or(token.selector()),
            *token.verifier().expose(),
        )
    })?;
    let revoked = issue("revoked")?;
    access.revoke(revoked.selector, None).wait()?;
    let disabled = issue("disabled")?;
    let principal = Principal::new("disabled").map_err(Failure::usage)?;
    engine.principals().disable(principal, None).wait()?;
    Ok(vec![
        ("checksum", mistyped),
        ("unknown", unknown),
        ("mismatch", wrong),
        ("revoked", text(&revoked)),
        ("disabled", text(&disabled)),
    ])
}

fn forged(
    engine: &Engine,
    issued: &IssuedToken,
    change: impl FnOnce(&SplitToken) -> (Selector, [u8; 28]),
) -> Result<Vec<u8>, Failure> {
    let fault = || Failure::usage("a token of this command's own does not read");
    let format = engine.format();
    let parsed = format.parse(CredentialKind::Access, issued.token.expose().as_bytes());
    let parsed = parsed.map_err(|_| fault())?;
    let (selector, secret) = change(&parsed);
    let other = SplitToken::new(parsed.kind(), selector, Verifier::from_bytes(secret));
    Ok(format
        .text(&other)
        .ok_or_else(fault)?
        .expose()
        .as_bytes()
        .to_vec())
}

pub(super) fn request(principal: &str, expiry: Expiry) -> Result<NewToken, Failure> {
    Ok(NewToken {
        principal: Principal::new(principal).map_err(Failure::usage)?,
        name: TokenName::new("measured").map_err(Failure::usage)?,
        scopes: ScopeSet::EMPTY,
        expiry,
    })
}

fn text(issued: &IssuedToken) -> Vec<u8> {
    issued.token.expose().as_bytes().to_vec()
}

/// Nanoseconds that each of so many took.
pub(super) fn nanos_each(took: Duration, count: u32) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(count.max(1))
}
