//! What devices call on an engine.

use super::life::{Device, GRACE, ROTATE_AFTER, Seen};
use super::{MAX_SERIES, PRUNE_AFTER};
use crate::node::{NAMES, Node, durable};
use crate::policy::small;
use core::time::Duration;
use countersign::{
    DeviceInfo, DeviceQuery, Error, Label, NewSeries, Policy, Recall, Refusal, Selector, Timestamp,
};
use countersign_testkit::must;

/// A device that was just started.
pub(super) struct Started {
    pub(super) text: String,
    pub(super) selector: Selector,
    pub(super) expires_at: Timestamp,
}

pub(super) fn policy(max_age: Duration) -> Policy {
    let mut draft = small(16, 1000);
    let devices = &mut draft.remember_me;
    devices.max_series_per_principal = MAX_SERIES.into();
    devices.rotate_after = ROTATE_AFTER;
    devices.grace = GRACE;
    devices.max_age = max_age;
    devices.prune_after = PRUNE_AFTER;
    must(draft.build())
}

impl Node<'_> {
    /// Nothing where it may not be.
    pub(super) fn start(&self, whose: usize) -> Option<Started> {
        let request = NewSeries {
            principal: NAMES[whose].clone(),
            label: must(Label::new("a browser")),
        };
        match self.engine().remember().start(request).wait() {
            Ok(started) => Some(Started {
                text: started.token.expose().to_owned(),
                selector: started.selector,
                expires_at: started.series.expires_at,
            }),
            Err(Error::Refused(Refusal::SwitchedOff(_) | Refusal::Disabled)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn present(&self, device: &Device, place: usize) -> Seen {
        let recall = self
            .engine()
            .remember()
            .present(&device.secrets[place], None);
        seen(must(recall.wait()), Some(device))
    }

    /// Both on their way before either is waited for.
    pub(super) fn present_both(&self, device: &Device, one: usize, two: usize) -> [Seen; 2] {
        let present = |place: usize| {
            let text = &device.secrets[place];
            self.engine().remember().present(text, None)
        };
        let both = [present(one), present(two)];
        both.map(|recall| seen(must(recall.wait()), Some(device)))
    }

    /// Presents what may be anything.
    pub(super) fn shown(&self, text: &str) -> Seen {
        seen(
            must(self.engine().remember().present(text, None).wait()),
            None,
        )
    }

    pub(super) fn check(&self, text: &str) -> Seen {
        seen(must(self.engine().remember().check(text).wait()), None)
    }

    pub(super) fn show(&self, selector: Selector) -> Option<DeviceInfo> {
        must(self.engine().remember().show(selector).wait())
    }

    pub(super) fn listed(&self, whose: usize) -> usize {
        let query = DeviceQuery::of(NAMES[whose].clone());
        let page = must(self.engine().remember().list(query).wait());
        assert_eq!((page.damaged.len(), page.next), (0, None));
        page.devices.len()
    }

    /// Whether there was such a device.
    pub(super) fn revoke(&self, selector: Selector) -> bool {
        match self.engine().remember().revoke(selector, None).wait() {
            Err(Error::Refused(_)) => false,
            revocation => {
                durable(revocation);
                true
            }
        }
    }

    pub(super) fn forget(&self, whose: usize, kept: Option<Selector>) {
        let whose = NAMES[whose].clone();
        durable(self.engine().remember().forget(whose, kept, None).wait());
    }

    pub(super) fn credentials_changed(&self, whose: usize) {
        let whose = NAMES[whose].clone();
        let changed = must(self.engine().credentials_changed(whose, None, None).wait());
        durable(Ok(changed.revocation));
    }

    pub(super) fn revoke_all(&self) {
        durable(self.engine().remember().revoke_all(None).wait());
    }

    pub(super) fn set_age_limit(&self, max_age: Duration) {
        must(self.engine().set_policy(policy(max_age)).wait());
    }

    pub(super) fn sweep(&self) {
        must(self.engine().sweep(100_000).wait());
    }
}

/// What came of a presentation; who was let in must be that device.
fn seen(recall: Recall, device: Option<&Device>) -> Seen {
    let recalled = match recall {
        Recall::Refused(reason) => return Seen::No(reason),
        Recall::In(recalled) => recalled,
    };
    if let Some(device) = device {
        assert_eq!(recalled.principal, NAMES[device.whose]);
        assert_eq!(recalled.selector, device.selector);
    }
    let successor = recalled.successor;
    Seen::In(successor.map(|text| text.expose().to_owned()))
}
