//! `image`: image tokens, signed and ended. They have no record of their own, so none are listed.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::token::told;
use crate::view::Time;
use clap::{ArgGroup, Args, Subcommand};
use countersign::{AttachmentId, Principal, Reason};
use serde::Serialize;

/// Sign image tokens, and end all of an attachment
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    Sign(Sign),
    Revoke(Revoke),
}

/// Sign a token that opens one attachment on behalf of one principal, and print it
///
/// Standard output has the token alone. Whoever holds it can open the attachment until it expires.
/// Signed again soon after, it is the same text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign image sign --principal ann --attachment 10001
  countersign image sign --principal ann --attachment 10001 --json")]
pub(crate) struct Sign {
    /// On whose behalf
    #[arg(long)]
    principal: Principal,

    /// What it opens
    #[arg(long)]
    attachment: AttachmentId,
}

/// End every image token of an attachment, or all there are
///
/// It is in force, and on the disk, before this returns. New ones may be signed. `principal
/// revoke` ends those of a principal.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign image revoke --attachment 10001 --reason 'shown to the wrong people'
  countersign image revoke --all --reason 'mail archive leaked'")]
#[command(group = ArgGroup::new("which").args(["attachment", "all"]).required(true))]
pub(crate) struct Revoke {
    /// Those that open this attachment
    #[arg(long)]
    attachment: Option<AttachmentId>,

    /// Every image token of everybody
    #[arg(long)]
    all: bool,

    /// Why, for the audit log
    #[arg(long)]
    reason: Option<Reason>,
}

/// A token that was just signed, with its text.
#[derive(Serialize)]
struct SignedView<'a> {
    token: &'a str,
    principal: &'a str,
    attachment: &'a str,
    expires_at: Time,
}

impl Image {
    /// Both do: the first token of an attachment makes its record.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Sign(_) | Self::Revoke(_))
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::Sign(command) => command.run(call),
            Self::Revoke(command) => command.run(call),
        }
    }
}

impl Sign {
    fn run(self, call: &mut Call) -> Outcome {
        let Self {
            principal,
            attachment,
        } = self;
        let opened = call.site.write()?;
        let signed = opened.engine.images();
        let signed = signed.sign(principal.clone(), attachment.clone()).wait()?;
        opened.close()?;
        let view = SignedView {
            token: signed.text.expose(),
            principal: principal.as_str(),
            attachment: attachment.as_str(),
            expires_at: Time(signed.expires_at),
        };
        call.out.say(&view, signed.text.expose())?;
        if !call.out.is_json() {
            call.out.note(format_args!(
                "signed for {principal}, opening {attachment}, expiring {}",
                view.expires_at
            ))?;
        }
        Ok(Exit::Done)
    }
}

impl Revoke {
    fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.write()?;
        let images = opened.engine.images();
        let (what, pending) = match (self.attachment, self.all) {
            (Some(attachment), false) => {
                let what = format!("every image token of {attachment}");
                (what, images.revoke(attachment, self.reason))
            }
            (None, true) => (
                "every image token".to_owned(),
                images.revoke_all(self.reason),
            ),
            // Nothing is revoked that was not named.
            _ => return Err(Failure::usage("name one: --attachment, or --all")),
        };
        let revocation = pending.wait()?;
        opened.close()?;
        told(&mut call.out, "revoked", &what, revocation)
    }
}
