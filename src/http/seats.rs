//! Sans-IO. Which names metrics use as labels: the first ones that came, and `other` for the rest.
//!
//! Invariant: who has a seat keeps it, so that a series never changes what it counts.

use std::collections::BTreeSet;

/// What all without a seat are called.
pub const OTHER: &str = "other";

/// The seats for one kind of name.
#[derive(Debug, Default)]
pub struct Seats {
    taken: BTreeSet<String>,
}

impl Seats {
    /// The names to use for `names`, where at most so many may be used.
    pub fn place<'a, const N: usize>(&mut self, names: [&'a str; N], most: usize) -> [&'a str; N] {
        let key = names.join("\0"); // which no name has
        if self.taken.contains(&key) {
            return names;
        }
        if self.taken.len() < most {
            self.taken.insert(key);
            return names;
        }
        [OTHER; N]
    }
}

/// The seats of a process.
#[derive(Debug, Default)]
pub struct AllSeats {
    /// Databases.
    pub databases: Seats,
    /// Pairs of database and user.
    pub pools: Seats,
    /// Databases, users and applications of clients.
    pub clients: Seats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_keep_their_names_and_the_rest_is_other() {
        let mut seats = Seats::default();
        assert_eq!(seats.place(["a", "u"], 2), ["a", "u"]);
        assert_eq!(seats.place(["b", "u"], 2), ["b", "u"]);
        assert_eq!(seats.place(["a", "v"], 2), [OTHER, OTHER]);
        assert_eq!(seats.place(["a", "u"], 2), ["a", "u"]);
        // One that is lowered takes no name away, one that is raised has room.
        assert_eq!(seats.place(["b", "u"], 1), ["b", "u"]);
        assert_eq!(seats.place(["a", "v"], 3), ["a", "v"]);
        assert_eq!(seats.place(["au", ""], 3), [OTHER, OTHER]);
    }
}
