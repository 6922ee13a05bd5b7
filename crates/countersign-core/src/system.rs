//! The system record: what this deployment is called, and the switch of each subsystem.

use crate::epoch::Epoch;
use crate::text::ServerId;
use crate::time::Timestamp;
use core::fmt;
use core::str::FromStr;

/// A part of the engine that can be switched off as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Subsystem {
    /// Personal access tokens; image tokens need this one too.
    AccessTokens = 1,
    /// Remember-me tokens.
    RememberMe = 2,
    /// Image tokens.
    ImageTokens = 3,
    /// Sessions.
    Sessions = 4,
}

impl Subsystem {
    /// Every subsystem, in the order of their discriminants.
    pub const ALL: [Self; 4] = [
        Self::AccessTokens,
        Self::RememberMe,
        Self::ImageTokens,
        Self::Sessions,
    ];

    /// The byte that stands for it in records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The subsystem that `code` stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|subsystem| subsystem.code() == code)
    }

    /// Its name in the operator's command and in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessTokens => "access-tokens",
            Self::RememberMe => "remember-me",
            Self::ImageTokens => "image-tokens",
            Self::Sessions => "sessions",
        }
    }
}

impl fmt::Display for Subsystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no subsystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subsystem is access-tokens, remember-me, image-tokens or sessions")]
pub struct NotASubsystem;

impl FromStr for Subsystem {
    type Err = NotASubsystem;

    fn from_str(text: &str) -> Result<Self, NotASubsystem> {
        Self::ALL
            .into_iter()
            .find(|subsystem| subsystem.name() == text)
            .ok_or(NotASubsystem)
    }
}

/// One subsystem's switch, and the epoch that switching off moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Whether the subsystem accepts and issues anything.
    pub on: bool,
    /// What was issued under an earlier number is dead.
    pub epoch: Epoch,
}

impl Switch {
    /// On, and nothing revoked yet.
    pub const INITIAL: Self = Self {
        on: true,
        epoch: Epoch::FIRST,
    };
}

/// What a deployment is called on the wire; chosen once, when its store is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The word in front of its tokens, if any.
    pub word: Option<String>,
    /// Its name in cookies and image tokens.
    pub server_id: ServerId,
    /// When its store was made.
    pub created_at: Timestamp,
}

/// The one record that every verification needs besides the credential's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRecord {
    /// The deployment's names.
    pub deployment: Deployment,
    /// The switches, in the order of [`Subsystem::ALL`].
    pub switches: [Switch; 4],
}

impl SystemRecord {
    /// The record of a new store: everything on.
    #[must_use]
    pub const fn new(deployment: Deployment) -> Self {
        Self {
            deployment,
            switches: [Switch::INITIAL; 4],
        }
    }

    /// One subsystem's switch.
    #[must_use]
    pub const fn switch(&self, subsystem: Subsystem) -> Switch {
        let [access, remember, image, sessions] = self.switches;
        match subsystem {
            Subsystem::AccessTokens => access,
            Subsystem::RememberMe => remember,
            Subsystem::ImageTokens => image,
            Subsystem::Sessions => sessions,
        }
    }

    /// One subsystem's switch, to be changed.
    pub const fn switch_mut(&mut self, subsystem: Subsystem) -> &mut Switch {
        let [access, remember, image, sessions] = &mut self.switches;
        match subsystem {
            Subsystem::AccessTokens => access,
            Subsystem::RememberMe => remember,
            Subsystem::ImageTokens => image,
            Subsystem::Sessions => sessions,
        }
    }

    /// Whether a subsystem is on, counting that image tokens need the access tokens' switch too.
    #[must_use]
    pub const fn is_on(&self, subsystem: Subsystem) -> bool {
        let own = self.switch(subsystem).on;
        match subsystem {
            Subsystem::ImageTokens => own & self.switch(Subsystem::AccessTokens).on,
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_tokens_need_the_access_tokens_switch_too() {
        let server_id = ServerId::new("s").unwrap();
        let deployment = Deployment {
            word: None,
            server_id,
            created_at: Timestamp::ZERO,
        };
        let mut system = SystemRecord::new(deployment);
        assert!(system.is_on(Subsystem::ImageTokens));
        system.switch_mut(Subsystem::AccessTokens).on = false;
        assert!(!system.is_on(Subsystem::ImageTokens) && !system.is_on(Subsystem::AccessTokens));
        assert!(system.is_on(Subsystem::RememberMe) && system.is_on(Subsystem::Sessions));
    }

    #[test]
    fn names_and_codes_round_trip() {
        for subsystem in Subsystem::ALL {
            assert_eq!(Subsystem::from_code(subsystem.code()), Some(subsystem));
            assert_eq!(subsystem.name().parse(), Ok(subsystem));
            assert_eq!(format!("{subsystem:>14}").trim(), subsystem.name());
        }
        assert_eq!("tokens".parse::<Subsystem>(), Err(NotASubsystem));
    }
}
