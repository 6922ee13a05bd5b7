//! What one miss of the processor's caches costs: a chain of lines in random order.

/// A cache line whose first word says which comes next.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
struct Cell(u32);

/// Lines that are visited in an order that no prefetcher foresees.
#[derive(Debug)]
pub(super) struct Chain {
    cells: Vec<Cell>,
    at: u32,
}

impl Chain {
    /// One cycle through all of `len` lines.
    pub(super) fn new(len: u32) -> Self {
        let order = shuffled(len);
        let mut cells = vec![Cell(0); order.len()];
        let nexts = order.iter().cycle().skip(1);
        for (at, next) in order.iter().zip(nexts) {
            if let Some(cell) = usize::try_from(*at).ok().and_then(|at| cells.get_mut(at)) {
                cell.0 = *next;
            }
        }
        Self { cells, at: 0 }
    }

    /// Goes `steps` lines on, each found only by reading the one before.
    pub(super) fn walk(&mut self, steps: u32) {
        for _ in 0..steps {
            let cell = usize::try_from(self.at)
                .ok()
                .and_then(|at| self.cells.get(at));
            self.at = cell.map_or(0, |cell| cell.0);
        }
    }
}

/// The numbers below `len` in an order that looks random; the same one each time.
pub(super) fn shuffled(len: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bound = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
        let other = state
            .checked_rem(bound)
            .and_then(|other| usize::try_from(other).ok());
        order.swap(at, other.unwrap_or(at));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_comes_by_every_line_before_it_is_back() {
        let mut chain = Chain::new(1000);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            chain.walk(1);
            assert!(seen.insert(chain.at), "{} twice", chain.at);
        }
        chain.walk(1);
        assert!(!seen.insert(chain.at));
    }
}
