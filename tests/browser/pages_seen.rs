//! Hazard: a page that is wider than a telephone, that a keyboard cannot get through, that says
//! nothing to who does not see it, or that breaks its own rules about what it may load.
//!
//! With `COUNTERSIGN_SCREENSHOTS=DIR` there is a picture of each page in each form in that folder.

use crate::chromium::Browser;
use crate::world::{IDLE, World};
use serde_json::json;
use std::path::PathBuf;
use thirtyfour::Key;

/// A telephone and a desk, by day and by night: width and height in pixels.
const FORMS: [(&str, u32, u32, &str); 4] = [
    ("phone-light", 360, 740, "light"),
    ("phone-dark", 360, 740, "dark"),
    ("desk-dark", 1280, 900, "dark"),
    ("desk-light", 1280, 900, "light"),
];

/// What is wrong with a page, in words; nothing, if all is well.
const FAULTS: &str = r#"
    const faults = [], root = document.documentElement;
    const all = (css) => [...document.querySelectorAll(css)];
    // Not the window's own width: a telephone makes that as wide as what does not fit.
    const wide = root.scrollWidth - arguments[0];
    if (wide > 0) faults.push(`${wide} pixels too wide`);
    if (root.lang !== 'en') faults.push('no language');
    if (!document.title) faults.push('no title');
    if (all('h1').length !== 1) faults.push(`${all('h1').length} headings`);
    if (all('main').length !== 1) faults.push('no main part');
    const ids = all('[id]').map((one) => one.id);
    for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at)))
        faults.push(`twice: #${id}`);
    for (const one of all('input, select, textarea')) {
        if (one.type === 'hidden' || one.hidden) continue;
        const labelled = one.labels.length || one.ariaLabel || one.ariaLabelledByElements;
        if (!labelled) faults.push(`no label: ${one.outerHTML}`);
    }
    for (const one of all('button, a, img')) {
        if (!(one.textContent.trim() || one.ariaLabel || one.alt || one.querySelector('img[alt]')))
            faults.push(`no name: ${one.outerHTML}`);
    }
    const channels = (text) => text.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [[r, 0.2126], [g, 0.7152], [b, 0.0722]].reduce((sum, [c, by]) => {
        c /= 255;
        return sum + by * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    }, 0);
    const paper = (one) => {
        for (; one; one = one.parentElement) {
            const [r, g, b, a = 1] = channels(getComputedStyle(one).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const words = (one) => [...one.childNodes].some((node) => node.nodeType === 3
        && node.data.trim());
    for (const one of all('body *').filter((one) => words(one) && one.checkVisibility())) {
        const [a, b] = [light(channels(getComputedStyle(one).color)), light(paper(one))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(1)}: ${one.outerHTML}`);
    }
    return faults;
"#;

/// Looks at the page that is open in every form.
async fn check(browser: &Browser, name: &str) {
    for (form, width, height, scheme) in FORMS {
        resize(browser, width, height).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": features });
        let cdp = browser.cdp();
        cdp.send_raw("Emulation.setEmulatedMedia", media)
            .await
            .unwrap();
        let faults = browser.execute(FAULTS, vec![json!(width)]).await.unwrap();
        assert_eq!(*faults.json(), json!([]), "{name}, {form}");
        if let Some(folder) = std::env::var_os("COUNTERSIGN_SCREENSHOTS") {
            let whole = browser
                .script("return document.documentElement.scrollHeight")
                .await;
            let whole = u32::try_from(whole.as_u64().unwrap()).unwrap();
            resize(browser, width, whole.max(height)).await;
            let file = PathBuf::from(folder).join(format!("{name}-{form}.png"));
            browser.screenshot(&file).await.unwrap();
        }
    }
    resize(browser, 1280, 900).await;
    check_log(browser, name).await;
}

async fn resize(browser: &Browser, width: u32, height: u32) {
    let size = json!({
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
    });
    let cdp = browser.cdp();
    let set = cdp.send_raw("Emulation.setDeviceMetricsOverride", size);
    set.await.unwrap();
}

/// Nothing was amiss: no script failed, nothing was kept from loading.
async fn check_log(browser: &Browser, name: &str) {
    let url = browser.current_url().await.unwrap().to_string();
    let log = browser.browser_log().await.unwrap();
    let strange = log.iter().filter(|entry| {
        // That a page itself is a refusal is noted too.
        let own = entry.message.starts_with(&format!("{url} "));
        !(own
            && entry
                .message
                .contains("the server responded with a status of 4"))
    });
    let strange: Vec<_> = strange.map(|entry| &entry.message).collect();
    assert!(strange.is_empty(), "{name}: {strange:?}");
}

/// From the top of the page to what it is there for, with nothing but the tabulator.
async fn check_keys(browser: &Browser, name: &str, main: &str) {
    const FOCUSED: &str = "const one = document.activeElement, style = getComputedStyle(one), \
                           box = one.getBoundingClientRect(); \
                           return [one.matches('.skip'), one.matches(arguments[0]), \
                           style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 1 \
                           && box.right > 0 && box.width > 0]";
    browser.script("document.activeElement.blur()").await;
    for step in 0..80 {
        press_key(browser, Key::Tab).await;
        let focused = browser.execute(FOCUSED, vec![json!(main)]).await.unwrap();
        let [skip, reached, outlined]: [bool; 3] = focused.convert().unwrap();
        assert!(outlined, "{name}: nobody sees where step {step} is");
        assert_eq!(
            skip,
            step == 0,
            "{name}: the way past the menu, at step {step}"
        );
        if reached {
            return;
        }
    }
    panic!("{name}: no key leads to {main}");
}

async fn press_key(browser: &Browser, key: Key) {
    let keys = browser.action_chain().send_keys(key);
    keys.perform().await.unwrap();
}

/// An issue with an image and a comment, a device, a filter: pages with something on them.
async fn filled(world: &World) -> Browser {
    let browser = world.logged_in("ada", true).await;
    browser.go(&world.url("/issues/new")).await;
    let long = "The gutter over the door of the old warehouse-and-workshop leaks when it rains";
    browser.fill("#summary", long).await;
    browser
        .fill("#description", &"Donaudampfschifffahrt".repeat(9))
        .await;
    browser.pick("#file", &world.picture("gutter.png")).await;
    browser.press("#create-submit").await;
    browser.fill("#comment", "It does.\nI saw it.").await;
    browser.press("#comment-submit").await;
    browser.go(&world.url("/")).await;
    browser.press(".choice[value='all']").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fit_for_a_telephone_a_keyboard_and_a_voice() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = filled(&world).await;
    check_keys(&browser, "issues", "#create").await;
    check(&browser, "issues").await;
    for (name, path, main) in [
        ("new-issue", "/issues/new", "#create-submit"),
        ("issue", "/issues/1", "#comment-submit"),
        ("sessions", "/profile/sessions", "#end-others"),
        ("tokens", "/profile/tokens", "#token-issue"),
        ("password", "/profile/password", "#change"),
        ("admin", "/admin", ".switch-off"),
        ("users", "/admin/users", "#add-user"),
        ("confirm", "/confirm", "#submit"),
        ("nothing", "/nothing", "main a"),
    ] {
        browser.go(&world.url(path)).await;
        // Some fields take the focus by themselves, and the way past the menu is before them.
        browser
            .script("document.querySelector('[autofocus]')?.blur()")
            .await;
        if !browser.has("[autofocus]").await {
            check_keys(&browser, name, main).await;
        }
        check(&browser, name).await;
    }
    check_made(&world, &browser).await;
}

/// Pages that a form leads to.
async fn check_made(world: &World, browser: &Browser) {
    browser.go(&world.url("/profile/tokens")).await;
    browser
        .fill("#token-name", "A name of forty characters, as they say.")
        .await;
    browser.press("#token-issue").await;
    assert!(browser.has("#new-token").await);
    check(browser, "new-token").await;

    browser.go(&world.url("/")).await;
    browser.click("#create").await;
    browser.at("#create-dialog[open]").await;
    let focused = "return document.activeElement.id";
    assert_eq!(browser.script(focused).await, "summary");
    check(browser, "dialog").await;
    press_key(browser, Key::Escape).await;
    assert!(!browser.has("#create-dialog[open]").await);
    // With the keyboard alone, from the button that has the focus again.
    assert_eq!(browser.script(focused).await, "create");
    press_key(browser, Key::Enter).await;
    browser.at("#create-dialog[open]").await;
    browser.fill("#summary", "It rains").await;
    browser.fill("#description", "Since Monday").await;
    browser.pick("#file", &world.picture("rain.png")).await;
    world.clock.advance(IDLE);
    browser.press("#create-submit").await;
    assert!(browser.has("#lost-form").await);
    check(browser, "lost-form").await;
    check_keys(browser, "lost-form", "#continue").await;

    browser.press("#log-out").await;
    assert_eq!(browser.path().await, "/log-in");
    check(browser, "log-in").await;
}
