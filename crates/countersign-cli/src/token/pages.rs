//! Walking over the engine's pages of tokens.

use crate::failure::Failure;
use crate::out::Out;
use crate::stop;
use countersign::{Engine, Error, Pending, TokenInfo, TokenPage, TokenQuery};
use std::ops::ControlFlow;

/// Tokens that are asked for at once.
const CHUNK: usize = 1024;

/// One page of a query.
type Ask<'a> = dyn FnMut(TokenQuery) -> Pending<Result<TokenPage, Error>> + 'a;

/// What is done with a page's tokens; it says whether to go on.
type Each<'a> = dyn FnMut(&mut Out, Vec<TokenInfo>) -> Result<ControlFlow<()>, Failure> + 'a;

/// Hands every token that a query asks for to `each`, oldest first, until that has had enough.
pub(crate) fn walk(
    out: &mut Out,
    mut query: TokenQuery,
    ask: &mut Ask<'_>,
    each: &mut Each<'_>,
) -> Result<(), Failure> {
    query.limit = CHUNK;
    let mut damaged = 0usize;
    loop {
        stop::check()?;
        let page = ask(query.clone()).wait()?;
        damaged = damaged.saturating_add(page.damaged.len());
        let enough = each(out, page.tokens)?.is_break();
        query.after = page.next;
        if enough || query.after.is_none() {
            break;
        }
    }
    if damaged > 0 {
        out.note(format_args!(
            "{damaged} tokens do not read back whole and let nobody in; see `check --deep`"
        ))?;
    }
    Ok(())
}

/// Every token of a store.
pub(crate) fn walk_all(out: &mut Out, engine: &Engine, each: &mut Each<'_>) -> Result<(), Failure> {
    walk(
        out,
        TokenQuery::default(),
        &mut |query| engine.access().list(query),
        each,
    )
}
