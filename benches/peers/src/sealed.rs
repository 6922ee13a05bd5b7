//! Tokens that prove themselves and ask no store: they cannot be revoked before they end, which is
//! not held against them here. Each says whose it is, what it may do and until when.
//!
//! Macaroons are `libmacaroon`'s: it goes on where `macaroon` 0.3 stopped, which stands on the
//! abandoned `sodiumoxide` and builds C for it.

use crate::kept::{SCOPES, now_ms, principal, tomorrow_ms};
use biscuit_auth::builder::{AuthorizerBuilder, date, fact, string};
use biscuit_auth::{AuthorizerLimits, Biscuit, KeyPair, PublicKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use libmacaroon::{Format, Macaroon, MacaroonKey, Verifier};
use pasetors::claims::{Claims, ClaimsValidationRules};
use pasetors::keys::SymmetricKey;
use pasetors::token::{Local, UntrustedToken};
use pasetors::version4::V4;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

const KEY: [u8; 32] = [0x5c; 32];

/// One kind of them.
pub trait Sealed: Sized {
    /// With its key and rules parsed.
    fn new() -> Self;

    /// The token of this number.
    fn issue(&self, n: usize) -> String;

    /// Whether it is genuine, has not ended, and may do what is asked.
    fn verify(&self, text: &str) -> bool;
}

/// What a JWT claims.
#[derive(Deserialize, Serialize)]
struct Claimed {
    sub: String,
    scope: String,
    exp: u64,
}

/// JWTs with HS256, by `jsonwebtoken` on AWS's C and assembly.
pub struct Jwt {
    key: DecodingKey,
    rules: Validation,
}

impl Sealed for Jwt {
    fn new() -> Self {
        Self {
            key: DecodingKey::from_secret(&KEY),
            rules: Validation::new(Algorithm::HS256),
        }
    }

    fn issue(&self, n: usize) -> String {
        let claims = Claimed {
            sub: principal(n),
            scope: SCOPES.to_owned(),
            exp: tomorrow_ms() / 1000,
        };
        let key = EncodingKey::from_secret(&KEY);
        encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
    }

    fn verify(&self, text: &str) -> bool {
        let read = decode::<Claimed>(text, &self.key, &self.rules);
        read.is_ok_and(|read| read.claims.sub.len() == 11 && read.claims.scope == SCOPES)
    }
}

/// PASETO's v4.local, by `pasetors`: with an end alone, whose text is the only one to parse.
pub struct Paseto {
    key: SymmetricKey<V4>,
    rules: ClaimsValidationRules,
}

impl Sealed for Paseto {
    fn new() -> Self {
        let mut rules = ClaimsValidationRules::new();
        rules.disable_valid_at();
        Self {
            key: SymmetricKey::from(&KEY).unwrap(),
            rules,
        }
    }

    fn issue(&self, n: usize) -> String {
        let mut claims = Claims::new_expires_in(&Duration::from_secs(86_400)).unwrap();
        claims.subject(&principal(n)).unwrap();
        claims.add_additional("scope", SCOPES).unwrap();
        for unused in ["iat", "nbf"] {
            claims.remove_claim(unused).unwrap();
        }
        pasetors::local::encrypt(&self.key, &claims, None, None).unwrap()
    }

    fn verify(&self, text: &str) -> bool {
        let Ok(read) = UntrustedToken::<Local, V4>::try_from(text) else {
            return false;
        };
        let opened = pasetors::local::decrypt(&self.key, &read, &self.rules, None, None);
        opened.is_ok_and(|opened| {
            let claims = opened.payload_claims().unwrap();
            let claim = |name| claims.get_claim(name).and_then(|claim| claim.as_str());
            claim("sub").is_some_and(|sub| sub.len() == 11) && claim("scope") == Some(SCOPES)
        })
    }
}

/// Macaroons with two caveats, in the compact format.
pub struct Macaroons {
    key: MacaroonKey,
    rules: Verifier,
}

impl Sealed for Macaroons {
    fn new() -> Self {
        let mut rules = Verifier::default();
        rules.satisfy_exact(format!("scope = {SCOPES}"));
        rules.satisfy_general(|caveat| {
            let end = caveat.strip_prefix(b"time < ");
            let end = end.and_then(|end| std::str::from_utf8(end).ok()?.parse().ok());
            end.is_some_and(|end: u64| now_ms() < end)
        });
        Self {
            key: MacaroonKey::generate(&KEY),
            rules,
        }
    }

    fn issue(&self, n: usize) -> String {
        let mut made = Macaroon::create(None, &self.key, format!("{} {n}", principal(n))).unwrap();
        let scope = format!("scope = {SCOPES}");
        made.add_first_party_caveat(scope).unwrap();
        let end = format!("time < {}", tomorrow_ms());
        made.add_first_party_caveat(end).unwrap();
        made.serialize(Format::V2).unwrap()
    }

    fn verify(&self, text: &str) -> bool {
        let Ok(read) = Macaroon::deserialize(text) else {
            return false;
        };
        read.identifier().get(..11).is_some() && self.rules.verify(&read, &self.key, &[]).is_ok()
    }
}

/// Biscuits of one block. That the token's user is asked for by another query is spared them.
pub struct Biscuits {
    pair: KeyPair,
    public: PublicKey,
    rules: AuthorizerBuilder,
}

impl Sealed for Biscuits {
    fn new() -> Self {
        let policy = format!("allow if user($user), scope(\"{SCOPES}\")");
        // The clock is of a shared machine: no limit that it could run into.
        let limits = AuthorizerLimits {
            max_time: Duration::from_secs(60),
            ..AuthorizerLimits::default()
        };
        let rules = AuthorizerBuilder::new().policy(policy.as_str()).unwrap();
        let pair = KeyPair::new();
        Self {
            public: pair.public(),
            pair,
            rules: rules.set_limits(limits),
        }
    }

    fn issue(&self, n: usize) -> String {
        let end = SystemTime::UNIX_EPOCH + Duration::from_millis(tomorrow_ms());
        let check = format!("check if time($time), $time < {}", date(&end));
        let built = Biscuit::builder()
            .fact(fact("user", &[string(&principal(n))]))
            .and_then(|builder| builder.fact(fact("scope", &[string(SCOPES)])))
            .and_then(|builder| builder.fact(fact("number", &[string(&n.to_string())])))
            .and_then(|builder| builder.check(check.as_str()));
        let built = built.unwrap().build(&self.pair).unwrap();
        built.to_base64().unwrap()
    }

    fn verify(&self, text: &str) -> bool {
        let Ok(read) = Biscuit::from_base64(text, self.public) else {
            return false;
        };
        let mut authorizer = self.rules.clone().time().build(&read).unwrap();
        authorizer.authorize().is_ok()
    }
}
