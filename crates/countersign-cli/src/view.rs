//! What is shown of the engine's values: the names and forms that scripts rely on.

mod device;

pub(crate) use device::DeviceView;

use crate::out::{Row, Sheet};
use countersign::core::{EndCause, Sighting};
use countersign::{
    Event, GrantState, IssuedToken, PrincipalRecord, PrincipalState, ScopeSet, Timestamp, TokenInfo,
};
use serde::{Serialize, Serializer};
use std::fmt;

/// An instant in RFC 3339; the end of time is `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A token that was just made, with its text: the one view that holds a secret.
#[derive(Serialize)]
pub(crate) struct IssuedView<'a> {
    token: &'a str,
    selector: String,
    principal: &'a str,
    name: &'a str,
    scopes: Vec<&'a str>,
    created_at: Time,
    pub(crate) expires_at: Time,
}

impl<'a> IssuedView<'a> {
    pub(crate) fn new(issued: &'a IssuedToken) -> Self {
        Self {
            token: issued.token.expose(),
            selector: issued.selector.to_string(),
            principal: issued.grant.principal.as_str(),
            name: issued.grant.name.as_str(),
            scopes: issued
                .grant
                .scopes
                .iter()
                .map(countersign::Scope::as_str)
                .collect(),
            created_at: Time(issued.grant.created_at),
            expires_at: Time(issued.grant.expiry.instant()),
        }
    }
}

/// A token as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TokenView {
    selector: String,
    principal: String,
    name: String,
    scopes: Vec<String>,
    state: &'static str,
    usable: bool,
    created_at: Time,
    expires_at: Time,
    ends_at: Time,
    last_used_at: Option<Time>,
    addresses: Vec<AddressView>,
    predecessor: Option<String>,
    end: Option<EndView>,
}

#[derive(Clone, Debug, Serialize)]
struct AddressView {
    address: String,
    at: Time,
}

impl From<&Sighting> for AddressView {
    fn from(seen: &Sighting) -> Self {
        Self {
            address: seen.address.to_string(),
            at: Time(seen.at),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct EndView {
    at: Time,
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&TokenInfo> for TokenView {
    fn from(token: &TokenInfo) -> Self {
        let addresses = token.usage.iter().flat_map(|usage| &usage.addresses);
        let end = token.end.as_ref().map(|end| {
            let (cause, successor, reason) = match &end.cause {
                EndCause::Revoked(reason) => ("revoked", None, reason.as_ref()),
                EndCause::Rotated(successor) => ("rotated", Some(successor), None),
                EndCause::Evicted => ("evicted", None, None),
                EndCause::Expired => ("expired", None, None),
                _ => ("ended", None, None),
            };
            let (successor, reason) = (successor.map(shown), reason.map(shown));
            EndView {
                at: Time(end.at),
                cause,
                successor,
                reason,
            }
        });
        Self {
            selector: token.selector.to_string(),
            principal: token.principal.to_string(),
            name: token.name.to_string(),
            scopes: token.scopes.iter().map(shown).collect(),
            state: token.state.name(),
            usable: token.usable,
            created_at: Time(token.created_at),
            expires_at: Time(token.expiry.instant()),
            ends_at: Time(token.ends_at),
            last_used_at: token.usage.as_ref().map(|usage| Time(usage.last_used_at)),
            addresses: addresses.map(AddressView::from).collect(),
            predecessor: token.predecessor.as_ref().map(shown),
            end,
        }
    }
}

impl TokenView {
    /// The state, and what stands beside it.
    fn state(&self) -> String {
        match (self.state, self.usable) {
            (state, false) if state == GrantState::Live.name() => format!("{state}, stopped"),
            (state, true) if state == GrantState::Rotated.name() => format!("{state}, in overlap"),
            (state, _) => state.to_owned(),
        }
    }
}

impl Row for TokenView {
    const HEADINGS: &'static [&'static str] = &[
        "SELECTOR",
        "PRINCIPAL",
        "NAME",
        "STATE",
        "CREATED",
        "ENDS",
        "LAST USED",
        "SCOPES",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.selector.clone(),
            self.principal.clone(),
            self.name.clone(),
            self.state(),
            self.created_at.to_string(),
            self.ends_at.to_string(),
            optional(self.last_used_at.as_ref()),
            self.scopes.join(" "),
        ]
    }
}

impl Sheet for TokenView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("selector", self.selector.clone()),
            ("principal", self.principal.clone()),
            ("name", self.name.clone()),
            ("scopes", self.scopes.join(" ")),
            ("state", self.state()),
            ("created", self.created_at.to_string()),
            ("expires", self.expires_at.to_string()),
            ("ends", self.ends_at.to_string()),
            ("last used", optional(self.last_used_at.as_ref())),
        ];
        let seen = |seen: &AddressView| ("from", format!("{} at {}", seen.address, seen.at));
        lines.extend(self.addresses.iter().map(seen));
        lines.extend(self.predecessor.iter().map(|old| ("replaced", old.clone())));
        if let Some(end) = &self.end {
            lines.push(("end", format!("{} at {}", end.cause, end.at)));
            lines.extend(end.successor.iter().map(|new| ("successor", new.clone())));
            lines.extend(end.reason.iter().map(|reason| ("reason", reason.clone())));
        }
        lines
    }
}

/// A principal's record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PrincipalView {
    principal: String,
    state: &'static str,
    epoch: u32,
    epoch_since: Option<Time>,
    credentials: usize,
    unended: usize,
}

impl PrincipalView {
    pub(crate) fn new(record: &PrincipalRecord, now: Timestamp) -> Self {
        let since = record.epoch.since();
        let unended = record
            .credentials
            .iter()
            .filter(|entry| entry.ends_at > now)
            .count();
        Self {
            principal: record.principal.to_string(),
            state: match record.state {
                PrincipalState::Enabled => "enabled",
                PrincipalState::Disabled => "disabled",
            },
            epoch: record.epoch.number(),
            epoch_since: (since > Timestamp::ZERO).then_some(Time(since)),
            credentials: record.credentials.len(),
            unended,
        }
    }
}

impl Row for PrincipalView {
    const HEADINGS: &'static [&'static str] = &[
        "PRINCIPAL",
        "STATE",
        "CREDENTIALS",
        "UNENDED",
        "EPOCH SINCE",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.principal.clone(),
            self.state.to_owned(),
            self.credentials.to_string(),
            self.unended.to_string(),
            optional(self.epoch_since.as_ref()),
        ]
    }
}

impl Sheet for PrincipalView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("principal", self.principal.clone()),
            ("state", self.state.to_owned()),
            ("credentials", self.credentials.to_string()),
            ("unended", self.unended.to_string()),
            ("epoch", self.epoch.to_string()),
            ("epoch since", optional(self.epoch_since.as_ref())),
        ]
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EventView {
    id: String,
    at: Time,
    kind: &'static str,
    principal: Option<String>,
    credential: Option<&'static str>,
    selector: Option<String>,
    subsystem: Option<&'static str>,
    successor: Option<String>,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<String>,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.to_string(),
            at: Time(event.at),
            kind: event.kind.name(),
            principal: event.principal.as_ref().map(shown),
            credential: event.credential.map(|credential| credential.kind.name()),
            selector: event
                .credential
                .map(|credential| credential.selector.to_string()),
            subsystem: event.subsystem.map(countersign::Subsystem::name),
            successor: event.successor.as_ref().map(shown),
            reason: event.reason.as_ref().map(shown),
            attachment: event.attachment.as_ref().map(shown),
        }
    }
}

impl Row for EventView {
    const HEADINGS: &'static [&'static str] = &["AT", "EVENT", "PRINCIPAL", "ABOUT", "REASON"];

    fn cells(&self) -> Vec<String> {
        let about = match (&self.selector, &self.successor, self.subsystem) {
            (Some(selector), Some(successor), _) => format!("{selector} -> {successor}"),
            (Some(selector), None, _) => selector.clone(),
            (None, _, Some(subsystem)) => subsystem.to_owned(),
            (None, _, None) => self.attachment.clone().unwrap_or_default(),
        };
        vec![
            self.at.to_string(),
            self.kind.to_owned(),
            self.principal.clone().unwrap_or_default(),
            about,
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

/// Scopes in a line.
pub(crate) fn scopes(scopes: &ScopeSet) -> String {
    scopes.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn shown(value: &impl fmt::Display) -> String {
    value.to_string()
}

fn optional(value: Option<&impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), shown)
}
