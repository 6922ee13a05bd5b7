//! Time, judged by the t-test of `benches/timing.rs`.

use crate::process::{Failure, Result, cargo, output};

/// What is measured: where the secret is wrong, and which secret it is.
const CASES: [&str; 4] = ["core-place", "core-value", "engine-place", "engine-value"];
/// A comparison that ends at the first difference: it has to be seen.
const PLANTED: &str = "planted-early-exit";

/// Above this, chance is no explanation; the threshold of dudect's authors.
const TOLD_APART: f64 = 4.5;
/// A planted leak lies far above it.
const PLAINLY: f64 = 10.0;

pub(super) fn run(samples: u64) -> Result<()> {
    println!("{:<28} {:>8}", format!("t-test, {samples} samples"), "t");
    let mut failed = Vec::new();
    for case in CASES {
        let t = measure(case, samples)?;
        if is_told_apart(t) {
            // What is no chance comes again, and to the same side.
            let again = measure(case, samples)?;
            if is_told_apart(again) && t.is_sign_positive() == again.is_sign_positive() {
                failed.push(format!("{case} ({t:.1}, {again:.1})"));
            }
        }
    }
    if measure(PLANTED, samples)?.abs() < PLAINLY {
        failed.push(format!("{PLANTED} is not seen"));
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("t-test: {}", failed.join(", "))))
}

fn is_told_apart(t: f64) -> bool {
    t.abs() >= TOLD_APART
}

fn measure(case: &str, samples: u64) -> Result<f64> {
    let mut bench = cargo(&["bench", "--quiet", "--manifest-path", "benches/Cargo.toml"]);
    bench.args(["--bench", "timing", "--", case, &samples.to_string()]);
    let told = output(bench)?;
    let t = t_in(&told).ok_or_else(|| Failure::new(format!("{case} told no t: {told}")))?;
    println!("{case:<28} {t:>8.2}");
    Ok(t)
}

fn t_in(told: &str) -> Option<f64> {
    let t = told.lines().find_map(|line| line.strip_prefix("t "))?;
    t.parse().ok().filter(|t: &f64| t.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_read_and_nothing_else() {
        assert_eq!(t_in("t -3.25\n"), Some(-3.25));
        assert_eq!(t_in("t NaN\n"), None);
        assert_eq!(t_in("time 3\n"), None);
    }

    #[test]
    fn the_sign_says_only_which_side_is_slower() {
        assert!(is_told_apart(-4.6));
        assert!(!is_told_apart(4.4));
    }
}
