//! The command as its callers see it: every case is a data file under `tests/cmd`.
//!
//! A case runs its commands one after the other in a directory of its own. What differs from run
//! to run, such as times, selectors and tokens, stands there as `[..]`; what needs one of them
//! from an earlier command is in `flows.rs`.

#[test]
fn commands_say_what_their_cases_say() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
