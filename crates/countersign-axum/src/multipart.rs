//! A form with files whose token has been checked before the first file is read.

mod paced;

use crate::extract::visit_in;
use crate::form::{HeaderToken, twice};
use crate::turned_away::{BadForm, LostFiles, LostForm, TurnedAway, Typed};
use crate::visit::Visit;
use axum_core::RequestExt as _;
use axum_core::extract::{FromRequest, Request};
use bytes::Bytes;
use countersign::{CsrfVerdict, FormVerdict};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use multer::Field;
use paced::{Pace, Paced};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The most bytes of one text field, and of all of them in front of the token.
const TEXT_MAX: usize = 1024 * 1024;
/// The most fields in front of the token.
const BEFORE_MAX: usize = 200;
/// The most parts that are read on after the token was refused.
const PARTS_MAX: usize = 1000;
/// More fields with files are not named.
const FILES_MAX: usize = 20;
/// The most bytes of a field that is to be a token.
const TOKEN_MAX: usize = 4096;

/// A form with files, `multipart/form-data`, with its token checked.
///
/// The token is in the field that the policy names, before the first file, or in a header
/// `X-CSRF-Token` or `X-Atlassian-Token`, which then counts alone. A request with an access token
/// needs none. Files are handed out as they come in and are never gathered; a file is what comes
/// with a name of one, or says that it is no text.
///
/// [`LostForm`] where the token is not good, with what was typed; [`BadForm`] where the form does
/// not read. Its length is bounded by axum's `DefaultBodyLimit`: raise that on routes for uploads.
pub struct CheckedMultipart {
    visit: Visit,
    parts: multer::Multipart<'static>,
    pace: Arc<Pace>,
    /// Texts that stood before the token.
    before: VecDeque<(String, String)>,
    /// The file that was handed out last.
    file: Option<Field<'static>>,
    /// The token was in the form itself, so no other may be.
    found: bool,
}

/// A part of a form.
#[derive(Debug)]
pub enum Part<'a> {
    /// A field of text.
    Text {
        /// Its name.
        name: String,
        /// What was typed.
        text: String,
    },
    /// A file, to be read before the next part is asked for.
    File(FilePart<'a>),
}

/// A file that is on its way.
#[derive(Debug)]
pub struct FilePart<'a> {
    field: &'a mut Field<'static>,
    pace: &'a Pace,
}

impl FilePart<'_> {
    /// The field's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// What the client calls the file: any text, no path to be trusted.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.field.file_name().unwrap_or_default()
    }

    /// What the client says that it is.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.field.content_type().map(AsRef::as_ref)
    }

    /// The next piece of it; `None` at its end.
    ///
    /// # Errors
    /// When the form ends early or is too long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BadForm> {
        let chunk = self.field.chunk().await;
        self.pace.moved_on();
        chunk.map_err(|error| bad(&error))
    }
}

impl CheckedMultipart {
    /// The next part; `None` at the form's end. The token is not among them. Carry the form out
    /// when its end has come, and not before.
    ///
    /// # Errors
    /// [`BadForm`] when the form ends early, does not read or is too long; 1 MiB for a text. At its
    /// end, as [`Visit::revalidate`]: an upload may take as long as its sender likes.
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, TurnedAway> {
        if let Some((name, text)) = self.before.pop_front() {
            return Ok(Some(Part::Text { name, text }));
        }
        // What nobody wanted to have of the file before is passed over.
        if let Some(mut field) = self.file.take() {
            let (pace, field) = (&self.pace, &mut field);
            let mut rest = FilePart { field, pace };
            while rest.chunk().await?.is_some() {}
        }
        loop {
            let next = self.parts.next_field().await;
            self.pace.moved_on();
            let Some(mut field) = next.map_err(|error| bad(&error))? else {
                self.visit.revalidate().await?;
                return Ok(None);
            };
            if is_file(&field) {
                let (pace, field) = (&self.pace, self.file.insert(field));
                return Ok(Some(Part::File(FilePart { field, pace })));
            }
            let name = field.name().unwrap_or_default().to_owned();
            let text = text_of(&mut field, &self.pace, TEXT_MAX).await?;
            if name != self.visit.form_field() {
                return Ok(Some(Part::Text { name, text }));
            }
            if self.found {
                return Err(BadForm::Unreadable.into());
            }
        }
    }
}

/// Whether a part is a file: by any way to write its name, or because it says that it is no text.
fn is_file(field: &Field<'_>) -> bool {
    let disposition = field.headers().get(CONTENT_DISPOSITION);
    let named = disposition.is_some_and(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.windows(8).any(|word| word == b"filename")
    });
    named
        || field
            .content_type()
            .is_some_and(|kind| kind.type_() != "text")
}

impl<S: Send + Sync> FromRequest<S> for CheckedMultipart {
    type Rejection = TurnedAway;

    async fn from_request(request: Request, _: &S) -> Result<Self, TurnedAway> {
        let request = request.with_limited_body();
        let (parts, body) = request.into_parts();
        let visit = visit_in(&parts)?;
        let in_header = HeaderToken::in_headers(&parts.headers);
        let boundary = boundary_in(&parts.headers)?;
        let pace = Arc::new(Pace::default());
        let body = Paced::new(body.into_data_stream(), Arc::clone(&pace));
        let judged = in_header.judged(&visit);
        let mut form = Self {
            visit,
            parts: multer::Multipart::new(body, boundary),
            pace,
            before: VecDeque::new(),
            file: None,
            found: false,
        };
        match judged {
            Some(Ok(())) => {}
            Some(Err(lost)) => return Err(form.lost(lost, None).await),
            // Nothing need be looked for, nor gathered, where none is needed.
            None if form.visit.has_token() => {}
            None => {
                form.find_token().await?;
                form.found = true;
            }
        }
        Ok(form)
    }
}

impl CheckedMultipart {
    /// Reads up to the token, which stands before the first file.
    async fn find_token(&mut self) -> Result<(), TurnedAway> {
        let mut room = TEXT_MAX;
        loop {
            let next = self.parts.next_field().await;
            self.pace.moved_on();
            let Some(mut field) = next.map_err(|error| bad(&error))? else {
                return Err(self.lost(self.missing(), None).await);
            };
            if is_file(&field) {
                return Err(self.lost(self.missing(), Some(field)).await);
            }
            let name = field.name().unwrap_or_default().to_owned();
            if name == self.visit.form_field() {
                let text = text_of(&mut field, &self.pace, TOKEN_MAX).await;
                // It may have taken as long as its sender liked.
                self.visit.look_again().await?;
                let verdict = match text {
                    Ok(text) => self.visit.judge_form(Some(text.as_bytes()), None),
                    Err(BadForm::TooLong) => twice(&self.visit),
                    Err(bad) => return Err(bad.into()),
                };
                drop(field);
                return match verdict {
                    Ok(()) => Ok(()),
                    Err(lost) => Err(self.lost(lost, None).await),
                };
            }
            let text = text_of(&mut field, &self.pace, room).await?;
            room = room.saturating_sub(name.len()).saturating_sub(text.len());
            self.before.push_back((name, text));
            if self.before.len() > BEFORE_MAX {
                return Err(BadForm::TooLong.into());
            }
        }
    }

    /// That there is no token, as the engine counts and tells it.
    fn missing(&self) -> FormVerdict {
        let judged = self.visit.judge_form(None, None);
        judged.err().unwrap_or(FormVerdict {
            verdict: CsrfVerdict::Missing,
            owner: None,
        })
    }

    /// Reads on within bounds, so that what was typed is kept and the browser, which is still
    /// sending, gets to see the answer. Of files nothing is kept but their fields' names.
    async fn lost(&mut self, lost: FormVerdict, file: Option<Field<'static>>) -> TurnedAway {
        let mut rest = Rest {
            pace: Arc::clone(&self.pace),
            typed: Typed::default(),
            files: Vec::new(),
        };
        self.pace.stop_after(self.visit.shared().max_drained_bytes);
        for (name, text) in self.before.drain(..) {
            rest.typed.keep(&name, &text);
        }
        if self.drain(&mut rest, file).await.is_none() {
            rest.typed.cut();
        }
        let lost = LostForm {
            typed: rest.typed,
            multipart: true,
            files: rest.files,
            ..LostForm::without_text(lost)
        };
        lost.into()
    }

    /// Reads to the form's end; `None` when there is none, or it is too far away.
    async fn drain(&mut self, rest: &mut Rest, file: Option<Field<'static>>) -> Option<()> {
        let mut next = file;
        for _ in 0..PARTS_MAX {
            let field = match next.take() {
                Some(field) => field,
                None => match self.parts.next_field().await.ok()? {
                    Some(field) => field,
                    None => return Some(()),
                },
            };
            self.pace.moved_on();
            rest.take(field, self.visit.form_field()).await?;
        }
        None
    }
}

/// What is read of a form that is not carried out.
struct Rest {
    pace: Arc<Pace>,
    typed: Typed,
    files: Vec<LostFiles>,
}

impl Rest {
    /// Takes a field in; `None` when the form does not go on or has had enough.
    async fn take(&mut self, mut field: Field<'static>, token: &str) -> Option<()> {
        let name = field.name().unwrap_or_default().to_owned();
        let is_file = is_file(&field);
        if is_file {
            // A browser sends a field in which nothing was picked as a file without a name.
            self.note(&name, field.file_name() != Some(""));
        }
        let mut text = Vec::new();
        let room = self.typed.room();
        while let Some(chunk) = field.chunk().await.ok()? {
            self.pace.moved_on();
            if !is_file && text.len() <= room {
                text.extend_from_slice(&chunk);
            }
        }
        if !is_file && name != token {
            self.typed.keep(&name, &String::from_utf8_lossy(&text));
        }
        Some(())
    }

    /// Notes a field for files: once, however many files were picked in it.
    fn note(&mut self, name: &str, picked: bool) {
        if let Some(field) = self.files.iter_mut().find(|field| field.name == name) {
            field.picked |= picked;
        } else if self.files.len() < FILES_MAX {
            self.files.push(LostFiles {
                name: name.to_owned(),
                picked,
            });
        }
    }
}

async fn text_of(field: &mut Field<'static>, pace: &Pace, max: usize) -> Result<String, BadForm> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| bad(&error))? {
        pace.moved_on();
        if text.len().saturating_add(chunk.len()) > max {
            return Err(BadForm::TooLong);
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| BadForm::Unreadable)
}

fn boundary_in(headers: &HeaderMap) -> Result<String, BadForm> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(BadForm::ContentType);
    };
    let value = value.to_str().map_err(|_| BadForm::ContentType)?;
    multer::parse_boundary(value).map_err(|_| BadForm::ContentType)
}

fn bad(error: &multer::Error) -> BadForm {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return BadForm::TooLong;
        }
        cause = error.source();
    }
    BadForm::Unreadable
}

impl fmt::Debug for CheckedMultipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckedMultipart")
    }
}
