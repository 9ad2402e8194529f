//! Buffers that are lent while bytes are in flight.
//!
//! An idle connection owns no buffer. Each worker thread keeps a few empty ones, so that a busy
//! connection neither allocates nor keeps what it used. Invariant: at most 64 small and 16
//! large ones stay with a thread, and none that has grown beyond its class.

use std::cell::RefCell;

use bytes::BytesMut;

/// Bytes of a buffer for queries and small answers.
pub const SMALL: usize = 8 << 10;
/// Bytes of a buffer for results and bulk data.
pub const LARGE: usize = 128 << 10;
/// Buffers that a thread keeps of each size: small ones, large ones.
const KEPT: (usize, usize) = (64, 16);

/// Which size is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// [`SMALL`].
    Small,
    /// [`LARGE`].
    Large,
}

#[derive(Default)]
struct Shelf {
    small: Vec<BytesMut>,
    large: Vec<BytesMut>,
}

thread_local! {
    static SHELF: RefCell<Shelf> = RefCell::default();
}

/// An empty buffer with at least the capacity of its class.
pub fn take(size: Size) -> BytesMut {
    let kept = SHELF.with_borrow_mut(|shelf| match size {
        Size::Small => shelf.small.pop(),
        Size::Large => shelf.large.pop(),
    });
    kept.unwrap_or_else(|| {
        BytesMut::with_capacity(match size {
            Size::Small => SMALL,
            Size::Large => LARGE,
        })
    })
}

/// A buffer for messages of our own.
pub fn small() -> BytesMut {
    take(Size::Small)
}

/// Takes a buffer back. What is in it is dropped.
pub fn give(mut buffer: BytesMut) {
    buffer.clear();
    let class = match buffer.capacity() {
        SMALL => Size::Small, // as it was lent: by far the most frequent case
        ..SMALL if !buffer.try_reclaim(SMALL) => return,
        ..=LARGE if buffer.try_reclaim(LARGE) => Size::Large,
        ..LARGE => Size::Small,
        _ => Size::Large,
    };
    if buffer.capacity() > 2 * LARGE {
        return; // grown for one huge message: give it back to the allocator
    }
    SHELF.with_borrow_mut(|shelf| {
        let (class, kept) = match class {
            Size::Small => (&mut shelf.small, KEPT.0),
            Size::Large => (&mut shelf.large, KEPT.1),
        };
        if class.len() < kept {
            class.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again_empty() {
        let mut buffer = take(Size::Small);
        buffer.extend_from_slice(b"secret");
        let address = buffer.as_ptr();
        give(buffer);
        let again = take(Size::Small);
        assert_eq!(again.as_ptr(), address);
        assert!(again.is_empty());
    }

    #[test]
    fn a_drained_buffer_comes_back_with_its_full_size() {
        let mut buffer = take(Size::Large);
        buffer.resize(LARGE, 1);
        bytes::Buf::advance(&mut buffer, LARGE - 10);
        give(buffer);
        assert!(take(Size::Large).capacity() >= LARGE);
    }

    #[test]
    fn overgrown_buffers_go_back_to_the_allocator() {
        give(BytesMut::with_capacity(16 * LARGE));
        SHELF.with_borrow(|shelf| assert!(shelf.large.iter().all(|b| b.capacity() <= 2 * LARGE)));
    }
}
