//! Reading and writing the fixed layout of a snapshot's records, byte by byte (invariant I8).
//!
//! Reading never panics, never allocates by a length that the bytes do not have, and takes each
//! record whole: there is one byte string for each session.

use crate::attribute::{AttributeName, JsonText, Value, ValueKind};
use crate::attributes::Attributes;
use crate::authentication::Method;
use crate::slot::{FLAGS, Millis48, Slot};
use crate::sync::Ordering;
use countersign_core::{Digest, EpochStamp, KeyId, Principal, Selector, Timestamp};
use std::sync::Arc;

/// A session as a snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) selector: Selector,
    pub(crate) digest: Digest,
    pub(crate) key_id: KeyId,
    pub(crate) generation: u32,
    pub(crate) stamp: EpochStamp,
    pub(crate) last_seen: u64,
    pub(crate) ends_at: u64,
    pub(crate) idle_ms: u64,
    pub(crate) flags: u8,
    pub(crate) method: Option<Method>,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) fresh_ms: u32,
    pub(crate) principal: Option<Principal>,
    pub(crate) series: Option<Selector>,
    pub(crate) attributes: Attributes,
}

/// What a record that is no record is: nothing is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The most attributes that a record can count; policy allows at most 1 024.
const ATTRIBUTES_MAX: usize = 1024;

/// The code in a session that nobody authenticated.
const NO_METHOD: u8 = 0;

/// Writes a session's record.
pub(crate) fn write(slot: &Slot, out: &mut Vec<u8>) {
    out.extend_from_slice(&slot.selector.to_bytes());
    out.extend_from_slice(slot.digest.expose());
    out.extend_from_slice(&slot.key_id.number().to_be_bytes());
    out.extend_from_slice(&slot.generation.to_be_bytes());
    out.extend_from_slice(&slot.stamp.subsystem.to_be_bytes());
    out.extend_from_slice(&slot.stamp.principal.to_be_bytes());
    out.extend_from_slice(&slot.last_seen().as_millis().to_be_bytes());
    out.extend_from_slice(&slot.ends_at.to_be_bytes());
    out.extend_from_slice(&slot.idle_ms.value().to_be_bytes());
    out.push(slot.flags);
    out.push(slot.method.map_or(NO_METHOD, Method::code));
    out.extend_from_slice(&slot.authenticated_at.value().to_be_bytes());
    let fresh_ms = slot.fresh_ms.load(Ordering::Relaxed);
    out.extend_from_slice(&fresh_ms.to_be_bytes());
    let name = slot.owner.as_ref().map_or("", |owner| owner.as_str());
    short_text(name, out);
    match slot.series() {
        None => out.push(0),
        Some(series) => {
            out.push(1);
            out.extend_from_slice(&series.to_bytes());
        }
    }
    attributes(slot.attributes(), out);
}

fn attributes(attributes: &Attributes, out: &mut Vec<u8>) {
    // At most 1 024, by policy.
    let count = u16::try_from(attributes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for (name, value) in attributes.iter() {
        short_text(name.as_str(), out);
        out.push(value.kind() as u8);
        match value {
            Value::Text(text) => long_bytes(text.as_bytes(), out),
            Value::Integer(number) => out.extend_from_slice(&number.to_be_bytes()),
            Value::Boolean(yes) => out.push(u8::from(*yes)),
            Value::Bytes(bytes) => long_bytes(bytes, out),
            Value::Json(json) => long_bytes(json.as_str().as_bytes(), out),
        }
    }
}

/// At most 255 bytes: names of principals and of attributes are.
fn short_text(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// At most 1 MiB, by policy.
fn long_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads a session's record, all of it.
pub(crate) fn read(record: &[u8]) -> Result<Saved, Malformed> {
    let mut rest = Reader(record);
    let saved = rest.saved()?;
    if rest.0.is_empty() {
        Ok(saved)
    } else {
        Err(Malformed)
    }
}

/// What is left of some bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Milliseconds as a slot holds them: it would hold others in place of more.
    fn ms_48(&mut self) -> Result<u64, Malformed> {
        let ms = self.u64()?;
        (Millis48::new(ms).value() == ms)
            .then_some(ms)
            .ok_or(Malformed)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn short_text(&mut self) -> Result<&'a str, Malformed> {
        let len = self.u8()?;
        let bytes = self.slice(usize::from(len))?;
        core::str::from_utf8(bytes).map_err(|_| Malformed)
    }

    fn long_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.slice(len)
    }

    fn long_text(&mut self) -> Result<&'a str, Malformed> {
        core::str::from_utf8(self.long_bytes()?).map_err(|_| Malformed)
    }

    fn selector(&mut self) -> Result<Selector, Malformed> {
        Selector::from_bytes(self.array()?).ok_or(Malformed)
    }

    fn saved(&mut self) -> Result<Saved, Malformed> {
        let saved = Saved {
            selector: self.selector()?,
            digest: Digest::from_bytes(self.array()?),
            key_id: KeyId::new(self.u16()?).ok_or(Malformed)?,
            generation: self.u32()?,
            stamp: EpochStamp {
                subsystem: self.u32()?,
                principal: self.u32()?,
            },
            last_seen: self.u64()?,
            ends_at: self.u64()?,
            idle_ms: self.ms_48()?,
            flags: self.u8().and_then(flags)?,
            method: self.u8().and_then(method)?,
            authenticated_at: Timestamp::from_millis(self.ms_48()?),
            fresh_ms: self.u32()?,
            principal: self.principal()?,
            series: self.series()?,
            attributes: self.attributes()?,
        };
        // Somebody was authenticated, or nobody was: nothing between.
        let anonymous = saved.principal.is_none();
        let consistent = anonymous == saved.method.is_none();
        consistent.then_some(saved).ok_or(Malformed)
    }

    fn principal(&mut self) -> Result<Option<Principal>, Malformed> {
        match self.short_text()? {
            "" => Ok(None),
            name => Principal::new(name).map(Some).map_err(|_| Malformed),
        }
    }

    fn series(&mut self) -> Result<Option<Selector>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.selector().map(Some),
            _ => Err(Malformed),
        }
    }

    fn attributes(&mut self) -> Result<Attributes, Malformed> {
        let count = usize::from(self.u16()?);
        if count > ATTRIBUTES_MAX {
            return Err(Malformed);
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let name = AttributeName::new(self.short_text()?).map_err(|_| Malformed)?;
            entries.push((name, self.value()?));
        }
        Attributes::from_sorted(entries).ok_or(Malformed)
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        let code = self.u8()?;
        let kinds = [
            ValueKind::Text,
            ValueKind::Integer,
            ValueKind::Boolean,
            ValueKind::Bytes,
            ValueKind::Json,
        ];
        let kind = kinds.into_iter().find(|kind| *kind as u8 == code);
        Ok(match kind.ok_or(Malformed)? {
            ValueKind::Text => Value::Text(self.long_text()?.into()),
            ValueKind::Integer => Value::Integer(i64::from_be_bytes(self.array()?)),
            ValueKind::Boolean => Value::Boolean(match self.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed),
            }),
            ValueKind::Bytes => Value::Bytes(Arc::from(self.long_bytes()?)),
            ValueKind::Json => {
                let json = JsonText::new(self.long_text()?);
                Value::Json(json.map_err(|_| Malformed)?)
            }
        })
    }
}

fn flags(byte: u8) -> Result<u8, Malformed> {
    (byte & !FLAGS == 0).then_some(byte).ok_or(Malformed)
}

fn method(code: u8) -> Result<Option<Method>, Malformed> {
    if code == NO_METHOD {
        return Ok(None);
    }
    Method::from_code(code).map(Some).ok_or(Malformed)
}
