//! Listing tokens, a bounded page at a time.

use crate::error::Error;
use crate::inner::{Inner, grant_of, principal_of, usage_of};
use countersign_core::access::{GrantFilter, GrantState, end_of, is_usable, state_of};
use countersign_core::policy::Policy;
use countersign_core::{
    CredentialKind, Expiry, Grant, GrantEnd, Key, Principal, PrincipalKey, PrincipalRecord,
    ScopeSet, Selector, Setting, Table, Timestamp, TokenName, Usage,
};
use countersign_store::store::KeyRange;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use wildmatch::WildMatch;

/// Records that one call examines at most.
pub(crate) const EXAMINED_MAX: usize = 4096;
/// Records that are read at once.
pub(crate) const CHUNK: usize = 256;

/// Which tokens are asked for, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenQuery {
    /// What a token must be like.
    pub filter: GrantFilter,
    /// A pattern for its name, with `*` and `?`.
    pub name: Option<String>,
    /// Go on behind this one.
    pub after: Option<Selector>,
    /// At most this many.
    pub limit: usize,
}

impl Default for TokenQuery {
    fn default() -> Self {
        Self {
            filter: GrantFilter::default(),
            name: None,
            after: None,
            limit: 100,
        }
    }
}

impl TokenQuery {
    /// Everything of one principal.
    #[must_use]
    pub fn of(principal: Principal) -> Self {
        let mut query = Self::default();
        query.filter.principal = Some(principal);
        query
    }
}

/// A token as it is listed: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its public half.
    pub selector: Selector,
    /// Whose it is.
    pub principal: Principal,
    /// What its owner calls it.
    pub name: TokenName,
    /// What it may do.
    pub scopes: ScopeSet,
    /// Where it is in its life.
    pub state: GrantState,
    /// Whether it would let its bearer in now: live, and neither it nor its principal stopped.
    pub usable: bool,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was to die by itself.
    pub expiry: Expiry,
    /// When it ends or ended, by whatever comes first under the policy; `MAX` for never.
    pub ends_at: Timestamp,
    /// What ended it, if something has.
    pub end: Option<GrantEnd>,
    /// The token that it replaced.
    pub predecessor: Option<Selector>,
    /// When and from where it was used, if it was.
    pub usage: Option<Usage>,
}

/// Some of the tokens that a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenPage {
    /// The tokens, oldest first.
    pub tokens: Vec<TokenInfo>,
    /// Tokens whose records do not read back whole; they let nobody in.
    pub damaged: Vec<Selector>,
    /// Where to go on, if there may be more.
    pub next: Option<Selector>,
}

/// A query, and what it is judged in.
struct Asked<'a> {
    setting: Setting<'a>,
    /// The policy that ends are told by: the one in force, or one that is only proposed.
    proposed: &'a Policy,
    query: &'a TokenQuery,
    pattern: Option<WildMatch>,
}

impl Asked<'_> {
    fn is_named(&self, grant: &Grant) -> bool {
        let fits = |pattern: &WildMatch| pattern.matches(grant.name.as_str());
        self.pattern.as_ref().is_none_or(fits)
    }

    fn takes(
        &self,
        grant: &Grant,
        principal: Option<&PrincipalRecord>,
        usage: Option<&Usage>,
    ) -> bool {
        let (filter, setting) = (&self.query.filter, &self.setting);
        filter.takes_under(setting, self.proposed, grant, principal, usage)
    }

    fn info(
        &self,
        selector: Selector,
        grant: Grant,
        principal: Option<&PrincipalRecord>,
        usage: Option<Usage>,
    ) -> TokenInfo {
        let proposed = self.proposed;
        info(&self.setting, proposed, selector, grant, principal, usage)
    }
}

/// Principals' records read for one page.
pub(crate) type Principals = HashMap<PrincipalKey, Option<PrincipalRecord>>;

impl Inner {
    pub(crate) async fn list(
        &self,
        query: &TokenQuery,
        under: Option<Arc<Policy>>,
    ) -> Result<TokenPage, Error> {
        self.open()?;
        let policy = self.policy_now().await?;
        let system = self.load_system().await?;
        let asked = Asked {
            setting: self.setting(self.now(), &policy, &system),
            proposed: under.as_deref().unwrap_or(&policy),
            query,
            pattern: query.name.as_deref().map(WildMatch::new),
        };
        let mut page = TokenPage::default();
        match &query.filter.principal {
            Some(principal) => self.list_of(&asked, principal, &mut page).await?,
            None => self.list_all(&asked, &mut page).await?,
        }
        Ok(page)
    }

    /// By the principal's own list, which is in the order of time.
    async fn list_of(
        &self,
        asked: &Asked<'_>,
        principal: &Principal,
        page: &mut TokenPage,
    ) -> Result<(), Error> {
        let (_, found) = self.load_principal(principal).await?;
        let Some(found) = found else { return Ok(()) };
        let listed = found
            .record
            .of_kind(CredentialKind::Access)
            .map(|entry| entry.selector);
        let mut selectors: Vec<Selector> = listed
            .filter(|selector| asked.query.after.is_none_or(|after| *selector > after))
            .collect();
        selectors.sort_unstable();
        let mut principals = Principals::new();
        for chunk in selectors.chunks(CHUNK) {
            let keys: Vec<Key> = chunk.iter().copied().map(Key::grant).collect();
            let (grants, damaged) = self.load_whole(&keys).await?;
            let damaged = damaged
                .iter()
                .filter_map(|key| Selector::from_bytes(key.id));
            page.damaged.extend(damaged);
            let whole = chunk.iter().zip(grants).filter_map(|(selector, found)| {
                Some((*selector, found.and_then(grant_of)?.record))
            });
            let whole: Vec<_> = whole.collect();
            let all = self.take(asked, whole, &mut principals, page).await?;
            if !all {
                return Ok(());
            }
        }
        Ok(())
    }

    /// By a scan of the table.
    async fn list_all(&self, asked: &Asked<'_>, page: &mut TokenPage) -> Result<(), Error> {
        let Some(mut range) = behind(Table::Grants, asked.query.after) else {
            return Ok(());
        };
        let mut principals = Principals::new();
        let mut examined = 0usize;
        while examined < EXAMINED_MAX {
            let scanned = self.store.scan(range, CHUNK).await?;
            let damaged = scanned
                .damaged
                .iter()
                .filter_map(|key| Selector::from_bytes(key.id));
            page.damaged.extend(damaged);
            examined = examined
                .saturating_add(scanned.records.len())
                .saturating_add(1);
            // Whole or damaged: the next page begins behind it.
            let whole = scanned.records.last().map(|(key, _)| *key);
            let last = whole.max(scanned.damaged.last().copied());
            let last = last.and_then(|key| Selector::from_bytes(key.id));
            let whole = scanned.records.into_iter().filter_map(|(key, found)| {
                Some((Selector::from_bytes(key.id)?, grant_of(found)?.record))
            });
            let whole: Vec<_> = whole.collect();
            let all = self.take(asked, whole, &mut principals, page).await?;
            if !all {
                return Ok(());
            }
            page.next = last;
            match scanned.rest {
                Some(rest) => range = rest,
                None => {
                    page.next = None;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Adds what is asked for; answers whether there was room for all of it.
    async fn take(
        &self,
        asked: &Asked<'_>,
        grants: Vec<(Selector, Grant)>,
        principals: &mut Principals,
        page: &mut TokenPage,
    ) -> Result<bool, Error> {
        let usages = self.usages(&grants).await?;
        for ((selector, grant), usage) in grants.into_iter().zip(usages) {
            if !asked.is_named(&grant) {
                continue;
            }
            let principal = self.principal_for(&grant.principal, principals).await?;
            if !asked.takes(&grant, principal, usage.as_ref()) {
                continue;
            }
            if page.tokens.len() >= asked.query.limit {
                // Full, and there is at least one more.
                page.next = page.tokens.last().map(|token| token.selector);
                return Ok(false);
            }
            page.tokens
                .push(asked.info(selector, grant, principal, usage));
        }
        Ok(true)
    }

    /// The stored usage of some tokens, with what has not been written yet.
    async fn usages(&self, grants: &[(Selector, Grant)]) -> Result<Vec<Option<Usage>>, Error> {
        let keys: Vec<Key> = grants
            .iter()
            .map(|(selector, _)| Key::usage(*selector))
            .collect();
        let (stored, _) = self.load_whole(&keys).await?;
        let with_memory = grants.iter().zip(stored).map(|((selector, _), found)| {
            let mut usage = found.and_then(usage_of);
            if let Some(entry) = self.cache.grant(*selector) {
                let recent = self.cache.usage(&entry);
                if recent != Usage::default() {
                    usage.get_or_insert_default().merge(&recent);
                }
            }
            if let Some(recent) = self.token_uses.of(*selector) {
                usage.get_or_insert_default().merge(&recent);
            }
            usage
        });
        Ok(with_memory.collect())
    }

    pub(crate) async fn principal_for<'p>(
        &self,
        principal: &Principal,
        principals: &'p mut Principals,
    ) -> Result<Option<&'p PrincipalRecord>, Error> {
        let key = self.keyring.principal_key(principal);
        let known = match principals.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let (found, _) = self.load_whole(&[Key::principal(key)]).await?;
                let found = found.into_iter().next().flatten().and_then(principal_of);
                place.insert(found.map(|found| found.record))
            }
        };
        Ok(known.as_ref())
    }

    pub(crate) async fn token_info(&self, selector: Selector) -> Result<Option<TokenInfo>, Error> {
        self.open()?;
        let loaded = match self.load_token(selector).await {
            Ok(loaded) => loaded,
            Err(Error::Refused(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let policy = self.policy_now().await?;
        let setting = self.setting(self.now(), &policy, &loaded.system);
        let grants = [(selector, loaded.grant.record)];
        let usage = self.usages(&grants).await?.into_iter().next().flatten();
        let [(_, grant)] = grants;
        let principal = loaded.principal.as_ref().map(|found| &found.record);
        let info = info(&setting, &policy, selector, grant, principal, usage);
        Ok(Some(info))
    }
}

/// What lies behind a selector in a table, or all of it; `None` behind the last that there can be.
pub(crate) fn behind(table: Table, after: Option<Selector>) -> Option<KeyRange> {
    let mut range = KeyRange::all(table);
    if let Some(after) = after {
        let from = u128::from_be_bytes(after.to_bytes()).checked_add(1)?;
        range.from = from.to_be_bytes();
    }
    Some(range)
}

fn info(
    setting: &Setting<'_>,
    proposed: &Policy,
    selector: Selector,
    grant: Grant,
    principal: Option<&PrincipalRecord>,
    usage: Option<Usage>,
) -> TokenInfo {
    TokenInfo {
        selector,
        state: state_of(setting, &grant, principal),
        usable: principal.is_some_and(|principal| is_usable(setting, &grant, principal)),
        ends_at: end_of(proposed, &grant),
        principal: grant.principal,
        name: grant.name,
        scopes: grant.scopes,
        created_at: grant.created_at,
        expiry: grant.expiry,
        end: grant.end,
        predecessor: grant.predecessor,
        usage,
    }
}
