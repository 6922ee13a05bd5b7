//! A form whose token is lost, with what was typed into it (S6, E9).

use countersign::core::csrf::CsrfVerdict;
use countersign::{FormVerdict, Principal};
use std::fmt;

/// The most fields of a form that are kept.
const FIELDS_MAX: usize = 200;
/// The most bytes of them, names included.
const BYTES_MAX: usize = 256 * 1024;

/// A form that is not carried out because of its token: 403.
///
/// What was typed comes with it, so that a page can give it back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub struct LostForm {
    /// What became of the token.
    pub verdict: CsrfVerdict,
    /// Who was signed in when the form was opened, where the token proves it. What was typed is
    /// theirs: whoever signs in next in the same browser may be somebody else, and is not to be
    /// shown it.
    pub owner: Option<Principal>,
    /// The text that was typed.
    pub typed: Typed,
    /// Whether it was of the kind that carries files.
    pub multipart: bool,
    /// Its fields for files, at most 20. A browser does not give a file back: it must be picked
    /// again.
    pub files: Vec<LostFiles>,
}

/// A field for files of a form that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostFiles {
    /// The field's name.
    pub name: String,
    /// Whether a file had been picked: browsers send the field of a form without one too, as a
    /// file that has no name.
    pub picked: bool,
}

impl LostForm {
    /// Of a request whose body was not read.
    pub(crate) fn without_text(lost: FormVerdict) -> Self {
        let FormVerdict { verdict, owner } = lost;
        Self {
            verdict,
            owner,
            typed: Typed::default(),
            multipart: false,
            files: Vec::new(),
        }
    }

    /// Whether the form is proven to come from an earlier session of whoever is signed in now, so
    /// that a page may offer to send it again as it stands.
    ///
    /// With any other verdict the text may be another's, put there to be sent by an unwary click:
    /// a page shows it to be copied, and offers no button that sends it.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self.verdict, CsrfVerdict::Superseded)
    }

    /// Whether there were files, which must be picked again.
    #[must_use]
    pub fn had_files(&self) -> bool {
        self.files.iter().any(|field| field.picked)
    }

    /// What happened, in a sentence for whoever sent the form.
    #[must_use]
    pub const fn told(&self) -> &'static str {
        match self.verdict {
            CsrfVerdict::Expired => {
                "you were signed out because nothing was done for a while, so the form was not \
                 carried out"
            }
            CsrfVerdict::SignedOut => {
                "you signed out after the form was opened, so it was not carried out"
            }
            CsrfVerdict::Superseded => {
                "you signed in anew after the form was opened, so it was not carried out yet"
            }
            CsrfVerdict::OtherSession => {
                "the form was opened in another session, so it was not carried out"
            }
            CsrfVerdict::ForeignServer => {
                "the form belongs to another server, so it was not carried out"
            }
            CsrfVerdict::Missing => "the form came without its token, so it was not carried out",
            _ => "the form's token is not valid, so it was not carried out",
        }
    }
}

/// The text of a form's fields: at most 200 of them and 256 KiB together.
///
/// Of fields whose names hold `password` or `secret` nothing but the name is kept
/// ([`Typed::secrets`]): they are typed again. None of it is printed by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Typed {
    fields: Vec<(String, String)>,
    secrets: Vec<String>,
    bytes: usize,
    cut: bool,
}

impl Typed {
    /// The fields in their order: name and text.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text of the first field of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(own, _)| *own == name)
            .map(|(_, text)| text)
    }

    /// The names of the fields whose text is not kept, in their order: a form that is offered again
    /// has them empty, to be filled in.
    #[must_use]
    pub fn secrets(&self) -> impl ExactSizeIterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }

    /// Whether everything that was typed is here, but for passwords.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.cut
    }

    /// Keeps a field, if there is room for it.
    pub(crate) fn keep(&mut self, name: &str, text: &str) {
        let secret = is_secret(name);
        let text = if secret { "" } else { text };
        let bytes = self
            .bytes
            .saturating_add(name.len())
            .saturating_add(text.len());
        let fields = self.fields.len().saturating_add(self.secrets.len());
        if fields >= FIELDS_MAX || bytes > BYTES_MAX {
            self.cut = true;
            return;
        }
        self.bytes = bytes;
        match secret {
            true => self.secrets.push(name.to_owned()),
            false => self.fields.push((name.to_owned(), text.to_owned())),
        }
    }

    /// Notes that something could not be kept.
    #[cfg(feature = "multipart")]
    pub(crate) const fn cut(&mut self) {
        self.cut = true;
    }

    /// How many bytes there is room for.
    #[cfg(feature = "multipart")]
    pub(crate) const fn room(&self) -> usize {
        BYTES_MAX.saturating_sub(self.bytes)
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("password") || name.contains("secret")
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Typed({} fields, {} bytes)",
            self.fields.len(),
            self.bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_holds_no_password() {
        let mut typed = Typed::default();
        typed.keep("summary", "It rains");
        typed.keep("New_Password", "hush");
        typed.keep("client-secret", "hush");
        assert_eq!(typed.iter().collect::<Vec<_>>(), [("summary", "It rains")]);
        let secrets: Vec<_> = typed.secrets().map(str::to_owned).collect();
        assert_eq!(secrets, ["New_Password", "client-secret"]);
        assert!(typed.is_whole() && !format!("{typed:?}").contains("rains"));
        typed.keep("text", &"x".repeat(BYTES_MAX));
        assert!(!typed.is_whole() && typed.find("text").is_none());
        for n in 0..2 * FIELDS_MAX {
            typed.keep(&format!("f{n}"), "");
        }
        assert_eq!(typed.iter().len(), FIELDS_MAX - secrets.len());
    }

    #[test]
    fn only_a_form_that_is_proven_to_be_ones_own_is_offered_again() {
        for verdict in CsrfVerdict::ALL {
            let owner = None;
            let lost = LostForm::without_text(FormVerdict { verdict, owner });
            assert_eq!(
                lost.is_own(),
                verdict == CsrfVerdict::Superseded,
                "{verdict}"
            );
        }
    }
}
