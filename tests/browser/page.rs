//! What a person does at a page: reads, types, picks, presses.

use crate::chromium::Browser;
use crate::wait::{until, within};
use crate::world::PASSWORD;
use serde_json::Value;
use std::path::Path;
use thirtyfour::{By, WebElement, WindowHandle};

impl Browser {
    pub(crate) async fn go(&self, url: &str) {
        within(url, self.goto(url)).await.unwrap();
    }

    /// The first element that is there, once it is.
    pub(crate) async fn at(&self, css: &str) -> WebElement {
        until(css, async || self.find(By::Css(css)).await.ok()).await
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        self.count(css).await > 0
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        self.find_all(By::Css(css)).await.unwrap().len()
    }

    /// The text that is seen.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.at(css).await.text().await.unwrap()
    }

    pub(crate) async fn value(&self, css: &str) -> String {
        self.at(css).await.value().await.unwrap().unwrap()
    }

    pub(crate) async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.at(css).await.attr(name.to_owned()).await.unwrap()
    }

    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.at(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Picks a file, as in the dialog that a browser shows.
    pub(crate) async fn pick(&self, css: &str, file: &Path) {
        let field = self.at(css).await;
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    /// A click that stays on the page.
    pub(crate) async fn click(&self, css: &str) {
        self.at(css).await.click().await.unwrap();
    }

    /// A click that leads to another page, which is waited for.
    pub(crate) async fn press(&self, css: &str) {
        let what = self.at(css).await;
        self.leave(async || what.click().await.unwrap()).await;
    }

    /// Does something that leads to another page, which is waited for.
    pub(crate) async fn leave(&self, act: impl AsyncFnOnce()) {
        self.mark().await;
        act().await;
        self.arrive().await;
    }

    /// Marks the page that is left soon.
    pub(crate) async fn mark(&self) {
        self.script("window.left = true").await;
    }

    /// Waits for another page than the one that was marked.
    pub(crate) async fn arrive(&self) {
        const ARRIVED: &str = "return !window.left && document.readyState === 'complete'";
        until("another page", async || {
            // Between two pages there is none that could answer.
            let answer = self.execute(ARRIVED, Vec::new()).await.ok()?;
            answer.json().as_bool()?.then_some(())
        })
        .await;
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        let answer = self.execute(script, Vec::new()).await.unwrap();
        answer.json().clone()
    }

    /// Every cookie that the browser holds.
    pub(crate) async fn cookies(&self) -> Vec<Value> {
        let all = self.cdp().send_raw("Storage.getCookies", ()).await.unwrap();
        all["cookies"].as_array().unwrap().clone()
    }

    /// The cookie of a name; there must not be two.
    pub(crate) async fn cookie(&self, name: &str) -> Option<Value> {
        let mut all = self.cookies().await;
        all.retain(|cookie| cookie["name"] == name);
        assert!(all.len() < 2, "{all:?}");
        all.pop()
    }

    /// Its value.
    pub(crate) async fn cookie_value(&self, name: &str) -> String {
        let cookie = self.cookie(name).await;
        cookie.unwrap()["value"].as_str().unwrap().to_owned()
    }

    /// The path of the page, without a query.
    pub(crate) async fn path(&self) -> String {
        self.current_url().await.unwrap().path().to_owned()
    }

    /// Opens another tab and goes there; answers where one was before.
    pub(crate) async fn tab(&self) -> WindowHandle {
        let before = self.window().await.unwrap();
        let new = self.new_tab().await.unwrap();
        self.to(&new).await;
        before
    }

    pub(crate) async fn to(&self, tab: &WindowHandle) {
        self.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Fills in the log-in that one is at.
    pub(crate) async fn give_password(&self, name: &str, remember: bool) {
        self.fill("#name", name).await;
        self.fill("#password", PASSWORD).await;
        if remember {
            self.click("#remember").await;
        }
        self.press("#submit").await;
    }
}
