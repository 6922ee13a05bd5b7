//! Hazard: a cookie that anybody may set and that lets somebody in, hurts its reader, or grows.
#![expect(clippy::string_slice, reason = "the texts are ASCII")]

use super::*;
use crate::csrf::{CsrfCookie, CsrfToken, MadeWhile};
use crate::keys::{KeyMaterial, Keyring};
use crate::kind::CredentialKind;
use crate::policy::{Draft, Policy};
use crate::secret::{SecretKey, Verifier};
use crate::selector::{Selector, ShardTag};
use crate::text::ServerId;
use crate::token::{SplitToken, TokenFormat};
use crate::world::START;
use core::time::Duration;
use proptest::prelude::*;

const DAY_S: u64 = 86_400;

fn catalogue() -> Catalogue {
    Catalogue::new(&Policy::default(), Vec::new()).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(CookieText::new(text).unwrap())
}

fn own(name: &str) -> Result<Declaration, CatalogueError> {
    let purpose = "whether the side bar is open";
    Declaration::new(name, purpose, Grammar::Text, Lifetime::BrowserSession)
}

#[test]
fn the_five_cookies_live_as_long_as_they_are_said_to() {
    let expected = [
        ("atlassian.xsrf.token", None, None),
        ("jira.issue.navigator.type", Some(3652), Some(400)),
        ("AJS.conglomerate.cookie", Some(365), Some(365)),
        ("UNSUPPORTED_BROWSER_WARNING", None, None),
        ("AJS.thisPage", None, None),
    ];
    let catalogue = catalogue();
    let days = |span: Option<Duration>| span.map(|span| span.as_secs() / DAY_S);
    let lived = |cookie: &Declaration| {
        let lifetime = cookie.lifetime();
        let (declared, effective) = (lifetime.declared(), lifetime.effective());
        (cookie.name().to_owned(), days(declared), days(effective))
    };
    let found: Vec<_> = catalogue.iter().map(lived).collect();
    let expected =
        expected.map(|(name, declared, effective)| (name.to_owned(), declared, effective));
    assert_eq!(found, expected);
    assert!(catalogue.iter().all(|cookie| !cookie.purpose().is_empty()));
    let own = own("sidebar").unwrap();
    assert_eq!(own.purpose(), "whether the side bar is open");
}

#[test]
fn each_cookie_reads_what_it_writes_and_nothing_else() {
    let catalogue = catalogue();
    let mut pairs = Pairs::new();
    pairs.set("tab", "general").unwrap();
    let session = Selector::mint(START, ShardTag::NONE, [7; 8]);
    let form = CsrfCookie {
        server_id: ServerId::new("tracker").unwrap(),
        token: CsrfToken::mint_stable(session, &SecretKey::from_bytes([1; 32]), None),
        made_while: MadeWhile::SignedIn,
    };
    for (name, value, max_age_s) in [
        (
            "jira.issue.navigator.type",
            text("advanced"),
            Some(400 * DAY_S),
        ),
        (
            "AJS.conglomerate.cookie",
            Value::Pairs(pairs),
            Some(365 * DAY_S),
        ),
        ("UNSUPPORTED_BROWSER_WARNING", text("handled"), None),
        ("AJS.thisPage", text("/secure/Dashboard.jspa"), None),
        ("atlassian.xsrf.token", Value::FormToken(form), None),
    ] {
        let set = catalogue.write(name, &value).unwrap();
        assert_eq!((set.name, set.max_age_s), (name, max_age_s));
        let read = catalogue
            .read(name.as_bytes(), set.value.as_bytes())
            .unwrap();
        assert_eq!(catalogue.write(name, &read).unwrap(), set);
        let wrong = format!("{}\u{7f}", set.value);
        assert_eq!(
            catalogue
                .read(name.as_bytes(), wrong.as_bytes())
                .unwrap_err(),
            Unread::Malformed
        );
    }
    let unread = |name: &str, value: &str| catalogue.read(name.as_bytes(), value.as_bytes());
    assert_eq!(
        unread("jira.issue.navigator.type", "expert").unwrap_err(),
        Unread::Malformed
    );
    assert_eq!(unread("ajs.thispage", "x").unwrap_err(), Unread::Undeclared);
    let mismatched = catalogue.write("AJS.conglomerate.cookie", &text("x"));
    assert_eq!(mismatched.unwrap_err(), Unread::Malformed);
    let not_allowed = catalogue.write("UNSUPPORTED_BROWSER_WARNING", &text("x"));
    assert_eq!(not_allowed.unwrap_err(), Unread::Malformed);
    assert_eq!(
        catalogue.write("other", &text("x")).unwrap_err(),
        Unread::Undeclared
    );
}

#[test]
fn the_names_of_authentication_cookies_are_refused() {
    let policy = Policy::default();
    let named = |name: &str| Catalogue::new(&policy, vec![own(name).unwrap()]);
    for name in [
        "JSESSIONID",
        "jsessionid",
        "seraph.rememberme.cookie",
        "__Host-session",
        "__host-Session",
    ] {
        let expected = CatalogueError::Authentication(name.to_owned());
        assert_eq!(named(name).unwrap_err(), expected);
    }
    assert!(named("sidebar").is_ok());
    // What a policy calls its own, too, and in both directions.
    let changes: [fn(&mut Draft); 4] = [
        |draft| draft.sessions.cookie_name = "sidebar".to_owned(),
        |draft| draft.remember_me.cookie_name = "SideBar".to_owned(),
        |draft| draft.sessions.cookie_name = "AJS.thisPage".to_owned(),
        |draft| draft.form_tokens.cookie_name = "JSESSIONID".to_owned(),
    ];
    for change in changes {
        let mut draft = Draft::default();
        change(&mut draft);
        let policy = draft.build().unwrap();
        let refused = Catalogue::new(&policy, vec![own("sidebar").unwrap()]);
        assert!(
            matches!(refused, Err(CatalogueError::Authentication(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn a_catalogue_is_bounded_and_has_each_name_once() {
    let policy = Policy::default();
    let twice = Catalogue::new(&policy, vec![own("ajs.thispage").unwrap()]);
    assert_eq!(
        twice.unwrap_err(),
        CatalogueError::Twice("ajs.thispage".to_owned())
    );
    let many = |count: usize| {
        let cookies = (0..count).map(|n| own(&format!("c{n}")).unwrap()).collect();
        Catalogue::new(&policy, cookies)
    };
    assert!(many(CATALOGUE_MAX - 5).is_ok());
    assert_eq!(
        many(CATALOGUE_MAX - 4).unwrap_err(),
        CatalogueError::TooMany
    );
    for name in ["", "a b", "a;b", "a=b", "\u{e9}", &"x".repeat(129)] {
        assert_eq!(own(name).unwrap_err(), CatalogueError::Name, "{name}");
    }
    let purpose = Declaration::new("a", "", Grammar::Text, Lifetime::BrowserSession);
    assert!(matches!(purpose, Err(CatalogueError::Purpose(_))));
}

/// Whatever a presentation cookie holds, it is none of our credentials.
#[test]
fn no_value_can_carry_a_credential_that_lets_somebody_in() {
    let (format, verifier) = (TokenFormat::new(None).unwrap(), [9; 28]);
    let selector = Selector::mint(START, ShardTag::NONE, [7; 8]);
    let catalogue = catalogue();
    let keyring = Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32]));
    for kind in [
        CredentialKind::Access,
        CredentialKind::Remember,
        CredentialKind::Session,
    ] {
        let token = SplitToken::new(kind, selector, Verifier::from_bytes(verifier));
        let token = format.text(&token).unwrap();
        let token = token.expose();
        assert!(token.len() > COOKIE_TEXT_MAX);
        for cookie in catalogue.iter() {
            for value in [token.to_owned(), format!("a={token}"), format!("{token}=a")] {
                let read = catalogue.read(cookie.name().as_bytes(), value.as_bytes());
                assert_eq!(read.unwrap_err(), Unread::Malformed, "{}", cookie.name());
            }
        }
        let mut pairs = Pairs::new();
        assert_eq!(pairs.set("a", token), Err(MalformedPairs::Value));
        assert_eq!(pairs.set(token, "a"), Err(MalformedPairs::Name));
        let cut = &token[..COOKIE_TEXT_MAX];
        assert!(format.parse_any(cut.as_bytes()).is_err());
        assert!(crate::image::prove(&keyring, cut.as_bytes()).is_err());
    }
}

#[test]
fn a_text_is_shown_as_it_stands_in_its_cookie() {
    let text = CookieText::new("/secure/Dashboard.jspa").unwrap();
    assert_eq!(format!("{text:<24}|"), format!("{:<24}|", text.as_str()));
}

#[test]
fn pairs_are_read_within_their_bounds() {
    let faults = [
        ("a", MalformedPairs::Shape),
        ("|", MalformedPairs::Shape),
        ("a=b|", MalformedPairs::Shape),
        ("|a=b", MalformedPairs::Shape),
        ("a=b||c=d", MalformedPairs::Shape),
        ("=", MalformedPairs::Name),
        ("=b", MalformedPairs::Name),
        ("a b=c", MalformedPairs::Name),
        ("\"a=b\"", MalformedPairs::Name),
        ("a=b=c", MalformedPairs::Value),
        ("a=b c", MalformedPairs::Value),
        ("a=b;c", MalformedPairs::Value),
        ("a=b\r\nSet-Cookie: c", MalformedPairs::Value),
        ("a=\u{e9}", MalformedPairs::Value),
        ("a=b|a=c", MalformedPairs::Twice),
        ("a=b|c=d|a=b", MalformedPairs::Twice),
    ];
    for (text, fault) in faults {
        assert_eq!(
            Pairs::parse(text.as_bytes()),
            Err(fault),
            "{}",
            text.escape_debug()
        );
    }
    let long = "x".repeat(COOKIE_TEXT_MAX + 1);
    assert_eq!(
        Pairs::parse(format!("{long}=a").as_bytes()),
        Err(MalformedPairs::Name)
    );
    assert_eq!(
        Pairs::parse(format!("a={long}").as_bytes()),
        Err(MalformedPairs::Value)
    );
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("{n}="))
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(
        Pairs::parse(many(PAIRS_MAX).as_bytes()).unwrap().len(),
        PAIRS_MAX
    );
    assert_eq!(
        Pairs::parse(many(PAIRS_MAX + 1).as_bytes()),
        Err(MalformedPairs::TooMany)
    );
    let huge = "|".repeat(PAIRS_BYTES_MAX + 1);
    assert_eq!(Pairs::parse(huge.as_bytes()), Err(MalformedPairs::TooLong));
    assert!(Pairs::parse(b"").unwrap().is_empty());
    assert_eq!(Pairs::parse(b"a=").unwrap().value("a"), Some(""));
    assert!(!Pairs::parse(b"a=").unwrap().is_empty());
    let longest = as_long_as_can_be();
    let mut pairs = Pairs::parse(longest.as_bytes()).unwrap();
    assert_eq!(pairs.text(), longest);
    let count = pairs.len();
    let (name, value) = pairs.iter().last().unwrap();
    let (name, value) = (name.to_owned(), value.to_owned());
    pairs.set(&name, &value).unwrap();
    assert_eq!(pairs.text(), longest, "none makes way for what fits");
    pairs.set("zz", "z").unwrap();
    pairs.set("zz", "z").unwrap();
    assert_eq!(pairs.len(), count, "one made way");
}

/// Pairs of as many bytes as they may have together.
fn as_long_as_can_be() -> String {
    let long = "x".repeat(COOKIE_TEXT_MAX);
    let pair = |n: usize| format!("{n:02}{}={long}", &long[2..]);
    let whole: Vec<_> = (0..PAIRS_BYTES_MAX / (2 * COOKIE_TEXT_MAX + 2))
        .map(pair)
        .collect();
    let mut text = whole.join("|");
    text.push_str("|y=");
    let rest = PAIRS_BYTES_MAX.saturating_sub(text.len());
    let value = rest.min(COOKIE_TEXT_MAX);
    text.insert_str(
        text.len().saturating_sub(1),
        &"y".repeat(rest.saturating_sub(value)),
    );
    text.push_str(&"z".repeat(value));
    text
}

#[test]
fn the_pair_that_was_set_longest_ago_makes_way() {
    let mut pairs = Pairs::new();
    for n in 0..PAIRS_MAX {
        pairs.set(&format!("tab{n}"), "open").unwrap();
    }
    pairs.set("tab0", "shut").unwrap();
    pairs.set("tab64", "open").unwrap();
    assert_eq!((pairs.len(), pairs.value("tab1")), (PAIRS_MAX, None));
    assert_eq!(pairs.value("tab0"), Some("shut"));
    let long = "x".repeat(COOKIE_TEXT_MAX);
    for n in 0..PAIRS_MAX {
        pairs.set(&format!("{n:02}{}", &long[2..]), &long).unwrap();
        assert!(pairs.text().len() <= PAIRS_BYTES_MAX);
        assert_eq!(Pairs::parse(pairs.text().as_bytes()).as_ref(), Ok(&pairs));
    }
    assert_eq!(pairs.len(), PAIRS_BYTES_MAX / (2 * COOKIE_TEXT_MAX + 2));
    pairs.remove(&format!("63{}", &long[2..]));
    assert_eq!(pairs.len(), PAIRS_BYTES_MAX / (2 * COOKIE_TEXT_MAX + 2) - 1);
}

proptest! {
    #[test]
    fn a_value_that_reads_is_the_one_value(
        text in "[ab]{0,3}=[a-c]{0,3}(\\|[a-d=|]{0,5}){0,4}|[ -~]{0,20}",
    ) {
        if let Ok(pairs) = Pairs::parse(text.as_bytes()) {
            prop_assert_eq!(pairs.text(), text);
        }
    }

    #[test]
    fn whatever_is_set_reads_back(
        sets in proptest::collection::vec(("[!-~]{0,66}", "[!-~]{0,66}"), 0..90),
    ) {
        let mut pairs = Pairs::new();
        for (name, value) in sets {
            let before = pairs.clone();
            match pairs.set(&name, &value) {
                Ok(()) => prop_assert_eq!(pairs.value(&name), Some(value.as_str())),
                Err(_) => prop_assert_eq!(&pairs, &before),
            }
        }
        prop_assert!(pairs.len() <= PAIRS_MAX && pairs.text().len() <= PAIRS_BYTES_MAX);
        prop_assert_eq!(Pairs::parse(pairs.text().as_bytes()), Ok(pairs));
    }

    #[test]
    fn no_bytes_hurt_a_reader(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        which in 0..5usize,
    ) {
        let catalogue = catalogue();
        let name = catalogue.iter().nth(which).unwrap().name().to_owned();
        if let Ok(value) = catalogue.read(name.as_bytes(), &bytes) {
            let written = catalogue.write(&name, &value).unwrap().value;
            prop_assert_eq!(written.as_bytes(), bytes.as_slice());
        }
    }
}

/// The cookie of form tokens is set by the catalogue, too.
#[test]
fn what_a_cookie_is_set_to_is_in_no_log() {
    let set = SetCookie {
        name: "atlassian.xsrf.token",
        value: "B1ED-0001|a-form-token|lin".to_owned(),
        max_age_s: None,
    };
    let told = format!("{set:?}");
    assert!(!told.contains("form-token"), "{told}");
    assert!(told.contains("xsrf") && told.contains("26"), "{told}");
}
