//! Which file this is: what tells a store from a copy of it.
//!
//! On Unix a file's inode and its instant of birth are its own; a copy has others. Elsewhere
//! nothing is compared. A copy of the whole file system, block by block, has the same inodes and
//! births and is not noticed; neither are other bytes that are written over the file in place.

use std::fs::{File, Metadata};
use std::io;
use std::time::UNIX_EPOCH;

/// The bytes of an identity in the store.
const BYTES: usize = 21;

const HAS_INODE: u8 = 1;
const HAS_BIRTH: u8 = 2;
/// Set in what was written as a copy and fits no file at all.
const COPY: u8 = 0x80;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    flags: u8,
    inode: u64,
    birth_s: u64,
    birth_ns: u32,
}

impl Identity {
    /// What a backup is stamped with: it must be adopted before it serves.
    pub(super) const COPY: Self = Self {
        flags: COPY,
        inode: 0,
        birth_s: 0,
        birth_ns: 0,
    };

    /// The identity of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let mut identity = Self {
            flags: 0,
            inode: 0,
            birth_s: 0,
            birth_ns: 0,
        };
        if let Some(inode) = inode(&metadata) {
            identity.flags |= HAS_INODE;
            identity.inode = inode;
        }
        // Some file systems do not keep it, and a birth before 1970 tells nothing.
        let birth = metadata.created().ok();
        if let Some(birth) = birth.and_then(|birth| birth.duration_since(UNIX_EPOCH).ok()) {
            identity.flags |= HAS_BIRTH;
            identity.birth_s = birth.as_secs();
            identity.birth_ns = birth.subsec_nanos();
        }
        Ok(identity)
    }

    /// Whether a file that looks like `found` can be the one that was stamped like this.
    ///
    /// What only one of the two knows is not held against it: a kernel learns to tell births.
    pub(super) const fn fits(self, found: Self) -> bool {
        if (self.flags | found.flags) & COPY != 0 {
            return false;
        }
        let both = self.flags & found.flags;
        let inode_differs = both & HAS_INODE != 0 && self.inode != found.inode;
        let birth_differs = both & HAS_BIRTH != 0
            && (self.birth_s != found.birth_s || self.birth_ns != found.birth_ns);
        !inode_differs && !birth_differs
    }

    pub(super) const fn to_bytes(self) -> [u8; BYTES] {
        let [a, b, c, d, e, f, g, h] = self.inode.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.birth_s.to_be_bytes();
        let [q, r, s, t] = self.birth_ns.to_be_bytes();
        [
            self.flags, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t,
        ]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let (flags, rest) = bytes.split_first()?;
        let (inode, rest) = rest.split_first_chunk()?;
        let (birth_s, rest) = rest.split_first_chunk()?;
        let birth_ns = rest.first_chunk()?;
        Some(Self {
            flags: *flags,
            inode: u64::from_be_bytes(*inode),
            birth_s: u64::from_be_bytes(*birth_s),
            birth_ns: u32::from_be_bytes(*birth_ns),
        })
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other platforms have none")]
fn inode(metadata: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::ino(metadata))
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_another_identity_and_a_renamed_file_has_not() {
        let dir = tempfile::tempdir().unwrap();
        let (original, copy) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&original, b"x").unwrap();
        std::fs::copy(&original, &copy).unwrap();
        let of = |path| Identity::of(&File::open(path).unwrap()).unwrap();
        let (first, second) = (of(&original), of(&copy));
        assert!(first.fits(first) && !first.fits(second) && !second.fits(first));
        let moved = dir.path().join("c");
        std::fs::rename(&original, &moved).unwrap();
        assert!(first.fits(of(&moved)));
        assert!(!Identity::COPY.fits(first) && !Identity::COPY.fits(Identity::COPY));
    }

    #[cfg(unix)]
    #[test]
    fn as_much_is_noted_of_a_file_as_the_system_tells() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let file = File::create(path).unwrap();
        let found = Identity::of(&file).unwrap();
        let second = Identity::of(&File::create(other).unwrap()).unwrap();
        assert_ne!(found.inode, second.inode);
        let by_inode = Identity {
            inode: second.inode,
            ..found
        };
        assert!(!by_inode.fits(found));
        let by_birth = Identity {
            birth_s: found.birth_s.wrapping_add(1),
            ..found
        };
        let told = file.metadata().unwrap().created().is_ok();
        assert_eq!(by_birth.fits(found), !told);
    }

    #[test]
    fn either_part_tells_and_an_unknown_part_does_not() {
        let whole = Identity {
            flags: 3,
            inode: 7,
            birth_s: 8,
            birth_ns: 9,
        };
        let no_birth = Identity {
            flags: HAS_INODE,
            birth_s: 0,
            birth_ns: 0,
            ..whole
        };
        let no_inode = Identity {
            flags: HAS_BIRTH,
            inode: 0,
            ..whole
        };
        for partial in [no_birth, no_inode] {
            assert!(whole.fits(partial) && partial.fits(whole), "{partial:?}");
        }
        // What both know is enough to tell.
        let another = Identity {
            inode: 6,
            ..no_birth
        };
        assert!(!another.fits(whole) && !another.fits(no_birth));
        let another = Identity {
            birth_s: 6,
            ..no_inode
        };
        assert!(!another.fits(whole) && !another.fits(no_inode));
        for other in [
            Identity { inode: 6, ..whole },
            Identity {
                birth_s: 6,
                ..whole
            },
            Identity {
                birth_ns: 6,
                ..whole
            },
        ] {
            assert!(!whole.fits(other), "{other:?}");
        }
        assert_eq!(Identity::from_bytes(&whole.to_bytes()), Some(whole));
        assert_eq!(Identity::from_bytes(&[0; 20]), None);
    }
}
