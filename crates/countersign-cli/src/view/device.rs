//! A remembered device as it is shown.

use super::{AddressView, EndView, Time, optional, shown};
use crate::out::{Row, Sheet};
use countersign::{DeviceInfo, SeriesEndCause, SeriesState};
use serde::Serialize;

/// A remembered device as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeviceView {
    selector: String,
    principal: String,
    label: String,
    state: &'static str,
    usable: bool,
    created_at: Time,
    expires_at: Time,
    ends_at: Time,
    generation: u32,
    rotated_at: Time,
    last_used_at: Option<Time>,
    addresses: Vec<AddressView>,
    end: Option<EndView>,
}

impl From<&DeviceInfo> for DeviceView {
    fn from(device: &DeviceInfo) -> Self {
        let addresses = device.usage.iter().flat_map(|usage| &usage.addresses);
        let end = device.end.as_ref().map(|end| {
            let (cause, reason) = match &end.cause {
                SeriesEndCause::Revoked(reason) => ("revoked", reason.as_ref()),
                SeriesEndCause::Evicted => ("evicted", None),
                SeriesEndCause::Expired => ("expired", None),
                SeriesEndCause::Reused => ("reused", None),
                _ => ("ended", None),
            };
            EndView {
                at: Time(end.at),
                cause,
                successor: None,
                reason: reason.map(shown),
            }
        });
        Self {
            selector: device.selector.to_string(),
            principal: device.principal.to_string(),
            label: device.label.to_string(),
            state: device.state.name(),
            usable: device.usable,
            created_at: Time(device.created_at),
            expires_at: Time(device.expires_at),
            ends_at: Time(device.ends_at),
            generation: device.generation,
            rotated_at: Time(device.rotated_at),
            last_used_at: device.usage.as_ref().map(|usage| Time(usage.last_used_at)),
            addresses: addresses.map(AddressView::from).collect(),
            end,
        }
    }
}

impl DeviceView {
    /// The state, and what stands beside it.
    fn state(&self) -> String {
        match (self.state, self.usable) {
            (state, false) if state == SeriesState::Live.name() => format!("{state}, stopped"),
            (state, _) => state.to_owned(),
        }
    }
}

impl Row for DeviceView {
    const HEADINGS: &'static [&'static str] = &[
        "SELECTOR",
        "PRINCIPAL",
        "LABEL",
        "STATE",
        "CREATED",
        "ENDS",
        "LAST USED",
        "FROM",
    ];

    fn cells(&self) -> Vec<String> {
        let newest = self.addresses.first();
        vec![
            self.selector.clone(),
            self.principal.clone(),
            self.label.clone(),
            self.state(),
            self.created_at.to_string(),
            self.ends_at.to_string(),
            optional(self.last_used_at.as_ref()),
            newest.map_or_else(|| "-".to_owned(), |seen| seen.address.clone()),
        ]
    }
}

impl Sheet for DeviceView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("selector", self.selector.clone()),
            ("principal", self.principal.clone()),
            ("label", self.label.clone()),
            ("state", self.state()),
            ("created", self.created_at.to_string()),
            ("expires", self.expires_at.to_string()),
            ("ends", self.ends_at.to_string()),
            ("generation", self.generation.to_string()),
            ("handed out", self.rotated_at.to_string()),
            ("last used", optional(self.last_used_at.as_ref())),
        ];
        let seen = |seen: &AddressView| ("from", format!("{} at {}", seen.address, seen.at));
        lines.extend(self.addresses.iter().map(seen));
        if let Some(end) = &self.end {
            lines.push(("end", format!("{} at {}", end.cause, end.at)));
            lines.extend(end.reason.iter().map(|reason| ("reason", reason.clone())));
        }
        lines
    }
}
