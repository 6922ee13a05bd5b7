//! Marks on memory for valgrind's memcheck: what nothing may depend on, and what is public.
//!
//! Memcheck follows undefined bits through every instruction, and reports a branch or an address
//! that depends on one. So a secret is marked as undefined, and what is reported then depends on
//! the secret. Its values stay what they are: without valgrind nothing here does anything.
//!
//! Valgrind is asked by instructions that do nothing on a processor, which Rust can say as
//! inline assembly alone: this is the one file of the repository with unsafe code.

/// Valgrind's numbers of what can be asked (`valgrind.h`, `memcheck.h`).
const RUNNING: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const CHANGE_DISABLEMENT: usize = 0x1801;
const MAKE_UNDEFINED: usize = 0x4d43_0001;
const MAKE_DEFINED: usize = 0x4d43_0002;

/// Whether valgrind runs this program.
#[must_use]
pub(crate) fn is_watched() -> bool {
    ask(0, [RUNNING, 0, 0, 0, 0, 0]) != 0
}

/// Marks a value as secret: from now on, whatever depends on it is reported.
#[inline(always)]
pub(crate) fn secret<T: ?Sized>(value: &mut T) {
    // Exclusively borrowed, so that no copy in a register stands for what is in memory.
    let start = core::ptr::from_mut(value).cast();
    mark(MAKE_UNDEFINED, start, size_of_val(value));
}

/// Marks a value as public, whatever it was computed of. Who goes on with a copy that was made
/// before goes on with a secret.
#[inline(always)]
pub(crate) fn public<T: ?Sized>(value: &T) {
    mark(
        MAKE_DEFINED,
        core::ptr::from_ref(value).cast(),
        size_of_val(value),
    );
}

/// Turns reports off; they can be turned off several times.
pub(crate) fn look_away() {
    ask(0, [CHANGE_DISABLEMENT, 1, 0, 0, 0, 0]);
}

/// Turns reports on again.
pub(crate) fn look() {
    ask(0, [CHANGE_DISABLEMENT, usize::MAX, 0, 0, 0, 0]);
}

/// How often something was reported in this process.
#[must_use]
pub(crate) fn reports() -> usize {
    ask(0, [COUNT_ERRORS, 0, 0, 0, 0, 0])
}

#[inline(always)]
fn mark(how: usize, start: *const u8, bytes: usize) {
    ask(0, [how, start.expose_provenance(), bytes, 0, 0, 0]);
}

/// Asks valgrind; the answer is `default` where there is none.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask(default: usize, question: [usize; 6]) -> usize {
    let mut answer = default;
    // SAFETY: the rotations are by 128 bits in all and the exchange is of a register with itself,
    // so a processor changes nothing but flags. Valgrind reads the six words of the question,
    // writes the answer, and changes marks, which are no part of the program.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") question.as_ptr(),
            inout("rdx") answer,
        );
    }
    answer
}

/// How valgrind is asked elsewhere has not been tried: nothing is watched there.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
const fn ask(default: usize, _question: [usize; 6]) -> usize {
    default
}
