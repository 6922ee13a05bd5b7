//! Hazard: an access token that does not do in the whole engine what the rules say.

use countersign::store::MemoryStore;
use countersign::{
    Engine, Expiry, KeyMaterial, Maintenance, NewToken, Principal, Rejection, ScopeSet, TokenName,
};
use countersign_testkit::{ManualClock, SeededEntropy};
use std::sync::Arc;

fn engine() -> (Engine, ManualClock) {
    let clock = ManualClock::default();
    let keys = KeyMaterial::generate(countersign::Clock::now(&clock), [1; 32], [2; 32]);
    let engine = Engine::builder()
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .maintenance(Maintenance::HostDriven)
        .open_store(Arc::new(MemoryStore::new([])), &keys)
        .unwrap();
    (engine, clock)
}

fn request(principal: &str) -> NewToken {
    NewToken {
        principal: Principal::new(principal).unwrap(),
        name: TokenName::new("ci").unwrap(),
        scopes: ScopeSet::EMPTY,
        expiry: Expiry::Never,
    }
}

#[test]
fn issued_verified_revoked() {
    let (engine, _clock) = engine();
    let issued = engine.access().issue(request("ann")).wait().unwrap();
    let text = issued.token.expose();
    for _ in 0..2 {
        let pass = engine.access().verify(text).wait().unwrap().pass().unwrap();
        assert_eq!(pass.principal().as_str(), "ann");
    }
    let revocation = engine.access().revoke(issued.selector, None).wait().unwrap();
    assert!(revocation.durable && !revocation.already);
    let verdict = engine.access().verify(text).wait().unwrap();
    assert_eq!(verdict.rejection(), Some(Rejection::Revoked));
    assert_eq!(engine.access().list(Default::default()).wait().unwrap().tokens.len(), 1);
}
