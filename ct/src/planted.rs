//! Leaks, made on purpose: who does not find them finds nothing.

use crate::marks;
use crate::secrets::watched;
use std::hint::black_box;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("planted-early-exit", early_exit),
    ("planted-table", table),
    ("planted-scan", scan),
];

fn secret() -> [u8; 28] {
    let mut secret = black_box([4; 28]);
    marks::secret(&mut secret);
    secret
}

/// A comparison that ends where the first byte differs.
fn early_exit() {
    let (secret, kept) = (secret(), black_box([4; 28]));
    watched(|| {
        let mut same = true;
        for (one, other) in secret.iter().zip(&kept) {
            if black_box(*one) != *other {
                same = false;
                break;
            }
        }
        black_box(same);
    });
}

/// A table of digits, indexed by the secret.
fn table() {
    let secret = secret();
    let digits: [u8; 256] = black_box(std::array::from_fn(|n| n.to_le_bytes()[0]));
    watched(|| {
        let sum = secret.iter().map(|&byte| digits[usize::from(byte)]);
        black_box(sum.fold(0, u8::wrapping_add));
    });
}

/// A search for a character, one after another.
fn scan() {
    let secret = secret();
    watched(|| {
        black_box(secret.iter().position(|&byte| byte == b'-'));
    });
}
