//! What measures a case.

/// Takes a case's name, the bytes that its operation deals with (0 where that means nothing), and
/// the operation, which it runs as often as it likes.
pub type Meter<'a> = dyn FnMut(&str, usize, &mut dyn FnMut()) + 'a;
