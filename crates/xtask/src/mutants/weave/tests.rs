//! The woven text is read back as Rust, and with one mutant chosen it is what an edit would make.

use super::super::list::Span;
use super::*;

/// A mutant of the first place where `what` stands in the text.
fn mutant(text: &str, genre: Genre, what: &str, replacement: &str) -> Mutant {
    let (before, _) = text.split_once(what).unwrap();
    // All of these texts are one line.
    let place = |bytes: &str| Place {
        line: 1,
        column: bytes.chars().chain(['_']).count(),
    };
    Mutant {
        name: String::new(),
        package: String::new(),
        file: "lib.rs".into(),
        genre,
        replacement: replacement.to_owned(),
        span: Span {
            start: place(before),
            end: place(&format!("{before}{what}")),
        },
    }
}

#[track_caller]
fn check(text: &str, mutants: &[Mutant], expected: &str) {
    let numbered: Vec<_> = mutants.iter().enumerate().collect();
    let woven = weave(text, &numbered, &BTreeSet::new()).unwrap();
    let short = woven.text.replace("crate::woven::asked", "asked");
    assert_eq!(short, expected);
    assert_eq!(woven.left, Vec::<usize>::new());
    syn::parse_file(&woven.text).unwrap();
    assert_eq!(woven.parts.len(), mutants.len());
    for part in &woven.parts {
        let whole = woven.text.get(part.whole.clone()).unwrap();
        assert!(
            whole.contains(&format!("asked({})", part.mutant)),
            "{whole}"
        );
    }
}

#[test]
fn an_operator_is_changed_as_text_within_its_chain() {
    let text = "fn f() -> bool { a && b || c }";
    check(
        text,
        &[
            mutant(text, Genre::BinaryOperator, "&&", "||"),
            mutant(text, Genre::BinaryOperator, "||", "&&"),
        ],
        "fn f() -> bool { (if asked(0) { a || b || c } else if asked(1) { a && b && c } else \
         { a && b || c }) }",
    );
}

#[test]
fn a_mutant_within_a_mutant_is_asked_for_only_where_the_outer_is_not_chosen() {
    let text = "fn f() -> bool { !g(x == 1) }";
    check(
        text,
        &[
            mutant(text, Genre::UnaryOperator, "!", ""),
            mutant(text, Genre::BinaryOperator, "==", "!="),
            mutant(text, Genre::FnValue, "!g(x == 1)", "true"),
        ],
        "fn f() -> bool { if asked(2) { return true; } (if asked(0) { g(x == 1) } else \
         { !g((if asked(1) { x != 1 } else { x == 1 })) }) }",
    );
}

#[test]
fn an_arm_that_is_gone_keeps_its_guard_and_a_guard_its_own_mutants() {
    let text = "fn f() -> u8 { match x { Some(y) if y == 1 => 1, None => 2, _ => 3 } }";
    check(
        text,
        &[
            mutant(text, Genre::MatchArm, "Some(y) if y == 1 => 1,", ""),
            mutant(text, Genre::MatchArmGuard, "y == 1", "true"),
            mutant(text, Genre::BinaryOperator, "==", "!="),
            mutant(text, Genre::MatchArm, "None => 2,", ""),
        ],
        "fn f() -> u8 { match x { Some(y) if !asked(0) && ((if asked(1) { true } else if \
         asked(2) { y != 1 } else { y == 1 })) => 1, None if !asked(3) => 2, _ => 3 } }",
    );
}

#[test]
fn a_field_that_is_gone_comes_from_the_rest() {
    let text = "fn f() -> S { S { a: 1, ..s } }";
    check(
        text,
        &[mutant(text, Genre::StructField, "a: 1,", "")],
        "fn f() -> S { (if asked(0) { S {  ..s } } else { S { a: 1, ..s } }) }",
    );
}

#[test]
fn what_binds_a_pattern_stays_in_its_condition() {
    let text = "fn f() { if let Some(x) = y && x > 1 {} }";
    check(
        text,
        &[mutant(text, Genre::BinaryOperator, ">", "<")],
        "fn f() { if let Some(x) = y && (if asked(0) { x < 1 } else { x > 1 }) {} }",
    );
    let and = mutant(text, Genre::BinaryOperator, "&&", "||");
    let woven = weave(text, &[(7, &and)], &BTreeSet::new()).unwrap();
    assert_eq!((woven.text.as_str(), woven.left), (text, vec![7]));
}

#[test]
fn a_function_is_const_only_where_a_constant_needs_it() {
    let text = "impl S { const fn a() {} const fn b() {} } const fn a() {}";
    let kept = BTreeSet::from(["S::a".to_owned()]);
    let woven = weave(text, &[], &kept).unwrap();
    let words: Vec<_> = woven.text.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "impl S { const fn a() {} fn b() {} } fn a() {}"
    );
}
