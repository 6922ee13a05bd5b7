//! A credential that was typed where none belongs, or a database's password: no message tells it
//! again.
//!
//! This is about what is shown and judges nothing: what merely looks like a credential is hidden
//! too.

/// Digits behind a prefix from which on there may be a secret among them; fewer hold the public
/// half alone.
const DIGITS_MIN: usize = 22;

/// What a credential begins with, after a deployment's own word, and what the rest may have
/// besides letters and digits.
const SHAPES: [(&str, &str); 4] = [
    ("csa_", ""),
    ("csr_", ""),
    ("css_", ""),
    // An image token, as every JWT.
    ("eyJ", "-_."),
];

/// In front of a password among parameters.
const PASSWORD: &str = "password=";

/// Whether something in `text` looks like a credential.
pub(crate) fn holds_credential(text: &str) -> bool {
    without_credentials(text) != text
}

/// The text with `...` for all but the beginning of whatever in it looks like a credential.
pub(crate) fn without_credentials(text: &str) -> String {
    let whole = without_passwords(text);
    SHAPES
        .iter()
        .fold(whole, |text, (prefix, more)| hide(&text, prefix, more))
}

/// A connection string may stand in what somebody else says of the arguments.
fn without_passwords(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            let line = match line
                .split_once("postgres://")
                .or_else(|| line.split_once("postgresql://"))
            {
                // What stands before the last of them may all be a password.
                Some((before, rest)) => match rest.rsplit_once('@') {
                    Some((_, rest)) => format!("{before}postgres://...@{rest}"),
                    None => line.to_owned(),
                },
                None => line.to_owned(),
            };
            let mut parts = line.split(PASSWORD);
            let mut shown = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let end = part
                    .find(|end: char| end == '&' || end.is_whitespace() || "'\"`".contains(end));
                let (_, rest) = part.split_at(end.unwrap_or(part.len()));
                shown.push_str(PASSWORD);
                shown.push_str("...");
                shown.push_str(rest);
            }
            shown
        })
        .collect();
    lines.join("\n")
}

fn hide(text: &str, prefix: &str, more: &str) -> String {
    let mut parts = text.split(prefix);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_digit = |found: char| found.is_ascii_alphanumeric() || more.contains(found);
        let rest = part.trim_start_matches(is_digit);
        let secret = part.len().saturating_sub(rest.len()) >= DIGITS_MIN;
        shown.push_str(prefix);
        shown.push_str(if secret { "..." } else { "" });
        shown.push_str(if secret { rest } else { part });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_hidden_and_nothing_else() {
        let body = "08gsfFk6ncRBlR0enSSqQj001IYT0XLWR0glqewhlWlr1NWOlQOzi1H24GwrxTJZk5";
        let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0-dXJl_";
        for (text, shown) in [
            (format!("csa_{body}"), "csa_..."),
            (format!("'acme_csr_{body}': no"), "'acme_csr_...': no"),
            (
                format!("\u{1b}[33mcss_{body}\u{1b}[0m"),
                "\u{1b}[33mcss_...\u{1b}[0m",
            ),
            (format!("csa_{body} csa_{body}"), "csa_... csa_..."),
            (format!("a {jwt} b"), "a eyJ...eyJ... b"),
            (
                "no 'postgresql://u:hun@ter?2@h/d'".to_owned(),
                "no 'postgres://...@h/d'",
            ),
            (
                "'host=h password=hunter2 user=u'".to_owned(),
                "'host=h password=... user=u'",
            ),
            (
                "`postgres://h/d?password=hunter2`\nx".to_owned(),
                "`postgres://h/d?password=...`\nx",
            ),
        ] {
            assert_eq!(without_credentials(&text), shown);
            assert!(holds_credential(&text));
        }
        for text in [
            "",
            "csa_",
            "csa_...",
            "postgres://h/d: no",
            "docs_csa_overview.txt",
            "01934f3c-8a00-7abc-8def-0123456789ab",
            body,
        ] {
            assert_eq!(without_credentials(text), text);
        }
    }
}
