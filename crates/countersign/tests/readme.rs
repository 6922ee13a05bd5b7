//! Hazard: a README whose example does not compile, or differs from the one that is tested.

/// The blocks of code that open with `open`.
fn blocks<'a>(text: &'a str, open: &str) -> Vec<&'a str> {
    let behind = text.split(open).skip(1);
    let blocks = behind.map(|rest| rest.split_once("```").map_or("", |(block, _)| block));
    blocks.collect()
}

#[test]
fn the_readme_s_examples_are_the_doctests_of_the_crate() {
    let readme = blocks(include_str!("../../../README.md"), "```rust\n");
    let docs: String = include_str!("../src/lib.rs")
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.strip_prefix("//! ").unwrap_or(""))
        // A fence is told from one that stands inside a line.
        .map(|line| if line == "```" { "```\n" } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    let shown: Vec<String> = docs
        .split("```\n\n")
        .skip(1)
        .step_by(2)
        .map(|block| {
            let lines = block.lines();
            // Hidden lines put the store into a directory that goes away.
            let lines = lines.filter(|line| !line.starts_with('#'));
            lines.map(|line| format!("{line}\n")).collect()
        })
        .collect();
    assert_eq!(readme.len(), 2);
    assert_eq!(shown, readme);
    for block in readme {
        assert!(block.lines().count() <= 30, "short enough for a glance");
    }
}
