//! Where the answer of a comparison becomes public.
//!
//! Nothing may depend on a secret but what a check is there to tell. `ct/` has valgrind follow
//! secrets through the checks, and valgrind has to be told where that is. To tell it takes unsafe
//! code, which no crate has: so `ct/` is built with `--cfg countersign_ct`, and hands in what
//! tells. In every other build there is nothing of this but an answer that is handed on.

/// Hands an answer on, as something that may be branched on.
#[cfg(not(countersign_ct))]
#[inline(always)]
pub(crate) const fn told(answer: bool) -> bool {
    answer
}

/// Hands an answer on, as something that may be branched on.
#[cfg(countersign_ct)]
#[inline(always)]
pub(crate) fn told(answer: bool) -> bool {
    if let Some(tell) = TELL.get() {
        tell(&answer);
    }
    // Read again: a copy that was made before is still what it was.
    *core::hint::black_box(&answer)
}

#[cfg(countersign_ct)]
static TELL: std::sync::OnceLock<fn(&bool)> = std::sync::OnceLock::new();

/// Tells of every answer by this function, which cannot change it.
#[cfg(countersign_ct)]
pub fn tell_by(tell: fn(&bool)) {
    // Once is enough.
    let _ = TELL.set(tell);
}
