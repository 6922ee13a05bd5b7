//! Secrets on their way through every check, each case a run of its own under valgrind's memcheck.
//!
//! `countersign-ct list` names the cases and what is expected of each; `countersign-ct CASE` runs
//! one and says how much was reported. `cargo xtask ct` starts them and tells which reports are of
//! a line at which something becomes public on purpose.
//!
//! A secret is marked as undefined before it is presented: the secret half of a token's digits
//! with the checksum, which tells 32 bits of it, the code of a form token, the signature of an
//! image token, a whole bare id; in the core all keys too, and what is derived of them.
//! Through the whole engine the pepper is; what the root key makes of names is where records lie,
//! in trees and tables that are ordered by it, and so public.

mod core_alone;
mod edge;
mod engine;
mod marks;
mod planted;
mod secrets;

use std::process::ExitCode;

/// What a case does, and whether something is to be reported of it.
struct Case {
    name: &'static str,
    run: fn(),
    is_planted: bool,
}

/// The cases, those of the core, of the edge and of the engine, and leaks that must be found.
fn cases() -> impl Iterator<Item = Case> {
    let case = |is_planted| {
        move |&(name, run): &(&'static str, fn())| Case {
            name,
            run,
            is_planted,
        }
    };
    let clean = [core_alone::CASES, edge::CASES, engine::CASES];
    let clean = clean.into_iter().flatten().map(case(false));
    clean.chain(planted::CASES.iter().map(case(true)))
}

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        eprintln!("countersign-ct list | CASE");
        return ExitCode::FAILURE;
    };
    if wanted == "list" {
        for case in cases() {
            let expected = if case.is_planted { "planted" } else { "clean" };
            println!("{} {expected}", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let Some(case) = cases().find(|case| case.name == wanted) else {
        eprintln!("no case {wanted}");
        return ExitCode::FAILURE;
    };
    if !marks::is_watched() {
        eprintln!("valgrind does not run this: nothing would be found");
        return ExitCode::FAILURE;
    }
    if !tell() {
        eprintln!("built without `--cfg countersign_ct`: every verdict would be reported");
        return ExitCode::FAILURE;
    }
    // What prepares a case, and what takes it down, computes of secrets as it likes.
    marks::look_away();
    (case.run)();
    println!("reports {}", marks::reports());
    ExitCode::SUCCESS
}

/// Has the core say where the answer of a comparison becomes public.
#[cfg(countersign_ct)]
fn tell() -> bool {
    countersign::core::told::tell_by(marks::public);
    true
}

#[cfg(not(countersign_ct))]
const fn tell() -> bool {
    false
}
