//! Attachments: shown to those who are signed in, and to whoever holds a link out of a mail.

use crate::app::App;
use crate::board::Attachment;
use crate::error::TrackerError;
use crate::trouble::Trouble;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use countersign::AttachmentId;
use countersign_axum::{BadImage, ImageAccess, SignedIn, TurnedAway};
use futures_util::stream;
use std::io;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// How much of a file is in memory at a time.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) async fn show(
    State(app): State<Arc<App>>,
    link: Result<ImageAccess, TurnedAway>,
    person: Result<SignedIn, TurnedAway>,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let link = match link {
        Ok(link) => link,
        // No token: then it takes a session.
        Err(TurnedAway::BadImage(BadImage { rejection: None })) => {
            person?;
            // The layer says that a browser asks again: whoever comes after a log-out sees nothing.
            return body_of(&app, &id).await;
        }
        Err(away) => return Err(away.into()),
    };
    // The token is judged first: without a good one, nobody learns which attachments there are.
    let wanted = AttachmentId::new(&id).map_err(|_| Trouble::NotFound)?;
    let opened = link.open(&wanted).await?;
    // Every user may see every issue; whoever is no user any more may not.
    if app.users.read().find(opened.principal().as_str()).is_none() {
        let said = "This link does not open the image any more.";
        return Err(Trouble::Forbidden(said));
    }
    let response = body_of(&app, &id).await?;
    Ok((opened, response).into_response())
}

async fn body_of(app: &App, id: &str) -> Result<Response, Trouble> {
    // Only names that the board knows become paths.
    let found = app.board.read().attachment(id).cloned();
    let attachment = found.ok_or(Trouble::NotFound)?;
    let path = app.attachments.join(&attachment.id);
    let broken = |error: io::Error| TrackerError::file(&path, &error);
    let file = File::open(&path).await.map_err(broken)?;
    let bytes = file.metadata().await.map_err(broken)?.len();
    let headers = [
        (header::CONTENT_LENGTH, bytes.to_string()),
        (
            header::CONTENT_TYPE,
            attachment.kind.media_type().to_owned(),
        ),
        (header::CONTENT_DISPOSITION, disposition(&attachment)),
        // Should a browser take it for a page after all, that page may do nothing.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox".to_owned(),
        ),
    ];
    Ok((headers, streamed(file, bytes)).into_response())
}

/// A file piece by piece, as fast as it is taken: no file is ever held in memory as a whole.
fn streamed(file: File, bytes: u64) -> Body {
    let pieces = stream::try_unfold(file.take(bytes), async |mut file| {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = file.read_buf(&mut piece).await?;
        io::Result::Ok((read > 0).then_some((piece, file)))
    });
    Body::from_stream(pieces)
}

/// Images are shown, anything else is saved (RFC 6266).
fn disposition(attachment: &Attachment) -> String {
    let how = match attachment.kind.is_image() {
        true => "inline",
        false => "attachment",
    };
    let plain = |c: &u8| c.is_ascii_alphanumeric() || b"-_.".contains(c);
    let encoded = attachment.name.bytes().map(|c| match plain(&c) {
        true => char::from(c).to_string(),
        false => format!("%{c:02X}"),
    });
    format!("{how}; filename*=UTF-8''{}", encoded.collect::<String>())
}
