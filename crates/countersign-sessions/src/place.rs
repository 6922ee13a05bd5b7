//! Where an entry of the index leads: a row or a grave, in four bytes.

/// A place: two bits for what it is in, thirty for where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// What a place is in, and where there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum In {
    /// The rows of the living.
    Rows(usize),
    /// The ring of principals' graves.
    OwnedGraves(usize),
    /// The ring of anonymous graves.
    AnonymousGraves(usize),
}

const WHERE: u32 = 0x3fff_ffff;
const OWNED_GRAVE: u32 = 0x8000_0000;
const ANONYMOUS_GRAVE: u32 = 0xc000_0000;

impl Place {
    /// `None` past a thousand million, which no shard comes near.
    pub(crate) fn new(place: In) -> Option<Self> {
        let (bits, at) = match place {
            In::Rows(at) => (0, at),
            In::OwnedGraves(at) => (OWNED_GRAVE, at),
            In::AnonymousGraves(at) => (ANONYMOUS_GRAVE, at),
        };
        let at = u32::try_from(at).ok().filter(|at| *at <= WHERE)?;
        Some(Self(bits | at))
    }

    pub(crate) const fn read(self) -> In {
        let at = (self.0 & WHERE) as usize;
        match self.0 & !WHERE {
            OWNED_GRAVE => In::OwnedGraves(at),
            ANONYMOUS_GRAVE => In::AnonymousGraves(at),
            _ => In::Rows(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_what_does_not_fit_is_none() {
        let most = WHERE as usize;
        for at in [0, 1, most] {
            for place in [In::Rows(at), In::OwnedGraves(at), In::AnonymousGraves(at)] {
                assert_eq!(Place::new(place).map(Place::read), Some(place));
            }
        }
        assert_eq!(Place::new(In::Rows(most + 1)), None);
    }
}
