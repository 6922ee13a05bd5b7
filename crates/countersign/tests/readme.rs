//! Hazard: a README whose example does not compile, or differs from the one that is tested.

/// The lines between the first fence that opens with `open` and the one that closes it.
fn first_block<'a>(text: &'a str, open: &str) -> &'a str {
    let rest = text.split_once(open).map_or("", |(_, rest)| rest);
    rest.split_once("```").map_or("", |(block, _)| block)
}

#[test]
fn the_readme_s_example_is_the_doctest_of_the_crate() {
    let readme = first_block(include_str!("../../../README.md"), "```rust\n");
    let docs: String = include_str!("../src/lib.rs")
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.strip_prefix("//! ").unwrap_or(""))
        .map(|line| format!("{line}\n"))
        .collect();
    let shown: String = first_block(&docs, "```\n")
        .lines()
        // Hidden lines put the store into a directory that goes away.
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(shown, readme);
    assert!(
        readme.lines().count() <= 30,
        "short enough to be read at a glance"
    );
}
