//! An issue as a mail in the outbox, with links that open its images without a session (S10).

use crate::app::App;
use crate::board::Issue;
use crate::mail::{Mail, Picture};
use crate::trouble::Trouble;
use axum::extract::{Path, State};
use axum::response::Redirect;
use countersign::{AttachmentId, Error, Principal, Refusal, SignedImage};
use countersign_axum::{CheckedForm, Sent, SignedIn};
use std::sync::Arc;
use std::time::Duration;

/// How often an image that cannot be signed at this instant is tried again.
const TRIES: usize = 5;

pub(super) async fn send(
    State(app): State<Arc<App>>,
    Path(number): Path<u64>,
    Sent(person, CheckedForm(())): Sent<SignedIn, CheckedForm<()>>,
) -> Result<Redirect, Trouble> {
    let board = app.board.read();
    let issue = board.find(number).ok_or(Trouble::NotFound)?;
    let (now, unique) = (app.engine.now(), app.random_name()?);
    let mail = Mail {
        from: "tracker@localhost".to_owned(),
        to: format!("{}@localhost", person.principal),
        id: format!("{unique}@localhost"),
        at: now,
        subject: format!("#{} {}", issue.number, issue.summary),
        html: html(&app, &person.principal, issue).await?,
    };
    let put = app.outbox.put(&person.principal, now, &unique, mail.text());
    put.await?;
    Ok(Redirect::to(&format!("/issues/{number}?mailed")))
}

async fn html(app: &App, reader: &Principal, issue: &Issue) -> Result<String, Trouble> {
    let base_url = app.base_url.read().clone();
    let mut pictures = Vec::new();
    for attachment in issue.attachments.iter().filter(|one| one.kind.is_image()) {
        let signed = sign(app, reader, &attachment.id).await?;
        pictures.push(Picture {
            src: format!(
                "{base_url}/attachments/{}?token={}",
                attachment.id,
                signed.text.expose()
            ),
            name: attachment.name.clone(),
        });
    }
    let context = serde_json::json!({
        "issue": issue,
        "link": format!("{base_url}/issues/{}", issue.number),
        "pictures": pictures,
    });
    Ok(app.rendered("mail.html", &context)?)
}

/// Right after a revocation nothing can be signed, for a millisecond as a rule.
async fn sign(app: &App, reader: &Principal, id: &str) -> Result<SignedImage, Trouble> {
    let id = AttachmentId::new(id).map_err(|error| Trouble::Broken(error.to_string()))?;
    let mut tries = TRIES;
    loop {
        let (reader, id) = (reader.clone(), id.clone());
        let signed = app
            .engine
            .off_thread(|engine| engine.images().sign(reader, id));
        match signed.await {
            Err(Error::Refused(Refusal::NotYet { .. })) if tries > 0 => {
                tries = tries.saturating_sub(1);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            signed => return Ok(signed?),
        }
    }
}
