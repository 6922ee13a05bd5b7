//! Hazard: an end that somebody who keeps a copy takes for final while a policy can still put it
//! off, or does not take for final although nothing can.

use crate::access::NotedEnd;
use crate::grant::{EndCause, Expiry, GrantEnd};
use crate::selector::{Selector, ShardTag};
use crate::text::Reason;
use crate::world::{HOUR, START, World};

#[test]
fn an_end_is_told_once_for_all_only_where_no_policy_can_put_it_off() {
    let mut world = World::new();
    let token = world.issue("ann", Expiry::Never).unwrap();
    let successor = Selector::mint(START, ShardTag::NONE, [7; 8]);
    let reason = Reason::new("lost").ok();
    for (ended, expected) in [
        (None, Some(NotedEnd::None)),
        (
            Some((START, EndCause::Revoked(reason))),
            Some(NotedEnd::Final),
        ),
        (Some((START, EndCause::Evicted)), Some(NotedEnd::Final)),
        (
            Some((START, EndCause::Rotated(successor))),
            Some(NotedEnd::Final),
        ),
        (
            Some((START.after(HOUR), EndCause::Rotated(successor))),
            None,
        ),
        (Some((START, EndCause::Expired)), None),
    ] {
        world.tamper(&token, |grant| {
            grant.end = ended.map(|(at, cause)| GrantEnd { at, cause });
        });
        let grant = world.grant(token.selector()).unwrap().record;
        assert_eq!(NotedEnd::once_for_all(&grant), expected, "{:?}", grant.end);
    }
}
