//! Hazard: an image token that only we can read, or that others take after it was tampered with.
//!
//! PyJWT, which shares no code with us, verifies what we sign and refuses what was changed, as we
//! do ourselves. Where Python or PyJWT is missing it is not asked, and that is said loudly; with
//! `COUNTERSIGN_PYJWT=required` the tests fail then.
//!
//! The `jsonwebtoken` crate is the oracle of the fuzz target `image_jwt`; here is what it takes and
//! we refuse, each line of which stands in `docs/FUZZING.md`.

use crate::opening::loudly;
use crate::support::builder;
use countersign::store::MemoryStore;
use countersign::{
    AttachmentId, Clock as _, Engine, KeyMaterial, Principal, Rejection, ServerId, Timestamp,
};
use countersign_testkit::ManualClock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, crypto, decode};
use serde_json::{Map, Value};
use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_296_789);
/// The image key of the pepper of 32 bytes `22`, as `docs/FORMAT.md` has it.
const KEY: &str = "17c4ed0b71c9ba4bb6f4de762aff99617dffcf000adaa86d20f0171b248fd179";

/// Each line: `real` or `any` for the clock, the audience, and a token. Answers a line for each.
const VERIFIER: &str = r#"
import json, jwt, sys
key = bytes.fromhex(sys.argv[1])
for line in sys.stdin:
    clock, audience, token = line.split()
    timed = clock == "real"
    options = {"require": ["iss", "sub", "aud", "iat", "exp"],
               "verify_exp": timed, "verify_iat": timed}
    try:
        claims = jwt.decode(token, key, algorithms=["HS256"], audience=audience,
                            issuer="tracker", options=options)
        header = jwt.get_unverified_header(token)
        print(json.dumps([header, claims], separators=(",", ":"), ensure_ascii=True))
    except jwt.PyJWTError as error:
        print("refused", type(error).__name__)
"#;

/// The first Python that has PyJWT: another one than the system's may stand in front of it.
fn python() -> Option<Command> {
    let has_it = |program: &&str| {
        let tried = Command::new(program)
            .args(["-c", "import jwt"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    found.map(Command::new)
}

/// Whether there is another implementation to ask. Where there is none, says what nobody else was
/// asked, or ends the test if somebody else must be.
#[track_caller]
fn is_here(not_asked: &str) -> bool {
    let is_here = python().is_some();
    if !is_here {
        let required = env::var("COUNTERSIGN_PYJWT").is_ok_and(|value| value == "required");
        assert!(!required, "python3 or PyJWT is missing, and it is required");
        loudly(&format!("python3 or PyJWT is missing: {not_asked}"));
    }
    is_here
}

/// What PyJWT says to each line.
fn verified(lines: &[String]) -> Vec<String> {
    let mut child = python()
        .unwrap()
        .args(["-c", VERIFIER, KEY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.join("\n").as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), lines.len());
    answers
}

/// An engine that has been there for long, so that its records' epochs lie far back.
struct Signer {
    engine: Engine,
    clock: ManualClock,
}

impl Signer {
    fn new() -> Self {
        let clock = ManualClock::at(NOW);
        let material = KeyMaterial::generate(NOW, [0x11; 32], [0x22; 32]);
        let engine = builder(&clock).server_id(ServerId::new("tracker").unwrap());
        let engine = engine.open_store(Arc::new(MemoryStore::new([])), &material);
        Self {
            engine: engine.unwrap(),
            clock,
        }
    }

    fn signed(&self, principal: &str, attachment: &str) -> String {
        let principal = Principal::new(principal).unwrap();
        let attachment = AttachmentId::new(attachment).unwrap();
        let signed = self.engine.images().sign(principal, attachment.clone());
        let text = signed.wait().unwrap().text.expose().to_owned();
        let opened = self.engine.images().verify(&text, &attachment, None);
        assert!(opened.wait().unwrap().is_in(), "nor do we read it");
        text
    }
}

/// What an engine signs that opens at this instant.
fn signed(now: Timestamp, principal: &str, attachment: &str) -> String {
    let signer = Signer::new();
    signer.clock.set(now);
    signer.signed(principal, attachment)
}

#[test]
fn another_implementation_reads_what_we_sign() {
    if !is_here("image tokens were read by nobody else") {
        return;
    }
    let any = |principal, attachment| format!("any image {}", signed(NOW, principal, attachment));
    let answers = verified(&[
        any("ann", "10001"),
        any("o\"hara\\\u{e9}\u{1f511}", "a/b c"),
        format!(
            "any image {}",
            signed(Timestamp::from_millis(1_795_341_296_000), "ann", "1")
        ),
    ]);
    let header = r#"{"alg":"HS256","kid":"1","typ":"JWT"}"#;
    let claims = |sub: &str, att: &str, iat: &str| {
        let names = format!(r#""iss":"tracker","sub":"{sub}","aud":"image","att":"{att}""#);
        format!(r#"[{header},{{{names},"iat":{iat},"exp":1795946096}}]"#)
    };
    let odd = r#"o\"hara\\\u00e9\ud83d\udd11"#;
    assert_eq!(answers[0], claims("ann", "10001", "1795341296.789"));
    assert_eq!(answers[1], claims(odd, "a/b c", "1795341296.789"));
    assert_eq!(answers[2], claims("ann", "1", "1795341296"));
}

/// E8: the text is one a bucket, also to others, and a new one after a revocation.
#[test]
fn another_implementation_reads_every_text_of_an_attachment_s_life() {
    if !is_here("renewed image tokens were read by nobody else") {
        return;
    }
    let signer = Signer::new();
    let mut texts = vec![signer.signed("ann", "10001")];
    let into = Duration::from_millis(NOW.as_millis() % 86_400_000);
    let day = Duration::from_secs(86_400);
    signer.clock.set(NOW.before(into).after(day));
    texts.push(signer.signed("ann", "10001"));
    signer.clock.advance(day / 2);
    assert_eq!(signer.signed("ann", "10001"), texts[1], "the same bucket");
    let attachment = AttachmentId::new("10001").unwrap();
    let revoked = signer.engine.images().revoke(attachment, None).wait();
    assert!(revoked.unwrap().durable);
    signer.clock.advance(day / 4);
    texts.push(signer.signed("ann", "10001"));
    let lines: Vec<_> = texts
        .iter()
        .map(|text| format!("any image {text}"))
        .collect();
    let answers = verified(&lines);
    let from = ["1795341296.789", "1795392000", "1795435200.001"];
    for (answer, iat) in answers.iter().zip(from) {
        assert!(answer.contains(&format!(r#""iat":{iat},"#)), "{answer}");
        assert!(answer.contains(r#""sub":"ann","aud":"image","att":"10001""#));
    }
    assert_eq!(signer.clock.now(), NOW.before(into).after(day * 7 / 4));
}

#[test]
fn another_implementation_refuses_what_was_changed_or_is_out_of_its_time() {
    let signer = Signer::new();
    let signed_at = |millis| {
        signer.clock.set(Timestamp::from_millis(millis));
        signer.signed("ann", "1")
    };
    // Signed in 2001, and in 2100.
    let (over, early) = (signed_at(1_000_000_000_000), signed_at(4_102_444_800_000));
    signer.clock.set(NOW);
    let token = signer.signed("ann", "10001");
    let parts: Vec<&str> = token.split('.').collect();
    let mut changed = vec![format!("eyJhbGciOiJub25lIn0.{}.", parts[1])];
    for at in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        changed.push(String::from_utf8(bytes).unwrap());
    }
    assert!(changed.len() > 30);

    // Nor do we take any of them, for the attachment that it names or for ours.
    let judged = |text: &str| {
        let verdict = signer.engine.images().check(text).wait();
        verdict.unwrap().rejection()
    };
    let as_access_token = signer.engine.access().verify(&token).wait();
    assert!(
        !as_access_token.unwrap().is_in(),
        "we take it as an access token"
    );
    assert_eq!((judged(&token), is_in(&signer, &token)), (None, true));
    assert_eq!(judged(&over), Some(Rejection::Expired));
    assert_eq!(judged(&early), Some(Rejection::NotYet));
    for text in &changed {
        assert!(
            judged(text).is_some() && !is_in(&signer, text),
            "we take {text}"
        );
    }

    if !is_here("changed image tokens were shown to nobody else") {
        return;
    }
    let mut lines = vec![
        format!("any access {token}"),
        format!("real image {over}"),
        format!("real image {early}"),
    ];
    lines.extend(changed.iter().map(|text| format!("any image {text}")));
    let answers = verified(&lines);
    assert_eq!(answers[0], "refused InvalidAudienceError");
    assert_eq!(answers[1], "refused ExpiredSignatureError");
    assert_eq!(answers[2], "refused ImmatureSignatureError");
    for (line, answer) in lines.iter().zip(&answers) {
        assert!(answer.starts_with("refused "), "{line}: {answer}");
    }
}

const FUZZING: &str = include_str!("../../docs/FUZZING.md");
const HEADER: &str = r#"{"alg":"HS256","kid":"1","typ":"JWT"}"#;
const CLAIMS: &str = concat!(
    r#"{"iss":"tracker","sub":"ann","aud":"image","att":"10001","#,
    r#""iat":1795341296.789,"exp":1795946096}"#,
);

/// What it says, a part of the header that is replaced, and by what.
const HEADERS: &[(&str, &str, &str)] = &[
    (
        "members in another order",
        HEADER,
        r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#,
    ),
    ("blanks", ",", ", "),
    ("no `typ`", r#","typ":"JWT""#, ""),
    ("another `typ`", "JWT", "at+jwt"),
    ("no `kid`", r#""kid":"1","#, ""),
    ("another `kid`", r#""kid":"1""#, r#""kid":"../2""#),
    ("names in other spellings", r#""alg""#, r#""\u0061lg""#),
    ("members that nobody knows", "}", r#","x":1}"#),
    ("`crit`", "}", r#","crit":["x"],"x":1}"#),
    ("`b64`", "}", r#","b64":false}"#),
    ("`zip`", "}", r#","zip":"DEF"}"#),
    ("`jku`", "}", r#","jku":"https://example.org/"}"#),
    ("`jwk`", "}", r#","jwk":{"kty":"oct","k":"AA"}}"#),
    ("`x5u`", "}", r#","x5u":"https://example.org/"}"#),
];

/// The same of the claims.
const OF_CLAIMS: &[(&str, &str, &str)] = &[
    (
        "claims in another order",
        r#""iss":"tracker","sub":"ann""#,
        r#""sub":"ann","iss":"tracker""#,
    ),
    ("blanks between claims", ",", ", "),
    ("a line end behind them", "6096}", "6096}\n"),
    ("no `iat`", r#""iat":1795341296.789,"#, ""),
    ("no `att`", r#""att":"10001","#, ""),
    ("further claims", "}", r#","admin":true}"#),
    ("`nbf` in the future", "}", r#","nbf":9999999999}"#),
    ("`att` twice", r#""att""#, r#""att":"1","att""#),
    ("escapes that need not be", "ann", r"\u0061nn"),
    ("an escaped slash", "10001", r"10001\/"),
    ("control characters", "ann", r"ann\n"),
    ("blanks at the ends of texts", "ann", " ann"),
    ("empty texts", "ann", ""),
    ("`aud` as a list", r#""image""#, r#"["image","api"]"#),
    ("`iss` as a list", r#""tracker""#, r#"["tracker"]"#),
    ("`exp` with a fraction", "1795946096", "1795946096.5"),
    ("`exp` with an exponent", "1795946096", "1.795946096e9"),
    ("`iat` with other digits behind the point", ".789", ".78900"),
    ("`iat` as a text", "1795341296.789", r#""1795341296.789""#),
    ("`iat` in the future", "1795341296.789", "1795341297"),
];

/// Base64url without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = bytes.chunks(3).flat_map(|three| {
        let mut all = [0; 4];
        all[1..=three.len()].copy_from_slice(three);
        let value = u32::from_be_bytes(all);
        let digits = [18, 12, 6, 0].map(|shift| DIGITS[(value >> shift & 63) as usize]);
        digits.into_iter().take(three.len() + 1)
    });
    digits.map(char::from).collect()
}

/// Signed by the other implementation, whatever the parts are.
fn signed_elsewhere(header: &str, claims: &str) -> String {
    let key = EncodingKey::from_secret(&key());
    let text = format!(
        "{}.{}",
        base64(header.as_bytes()),
        base64(claims.as_bytes())
    );
    let signature = crypto::sign(text.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{text}.{signature}")
}

fn key() -> Vec<u8> {
    let digits = (0..KEY.len()).step_by(2).map(|at| &KEY[at..at + 2]);
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// Whether `jsonwebtoken` takes it, as the fuzz target asks it.
fn taken(token: &str, timed: bool) -> bool {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["image"]);
    validation.set_issuer(&["tracker"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = timed;
    let key = DecodingKey::from_secret(&key());
    decode::<Map<String, Value>>(token, &key, &validation).is_ok()
}

fn is_in(signer: &Signer, token: &str) -> bool {
    let attachment = AttachmentId::new("10001").unwrap();
    let verdict = signer.engine.images().verify(token, &attachment, None);
    verdict.wait().unwrap().is_in()
}

#[track_caller]
fn check_theirs_alone(signer: &Signer, what: &str, token: &str) {
    assert!(taken(token, false), "they refuse: {what}");
    assert!(!is_in(signer, token), "we take: {what}");
    assert!(
        FUZZING.contains(&format!("- {what}\n")),
        "not written down: {what}"
    );
}

#[test]
fn what_another_implementation_takes_and_we_refuse_is_written_down() {
    let signer = Signer::new();
    let ours = signer.signed("ann", "10001");
    assert_eq!(signed_elsewhere(HEADER, CLAIMS), ours);
    assert!(taken(&ours, false) && is_in(&signer, &ours));
    for (what, from, to) in HEADERS {
        let header = HEADER.replacen(from, to, 1);
        assert_ne!(header, HEADER, "{what}");
        check_theirs_alone(&signer, what, &signed_elsewhere(&header, CLAIMS));
    }
    for (what, from, to) in OF_CLAIMS {
        let claims = CLAIMS.replacen(from, to, 1);
        assert_ne!(claims, CLAIMS, "{what}");
        check_theirs_alone(&signer, what, &signed_elsewhere(HEADER, &claims));
    }
    let long = CLAIMS.replacen("ann", &"a".repeat(2000), 1);
    check_theirs_alone(&signer, "any length", &signed_elsewhere(HEADER, &long));
}

/// A minute of leeway is its default.
#[test]
fn what_is_over_is_over_at_once_with_us() {
    let signer = Signer::new();
    let now = jsonwebtoken::get_current_timestamp();
    let (from, upto) = (now - 100, now - 30);
    signer.clock.set(Timestamp::from_millis(from * 1000));
    signer.signed("ann", "10001");
    let claims = CLAIMS.replacen("1795341296.789", &from.to_string(), 1);
    let claims = claims.replacen("1795946096", &upto.to_string(), 1);
    let token = signed_elsewhere(HEADER, &claims);
    signer.clock.set(Timestamp::from_millis(upto * 1000 - 1));
    assert!(is_in(&signer, &token));
    signer.clock.set(Timestamp::from_millis(upto * 1000));
    assert!(!is_in(&signer, &token));
    assert!(taken(&token, true), "it has become stricter");
    assert!(FUZZING.contains("- what has been over for less than a minute\n"));
}

#[test]
fn what_another_implementation_refuses_we_refuse_too() {
    let signer = Signer::new();
    let ours = signer.signed("ann", "10001");
    let parts: Vec<&str> = ours.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{ours}");
    };
    let spare = |text: &str| format!("{}{}", &text[..text.len() - 1], "_");
    let mut texts = vec![
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}=.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{}", spare(signature)),
        format!("{header}.{claims}\n.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.a.{claims}.b.{signature}"),
        format!("{ours} "),
    ];
    for (from, to) in [
        ("HS256", "none"),
        ("HS256", "hs256"),
        ("HS256", "HS512"),
        ("HS256", "RS256"),
        (r#""kid":"1""#, r#""kid":1"#),
        ("}", r#","alg":"HS256"}"#),
    ] {
        texts.push(signed_elsewhere(&HEADER.replacen(from, to, 1), CLAIMS));
    }
    for (from, to) in [
        (r#""sub":"ann""#, r#""sub":"ann","sub":"bob""#),
        (r#","exp":1795946096"#, ""),
        ("1795946096", r#""1795946096""#),
        ("1795946096", "+1795946096"),
        ("1795946096", "01795946096"),
        (r#""image""#, r#""access""#),
        ("ann", "a\nn"),
    ] {
        texts.push(signed_elsewhere(HEADER, &CLAIMS.replacen(from, to, 1)));
    }
    for text in &texts {
        assert!(!taken(text, false), "they take {text}");
        assert!(!is_in(&signer, text), "we take {text}");
    }
}
