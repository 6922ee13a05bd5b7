//! Verdicts and their summary, as text or as JSON, written without allocation.

use super::judge::Judged;
use crate::failure::{Exit, Failure};
use anstyle::{AnsiColor, Style};
use countersign::{CredentialKind, Principal, Rejection, Selector};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write as _};

/// What has been judged so far, and the buffer that each verdict is written in.
pub(super) struct Report {
    json: bool,
    colored: bool,
    line: u64,
    admitted: u64,
    refused: [u64; Rejection::ALL.len()],
    text: Vec<u8>,
}

/// What scripts rely on, in this order.
#[derive(Serialize)]
struct VerdictView<'a> {
    line: u64,
    verdict: &'static str,
    kind: Option<&'static str>,
    selector: Option<Shown<Selector>>,
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
pub(super) struct Summary {
    summary: Sums,
}

#[derive(Serialize)]
struct Sums {
    lines: u64,
    #[serde(rename = "in")]
    admitted: u64,
    refused: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(super) const fn new(json: bool, colored: bool) -> Self {
        let refused = [0; Rejection::ALL.len()];
        Self {
            json,
            colored,
            line: 0,
            admitted: 0,
            refused,
            text: Vec::new(),
        }
    }

    /// Counts a verdict, and writes the line that tells it.
    pub(super) fn verdict(&mut self, judged: &Judged) -> Result<&[u8], Failure> {
        self.line = self.line.saturating_add(1);
        match judged {
            Judged::In { .. } => self.admitted = self.admitted.saturating_add(1),
            Judged::Refused(rejection, ..) => {
                let at = Rejection::ALL.iter().position(|known| known == rejection);
                if let Some(count) = at.and_then(|at| self.refused.get_mut(at)) {
                    *count = count.saturating_add(1);
                }
            }
        }
        self.text.clear();
        let written = match self.json {
            true => self.write_json(judged),
            false => self.write_text(judged),
        };
        match written {
            Ok(()) => Ok(&self.text),
            Err(error) => Err(Failure::new(Exit::Failed, "io", error)),
        }
    }

    fn write_json(&mut self, judged: &Judged) -> io::Result<()> {
        let (kind, selector, principal, reason) = match judged {
            Judged::In {
                kind,
                selector,
                principal,
            } => (Some(*kind), *selector, principal.as_ref(), None),
            Judged::Refused(rejection, kind, selector) => {
                (*kind, *selector, None, Some(rejection.reason()))
            }
        };
        let view = VerdictView {
            line: self.line,
            verdict: verdict(judged),
            kind: kind.map(CredentialKind::name),
            selector: selector.map(Shown),
            principal: principal.map(Principal::as_str),
            reason,
        };
        serde_json::to_writer(&mut self.text, &view)?;
        self.text.push(b'\n');
        Ok(())
    }

    fn write_text(&mut self, judged: &Judged) -> io::Result<()> {
        let (line, verdict) = (self.line, verdict(judged));
        let color = match judged {
            Judged::In { .. } => AnsiColor::Green,
            Judged::Refused(..) => AnsiColor::Red,
        };
        let style = if self.colored {
            color.on_default()
        } else {
            Style::new()
        };
        write!(self.text, "{line} {style}{verdict}{style:#}")?;
        match judged {
            Judged::In {
                kind,
                selector,
                principal,
            } => {
                write!(self.text, " {kind} ")?;
                or_dash(&mut self.text, selector.as_ref())?;
                write!(self.text, " ")?;
                or_dash(&mut self.text, principal.as_ref())?;
            }
            Judged::Refused(rejection, kind, selector) => {
                write!(self.text, " {rejection}")?;
                if let Some(kind) = kind {
                    write!(self.text, " {kind}")?;
                }
                if let Some(selector) = selector {
                    write!(self.text, " {selector}")?;
                }
            }
        }
        writeln!(self.text)
    }

    pub(super) const fn all_in(&self) -> bool {
        self.line == self.admitted
    }

    pub(super) fn summary(&self) -> Summary {
        let reasons = Rejection::ALL.into_iter().zip(self.refused);
        let met = reasons.filter(|(_, count)| *count > 0);
        Summary {
            summary: Sums {
                lines: self.line,
                admitted: self.admitted,
                refused: self.line.saturating_sub(self.admitted),
                reasons: met
                    .map(|(rejection, count)| (rejection.reason(), count))
                    .collect(),
            },
        }
    }

    pub(super) fn text(&self) -> String {
        let Sums {
            lines,
            admitted,
            refused,
            reasons,
        } = self.summary().summary;
        let met: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let why = if met.is_empty() {
            String::new()
        } else {
            format!(": {}", met.join(", "))
        };
        let noun = if lines == 1 { "line" } else { "lines" };
        format!("{lines} {noun}: {admitted} in, {refused} refused{why}")
    }
}

fn or_dash(text: &mut Vec<u8>, value: Option<&impl Display>) -> io::Result<()> {
    match value {
        Some(value) => write!(text, "{value}"),
        None => write!(text, "-"),
    }
}

const fn verdict(judged: &Judged) -> &'static str {
    match judged {
        Judged::In { .. } => "in",
        Judged::Refused(..) => "refused",
    }
}
