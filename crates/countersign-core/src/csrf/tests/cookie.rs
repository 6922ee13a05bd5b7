//! The cookie of S5: written one way, read only so, whatever is sent in its place.

use super::super::MalformedCsrfCookie as Fault;
use super::*;
use crate::text::ServerId;
use proptest::prelude::*;

fn server() -> ServerId {
    ServerId::new("BXY3-1F2Z").unwrap()
}

fn cookie(made_while: MadeWhile) -> CsrfCookie {
    CsrfCookie {
        server_id: server(),
        token: Opened::of("ann", 0).token(),
        made_while,
    }
}

#[test]
fn it_reads_what_it_wrote() {
    for (made_while, flag) in [
        (MadeWhile::SignedIn, "|lin"),
        (MadeWhile::SignedOut, "|lout"),
    ] {
        let text = cookie(made_while).text().unwrap();
        assert!(text.expose().starts_with("BXY3-1F2Z|") && text.expose().ends_with(flag));
        let back = CsrfCookie::parse(text.expose().as_bytes()).unwrap();
        assert_eq!((back.server_id, back.made_while), (server(), made_while));
        assert!(back.token.verify(&Opened::of("ann", 0).secret, None));
    }
}

#[test]
fn a_token_is_taken_out_of_this_servers_cookie_and_of_no_other_text() {
    let (ann, text) = (Opened::of("ann", 0), cookie(MadeWhile::SignedIn).text());
    let text = text.unwrap().expose().to_owned();
    let found = CsrfCookie::token_in(text.as_bytes(), &server(), MadeWhile::SignedIn);
    assert!(found.unwrap().is_stable_of(ann.selector, &ann.secret));
    let shorter = ServerId::new("BXY3").unwrap();
    for (text, server, made_while) in [
        (text.clone(), shorter, MadeWhile::SignedIn),
        (text.clone(), server(), MadeWhile::SignedOut),
        (text[10..54].to_owned(), server(), MadeWhile::SignedIn),
        (text.replace('|', "_"), server(), MadeWhile::SignedIn),
        (format!("{text}|lin"), server(), MadeWhile::SignedIn),
        (String::new(), server(), MadeWhile::SignedIn),
    ] {
        let found = CsrfCookie::token_in(text.as_bytes(), &server, made_while);
        assert!(found.is_none(), "{text} of {server} and {made_while:?}");
    }
}

#[test]
fn the_longest_one_is_within_the_bound() {
    let long = CsrfCookie {
        server_id: ServerId::new(&"x".repeat(ServerId::MAX_BYTES)).unwrap(),
        ..cookie(MadeWhile::SignedOut)
    };
    let text = long.text().unwrap();
    assert_eq!(text.expose().len(), CSRF_COOKIE_MAX);
    assert!(CsrfCookie::parse(text.expose().as_bytes()).is_ok());
}

#[test]
fn a_masked_token_goes_into_no_cookie_and_comes_out_of_none() {
    let masked = Opened::of("ann", 0).masked(1);
    let text = format!("BXY3-1F2Z|{}|lin", masked.text().expose());
    assert_eq!(
        CsrfCookie::parse(text.as_bytes()).unwrap_err(),
        Fault::Masked
    );
    let wrong = CsrfCookie {
        token: masked,
        ..cookie(MadeWhile::SignedIn)
    };
    assert!(wrong.text().is_none());
}

/// Values that hurt, or fooled, the parsers of others.
#[test]
fn hostile_values_are_refused_as_a_whole() {
    let good = cookie(MadeWhile::SignedIn).text().unwrap();
    let good = good.expose();
    let token = &good[10..54];
    let long = "x".repeat(ServerId::MAX_BYTES + 1);
    let cases: [(String, Fault); 25] = [
        (String::new(), Fault::Parts),
        ("|".into(), Fault::Parts),
        ("||".into(), Fault::ServerId),
        ("|||".into(), Fault::Parts),
        ("BXY3-1F2Z".into(), Fault::Parts),
        (
            "BXY3-1F2Z||lin".into(),
            Fault::Token(MalformedCsrfToken::Length),
        ),
        (format!("BXY3-1F2Z|{token}"), Fault::Parts),
        (format!("BXY3-1F2Z|{token}|"), Fault::Flag),
        (format!("BXY3-1F2Z|{token}|LIN"), Fault::Flag),
        (format!("BXY3-1F2Z|{token}|lin "), Fault::Flag),
        (format!("BXY3-1F2Z|{token}|lin\0"), Fault::Flag),
        (format!("BXY3-1F2Z|{token}|lins"), Fault::Flag),
        (format!("BXY3-1F2Z|{token}|lin|lin"), Fault::Parts),
        (format!("BXY3-1F2Z|{token}|lin|"), Fault::Parts),
        (format!("|{token}|lin"), Fault::ServerId),
        (format!(" BXY3-1F2Z|{token}|lin"), Fault::ServerId),
        (format!("BXY3;1F2Z|{token}|lin"), Fault::ServerId),
        (
            format!("BXY3-1F2Z\r\nSet-Cookie: a=b|{token}|lin"),
            Fault::ServerId,
        ),
        (format!("BXY3-1F2Z|{token}%7Clin"), Fault::Parts),
        (format!("BXY3-1F2Z_{token}_lin"), Fault::Parts),
        (format!("\"BXY3-1F2Z|{token}|lin\""), Fault::ServerId),
        (
            format!("BXY3-1F2Z|{token}0|lin"),
            Fault::Token(MalformedCsrfToken::Length),
        ),
        // What the original writes.
        (
            "BXY3-1F2Z|8e9e3f0c1f0f3b9c5b6a0d2d7c8f9e0a1b2c3d4e|lin".into(),
            Fault::Token(MalformedCsrfToken::Length),
        ),
        (format!("{long}|{token}|lin"), Fault::ServerId),
        ("|".repeat(100_000), Fault::TooLong),
    ];
    for (text, expected) in cases {
        let fault = CsrfCookie::parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault, expected, "{}", text.escape_debug());
    }
    assert_eq!(
        CsrfCookie::parse(b"\xff\xfe|x|lin").unwrap_err(),
        Fault::ServerId
    );
    for at in 0..good.len() {
        assert!(
            CsrfCookie::parse(&good.as_bytes()[..at]).is_err(),
            "cut at {at}"
        );
    }
}

proptest! {
    #[test]
    fn a_value_that_reads_is_the_one_value(
        server in "[0-9A-Za-z._~:/@+-]{1,20}|[ -~]{0,5}",
        token in "[0-9A-Za-z]{44}|[0-9A-Za-z]{11}0{11}[0-9A-Za-z]{22}|[ -~]{0,8}",
        flag in "lin|lout|[a-z|]{0,5}",
    ) {
        let text = format!("{server}|{token}|{flag}");
        if let Ok(cookie) = CsrfCookie::parse(text.as_bytes()) {
            let written = cookie.text().unwrap();
            prop_assert_eq!(written.expose(), text);
        }
    }
}
