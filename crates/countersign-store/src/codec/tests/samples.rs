//! Records to try the codec with: one of each shape, and any number of random ones.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests cut random numbers to size"
)]

use crate::codec::Sealer;
use crate::store::Revision;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use countersign_core::image::{AttachmentId, AttachmentRecord};
use countersign_core::{
    CredentialKind, CredentialName, CredentialRef, Deployment, Digest, EndCause, Epoch, EpochStamp,
    Event, EventKind, Expiry, Grant, GrantEnd, Key, KeyId, KeyMaterial, KeyedDigest, Keyring,
    Label, OLDER_MAX, Principal, PrincipalRecord, PrincipalState, Reason, Record, Scope, ScopeSet,
    Selector, SeriesEnd, SeriesEndCause, SeriesRecord, ServerId, ShardTag, Sighting, Subsystem,
    SystemRecord, Timestamp, TokenName, Usage,
};
use std::sync::Arc;

pub(super) const NEWEST: Revision = Revision(1 << 40);

pub(super) fn sealer_of(root: [u8; 32]) -> Sealer {
    Sealer::new(keyring_of(root))
}

pub(super) fn sealer() -> Sealer {
    sealer_of([1; 32])
}

pub(super) fn keyring_of(root: [u8; 32]) -> Arc<Keyring> {
    Arc::new(Keyring::new(&KeyMaterial::generate(
        Timestamp::ZERO,
        root,
        [2; 32],
    )))
}

fn selector(n: u64) -> Selector {
    let tag = ShardTag::from_bits(0xabc);
    Selector::mint(
        Timestamp::from_millis(1_795_341_296_789 + n),
        tag,
        [n as u8; 8],
    )
}

fn principal(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

fn filed(record: PrincipalRecord) -> (Key, Record) {
    let key = keyring_of([1; 32]).principal_key(&record.principal);
    (Key::principal(key), Record::Principal(record))
}

fn filed_attachment(record: AttachmentRecord) -> (Key, Record) {
    let key = keyring_of([1; 32]).attachment_key(&record.attachment);
    (Key::attachment(key), Record::Attachment(record))
}

fn grant() -> Grant {
    let scopes = ["repo:read", "repo:*", "user:email"].map(|scope| Scope::new(scope).unwrap());
    Grant {
        principal: principal("ada@example.org"),
        name: TokenName::new("nightly \u{e9} build").unwrap(),
        scopes: ScopeSet::new(scopes).unwrap(),
        key_id: KeyId::new(0x0102).unwrap(),
        digest: Digest::from_bytes(core::array::from_fn(|i| i as u8)),
        created_at: Timestamp::from_millis(1_795_341_296_789),
        expiry: Expiry::At(Timestamp::from_millis(1_826_877_296_789)),
        stamp: EpochStamp {
            subsystem: 0x0a0b_0c0d,
            principal: 7,
        },
        predecessor: Some(selector(1)),
        end: None,
    }
}

fn ended(cause: EndCause) -> Record {
    let end = Some(GrantEnd {
        at: Timestamp::from_millis(1_800_000_000_000),
        cause,
    });
    let expiry = Expiry::Never;
    let scopes = ScopeSet::EMPTY;
    Record::Grant(Grant {
        end,
        expiry,
        scopes,
        predecessor: None,
        ..grant()
    })
}

fn system() -> SystemRecord {
    let mut system = SystemRecord::new(Deployment {
        word: Some("acme".to_owned()),
        server_id: ServerId::new("BXY3-1F2Z").unwrap(),
        created_at: Timestamp::from_millis(1_795_341_296_000),
    });
    let switch = system.switch_mut(Subsystem::ImageTokens);
    switch.on = false;
    switch.epoch = Epoch::from_parts(3, Timestamp::from_millis(1_795_341_299_999));
    system
}

/// One record of each shape that a field can take.
pub(super) fn samples() -> Vec<(&'static str, Key, Record)> {
    let at = Timestamp::from_millis(1_795_341_296_789);
    let mut ada = PrincipalRecord::new(principal("ada@example.org"));
    ada.state = PrincipalState::Disabled;
    ada.epoch = Epoch::from_parts(2, at);
    ada.logins = ada.epoch;
    ada.credentials = vec![
        CredentialRef {
            kind: CredentialKind::Access,
            selector: selector(1),
            ends_at: at,
        },
        CredentialRef {
            kind: CredentialKind::Remember,
            selector: selector(2),
            ends_at: Timestamp::MAX,
        },
    ];
    let (ada_key, ada) = filed(ada);
    let mut cleo = PrincipalRecord::new(principal("cleo"));
    cleo.logins = Epoch::from_parts(5, at);
    let (cleo_key, cleo) = filed(cleo);
    let (bob_key, bob) = filed(PrincipalRecord::new(principal("b")));
    let bare_system = SystemRecord::new(Deployment {
        word: None,
        ..system().deployment
    });
    let seen = |address, at| Sighting {
        address,
        at: Timestamp::from_millis(at),
    };
    let usage = Usage {
        last_used_at: at,
        addresses: vec![
            seen(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
            seen(
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
                8,
            ),
        ],
    };
    let mut event = Event::new(selector(5), at, EventKind::Rotated);
    let bare_event = Event::new(selector(6), at, EventKind::PolicySet);
    event.principal = Some(principal("ada@example.org"));
    event.credential = Some(CredentialName {
        kind: CredentialKind::Access,
        selector: selector(1),
    });
    event.subsystem = Some(Subsystem::AccessTokens);
    event.successor = Some(selector(2));
    event.reason = Some(Reason::new("left the company").unwrap());
    let mut opened_event = Event::new(selector(6), at, EventKind::AttachmentRevoked);
    opened_event.attachment = Some(AttachmentId::new("10001").unwrap());
    let (opened_key, opened) = filed_attachment(AttachmentRecord {
        attachment: AttachmentId::new("caf\u{e9}/10001.png").unwrap(),
        epoch: Epoch::from_parts(0x0102_0304, at),
    });
    let reason = Reason::new("lost laptop").unwrap();
    let lost = reason.clone();
    let key = Key::grant(selector(2));
    vec![
        ("system", Key::SYSTEM, Record::System(system())),
        ("system-bare", Key::SYSTEM, Record::System(bare_system)),
        (
            "policy",
            Key::POLICY,
            Record::Policy("[access]\nmax_per_principal = 10\n".to_owned()),
        ),
        ("principal", ada_key, ada),
        ("principal-bare", bob_key, bob),
        ("principal-logins", cleo_key, cleo),
        ("grant", Key::grant(selector(1)), Record::Grant(grant())),
        ("grant-revoked", key, ended(EndCause::Revoked(Some(reason)))),
        ("grant-revoked-bare", key, ended(EndCause::Revoked(None))),
        ("grant-rotated", key, ended(EndCause::Rotated(selector(3)))),
        ("grant-evicted", key, ended(EndCause::Evicted)),
        ("grant-expired", key, ended(EndCause::Expired)),
        ("usage", Key::usage(selector(1)), Record::Usage(usage)),
        (
            "usage-bare",
            Key::usage(selector(2)),
            Record::Usage(Usage::default()),
        ),
        ("event", Key::event(selector(5)), Record::Event(event)),
        (
            "event-bare",
            Key::event(selector(6)),
            Record::Event(bare_event),
        ),
        (
            "event-attachment",
            Key::event(selector(6)),
            Record::Event(opened_event),
        ),
        ("attachment", opened_key, opened),
        ("series", Key::series(selector(7)), series(3, None)),
        ("series-bare", Key::series(selector(8)), series(0, None)),
        (
            "series-revoked",
            Key::series(selector(9)),
            series(1, Some(SeriesEndCause::Revoked(Some(lost)))),
        ),
        (
            "series-evicted",
            Key::series(selector(9)),
            series(9, Some(SeriesEndCause::Evicted)),
        ),
        (
            "series-expired",
            Key::series(selector(9)),
            series(9, Some(SeriesEndCause::Expired)),
        ),
        (
            "series-reused",
            Key::series(selector(9)),
            series(9, Some(SeriesEndCause::Reused)),
        ),
    ]
}

/// A device after so many rotations.
fn series(generation: u32, cause: Option<SeriesEndCause>) -> Record {
    let at = Timestamp::from_millis(1_795_341_296_789);
    let kept = |n: u8| KeyedDigest {
        key_id: KeyId::new(0x0100 + u16::from(n)).unwrap(),
        digest: Digest::from_bytes([n; 32]),
    };
    let older = (1..=generation.min(4) as u8).map(kept).collect();
    Record::Series(SeriesRecord {
        principal: principal("ada@example.org"),
        label: Label::new("caf\u{e9} tablet").unwrap(),
        created_at: at,
        expires_at: Timestamp::from_millis(1_796_550_896_789),
        stamp: EpochStamp {
            subsystem: 0x0a0b_0c0d,
            principal: 7,
        },
        generation,
        salt: if generation == 0 {
            [0; 16]
        } else {
            core::array::from_fn(|i| i as u8)
        },
        current: kept(0x42),
        older,
        rotated_at: Timestamp::from_millis(1_795_341_300_000),
        successor_seen_at: (generation > 1).then_some(Timestamp::from_millis(1_795_341_300_001)),
        end: cause.map(|cause| SeriesEnd { at, cause }),
    })
}

/// Random numbers that are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.next().is_multiple_of(2)).then(|| make(self))
    }

    fn list<T>(&mut self, max: usize, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(max + 1)).map(|_| make(self)).collect()
    }

    fn text(&mut self, max: usize) -> String {
        let len = self.below(max) + 1;
        let letters = ['a', 'Z', '0', '.', '\u{e9}', '\u{1f511}', '@', '-'];
        let mut text = String::new();
        while text.len() < len {
            let letter = letters[self.below(letters.len())];
            if text.len() + letter.len_utf8() > max {
                break;
            }
            text.push(letter);
        }
        if text.is_empty() {
            "a".to_owned()
        } else {
            text
        }
    }

    fn time(&mut self) -> Timestamp {
        let shift = self.below(64);
        Timestamp::from_millis(self.next() >> shift)
    }

    fn selector(&mut self) -> Selector {
        let (ms, random) = (self.next() >> 16, self.next().to_le_bytes());
        Selector::mint(
            Timestamp::from_millis(ms),
            ShardTag::from_bits(self.next() as u16),
            random,
        )
    }

    fn principal(&mut self) -> Principal {
        Principal::new(&self.text(255)).unwrap()
    }

    fn kind(&mut self) -> CredentialKind {
        CredentialKind::ALL[self.below(5)]
    }

    fn reason(&mut self) -> Reason {
        Reason::new(&self.text(200)).unwrap()
    }

    fn epoch(&mut self) -> Epoch {
        Epoch::from_parts(self.next() as u32, self.time())
    }

    /// Any record, with the key that it belongs under.
    pub(super) fn record(&mut self) -> (Key, Record) {
        match self.below(8) {
            0 => (Key::SYSTEM, Record::System(self.system())),
            1 => (Key::POLICY, Record::Policy(self.text(500))),
            2 => self.principal_record(),
            3 => (Key::grant(self.selector()), Record::Grant(self.grant())),
            4 => (Key::usage(self.selector()), Record::Usage(self.usage())),
            5 => self.attachment_record(),
            6 => (Key::series(self.selector()), Record::Series(self.series())),
            _ => self.event(),
        }
    }

    fn keyed_digest(&mut self) -> KeyedDigest {
        let digest: [u8; 32] = self.bytes(32).try_into().unwrap();
        KeyedDigest {
            key_id: KeyId::new((self.next() as u16).max(1)).unwrap(),
            digest: Digest::from_bytes(digest),
        }
    }

    fn series(&mut self) -> SeriesRecord {
        let shift = self.below(32);
        let generation = self.next() as u32 >> shift;
        let kept = usize::try_from(generation).unwrap().min(OLDER_MAX);
        SeriesRecord {
            principal: self.principal(),
            label: Label::new(&self.text(120)).unwrap(),
            created_at: self.time(),
            expires_at: self.time(),
            stamp: EpochStamp {
                subsystem: self.next() as u32,
                principal: self.next() as u32,
            },
            generation,
            salt: self.bytes(16).try_into().unwrap(),
            current: self.keyed_digest(),
            older: (0..kept).map(|_| self.keyed_digest()).collect(),
            rotated_at: self.time(),
            successor_seen_at: self.maybe(Self::time),
            end: self.maybe(|dice| SeriesEnd {
                at: dice.time(),
                cause: match dice.below(4) {
                    0 => SeriesEndCause::Revoked(dice.maybe(Self::reason)),
                    1 => SeriesEndCause::Evicted,
                    2 => SeriesEndCause::Expired,
                    _ => SeriesEndCause::Reused,
                },
            }),
        }
    }

    fn system(&mut self) -> SystemRecord {
        let mut system = system();
        system.deployment.word = self.maybe(|_| "acme".to_owned());
        for switch in &mut system.switches {
            switch.on = self.next().is_multiple_of(2);
            switch.epoch = self.epoch();
        }
        system
    }

    fn principal_record(&mut self) -> (Key, Record) {
        let mut record = PrincipalRecord::new(self.principal());
        record.epoch = self.epoch();
        record.logins = if self.below(2) == 0 {
            record.epoch
        } else {
            self.epoch()
        };
        record.credentials = self.list(40, |dice| CredentialRef {
            kind: dice.kind(),
            selector: dice.selector(),
            ends_at: dice.time(),
        });
        filed(record)
    }

    fn grant(&mut self) -> Grant {
        let scope = |dice: &mut Self| Scope::new(&format!("s{}:read", dice.below(1000))).unwrap();
        let scopes = self.list(20, scope);
        let digest: [u8; 32] = self.bytes(32).try_into().unwrap();
        Grant {
            principal: self.principal(),
            name: TokenName::new(&self.text(255)).unwrap(),
            scopes: ScopeSet::new(scopes).unwrap(),
            key_id: KeyId::new((self.next() as u16).max(1)).unwrap(),
            digest: Digest::from_bytes(digest),
            created_at: self.time(),
            expiry: self.maybe(Self::time).map_or(Expiry::Never, Expiry::At),
            stamp: EpochStamp {
                subsystem: self.next() as u32,
                principal: self.next() as u32,
            },
            predecessor: self.maybe(Self::selector),
            end: self.maybe(|dice| GrantEnd {
                at: dice.time(),
                cause: dice.cause(),
            }),
        }
    }

    fn cause(&mut self) -> EndCause {
        match self.below(4) {
            0 => EndCause::Revoked(self.maybe(Self::reason)),
            1 => EndCause::Rotated(self.selector()),
            2 => EndCause::Evicted,
            _ => EndCause::Expired,
        }
    }

    fn usage(&mut self) -> Usage {
        let addresses = self.list(5, |dice| {
            let octets: [u8; 16] = dice.bytes(16).try_into().unwrap();
            let v4 = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]);
            let v6 = Ipv6Addr::from_octets(octets);
            let address = if dice.below(2) == 0 {
                IpAddr::V4(v4)
            } else {
                IpAddr::V6(v6)
            };
            Sighting {
                address,
                at: dice.time(),
            }
        });
        Usage {
            last_used_at: self.time(),
            addresses,
        }
    }

    fn attachment(&mut self) -> AttachmentId {
        AttachmentId::new(&self.text(128)).unwrap()
    }

    fn attachment_record(&mut self) -> (Key, Record) {
        filed_attachment(AttachmentRecord {
            attachment: self.attachment(),
            epoch: self.epoch(),
        })
    }

    fn event(&mut self) -> (Key, Record) {
        let kind = EventKind::ALL[self.below(EventKind::ALL.len())];
        let mut event = Event::new(self.selector(), self.time(), kind);
        event.principal = self.maybe(Self::principal);
        event.credential = self.maybe(|dice| CredentialName {
            kind: dice.kind(),
            selector: dice.selector(),
        });
        event.subsystem = self.maybe(|dice| Subsystem::ALL[dice.below(4)]);
        event.successor = self.maybe(Self::selector);
        event.reason = self.maybe(Self::reason);
        event.attachment = self.maybe(Self::attachment);
        (Key::event(event.id), Record::Event(event))
    }
}
