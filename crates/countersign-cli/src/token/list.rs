//! `token list`: which tokens there are.

use super::pages;
use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Opened;
use crate::out::Out;
use crate::parse;
use crate::view::TokenView;
use clap::{Args, ValueEnum};
use countersign::{GrantState, Principal, Selector, Timestamp, TokenInfo, TokenQuery};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

/// The most tokens that are sorted in memory; what is listed as it was made is not held at all.
const SORTED_MAX: usize = 1_000_000;
/// Rows of one table.
const ROWS: usize = 512;

/// List tokens: everything but their secrets
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign token list --principal ann --state live
  countersign token list --name 'deploy*' --unused-for 30d
  countersign token list --expires-within 7d --sort expires --json")]
pub(crate) struct List {
    /// Of this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// In this state
    #[arg(long, value_enum, default_value = "all")]
    state: State,

    /// With such a name; `*` and `?` stand for any text and any character
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,

    /// Not used, and not made, for so long
    #[arg(long, value_name = "SPAN", value_parser = parse::span)]
    unused_for: Option<Duration>,

    /// Ending within so long, and not dead yet
    #[arg(long, value_name = "SPAN", value_parser = parse::span)]
    expires_within: Option<Duration>,

    /// In this order
    #[arg(long, value_enum, default_value = "created")]
    sort: Sort,

    /// The other way round
    #[arg(long)]
    reverse: bool,

    /// This page only, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    page: Option<u32>,

    /// Tokens on a page
    #[arg(long, value_name = "N", default_value = "100", requires = "page")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_page: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    Live,
    Rotated,
    Revoked,
    Expired,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Created,
    Expires,
    LastUsed,
    Name,
    Principal,
}

/// What a token is sorted by, and then by when it was made.
type SortKey = (Timestamp, String, Selector);

/// Which tokens of a list are shown.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// So many are passed over,
    skip: usize,
    /// and then so many shown.
    left: usize,
}

impl Window {
    /// What is shown of the next piece of the list.
    fn cut<'t, T>(&mut self, piece: &'t [T]) -> &'t [T] {
        let (_, rest) = piece.split_at(self.skip.min(piece.len()));
        self.skip = self.skip.saturating_sub(piece.len());
        let (shown, _) = rest.split_at(self.left.min(rest.len()));
        self.left = self.left.saturating_sub(shown.len());
        shown
    }
}

impl List {
    pub(super) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.read()?;
        let query = self.query(call.site.now());
        match (self.sort, self.reverse) {
            (Sort::Created, false) => self.as_made(&mut call.out, &opened, query)?,
            _ => self.sorted(&mut call.out, &opened, query)?,
        }
        opened.close()?;
        Ok(Exit::Done)
    }

    fn query(&self, now: Timestamp) -> TokenQuery {
        let mut query = TokenQuery::default();
        query.filter.principal.clone_from(&self.principal);
        query.filter.state = match self.state {
            State::Live => Some(GrantState::Live),
            State::Rotated => Some(GrantState::Rotated),
            State::Revoked => Some(GrantState::Revoked),
            State::Expired => Some(GrantState::Expired),
            State::All => None,
        };
        query.filter.unused_since = self.unused_for.map(|span| now.before(span));
        query.filter.expires_before = self.expires_within.map(|span| now.after(span));
        query.name.clone_from(&self.name);
        query
    }

    fn window(&self) -> Window {
        let Some(page) = self.page else {
            return Window {
                skip: 0,
                left: usize::MAX,
            };
        };
        let size = usize::try_from(self.per_page).unwrap_or(usize::MAX);
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        Window {
            skip: page.saturating_sub(1).saturating_mul(size),
            left: size,
        }
    }

    /// In the engine's own order, without holding more than a page of its.
    fn as_made(&self, out: &mut Out, opened: &Opened, query: TokenQuery) -> Result<(), Failure> {
        let mut window = self.window();
        let mut shown = false;
        let mut ask = |query| opened.engine.access().list(query);
        pages::walk(out, query, &mut ask, &mut |out, tokens| {
            let views: Vec<TokenView> = window.cut(&tokens).iter().map(TokenView::from).collect();
            out.rows(&views, shown)?;
            shown |= !views.is_empty();
            Ok(match window.left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        })
    }

    /// In another order: those up to the end of the page are held, all others let go at once.
    fn sorted(&self, out: &mut Out, opened: &Opened, query: TokenQuery) -> Result<(), Failure> {
        let Window { skip, left } = self.window();
        let kept = skip.saturating_add(left);
        let mut first: BTreeMap<SortKey, TokenInfo> = BTreeMap::new();
        let mut ask = |query| opened.engine.access().list(query);
        pages::walk(out, query, &mut ask, &mut |_, tokens| {
            for token in tokens {
                first.insert(self.key(&token), token);
                if first.len() > kept {
                    let _ = if self.reverse {
                        first.pop_first()
                    } else {
                        first.pop_last()
                    };
                }
            }
            if first.len() > SORTED_MAX {
                return Err(Failure::usage(format_args!(
                    "more than {SORTED_MAX} tokens to sort: narrow the query, or take --page"
                )));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut views: Vec<TokenView> = first.values().map(TokenView::from).collect();
        if self.reverse {
            views.reverse();
        }
        let mut shown = false;
        for rows in views.get(skip..).unwrap_or_default().chunks(ROWS) {
            out.rows(rows, shown)?;
            shown = true;
        }
        Ok(())
    }

    fn key(&self, token: &TokenInfo) -> SortKey {
        let used = || {
            token
                .usage
                .as_ref()
                .map_or(Timestamp::ZERO, |usage| usage.last_used_at)
        };
        let (time, text) = match self.sort {
            Sort::Created => (token.created_at, String::new()),
            Sort::Expires => (token.ends_at, String::new()),
            Sort::LastUsed => (used(), String::new()),
            Sort::Name => (Timestamp::ZERO, token.name.to_string()),
            Sort::Principal => (Timestamp::ZERO, token.principal.to_string()),
        };
        (time, text, token.selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_shows_the_same_of_a_list_however_it_is_cut_up() {
        let list: Vec<u32> = (0..10).collect();
        for size in 1..=10 {
            let mut window = Window { skip: 3, left: 4 };
            let shown: Vec<u32> = list
                .chunks(size)
                .flat_map(|piece| window.cut(piece))
                .copied()
                .collect();
            assert_eq!(shown, [3, 4, 5, 6], "cut into {size}");
            assert_eq!(window, Window { skip: 0, left: 0 });
        }
    }
}
