//! Sans-IO. The books of all workers, and what they say together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::book::Book;
use super::sums::Sums;
use crate::sql::Fingerprint;

/// Statements that are copied while their worker has to wait.
const AT_ONCE: usize = 32;

/// The book of one worker, which others only look into.
#[derive(Debug)]
pub struct WorkerBook(Mutex<Book>);

impl WorkerBook {
    /// Does something with it.
    pub fn with<R>(&self, f: impl FnOnce(&mut Book) -> R) -> R {
        // It is right whatever a panic has left undone: at worst a call is missing.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A statement of one user in one database, over all workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryStats {
    /// The database, as clients name it.
    pub database: Arc<str>,
    /// The user that has logged in.
    pub user: Arc<str>,
    /// The statement's number, the same for all who say it, until the process ends.
    pub fingerprint: Fingerprint,
    /// Its text without values.
    pub text: Arc<str>,
    /// What its calls come to.
    pub sums: Sums,
}

/// All that was counted since the last reset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryList {
    /// Statements that were called, in no order.
    pub queries: Vec<QueryStats>,
    /// Calls of all others.
    pub rest: Sums,
}

/// The books of all workers.
#[derive(Debug)]
pub struct Books {
    /// Drawn by chance, so that nobody can make two statements look the same.
    pub seed: u64,
    books: Box<[Arc<WorkerBook>]>,
}

impl Books {
    /// An empty book for each worker, of which there is at least one.
    pub fn new(workers: usize, seed: u64) -> Self {
        let book = |_| Arc::new(WorkerBook(Mutex::new(Book::new(seed))));
        Self {
            seed,
            books: (0..workers.max(1)).map(book).collect(),
        }
    }

    /// The book of a worker, numbered from 0.
    pub fn of(&self, worker: usize) -> &Arc<WorkerBook> {
        let book = self.books.get(worker).or(self.books.first());
        book.expect("there is a book for each worker")
    }

    /// Forgets all that was counted.
    pub fn reset(&self) {
        for book in &self.books {
            book.with(Book::reset);
        }
    }

    /// All books put together. Nobody has to wait for longer than a few statements are copied.
    pub fn list(&self) -> QueryList {
        let mut list = QueryList::default();
        let mut places: HashMap<u64, usize> = HashMap::new();
        for book in &self.books {
            list.rest.merge(&book.with(|book| book.rest.clone()));
            let mut from = 0;
            loop {
                let (copied, length) = book.with(|book| (copy(book, from), book.entries.len()));
                for (key, found) in copied {
                    let place = *places.entry(key).or_insert(list.queries.len());
                    match list.queries.get_mut(place) {
                        Some(known) => known.sums.merge(&found.sums),
                        None => list.queries.push(found),
                    }
                }
                from += AT_ONCE;
                if from >= length {
                    break;
                }
            }
        }
        list
    }
}

fn copy(book: &Book, from: usize) -> Vec<(u64, QueryStats)> {
    let entries = book.entries.iter().skip(from).take(AT_ONCE);
    let called = entries.filter(|entry| entry.sums.calls > 0);
    let copied = called.map(|entry| {
        let stats = QueryStats {
            database: Arc::clone(&entry.database),
            user: Arc::clone(&entry.user),
            fingerprint: entry.print,
            text: Arc::clone(&entry.text),
            sums: entry.sums.clone(),
        };
        (entry.key, stats)
    });
    copied.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::{Answered, Host, Outcome, Owner};
    use crate::sql::lexer::Quoting;

    fn run(books: &Books, worker: usize, sql: &str) {
        let owner = Owner::new(books.seed, &"db".into(), &"u".into());
        books.of(worker).with(|book| {
            let place = book.find(sql.as_bytes(), Quoting::Standard, &owner, 100);
            let call = Answered {
                rows: 1,
                bytes: 10,
                server_us: 5,
                waited_us: 0,
                outcome: Outcome::Done,
                host: Host::Replica,
            };
            book.count(Some(place), &call);
        });
    }

    #[test]
    fn workers_are_put_together() {
        let books = Books::new(3, 7);
        for worker in 0..3 {
            for number in 0..90 {
                run(&books, worker, &format!("select a{number}"));
            }
            run(&books, worker, "select 'value'");
        }
        let list = books.list();
        assert_eq!(list.queries.len(), 91);
        for query in &list.queries {
            assert_eq!((query.sums.calls, query.sums.on_replicas), (3, 3));
            assert!(!query.text.contains("value"), "{}", query.text);
        }
        books.reset();
        assert_eq!(books.list(), QueryList::default());
    }
}
