//! Hazard: a sibling's server sets cookies for the whole domain, and one of them is taken for ours
//! (cookie tossing): the attacker's session, so that its owner works as the attacker without ever
//! having logged in, or the attacker's form token, so that a forged form carries a right one.
//!
//! Of each spelling it is said whether the cookie arrives: where it does, it is not the browser who
//! refuses it.

use crate::chromium::Browser;
use crate::foreign::Foreign;
use crate::plain;
use crate::world::{LOOPBACK, PASSWORD, REMEMBER, SCRIPTS, SESSION, World};

const EVIL: &str = "evil.shop.localhost";

/// A cookie of the attacker's: what its name is without a prefix, and its value.
type Own = (&'static str, String);

/// How a sibling spells the name of a cookie of ours, and whether it then comes to us.
const SPELLINGS: [(&str, bool); 7] = [
    // Browsers keep this one for the host itself.
    ("__Host-NAME", false),
    // Nor is its prefix another one in lower case,
    ("__host-NAME", false),
    // or as the value of a cookie without a name,
    ("=__Host-NAME", false),
    // or behind a blank that they take away.
    (" __Host-NAME", false),
    // The name that is ours without TLS.
    ("NAME", true),
    // A blank to those who take every blank of Unicode away.
    ("\\u2000__Host-NAME", true),
    ("__Secure-NAME", true),
];

/// What `ben`, who attacks, has in his own browser: a session and a device.
async fn of_ben(world: &World) -> Vec<Own> {
    let browser = world.logged_in("ben", true).await;
    let mut own = Vec::new();
    for (name, front) in [(SESSION, "__Host-"), (REMEMBER, "__Host-"), (SCRIPTS, "")] {
        let value = browser.cookie_value(&format!("{front}{name}")).await;
        own.push((name, value));
    }
    own
}

/// A page of the sibling's sets each of them, under a spelling of its name.
async fn toss(foreign: &Foreign, browser: &Browser, own: &[Own], spelling: &str) {
    let cookies = own.iter().map(|(name, value)| {
        let name = spelling.replace("NAME", name);
        format!("document.cookie = '{name}={value}; domain=shop.localhost; path=/; secure';")
    });
    let script: String = cookies.collect();
    foreign.put("/toss", &format!("<script>{script}</script>"));
    browser.go(&foreign.url(EVIL, "/toss")).await;
}

/// Whether the attacker's cookies came with the last request for a path.
fn came(world: &World, path: &str, own: &[Own]) -> bool {
    let seen = world.seen(path);
    let cookies = &seen.last().unwrap().cookies;
    own.iter().all(|(_, value)| cookies.contains(value))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_siblings_cookie_is_never_taken_for_ours() {
    let Some(world) = World::secured().await else {
        return;
    };
    let (foreign, own) = (Foreign::start().await, of_ben(&world).await);
    for (index, (spelling, comes)) in SPELLINGS.into_iter().enumerate() {
        let browser = world.browser().await;
        // Nobody is signed in: the attacker would be, without being asked.
        toss(&foreign, &browser, &own, spelling).await;
        let path = format!("/?tossed-at-nobody={index}");
        browser.go(&world.url(&path)).await;
        assert_eq!(browser.path().await, "/log-in", "{spelling}");
        assert_eq!(came(&world, &path, &own), comes, "{spelling}");
        browser.give_password("ada", true).await;
        assert_eq!(browser.text("#who").await, "ada", "{spelling}");
        // Somebody is: the attacker would take their place.
        toss(&foreign, &browser, &own, spelling).await;
        let path = format!("/?tossed-at-ada={index}");
        browser.go(&world.url(&path)).await;
        assert_eq!(browser.text("#who").await, "ada", "{spelling}");
        assert_eq!(came(&world, &path, &own), comes, "{spelling}");
        // Their own forms go on working, log-out among them, and it is them who are logged out.
        browser.press("#log-out").await;
        browser.go(&world.url("/")).await;
        assert_eq!(browser.path().await, "/log-in", "{spelling}");
    }
    // What was tossed is good: to its owner it opens what is his.
    let session = format!("__Host-{SESSION}={}", own[0].1);
    let answer = plain::get_with(&world.url_at(LOOPBACK, "/"), &session).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_token_is_not_proven_by_a_cookie_that_says_the_same() {
    let Some(world) = World::secured().await else {
        return;
    };
    let (foreign, own) = (Foreign::start().await, of_ben(&world).await);
    let scripts = &own[2..];
    // The token is the cookie's middle part, of a session that is the attacker's.
    let token = scripts[0].1.split('|').nth(1).unwrap().to_owned();
    let browser = world.signed_in("ada").await;
    let users = world.users();
    for (index, (spelling, comes)) in SPELLINGS.into_iter().enumerate() {
        toss(&foreign, &browser, scripts, spelling).await;
        browser.go(&world.url("/admin/users")).await;
        // On our own page, so that the token alone is between the form and its end.
        let path = format!("/admin/users?double-submit={index}");
        let script = format!(
            "const form = new FormData(document.querySelector('.card'));\
             form.set('atl_token', '{token}'); form.set('name', 'eve');\
             form.set('password', '{PASSWORD}');\
             return fetch('{path}', {{method: 'POST', body: new URLSearchParams(form)}})\
             .then((answer) => answer.status)"
        );
        assert_eq!(browser.script(&script).await, 403, "{spelling}");
        assert_eq!(came(&world, &path, scripts), comes, "{spelling}");
        assert_eq!(world.users(), users, "{spelling}");
    }
    // With the token that is theirs the same is carried out.
    browser.go(&world.url("/admin/users")).await;
    browser.fill("#name", "cleo").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("#add-user").await;
    assert!(world.users().contains("\"cleo\""));
}
