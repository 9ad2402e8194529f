//! Sans-IO. A table whose keys never name the wrong thing.
//!
//! A key carries the generation of its cell, so a key that outlived its value finds nothing, even
//! after the cell has been used again. Memory is bounded by the largest number of values at once.

/// Where a value lives in a [`Slab`], and which of the cell's values it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Cell<T> {
    generation: u32,
    value: Option<T>,
}

/// Values under stable keys; insertion, look-up and removal in constant time.
#[derive(Debug)]
pub(super) struct Slab<T> {
    cells: Vec<Cell<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.cells.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.cells.len()).expect("fewer than 2^32 values at once");
            self.cells.push(Cell {
                generation: 0,
                value: None,
            });
            index
        });
        let cell = &mut self.cells[index as usize];
        cell.value = Some(value);
        Key {
            index,
            generation: cell.generation,
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let cell = self.cells.get_mut(key.index as usize)?;
        if cell.generation != key.generation {
            return None;
        }
        let value = cell.value.take()?;
        cell.generation = cell.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let cell = self.cells.get(key.index as usize)?;
        cell.value
            .as_ref()
            .filter(|_| cell.generation == key.generation)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let cell = self.cells.get_mut(key.index as usize)?;
        if cell.generation != key.generation {
            return None;
        }
        cell.value.as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.cells.iter_mut().filter_map(|cell| cell.value.as_mut())
    }

    /// All values with their keys, in the order of their cells.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0u32..).zip(&self.cells).filter_map(|(index, cell)| {
            let generation = cell.generation;
            let value = cell.value.as_ref()?;
            Some((Key { index, generation }, value))
        })
    }

    /// The keys of all values, copied, so that the table may change while they are walked.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_value_until_it_is_removed() {
        let mut slab = Slab::default();
        let (one, two) = (slab.insert("one"), slab.insert("two"));
        assert_eq!(slab.get(one), Some(&"one"));
        assert_eq!(slab.remove(one), Some("one"));
        assert_eq!(slab.remove(one), None);
        assert_eq!(slab.get(two), Some(&"two"));
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn a_key_does_not_find_the_next_value_in_its_cell() {
        let mut slab = Slab::default();
        let old = slab.insert(1);
        slab.remove(old);
        let new = slab.insert(2);
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get(new), Some(&2));
        assert_eq!(slab.keys(), [new]);
    }
}
