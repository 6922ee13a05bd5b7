//! Epochs: mass revocation as one row.
//!
//! A credential carries the numbers of the epochs it was issued under and is dead as soon as one
//! of them has moved on. Numbers only grow, so what an epoch ended never comes back, whatever the
//! clock does; the instant beside the number is for people, and for image tokens, which have no
//! record and carry an instant instead.

use crate::time::Timestamp;

/// A number that everything issued carries, and since when it has stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    number: u32,
    since: Timestamp,
}

impl Epoch {
    /// Before any mass revocation.
    pub const FIRST: Self = Self {
        number: 0,
        since: Timestamp::ZERO,
    };

    /// The epoch that a record made anew begins in.
    ///
    /// Its number is random, not zero: if the record was there before and got lost, what its
    /// epochs had ended must not stand again under a new count from zero. The upper half of the
    /// numbers is left for moving on.
    #[must_use]
    pub const fn begun(now: Timestamp, random: [u8; 4]) -> Self {
        Self {
            number: u32::from_be_bytes(random) >> 1,
            since: now,
        }
    }

    /// Takes stored parts.
    #[must_use]
    pub const fn from_parts(number: u32, since: Timestamp) -> Self {
        Self { number, since }
    }

    /// The number that credentials carry.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// The instant before which everything issued is dead.
    #[must_use]
    pub const fn since(self) -> Timestamp {
        self.since
    }

    /// The next epoch: everything issued so far is dead.
    ///
    /// `None` when the numbers are used up, which takes four billion mass revocations.
    #[must_use]
    pub fn advanced(self, now: Timestamp) -> Option<Self> {
        let number = self.number.checked_add(1)?;
        // Later than anything issued up to now, also when the clock has stepped back.
        Some(Self {
            number,
            since: now.next().max(self.since.next()),
        })
    }
}

/// The epoch numbers that a credential was issued under.
///
/// Its selector is never older than the instants of those epochs, even where the clock had
/// stepped back: so a principal's list tells which of its entries an epoch has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpochStamp {
    /// Its subsystem's.
    pub subsystem: u32,
    /// Its principal's.
    pub principal: u32,
}

impl EpochStamp {
    /// Whether both epochs are still the ones the credential was issued under.
    #[must_use]
    pub const fn stands(self, subsystem: Epoch, principal: Epoch) -> bool {
        self.stands_under(Self {
            subsystem: subsystem.number,
            principal: principal.number,
        })
    }

    /// The same by the numbers of the epochs in force.
    #[must_use]
    pub const fn stands_under(self, in_force: Self) -> bool {
        // Both sides are compared, so that a dead credential costs what a living one does.
        (self.subsystem == in_force.subsystem) & (self.principal == in_force.principal)
    }

    /// When an epoch that has moved on ended the credential; `MAX` where none has, as far as the
    /// records are there.
    pub(crate) fn ended_at(self, subsystem: Epoch, principal: Option<Epoch>) -> Timestamp {
        let moved_on = |number: u32, epoch: Epoch| match number == epoch.number {
            true => Timestamp::MAX,
            false => epoch.since,
        };
        let by_principal = principal.map(|epoch| moved_on(self.principal, epoch));
        moved_on(self.subsystem, subsystem).min(by_principal.unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_moves_on_even_when_the_clock_steps_back() {
        let first = Epoch::FIRST.advanced(Timestamp::from_millis(1000)).unwrap();
        let second = first.advanced(Timestamp::from_millis(10)).unwrap();
        assert_eq!((first.number(), second.number()), (1, 2));
        assert!(second.since() > first.since());
        assert_eq!(
            Epoch::from_parts(u32::MAX, Timestamp::ZERO).advanced(Timestamp::ZERO),
            None
        );
    }

    #[test]
    fn an_epoch_begun_anew_takes_up_no_count_and_can_still_move_on() {
        let begun = Epoch::begun(Timestamp::from_millis(7), [0xff; 4]);
        assert_eq!(begun.number(), u32::MAX >> 1);
        assert_eq!(begun.since(), Timestamp::from_millis(7));
        assert!(begun.advanced(Timestamp::ZERO).is_some());
    }

    #[test]
    fn either_epoch_moving_on_ends_what_was_stamped() {
        let (a, b) = (
            Epoch::FIRST,
            Epoch::FIRST.advanced(Timestamp::ZERO).unwrap(),
        );
        let stamp = EpochStamp::default();
        assert!(stamp.stands(a, a));
        assert!(!stamp.stands(a, b) && !stamp.stands(b, a) && !stamp.stands(b, b));
    }
}
