//! The plain pages as HTML. Whatever was sent by somebody is escaped here and nowhere else.

use crate::turned_away::LostForm;
use countersign::SecretText;
use http::StatusCode;
use std::fmt::{self, Write as _};

/// What a form needs to be sent again, to where this page was answered from: what the browser calls
/// that place, which a proxy may have changed, is not known here.
pub(super) struct Again {
    pub(super) field: String,
    pub(super) token: SecretText,
}

/// A text in HTML, between tags or between double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // What HTML does not let stand, even escaped.
                '\0' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A page that says one sentence.
pub(super) fn message(status: StatusCode, said: &str) -> String {
    page(status, &format!("<p>{}.</p>\n", Escaped(&sentence(said))))
}

/// A page for a form whose token is lost.
pub(super) fn lost_form(lost: &LostForm, again: Option<&Again>) -> String {
    let mut body = format!("<p>{}.</p>\n", Escaped(&sentence(lost.told())));
    if let Some(again) = again {
        let kind = match lost.multipart {
            true => "multipart/form-data",
            false => "application/x-www-form-urlencoded",
        };
        body.push_str(&format!(
            "<form method=\"post\" enctype=\"{kind}\">\n\
             <input type=\"hidden\" name=\"{}\" value=\"{}\">\n",
            Escaped(&again.field),
            again.token.expose(),
        ));
    } else if lost.typed.iter().len() > 0 {
        body.push_str("<p>Here is what was typed, to be copied.</p>\n");
    }
    for (place, (name, text)) in lost.typed.iter().enumerate() {
        let (name, text) = (Escaped(name), Escaped(text));
        let named = match again {
            Some(_) => format!(" name=\"{name}\""),
            None => " readonly".to_owned(),
        };
        // The first line break in a text area belongs to the tag.
        body.push_str(&format!(
            "<p><label for=\"f{place}\">{name}</label><br>\n\
             <textarea id=\"f{place}\" rows=\"3\" cols=\"60\"{named}>\n{text}</textarea></p>\n"
        ));
    }
    if lost.had_files() {
        body.push_str("<p>A file cannot be given back: please pick it again.</p>\n");
    }
    if again.is_some() {
        for (place, name) in lost.typed.secrets().enumerate() {
            let name = Escaped(name);
            body.push_str(&format!(
                "<p><label for=\"s{place}\">{name}, to be typed again</label> \
                 <input type=\"password\" id=\"s{place}\" name=\"{name}\" \
                 autocomplete=\"off\"></p>\n"
            ));
        }
        for (place, field) in lost.files.iter().enumerate() {
            let name = Escaped(&field.name);
            body.push_str(&format!(
                "<p><label for=\"u{place}\">{name}</label> \
                 <input type=\"file\" id=\"u{place}\" name=\"{name}\" multiple></p>\n"
            ));
        }
        body.push_str("<p><button type=\"submit\">Continue</button></p>\n</form>\n");
    }
    page(StatusCode::FORBIDDEN, &body)
}

fn page(status: StatusCode, body: &str) -> String {
    let title = status.canonical_reason().unwrap_or("Refused");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// With a capital in front.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turned_away::{LostFiles, Typed};
    use countersign::core::csrf::CsrfVerdict;

    fn lost() -> LostForm {
        let mut typed = Typed::default();
        typed.keep("secret\"><b>", "hush");
        typed.keep(
            "a\"><script>x</script>",
            "</textarea><img src=x onerror='y'>&amp;",
        );
        LostForm {
            owner: None,
            verdict: CsrfVerdict::Superseded,
            typed,
            multipart: true,
            files: vec![LostFiles {
                name: "file\"><b>".to_owned(),
                picked: true,
            }],
        }
    }

    #[test]
    fn nothing_that_was_sent_becomes_a_tag() {
        let again = Again {
            field: "atl_token\"><i>".to_owned(),
            token: SecretText::new("t".to_owned()),
        };
        for again in [None, Some(&again)] {
            let page = lost_form(&lost(), again);
            for tag in ["<script", "<img", "<b>", "<i>", "</textarea><img", "'y'"] {
                assert!(!page.contains(tag), "{tag} in {page}");
            }
            assert_eq!(page.contains("<form"), again.is_some());
            assert!(page.contains("&amp;amp;"));
        }
        assert!(!message(StatusCode::BAD_REQUEST, "<p>").contains("<p><p>"));
    }
}
