//! What memcheck reports, read from the text that it writes.

/// A branch or an address that depends on undefined bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Memcheck's own words.
    pub(super) what: String,
    /// From the innermost call on.
    pub(super) frames: Vec<Frame>,
}

/// A place in the source; calls that the compiler has put in place count as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: String,
    pub(super) path: String,
    pub(super) line: usize,
}

/// The reports in the order in which they were written. Equal ones are written once.
pub(super) fn reports(text: &str) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    let mut above = "";
    for line in text.lines() {
        let Some(line) = own(line) else { continue };
        let (first, further) = (line.strip_prefix("   at "), line.strip_prefix("   by "));
        if first.is_some() {
            reports.push(Report {
                what: above.to_owned(),
                frames: Vec::new(),
            });
        }
        let place = first.or(further);
        if let (Some(place), Some(report)) = (place, reports.last_mut()) {
            report.frames.extend(frame(place));
        }
        above = line;
    }
    reports
}

/// A line of memcheck's, without the number of the process.
fn own(line: &str) -> Option<&str> {
    let (_, line) = line.strip_prefix("==")?.split_once("== ")?;
    Some(line)
}

/// `0x1234: function (path:line)`; without a line there is no source.
fn frame(place: &str) -> Option<Frame> {
    let (_, place) = place.split_once(": ")?;
    let (function, source) = place.rsplit_once(" (")?;
    let (path, line) = source.strip_suffix(')')?.rsplit_once(':')?;
    Some(Frame {
        function: function.to_owned(),
        path: path.to_owned(),
        line: line.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
==7== Memcheck, a memory error detector
reports 0
==7== Conditional jump or move depends on uninitialised value(s)
==7==    at 0x1234: ne (/rustc/x/library/core/src/cmp.rs:12)
==7==    by 0x1234: a::words::<66> (/y/base62.rs:131)
==7==    by 0x99: main (in /y/target/ct)
==7== 
==7== Use of uninitialised value of size 8
==7==    at 0x5678: table (/y/planted.rs:9)
==7== 
==7== ERROR SUMMARY: 2 errors from 2 contexts (suppressed: 0 from 0)
";

    #[test]
    fn reports_are_read_with_their_places() {
        let found = reports(TEXT);
        let frame = |function: &str, path: &str, line| Frame {
            function: function.to_owned(),
            path: path.to_owned(),
            line,
        };
        let jump = Report {
            what: "Conditional jump or move depends on uninitialised value(s)".to_owned(),
            frames: vec![
                frame("ne", "/rustc/x/library/core/src/cmp.rs", 12),
                frame("a::words::<66>", "/y/base62.rs", 131),
            ],
        };
        let table = Report {
            what: "Use of uninitialised value of size 8".to_owned(),
            frames: vec![frame("table", "/y/planted.rs", 9)],
        };
        assert_eq!(found, [jump, table]);
    }
}
