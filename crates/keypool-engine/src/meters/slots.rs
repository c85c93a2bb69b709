//! A slot for each small number, made when it is first asked for, found without a lock.

use std::sync::OnceLock;

/// The first block's slots; each further block has twice as many as the one before.
const FIRST: usize = 32;
/// So many blocks have slots for two million numbers.
const BLOCKS: usize = 16;

/// Slots by number. They are made in blocks and stay where they are.
#[derive(Debug)]
pub(super) struct Slots<T> {
    blocks: [OnceLock<Box<[T]>>; BLOCKS],
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCKS] }
    }
}

impl<T: Default> Slots<T> {
    /// The slot of a number; `None` where it is so large that its block would take too much memory.
    pub(super) fn of(&self, number: usize) -> Option<&T> {
        let shifted = number.checked_add(FIRST)?;
        let block = (shifted / FIRST).ilog2() as usize;
        let slots = self.blocks.get(block)?;
        let size = FIRST << block;
        slots.get_or_init(|| (0..size).map(|_| T::default()).collect()).get(shifted - size)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_number_has_a_slot_of_its_own() {
        let slots = Slots::<AtomicUsize>::default();
        for number in 0..10_000 {
            slots.of(number).unwrap().store(number, Ordering::Relaxed);
        }
        for number in 0..10_000 {
            assert_eq!(slots.of(number).unwrap().load(Ordering::Relaxed), number);
        }
    }

    #[test]
    fn a_number_beyond_two_millions_has_none_and_takes_no_memory() {
        let slots = Slots::<AtomicUsize>::default();
        for number in [FIRST * ((1 << BLOCKS) - 1), usize::MAX - 1, usize::MAX] {
            assert!(slots.of(number).is_none(), "{number}");
        }
        assert!(slots.blocks.iter().all(|block| block.get().is_none()));
    }
}
