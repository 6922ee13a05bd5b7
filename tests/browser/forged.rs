//! Hazard: a page elsewhere acts in the name of an administrator who looks at it (S7).

use crate::chromium::Browser;
use crate::foreign::Foreign;
use crate::wait::until;
use crate::world::{LOOPBACK, PASSWORD, SECURED, Seen, World};
use std::collections::BTreeSet;

/// A place from which a request is forged.
struct Place {
    /// The name under which the administrator knows the tracker.
    home: &'static str,
    /// Where the page is.
    host: &'static str,
    /// A port is no part of a site, nor is a sub-domain: cookies travel from there.
    same_site: bool,
    /// What the browser says of it; nothing, where the tracker's address promises no safety.
    said: &'static str,
}

const SHOP: &str = "tracker.shop.test";

const PLACES: [Place; 4] = [
    Place {
        home: SHOP,
        host: "attacker.test",
        same_site: false,
        said: "",
    },
    Place {
        home: SHOP,
        host: "evil.shop.test",
        same_site: true,
        said: "",
    },
    Place {
        home: LOOPBACK,
        host: "localhost",
        same_site: false,
        said: "cross-site",
    },
    Place {
        home: LOOPBACK,
        host: LOOPBACK,
        same_site: true,
        said: "same-site",
    },
];

/// With the cookies of a tracker behind TLS.
const PLACES_OF_SECURED: [Place; 3] = [
    Place {
        home: SECURED,
        host: "attacker.localhost",
        same_site: false,
        said: "cross-site",
    },
    Place {
        home: SECURED,
        host: "evil.shop.localhost",
        same_site: true,
        said: "same-site",
    },
    Place {
        home: SECURED,
        host: SECURED,
        same_site: true,
        said: "same-site",
    },
];

/// A page that forges a request.
struct Attack {
    name: &'static str,
    /// Whether the request carries the cookies, given that it comes from the same site.
    with_cookies: bool,
    /// What it is answered with, where it comes from the same site and where not.
    status: [u16; 2],
    page: fn(&str) -> String,
}

/// What each of them sends, to add a user of its own.
fn fields(name: &str) -> String {
    format!(
        "<input name='name' value='eve-{name}'><input name='password' value='{PASSWORD}'>\
         <input name='administrator' value='on'>"
    )
}

const ATTACKS: [Attack; 4] = [
    // A GET comes through, and changes nothing.
    Attack {
        name: "img",
        with_cookies: true,
        status: [200, 401],
        page: |to| format!("<img src=\"{to}&name=eve-img&password={PASSWORD}\">"),
    },
    Attack {
        name: "form",
        with_cookies: true,
        status: [403, 403],
        page: |to| {
            let fields = fields("form");
            format!(
                "<form method=\"post\" action=\"{to}\">{fields}</form>\
                 <script>document.forms[0].submit()</script>"
            )
        },
    },
    Attack {
        name: "fetch",
        with_cookies: true,
        status: [403, 403],
        page: |to| {
            format!(
                "<script>fetch('{to}', {{method: 'POST', mode: 'no-cors', \
                 credentials: 'include', \
                 body: new URLSearchParams({{name: 'eve-fetch', password: '{PASSWORD}'}})}})\
                 </script>"
            )
        },
    },
    // Its origin is nobody's, so that browsers take it for another site's.
    Attack {
        name: "sandbox",
        with_cookies: false,
        status: [403, 403],
        page: |to| {
            let fields = fields("sandbox");
            format!(
                "<iframe sandbox=\"allow-forms allow-scripts\" srcdoc=\"<form method='post' \
                 action='{to}'>{fields}</form><script>document.forms[0].submit()</script>\">\
                 </iframe>"
            )
        },
    },
];

/// Looks at a page elsewhere, in another tab, until its request has been answered; where the
/// answer is `shown` in the page's place, it says what is wrong.
async fn look_at(world: &World, browser: &Browser, url: &str, mark: &str, shown: bool) -> Seen {
    let own = browser.tab().await;
    browser.go(url).await;
    let seen = until(mark, async || world.seen(mark).first().cloned()).await;
    if shown {
        // That it is foreign is found out first, by another wall than the token.
        let message = browser.text("#message").await;
        assert!(message.contains("does not come from a page"), "{message}");
    }
    browser.close_window().await.unwrap();
    browser.to(&own).await;
    seen
}

/// Who is known to the tracker, and whose browser it takes this one for.
async fn check_unchanged(world: &World, browser: &Browser, home: &str, users: &str) {
    assert_eq!(world.users(), users);
    browser.go(&world.url_at(home, "/")).await;
    assert_eq!(browser.text("#who").await, "ada");
}

/// The administrator, under every name of the tracker.
async fn signed_in(world: &World, places: &[Place]) -> Browser {
    let browser = world.browser().await;
    let homes: BTreeSet<_> = places.iter().map(|place| place.home).collect();
    for home in homes {
        browser.go(&world.url_at(home, "/log-in")).await;
        browser.give_password("ada", false).await;
        assert_eq!(browser.text("#who").await, "ada");
    }
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_elsewhere_adds_a_user() {
    if let Some(world) = World::watched().await {
        check_adding(&world, &PLACES).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_elsewhere_adds_a_user_where_cookies_are_secure() {
    if let Some(world) = World::secured().await {
        check_adding(&world, &PLACES_OF_SECURED).await;
    }
}

async fn check_adding(world: &World, places: &[Place]) {
    let (foreign, browser) = (Foreign::start().await, signed_in(world, places).await);
    let users = world.users();
    for place in places {
        for attack in &ATTACKS {
            let name = attack.name;
            let mark = format!("{name}-from-{}", place.host);
            let to = world.url_at(place.home, &format!("/admin/users?attack={mark}"));
            foreign.put(&format!("/{name}"), &(attack.page)(&to));
            let url = foreign.url(place.host, &format!("/{name}"));
            let seen = look_at(world, &browser, &url, &mark, name == "form").await;
            let carried = place.same_site && attack.with_cookies;
            assert_eq!(seen.cookies.contains("session="), carried, "{seen:?}");
            assert_eq!(
                seen.status,
                attack.status[usize::from(!carried)],
                "{seen:?}"
            );
            let said = match attack.with_cookies {
                false if !place.said.is_empty() => "cross-site",
                _ => place.said,
            };
            assert_eq!(seen.site, said, "{seen:?}");
            check_unchanged(world, &browser, place.home, &users).await;
        }
    }
    check_own_page(world, &browser, places[0].home).await;
}

/// What the attacks were refused works on the page that it belongs to, and only with its token.
async fn check_own_page(world: &World, browser: &Browser, home: &str) {
    browser.go(&world.url_at(home, "/admin/users")).await;
    let users = world.users();
    let post = |with: &str| {
        format!(
            "const form = new FormData(document.querySelector('.card'));\
             {with} form.set('name', 'eve'); form.set('password', '{PASSWORD}');\
             return fetch('/admin/users', {{method: 'POST', body: new URLSearchParams(form)}})\
             .then((answer) => answer.status)"
        )
    };
    let without = browser.script(&post("form.delete('atl_token');")).await;
    assert_eq!((without, world.users() == users), (403.into(), true));
    let with = browser.script(&post("")).await;
    assert_eq!(
        (with, world.users().contains("\"eve\"")),
        (200.into(), true)
    );
    browser.fill("#name", "cleo").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("#add-user").await;
    assert!(world.users().contains("\"cleo\""));
    assert_eq!(browser.count(".user").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_elsewhere_logs_anybody_in_or_out() {
    if let Some(world) = World::watched().await {
        check_logging_in_and_out(&world, &PLACES).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_elsewhere_logs_anybody_in_or_out_where_cookies_are_secure() {
    if let Some(world) = World::secured().await {
        check_logging_in_and_out(&world, &PLACES_OF_SECURED).await;
    }
}

async fn check_logging_in_and_out(world: &World, places: &[Place]) {
    let (foreign, browser) = (Foreign::start().await, signed_in(world, places).await);
    let users = world.users();
    for place in places {
        for path in ["/log-in", "/log-out"] {
            let mark = format!("{}-from-{}", path.trim_start_matches('/'), place.host);
            let to = world.url_at(place.home, &format!("{path}?attack={mark}"));
            foreign.put(path, &log_in_form(&to));
            let url = foreign.url(place.host, path);
            let seen = look_at(world, &browser, &url, &mark, true).await;
            assert_eq!(seen.status, 403, "{seen:?}");
            check_unchanged(world, &browser, place.home, &users).await;
        }
    }
    // Nor where nobody is signed in: they would work as the attacker, who reads it afterwards.
    browser.press("#log-out").await;
    let to = world.url("/log-in?attack=on-a-stranger");
    foreign.put("/stranger", &log_in_form(&to));
    let url = foreign.url(world.home, "/stranger");
    let seen = look_at(world, &browser, &url, "on-a-stranger", true).await;
    assert_eq!(seen.status, 403, "{seen:?}");
    browser.go(&world.url("/")).await;
    assert_eq!(browser.path().await, "/log-in");
    // On its own page the same works.
    browser.give_password("ben", false).await;
    assert_eq!(browser.text("#who").await, "ben");
}

/// Logs in as the attacker, who is `ben`.
fn log_in_form(to: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{to}\"><input name=\"name\" value=\"ben\">\
         <input name=\"password\" value=\"{PASSWORD}\"><input name=\"remember\" value=\"on\">\
         </form><script>document.forms[0].submit()</script>"
    )
}
