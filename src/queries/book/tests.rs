use super::*;
use crate::queries::{Host, Outcome};

const SEED: u64 = 7;

fn owner(user: &str) -> Owner {
    Owner::new(SEED, &"db".into(), &user.into())
}

fn call(server_us: u64) -> Answered {
    Answered {
        rows: 2,
        bytes: 3,
        server_us,
        waited_us: 1,
        outcome: Outcome::Done,
        host: Host::Primary,
    }
}

fn run(book: &mut Book, sql: &str, most: usize, server_us: u64) -> Place {
    let place = book.find(sql.as_bytes(), Quoting::Standard, &owner("u"), most);
    book.count(Some(place), &call(server_us));
    place
}

fn calls(book: &Book) -> u64 {
    let places: u64 = book.entries.iter().map(|entry| entry.sums.calls).sum();
    places + book.rest.calls
}

#[test]
fn the_same_statement_has_one_place_whatever_its_values() {
    let mut book = Book::new(SEED);
    let first = run(&mut book, "select a from b where c = 1 and d = 'x'", 10, 5);
    for sql in [
        "select a from b where c = 2 and d = 'x'",
        "SELECT a FROM b WHERE c=3 AND d='other'",
        "select a /* 7 */ from b where c = -4 and d = $q$y$q$;",
    ] {
        assert_eq!(run(&mut book, sql, 10, 5), first, "{sql}");
    }
    assert_ne!(run(&mut book, "select a from b", 10, 5), first);
    let (_, text) = book.words(Some(first)).unwrap();
    assert_eq!(&*text, "select a from b where c = $1 and d = $2");
}

#[test]
fn other_owners_and_other_quoting_have_other_places() {
    let mut book = Book::new(SEED);
    let sql = br"select 'a\', 1 --'";
    let one = book.find(sql, Quoting::Standard, &owner("u"), 10);
    assert_ne!(book.find(sql, Quoting::Backslash, &owner("u"), 10), one);
    assert_ne!(book.find(sql, Quoting::Standard, &owner("v"), 10), one);
    assert_eq!(book.find(sql, Quoting::Standard, &owner("u"), 10), one);
}

#[test]
fn a_full_book_stays_full_and_loses_no_call() {
    let mut book = Book::new(SEED);
    for number in 0..10_000_u64 {
        run(&mut book, &format!("select a{}", number % 300), 20, number);
        assert!(book.entries.len() <= 20 && book.by_key.len() == book.entries.len());
        assert_eq!(calls(&book), number + 1);
    }
    assert!(book.rest.calls > 0);
}

#[test]
fn what_costs_most_keeps_its_place_among_many_others() {
    let mut book = Book::new(SEED);
    let heavy = run(&mut book, "select heavy", 20, 1_000_000);
    for number in 0..10_000 {
        run(&mut book, &format!("select a{number}"), 20, 1);
    }
    assert_eq!(run(&mut book, "select heavy", 20, 1), heavy);
}

#[test]
fn a_call_whose_statement_has_made_room_belongs_to_the_rest() {
    let mut book = Book::new(SEED);
    let gone = run(&mut book, "select a", 1, 5);
    let kept = run(&mut book, "select b", 1, 5);
    book.count(Some(gone), &call(5));
    book.count(None, &call(5));
    assert_eq!(book.words(Some(gone)), None);
    assert_eq!(&*book.words(Some(kept)).unwrap().1, "select b");
    assert_eq!((book.rest.calls, calls(&book)), (3, 4));
}

#[test]
fn a_smaller_limit_counts_from_the_next_new_statement_on() {
    let mut book = Book::new(SEED);
    for number in 0..10 {
        run(&mut book, &format!("select a{number}"), 10, 5);
    }
    run(&mut book, "select b", 3, 5);
    assert_eq!((book.entries.len(), calls(&book)), (3, 11));
}

#[test]
fn a_reset_forgets_counts_and_keeps_places() {
    let mut book = Book::new(SEED);
    let place = run(&mut book, "select a", 1, 5);
    run(&mut book, "select b", 1, 5);
    let place_of_b = run(&mut book, "select b", 1, 5);
    assert_ne!(place, place_of_b);
    book.reset();
    assert_eq!(calls(&book), 0);
    assert_eq!(run(&mut book, "select b", 1, 5), place_of_b);
    assert_eq!((calls(&book), book.rest.calls), (1, 0));
}
