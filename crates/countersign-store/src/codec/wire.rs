//! The payloads of records as they are written: integers, texts, vectors, options and byte arrays.
//!
//! The order and the types of the fields *are* the format. A change is a new struct with a new
//! format number beside the old one, never an edit.

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EpochV1 {
    pub number: u32,
    pub since_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SwitchV1 {
    pub on: u8,
    pub epoch: EpochV1,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SystemV1<'a> {
    #[serde(borrow)]
    pub word: Option<&'a str>,
    pub server_id: &'a str,
    pub created_at_ms: u64,
    pub switches: [SwitchV1; 4],
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PolicyV1<'a> {
    pub toml: &'a str,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CredentialV1 {
    pub kind: u8,
    pub selector: [u8; 16],
    pub ends_at_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PrincipalV1<'a> {
    pub principal: &'a str,
    pub enabled: u8,
    pub epoch: EpochV1,
    pub credentials: Vec<CredentialV1>,
}

/// A principal whose log-ins have an epoch of their own; one whose have not is laid out as the
/// first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PrincipalV2<'a> {
    #[serde(borrow)]
    pub first: PrincipalV1<'a>,
    pub logins: EpochV1,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AttachmentV1<'a> {
    pub attachment: &'a str,
    pub epoch: EpochV1,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EndV1<'a> {
    pub at_ms: u64,
    pub cause: u8,
    #[serde(borrow)]
    pub reason: Option<&'a str>,
    pub successor: Option<[u8; 16]>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GrantV1<'a> {
    pub principal: &'a str,
    pub name: &'a str,
    #[serde(borrow)]
    pub scopes: Vec<&'a str>,
    pub key_id: u16,
    pub digest: [u8; 32],
    pub created_at_ms: u64,
    pub expires_at_ms: Option<u64>,
    pub subsystem_epoch: u32,
    pub principal_epoch: u32,
    pub predecessor: Option<[u8; 16]>,
    #[serde(borrow)]
    pub end: Option<EndV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SightingV1 {
    /// 4 or 6; a version-4 address is in the last four bytes, the others are zero.
    pub family: u8,
    pub address: [u8; 16],
    pub at_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UsageV1 {
    pub last_used_at_ms: u64,
    pub addresses: Vec<SightingV1>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CredentialNameV1 {
    pub kind: u8,
    pub selector: [u8; 16],
}

/// An event's id is the key that it is filed under and is not written again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventV1<'a> {
    pub at_ms: u64,
    pub kind: u8,
    #[serde(borrow)]
    pub principal: Option<&'a str>,
    pub credential: Option<CredentialNameV1>,
    pub subsystem: Option<u8>,
    pub successor: Option<[u8; 16]>,
    #[serde(borrow)]
    pub reason: Option<&'a str>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyedDigestV1 {
    pub key_id: u16,
    pub digest: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeriesEndV1<'a> {
    pub at_ms: u64,
    pub cause: u8,
    #[serde(borrow)]
    pub reason: Option<&'a str>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeriesV1<'a> {
    pub principal: &'a str,
    pub label: &'a str,
    pub created_at_ms: u64,
    pub expires_at_ms: u64,
    pub subsystem_epoch: u32,
    pub principal_epoch: u32,
    pub generation: u32,
    pub salt: [u8; 16],
    pub current: KeyedDigestV1,
    pub older: Vec<KeyedDigestV1>,
    pub rotated_at_ms: u64,
    pub successor_seen_at_ms: Option<u64>,
    #[serde(borrow)]
    pub end: Option<SeriesEndV1<'a>>,
}

/// An event about an attachment; one about none is laid out as the first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventV2<'a> {
    #[serde(borrow)]
    pub first: EventV1<'a>,
    pub attachment: &'a str,
}
