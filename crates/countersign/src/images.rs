//! Image tokens as a host uses them: sign, verify, revoke by attachment.

use crate::access::{Revocation, settle};
use crate::admin::unwritten;
use crate::cache::CachedPrincipal;
use crate::denials::{Asked, InForce, Intent, Target};
use crate::entropy;
use crate::error::Error;
use crate::inner::{Inner, attachment_of, principal_of, system_of};
use crate::observer::Refused;
use crate::trust::{ROUNDS, lapsed};
use countersign_core::image::{
    self, AttachmentId, AttachmentKey, AttachmentRecord, ImageClaims, ImageRequest, PresentedImage,
    ProvenImage, SignedImage,
};
use countersign_core::policy::Policy;
use countersign_core::switches::SwitchAction;
use countersign_core::{
    CredentialKind, Decision, Fresh, Key, Principal, PrincipalKey, PrincipalRecord, Reason,
    Refusal, Rejection, Setting, Subsystem, SystemRecord, Timestamp, Versioned,
};
use countersign_store::pending::Pending;
use std::net::IpAddr;
use std::sync::Arc;

/// Image tokens. Made by [`Engine::images`](crate::Engine::images).
///
/// A token is a JWT that opens one attachment on behalf of one principal and does nothing else,
/// for whoever holds it, until it expires (S10). It has no record of its own: what ends it early
/// is the epoch of its attachment, of its principal, or of a subsystem.
#[derive(Clone, Copy, Debug)]
pub struct ImageTokens<'a>(pub(crate) &'a Arc<Inner>);

/// The outcome of checking an image token.
#[derive(Clone, Debug)]
pub enum ImageVerdict {
    /// It opens the attachment.
    In(ImagePass),
    /// It does not. The reason is for logs; a stranger is told only that it was refused.
    Refused(Rejection),
}

impl ImageVerdict {
    /// The pass, if the token opens the attachment.
    #[must_use]
    pub fn pass(self) -> Option<ImagePass> {
        match self {
            Self::In(pass) => Some(pass),
            Self::Refused(_) => None,
        }
    }

    /// Why it was refused, if it was.
    #[must_use]
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::In(_) => None,
            Self::Refused(rejection) => Some(*rejection),
        }
    }

    /// Whether it opens the attachment.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }
}

/// On whose behalf which attachment is opened.
///
/// It is a fact about one request: keeping it and trusting it later would be a verdict cache. It
/// says who the link was made for, not who has followed it, and lets nobody do anything else.
#[derive(Clone, Debug)]
pub struct ImagePass {
    image: ProvenImage,
    expires_at: Timestamp,
}

impl ImagePass {
    /// On whose behalf: whether they may see the attachment is for the host to say.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.image.claims().principal
    }

    /// Which attachment.
    #[must_use]
    pub const fn attachment(&self) -> &AttachmentId {
        &self.image.claims().attachment
    }

    /// Until when the token works under the present policy, if nothing ends it early.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl ImageTokens<'_> {
    /// Signs a token, if switches, principal and policy allow it.
    ///
    /// The text stays the same within the policy's `bucket` of time and is new after a revocation
    /// (E8), so a page or a mail that is made again has the same links. Only what has no record
    /// yet is written, and then this resolves once that is durable; otherwise nothing is.
    ///
    /// # Errors
    /// [`Refusal::NotYet`] right after a revocation, and after the clock has stepped back behind
    /// one: a token of the very instant of its epoch could not be told from those that were ended.
    /// It says when a token can be signed, a millisecond later as a rule, and is retryable: the
    /// host tries again then, or leaves the image out. Nothing waits here.
    pub fn sign(
        &self,
        principal: Principal,
        attachment: AttachmentId,
    ) -> Pending<Result<SignedImage, Error>> {
        self.0
            .run(|inner| async move { inner.sign_image(&principal, &attachment).await })
    }

    /// Checks a presented token that is to open `attachment`: the whole text, and nothing around
    /// it. `address` is where the request came from, for those who watch refusals.
    ///
    /// A good token for another attachment is refused with [`Rejection::Scope`].
    pub fn verify(
        &self,
        presented: impl AsRef<[u8]>,
        attachment: &AttachmentId,
        address: Option<IpAddr>,
    ) -> Pending<Result<ImageVerdict, Error>> {
        let asking = Asking::Opens(attachment, address);
        self.0.verify_image(presented.as_ref(), asking)
    }

    /// Judges a token for the attachment that it names itself, and leaves no trace, not even in
    /// the counts: for an operator who wants to know what it is worth.
    ///
    /// A host that is asked for an image asks [`ImageTokens::verify`] with that image.
    pub fn check(&self, presented: impl AsRef<[u8]>) -> Pending<Result<ImageVerdict, Error>> {
        self.0.verify_image(presented.as_ref(), Asking::Itself)
    }

    /// Ends every token of an attachment, known or not: one row. In force before this returns,
    /// whatever the disk does. New ones may be signed.
    pub fn revoke(
        &self,
        attachment: AttachmentId,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Attachment(self.0.keyring.attachment_key(&attachment));
        let intent = Intent::Attachment(attachment.clone(), reason.clone());
        match self.0.deny(target, intent) {
            Ok(number) => self.0.run(|inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner.revoke_attachment(&attachment, reason.as_ref()).await;
                settle(force, outcome.map(|_| false))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    /// Ends every token of an attachment that the host has deleted, and removes its record: nothing
    /// else does, so a host that deletes attachments calls this for each. In force before this
    /// returns, whatever the disk does; where the disk does not take it, or the clock has stepped
    /// back, the tokens end and the record stays until this is called again.
    pub fn forget(
        &self,
        attachment: AttachmentId,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Attachment(self.0.keyring.attachment_key(&attachment));
        let intent = Intent::Attachment(attachment.clone(), reason.clone());
        match self.0.deny(target, intent) {
            Ok(number) => self.0.run(|inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner.forget_attachment(&attachment, reason.as_ref()).await;
                settle(force, outcome.map(|found| !found))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    /// Ends every image token of everybody: one row. New ones may be signed.
    pub fn revoke_all(&self, reason: Option<Reason>) -> Pending<Result<Revocation, Error>> {
        self.0
            .switch(Subsystem::ImageTokens, SwitchAction::RevokeAll, reason)
    }
}

/// Who wants to know of a token.
#[derive(Clone, Copy)]
enum Asking<'a> {
    /// A request for this attachment, from there.
    Opens(&'a AttachmentId, Option<IpAddr>),
    /// Somebody who looks at the token itself.
    Itself,
}

/// A proven token, and where its records are filed.
struct Proven {
    image: ProvenImage,
    principal: PrincipalKey,
    attachment: AttachmentKey,
    /// The denial that waits for the disk and concerns it. Asked for before the records are: one
    /// that is settled in between is in them.
    denied: Option<Rejection>,
}

/// What was read for a token, and the policy in force.
type Read = (
    Option<Arc<CachedPrincipal>>,
    Option<Arc<AttachmentRecord>>,
    Option<Arc<Versioned<SystemRecord>>>,
    Arc<Policy>,
);

/// Records that were found for a token.
#[derive(Clone, Copy)]
struct Found<'a> {
    principal: Option<&'a CachedPrincipal>,
    attachment: Option<&'a AttachmentRecord>,
    system: Option<&'a SystemRecord>,
}

/// The records behind a new token.
struct Loaded {
    system: Versioned<SystemRecord>,
    principal: Option<Versioned<PrincipalRecord>>,
    attachment: Option<Versioned<AttachmentRecord>>,
}

/// What is to be done with an attachment's record.
type DecideOnAttachment<T> = fn(
    &Setting<'_>,
    &mut Fresh,
    &AttachmentId,
    Option<&Versioned<AttachmentRecord>>,
    Option<&Reason>,
) -> Result<Decision<T>, Refusal>;

impl Inner {
    fn verify_image(
        self: &Arc<Self>,
        presented: &[u8],
        asking: Asking<'_>,
    ) -> Pending<Result<ImageVerdict, Error>> {
        // A closed store tells of no more revocations, so what is in memory is worth nothing.
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        // Before the policy is loaded: one that is read anew says so last.
        let trusted = self.trust.term();
        let in_force = self.policy_in_force();
        let policy = self.policy.load();
        let now = self.clock.now();
        let proven = match self.prove(&policy, presented) {
            Ok(proven) => proven,
            Err(rejection) => {
                let verdict = self.told(now, &policy, asking, Err(rejection));
                return Pending::ready(Ok(verdict));
            }
        };
        if in_force
            && let Some(principal) = self.cache.principal(proven.principal)
            && let Some(attachment) = self.cache.attachment(proven.attachment)
            && let Some(system) = &*self.cache.system_guard()
            && trusted.holds()
        {
            let found = Found {
                principal: Some(&principal),
                attachment: Some(&attachment),
                system: Some(&system.record),
            };
            let verdict = self.judge_image(now, &policy, proven, found, asking);
            return Pending::ready(Ok(verdict));
        }
        drop(policy);
        self.verify_image_slowly(now, proven, asking)
    }

    /// With something to be read first. Only what one of our keys has signed gets here.
    #[cold]
    fn verify_image_slowly(
        self: &Arc<Self>,
        now: Timestamp,
        proven: Proven,
        asking: Asking<'_>,
    ) -> Pending<Result<ImageVerdict, Error>> {
        let asked = match asking {
            Asking::Opens(attachment, address) => Some((attachment.clone(), address)),
            Asking::Itself => None,
        };
        self.run(|inner| async move {
            let read = inner.read_image(proven.image.claims()).await?;
            let (principal, attachment, system, policy) = read;
            let found = Found {
                principal: principal.as_deref(),
                attachment: attachment.as_deref(),
                system: system.as_ref().map(|system| &system.record),
            };
            let asking = match &asked {
                Some((attachment, address)) => Asking::Opens(attachment, *address),
                None => Asking::Itself,
            };
            Ok(inner.judge_image(now, &policy, proven, found, asking))
        })
    }

    /// The records behind a token, and the policy in force.
    async fn read_image(&self, claims: &ImageClaims) -> Result<Read, Error> {
        for _ in 0..ROUNDS {
            self.open()?;
            let trusted = self.renewed().await?;
            let principal = self.principal_entry(&claims.principal).await?;
            let attachment = self.attachment_entry(&claims.attachment).await?;
            let system = self.system_if_any().await?;
            let policy = self.policy_now().await?;
            if self.proven(trusted).await? {
                return Ok((principal, attachment, system, policy));
            }
        }
        Err(lapsed())
    }

    fn prove(&self, policy: &Policy, presented: &[u8]) -> Result<Proven, Rejection> {
        // Before anything is looked at, whatever its length.
        if presented.len() > policy.input().max_credential_bytes as usize {
            return Err(Rejection::TooLong);
        }
        let image = image::prove(&self.keyring, presented)?;
        let claims = image.claims();
        let principal = self.keyring.principal_key(&claims.principal);
        let attachment = self.keyring.attachment_key(&claims.attachment);
        Ok(Proven {
            denied: self.image_denied(principal, attachment),
            principal,
            attachment,
            image,
        })
    }

    fn judge_image(
        &self,
        now: Timestamp,
        policy: &Policy,
        proven: Proven,
        found: Found<'_>,
        asking: Asking<'_>,
    ) -> ImageVerdict {
        let claims = proven.image.claims();
        let presented = PresentedImage {
            token: &proven.image,
            asked: match asking {
                Asking::Opens(attachment, _) => attachment,
                Asking::Itself => &claims.attachment,
            },
            principal: found.principal.map(|entry| &entry.record),
            attachment: found.attachment,
            system: found.system,
        };
        let checked = image::check(now, policy, &presented);
        let checked = checked.and_then(|()| proven.denied.map_or(Ok(()), Err));
        let expires_at = policy
            .image_tokens()
            .end_of(claims.issued_at, claims.expires_at);
        let checked = checked.map(|()| ImagePass {
            image: proven.image,
            expires_at,
        });
        self.told(now, policy, asking, checked)
    }

    /// Counts a verdict on a request, and tells of a refusal.
    fn told(
        &self,
        at: Timestamp,
        policy: &Policy,
        asking: Asking<'_>,
        checked: Result<ImagePass, Rejection>,
    ) -> ImageVerdict {
        match (checked, asking) {
            (Ok(pass), Asking::Opens(..)) => {
                self.counters.count(None);
                ImageVerdict::In(pass)
            }
            (Ok(pass), Asking::Itself) => ImageVerdict::In(pass),
            (Err(rejection), Asking::Opens(_, address)) => {
                let refused = Refused {
                    at,
                    kind: CredentialKind::Image,
                    selector: None,
                    rejection,
                    address,
                    suppressed: 0,
                };
                ImageVerdict::Refused(self.refuse(policy, refused))
            }
            (Err(rejection), Asking::Itself) => ImageVerdict::Refused(rejection),
        }
    }

    async fn sign_image(
        &self,
        principal: &Principal,
        attachment: &AttachmentId,
    ) -> Result<SignedImage, Error> {
        self.transact(|| {
            Box::pin(async move {
                let (now, policy) = (self.now(), self.policy_now().await?);
                self.no_image_denied(principal, attachment)?;
                let loaded = self.load_image(principal, attachment).await?;
                let setting = self.setting(now, &policy, &loaded.system);
                let mut fresh = entropy::fresh(&*self.entropy)?;
                let request = ImageRequest {
                    principal,
                    attachment,
                };
                let (owner, opened) = (loaded.principal.as_ref(), loaded.attachment.as_ref());
                Ok(image::sign(&setting, &mut fresh, request, owner, opened)?)
            })
        })
        .await
    }

    /// The system record, a principal's and an attachment's, from one snapshot.
    async fn load_image(
        &self,
        principal: &Principal,
        attachment: &AttachmentId,
    ) -> Result<Loaded, Error> {
        let keys = [
            Key::SYSTEM,
            Key::principal(self.keyring.principal_key(principal)),
            Key::attachment(self.keyring.attachment_key(attachment)),
        ];
        let mut found = self.load(&keys).await?.into_iter();
        let system = system_of(found.next().flatten())?;
        let owner = found.next().flatten().and_then(principal_of);
        let opened = found.next().flatten().and_then(attachment_of);
        // Keys are hashes of names: a record of another name would be a collision.
        Ok(Loaded {
            system,
            principal: owner.filter(|found| found.record.principal == *principal),
            attachment: opened.filter(|found| found.record.attachment == *attachment),
        })
    }

    fn image_denied(
        &self,
        principal: PrincipalKey,
        attachment: AttachmentKey,
    ) -> Option<Rejection> {
        self.cache.denials.deny(Asked {
            kind: CredentialKind::Image,
            own: Some(Target::Attachment(attachment)),
            principal: Some(principal),
            logs_in: false,
        })
    }

    /// No token is signed over a denial that the disk does not have yet: written later, it would
    /// end what was handed out.
    fn no_image_denied(
        &self,
        principal: &Principal,
        attachment: &AttachmentId,
    ) -> Result<(), Error> {
        let principal = self.keyring.principal_key(principal);
        match self.image_denied(principal, self.keyring.attachment_key(attachment)) {
            None => Ok(()),
            Some(Rejection::Disabled) => Err(Refusal::Disabled.into()),
            Some(Rejection::SwitchedOff) => Err(Refusal::ImageTokensOff.into()),
            Some(_) => Err(unwritten()),
        }
    }

    pub(crate) async fn revoke_attachment(
        &self,
        attachment: &AttachmentId,
        reason: Option<&Reason>,
    ) -> Result<AttachmentRecord, Error> {
        let decide = image::revoke_attachment;
        self.change_attachment(decide, attachment, reason).await
    }

    async fn forget_attachment(
        &self,
        attachment: &AttachmentId,
        reason: Option<&Reason>,
    ) -> Result<bool, Error> {
        let decide = image::forget_attachment;
        self.change_attachment(decide, attachment, reason).await
    }

    async fn change_attachment<T>(
        &self,
        decide: DecideOnAttachment<T>,
        attachment: &AttachmentId,
        reason: Option<&Reason>,
    ) -> Result<T, Error> {
        let key = Key::attachment(self.keyring.attachment_key(attachment));
        self.transact(|| {
            Box::pin(async move {
                let mut found = self.load(&[Key::SYSTEM, key]).await?.into_iter();
                let system = system_of(found.next().flatten())?;
                let opened = found.next().flatten().and_then(attachment_of);
                let opened = opened.filter(|found| found.record.attachment == *attachment);
                let (now, policy) = (self.now(), self.policy_now().await?);
                let setting = self.setting(now, &policy, &system);
                let mut fresh = entropy::fresh(&*self.entropy)?;
                let opened = opened.as_ref();
                Ok(decide(&setting, &mut fresh, attachment, opened, reason)?)
            })
        })
        .await
    }

    /// An attachment's record, from memory or read and kept.
    async fn attachment_entry(
        &self,
        attachment: &AttachmentId,
    ) -> Result<Option<Arc<AttachmentRecord>>, Error> {
        let key = self.keyring.attachment_key(attachment);
        if let Some(record) = self.cache.attachment(key) {
            return Ok(Some(record));
        }
        let ticket = self.cache.attachment_ticket(key);
        let found = self.load(&[Key::attachment(key)]).await?;
        let found = found.into_iter().next().flatten().and_then(attachment_of);
        let Some(found) = found else {
            return Ok(None);
        };
        let record = Arc::new(found.record);
        self.cache.fill_attachment(ticket, key, &record);
        Ok(Some(record))
    }
}
