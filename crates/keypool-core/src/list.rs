//! A doubly linked list threaded through the items of a slab: both ends and any removal in one step, no allocation.

use slab::Slab;

/// What stands for "no neighbour" in a link.
const NONE: usize = usize::MAX;

/// An item's neighbours in the list that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    before: usize,
    after: usize,
}

impl Links {
    /// The links of an item that is in no list.
    pub(crate) const UNLINKED: Links = Links { before: NONE, after: NONE };
}

/// An item that can be in a list.
pub(crate) trait Linked {
    /// Its neighbours.
    fn links(&self) -> &Links;
    /// Its neighbours, to change them.
    fn links_mut(&mut self) -> &mut Links;
}

/// The two ends of a list.
#[derive(Clone, Debug)]
pub(crate) struct List {
    first: usize,
    last: usize,
}

impl List {
    pub(crate) const EMPTY: List = List { first: NONE, last: NONE };

    pub(crate) fn first(&self) -> Option<usize> {
        (self.first != NONE).then_some(self.first)
    }

    pub(crate) fn last(&self) -> Option<usize> {
        (self.last != NONE).then_some(self.last)
    }

    /// Adds an item that is in no list at the end.
    pub(crate) fn push_back<T: Linked>(&mut self, items: &mut Slab<T>, item: usize) {
        *items[item].links_mut() = Links { before: self.last, after: NONE };
        match self.last() {
            Some(last) => items[last].links_mut().after = item,
            None => self.first = item,
        }
        self.last = item;
    }

    /// Takes out an item that is in this list.
    pub(crate) fn unlink<T: Linked>(&mut self, items: &mut Slab<T>, item: usize) {
        let Links { before, after } = std::mem::replace(items[item].links_mut(), Links::UNLINKED);
        match before {
            NONE => self.first = after,
            before => items[before].links_mut().after = after,
        }
        match after {
            NONE => self.last = before,
            after => items[after].links_mut().before = before,
        }
    }

    /// The items from first to last.
    pub(crate) fn iter<'a, T: Linked>(
        &self,
        items: &'a Slab<T>,
    ) -> impl Iterator<Item = usize> + use<'a, T> {
        std::iter::successors(self.first(), |&item| {
            let after = items[item].links().after;
            (after != NONE).then_some(after)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked for Links {
        fn links(&self) -> &Links {
            self
        }
        fn links_mut(&mut self) -> &mut Links {
            self
        }
    }

    #[test]
    fn items_leave_from_both_ends_and_the_middle_and_come_back() {
        let mut items = Slab::new();
        let mut list = List::EMPTY;
        for _ in 0..5 {
            let item = items.insert(Links::UNLINKED);
            list.push_back(&mut items, item);
        }
        for (leaves, rest) in [(0, vec![1, 2, 3, 4]), (4, vec![1, 2, 3]), (2, vec![1, 3])] {
            list.unlink(&mut items, leaves);
            assert_eq!(list.iter(&items).collect::<Vec<_>>(), rest);
        }
        list.push_back(&mut items, 0);
        assert_eq!(list.iter(&items).collect::<Vec<_>>(), [1, 3, 0]);
        for item in [1, 0, 3] {
            list.unlink(&mut items, item);
        }
        assert_eq!((list.first(), list.last()), (None, None));
    }
}
