//! Remembered devices as a host uses them: start, present, list, revoke, forget.
//!
//! A device presents its secret when it has no session. What comes of that is decided by
//! [`countersign_core::remember`]; here its records are loaded, its writes committed, and the
//! secret decided upon anew where somebody else was first.

mod change;
mod list;
mod recall;

pub use list::{DeviceInfo, DevicePage, DeviceQuery};
pub use recall::{Recall, Recalled};

use crate::access::{Revocation, settle};
use crate::denials::{InForce, Intent, Target};
use crate::error::Error;
use crate::inner::Inner;
use countersign_core::remember::NewSeries;
use countersign_core::switches::SwitchAction;
use countersign_core::{Principal, Reason, SecretText, Selector, SeriesRecord, Subsystem};
use countersign_store::pending::Pending;
use std::net::IpAddr;
use std::sync::Arc;

/// Remembered devices. Made by [`Engine::remember`](crate::Engine::remember).
///
/// ```
/// use countersign::{Engine, Label, NewSeries, Principal, Recall};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let engine = Engine::open(dir.path().join("state.redb"))?;
/// // Alice has logged in, and ticked the box.
/// let started = engine.remember().start(NewSeries {
///     principal: Principal::new("alice")?,
///     label: Label::new("Firefox on Linux")?,
/// });
/// let cookie = started.wait()?.token;
///
/// // Days later her browser comes back, without a session.
/// match engine.remember().present(cookie.expose(), None).wait()? {
///     Recall::In(recalled) => {
///         println!("{} is back", recalled.principal);
///         if let Some(successor) = recalled.successor {
///             println!("set the cookie to {}", successor.expose());
///         }
///     }
///     Recall::Refused(why) => println!("clear the cookie; for the log alone: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Remember<'a>(pub(crate) &'a Arc<Inner>);

/// A device that is remembered. The token's text is for that device, now or never.
#[derive(Debug)]
pub struct Remembered {
    /// The token, to be set as the device's cookie.
    pub token: SecretText,
    /// Its public half, by which the device is listed and revoked. It stays when the secret is
    /// replaced.
    pub selector: Selector,
    /// The record behind it.
    pub series: SeriesRecord,
}

impl Remember<'_> {
    /// Has a device remembered, since its owner asked for it; the oldest ones of theirs are
    /// evicted where policy allows no more.
    ///
    /// Resolves once it is durable.
    ///
    /// # Errors
    /// Refused where remember-me is off or the principal is disabled; unavailable where a denial
    /// that concerns it waits for the disk.
    pub fn start(&self, request: NewSeries) -> Pending<Result<Remembered, Error>> {
        self.0
            .run(|inner| async move { inner.start_series(&request).await })
    }

    /// Judges a presented token: the cookie's value, and nothing around it. `address` is noted
    /// with its use.
    ///
    /// Where it answers with a successor, that is the device's token from now on. Whoever loses
    /// the answer, or a race, presents the old one again and is given the same successor. While
    /// the disk has no room, a device is let in with the secret that it has, and handed no other.
    ///
    /// # Errors
    /// When it cannot be judged, or when a new secret could not be made durable: the device keeps
    /// what it has and presents it again.
    pub fn present(
        &self,
        presented: impl AsRef<[u8]>,
        address: Option<IpAddr>,
    ) -> Pending<Result<Recall, Error>> {
        match self.0.parse_device(presented.as_ref()) {
            Ok(token) => self
                .0
                .run(move |inner| async move { inner.recall_device(&token, address).await }),
            Err(rejection) => Pending::ready(self.0.open().map(|()| {
                let now = self.0.now();
                self.0.turn_device_away(now, None, rejection, address)
            })),
        }
    }

    /// Judges a token as [`Remember::present`] would, for operators and tests: nothing is written,
    /// noted, counted or handed out.
    ///
    /// # Errors
    /// When it cannot be judged.
    pub fn check(&self, presented: impl AsRef<[u8]>) -> Pending<Result<Recall, Error>> {
        match self.0.parse_device(presented.as_ref()) {
            Ok(token) => self
                .0
                .run(move |inner| async move { inner.check_device(&token).await }),
            Err(rejection) => Pending::ready(self.0.open().map(|()| Recall::Refused(rejection))),
        }
    }

    /// One device as it is listed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn show(&self, selector: Selector) -> Pending<Result<Option<DeviceInfo>, Error>> {
        self.0
            .run(move |inner| async move { inner.device_info(selector).await })
    }

    /// One page of the devices that a query asks for, oldest first.
    ///
    /// The work of one call is bounded: a page may be short or empty and still name where to go
    /// on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, query: DeviceQuery) -> Pending<Result<DevicePage, Error>> {
        self.0
            .run(|inner| async move { inner.list_devices(&query).await })
    }

    /// Forgets one device, and ends the sessions that it has opened or was remembered with. In
    /// force before this returns, whatever the disk does.
    ///
    /// # Errors
    /// Refused where no device has this selector.
    pub fn revoke(
        &self,
        selector: Selector,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Series(selector);
        let denied = self.0.deny(target, Intent::Revoke(reason.clone()));
        if denied.is_ok() {
            // With the denial in force it opens no other one.
            self.0.end_sessions_of_revoked(selector);
        }
        match denied {
            Ok(number) => self.0.run(move |inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner.revoke_series(selector, reason.as_ref()).await;
                settle(force, outcome.map(|revoked| revoked.already))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    /// Forgets every device of a principal, but for `kept`: "forget me everywhere", asked for from
    /// one of them. The sessions that they have opened, or were remembered with, end; those of no
    /// device stay. In force before this returns, whatever the disk does.
    ///
    /// # Errors
    /// When it can neither be written nor held in memory.
    pub fn forget(
        &self,
        principal: Principal,
        kept: Option<Selector>,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Devices(self.0.keyring.principal_key(&principal));
        let intent = Intent::Forget(principal.clone(), kept, reason.clone());
        let denied = self.0.deny(target, intent);
        if denied.is_ok() {
            self.0.end_sessions_of_devices(&principal, kept);
        }
        match denied {
            Ok(number) => self.0.run(move |inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner.forget_devices(&principal, kept, reason.as_ref());
                settle(force, outcome.await.map(|count| count == 0))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    /// Forgets every device of everybody: one row. The sessions that they have opened, or were
    /// remembered with, end. In force before this returns.
    ///
    /// # Errors
    /// When it can neither be written nor held in memory.
    pub fn revoke_all(&self, reason: Option<Reason>) -> Pending<Result<Revocation, Error>> {
        self.0
            .switch(Subsystem::RememberMe, SwitchAction::RevokeAll, reason)
    }
}
