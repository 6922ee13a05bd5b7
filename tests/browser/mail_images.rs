//! Hazard: an image in a mail does not load for whoever has the mail alone, opens more than
//! itself, or loads after its time or after the switch (S10).

use crate::chromium::Browser;
use crate::foreign::Foreign;
use crate::plain;
use crate::wait::until;
use crate::world::{HOUR, World};

/// Where mails are read: another site than the tracker's.
const WEBMAIL: &str = "mail.test";

/// Presses the button on the page, and reads the mail that it makes.
async fn mailed(world: &World, browser: &Browser) -> String {
    let outbox = world.dir.path().join("outbox");
    let mails = || {
        let files = std::fs::read_dir(&outbox).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let before = mails();
    browser.press("#mail").await;
    let new = mails().into_iter().find(|path| !before.contains(path));
    let text = std::fs::read_to_string(new.unwrap()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Transfer-Encoding: quoted-printable"));
    decoded(body)
}

/// Quoted-printable (RFC 2045, section 6.7).
fn decoded(body: &str) -> String {
    let body = body.replace("=\r\n", "");
    let mut pieces = body.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

/// The addresses of a mail's images.
fn sources(mail: &str) -> Vec<String> {
    let images = mail.split("<img src=\"").skip(1);
    let source = |image: &str| image.split('"').next().unwrap().to_owned();
    images.map(source).collect()
}

/// How wide each image of a mail is; nothing where it does not load.
async fn widths(browser: &Browser, foreign: &Foreign, mail: &str) -> Vec<u64> {
    // Each time as if it were the first.
    let cdp = browser.cdp();
    let emptied = cdp.send_raw("Network.clearBrowserCache", ());
    emptied.await.unwrap();
    foreign.put("/mail", mail);
    browser.go(&foreign.url(WEBMAIL, "/mail")).await;
    let look = "const all = [...document.images]; \
                return all.every((one) => one.complete) && all.map((one) => one.naturalWidth)";
    let widths = until("images", async || {
        let widths = browser.script(look).await;
        widths.as_array().cloned()
    });
    let widths = widths.await;
    widths.iter().map(|width| width.as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_shows_its_images_and_nothing_else_until_its_time_is_over() {
    let Some(world) = World::start().await else {
        return;
    };
    let (author, reader) = (world.signed_in("ada").await, world.browser().await);
    let foreign = Foreign::start().await;
    author.go(&world.url("/issues/new")).await;
    author.fill("#summary", "Two pictures").await;
    for name in ["one.png", "two.png"] {
        author.pick("#file", &world.picture(name)).await;
    }
    author.press("#create-submit").await;
    assert_eq!(author.count(".attachment").await, 2);
    let mail = mailed(&world, &author).await;
    assert_eq!(widths(&reader, &foreign, &mail).await, [2, 2]);
    // By the links alone: no cookie came of it, and without its token an image is nobody's.
    assert!(reader.cookies().await.is_empty());
    let links = sources(&mail);
    let bare: Vec<_> = links
        .iter()
        .map(|link| link.split_once("?token=").unwrap())
        .collect();
    assert_eq!(plain::get(bare[0].0).await.status, 401);

    // A token opens the image that it was made for.
    let swapped = format!(
        "<img src=\"{}?token={}\"><img src=\"{}?token={}\">",
        bare[0].0, bare[1].1, bare[1].0, bare[0].1
    );
    assert_eq!(widths(&reader, &foreign, &swapped).await, [0, 0]);
    let answer = plain::get(&format!("{}?token={}", bare[0].0, bare[1].1)).await;
    assert_eq!(answer.status, 403, "{answer:?}");

    world.clock.advance(168 * HOUR);
    assert_eq!(widths(&reader, &foreign, &mail).await, [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_access_tokens_a_link_that_is_still_good_is_refused() {
    let Some(world) = World::start().await else {
        return;
    };
    let (author, reader) = (world.signed_in("ada").await, world.browser().await);
    let foreign = Foreign::start().await;
    author.go(&world.url("/issues/new")).await;
    author.fill("#summary", "A picture").await;
    author.pick("#file", &world.picture("one.png")).await;
    author.press("#create-submit").await;
    let mail = mailed(&world, &author).await;
    assert_eq!(widths(&reader, &foreign, &mail).await, [2]);
    author.go(&world.url("/admin")).await;
    let switch = ".switch[data-name='access-tokens']";
    assert_eq!(author.text(&format!("{switch} .badge")).await, "on");
    author.press(&format!("{switch} .switch-off")).await;
    assert_eq!(author.text(&format!("{switch} .badge")).await, "off");
    assert_eq!(widths(&reader, &foreign, &mail).await, [0]);
    let link = sources(&mail).concat();
    assert_eq!(plain::get(&link).await.status, 403);
    // Switched on again, what was sent before stays dead.
    author.press(&format!("{switch} .switch-on")).await;
    assert_eq!(widths(&reader, &foreign, &mail).await, [0]);
}
