//! The figure of image tokens (P15): our check against jsonwebtoken's on the same tokens.
//!
//! Ratios taken side by side in one run, round after round, as in `figures`. Theirs is given all
//! that it takes beforehand and asks no record; ours judges the records too, from memory. A
//! forged token stands beside each good one. Arguments: how many tokens (default 100 000), and
//! `--quick` for a tenth of that.
#![expect(clippy::print_stdout, reason = "the table is the point")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::image::prove;
use countersign::core::{KeyMaterial, Keyring};
use countersign::store::MemoryStore;
use countersign::{
    AttachmentId, Clock as _, Engine, Maintenance, Principal, ServerId, SystemClock,
};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::HEADER;
use countersign_benches::{Shuffle, roomy_policy};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use std::hint::black_box;
use std::sync::Arc;

const EACH: usize = 20_000;
/// The image key of the pepper of 32 bytes `22`, as `docs/FORMAT.md` has it.
const KEY: &str = "17c4ed0b71c9ba4bb6f4de762aff99617dffcf000adaa86d20f0171b248fd179";

/// What a user of jsonwebtoken would read.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    att: String,
}

/// A token, the attachment that it opens, and whether it is forged.
struct Sent {
    text: String,
    attachment: AttachmentId,
    good: bool,
}

fn main() {
    let size = Size::asked(100_000);
    let tokens = size.count;
    println!("{HEADER}");
    let engine = engine(tokens);
    let (good, forged) = sent(&engine, tokens);
    // The figure is about one token; with many, ours has to find their records in memory too.
    for many in [1, tokens] {
        compare(&engine, &size, &format!("opens, {many}"), &good[..many]);
        compare(&engine, &size, &format!("forged, {many}"), &forged[..many]);
    }
}

fn material() -> KeyMaterial {
    KeyMaterial::generate(SystemClock.now(), [0x11; 32], [0x22; 32])
}

fn engine(tokens: usize) -> Engine {
    Engine::builder()
        .maintenance(Maintenance::HostDriven)
        .server_id(ServerId::new("tracker").unwrap())
        .policy(roomy_policy(tokens))
        .open_store(Arc::new(MemoryStore::new([])), &material())
        .unwrap()
}

/// A token for each attachment, ten attachments a principal, all records in memory; and each with
/// a signature that does not fit.
fn sent(engine: &Engine, tokens: usize) -> (Vec<Sent>, Vec<Sent>) {
    let (mut good, mut forged) = (Vec::new(), Vec::new());
    for n in 0..tokens {
        let principal = Principal::new(&format!("user{:07}", n / 10)).unwrap();
        let attachment = AttachmentId::new(&format!("{}", 10_000 + n)).unwrap();
        let signed = engine.images().sign(principal, attachment.clone()).wait();
        let text = signed.unwrap().text.expose().to_owned();
        let opened = engine.images().verify(&text, &attachment, None).wait();
        assert!(opened.unwrap().is_in());
        // The first digit of the signature, so that the comparison ends as early as it may.
        let at = text.len() - 43;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        forged.push(Sent {
            text: format!("{}{other}{}", &text[..at], &text[at + 1..]),
            attachment: attachment.clone(),
            good: false,
        });
        good.push(Sent {
            text,
            attachment,
            good: true,
        });
    }
    (good, forged)
}

fn compare(engine: &Engine, size: &Size, what: &str, sent: &[Sent]) {
    let key = DecodingKey::from_secret(&unhex(KEY));
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["image"]);
    validation.set_issuer(&["tracker"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let keyring = Keyring::new(&material());
    let (mut shuffle, mut rounds) = (Shuffle::new(), Rounds::default());
    for _ in 0..size.rounds(21) {
        let picked: Vec<&Sent> = (0..EACH)
            .map(|_| &sent[shuffle.below(sent.len())])
            .collect();
        rounds.time("jsonwebtoken", EACH, || {
            for sent in &picked {
                let decoded = decode::<Claims>(black_box(&sent.text), &key, &validation);
                let opens = decoded.is_ok_and(|token| {
                    black_box(&token.claims.sub);
                    token.claims.att == sent.attachment.as_str()
                });
                assert_eq!(opens, sent.good);
            }
        });
        rounds.time("ours", EACH, || {
            for sent in &picked {
                let images = engine.images();
                let verdict = images.verify(black_box(&sent.text), &sent.attachment, None);
                let opens = verdict.wait().is_ok_and(|verdict| verdict.is_in());
                assert_eq!(opens, sent.good);
            }
        });
        rounds.time("our proof alone", EACH, || {
            for sent in &picked {
                let proven = prove(&keyring, black_box(sent.text.as_bytes()));
                assert_eq!(black_box(proven).is_ok(), sent.good);
            }
        });
    }
    let what = format!("image token, {what}, times as fast as jsonwebtoken");
    let figure = rounds.ratio("P15", what, "jsonwebtoken", &["ours"]);
    let parts = ["our proof alone"];
    rounds.parts(figure.at_least(2.0), &parts).tell();
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}
