//! Sans-IO. Cancel keys: those that clients get from us, and the `CancelRequest` that servers get.
//!
//! A client key has the layout of `PgBouncer`'s peering, so that processes of both programs can
//! stand side by side in one `[peers]` group: bytes 1 and 2 hold the id of the process that owns the
//! client (little endian), the low two bits of byte 7 hold how often the request may still be passed
//! on. Everything else is random. The sign bit of byte 0 is clear, as drivers show the first four
//! bytes as a process id.
//!
//! Invariant: no key is ever shown by `Debug`; whoever knows one can cancel queries.

use std::fmt;

use super::reader::array_at;

/// Code of a `CancelRequest` in the place of a protocol version.
pub const CANCEL_CODE: u32 = 80_877_102;

/// Bytes of the shortest key: process id and the four secret bytes of protocol 3.0.
pub const KEY_LEN_MIN: usize = 8;

/// Bytes of the longest key: process id and the 256 secret bytes that protocol 3.2 allows.
pub const KEY_LEN_MAX: usize = 260;

/// How often a request may be passed on to a peer; also the mask of those bits in byte 7.
const TTL_MASK: u8 = 0b11;

/// Id of one process in a peering group (`PgBouncer` `peer_id`): 1 to 16383.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u16);

impl PeerId {
    /// Largest id that the configuration accepts.
    pub const MAX: u16 = 16_383;

    /// An id in the allowed range; `None` for anything else, also for 0 (peering is off).
    pub fn new(id: u16) -> Option<Self> {
        (1..=Self::MAX).contains(&id).then_some(Self(id))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The eight bytes that a client gets in `BackendKeyData`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey([u8; 8]);

/// Where a `CancelRequest` has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelRoute {
    /// The client is ours, if it exists: look it up by this key.
    Local(ClientKey),
    /// The client belongs to another process: send it this key, which has one hop less.
    Forward {
        /// The number in the key; there may be no such peer.
        peer: u16,
        /// What to send.
        key: ClientKey,
    },
    /// The client belongs to another process, but the request has been passed on too often.
    Expired {
        /// The number in the key.
        peer: u16,
    },
}

impl ClientKey {
    /// A key for a new client from eight random bytes.
    pub fn generate(random: [u8; 8], own: Option<PeerId>) -> Self {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = random;
        let b0 = b0 & 0x7f;
        match own {
            None => Self([b0, b1, b2, b3, b4, b5, b6, b7]),
            Some(PeerId(id)) => {
                let [low, high] = id.to_le_bytes();
                Self([b0, low, high, b3, b4, b5, b6, b7 | TTL_MASK])
            }
        }
    }

    /// From the key of a `CancelRequest`; `None` unless it has eight bytes, as all our keys have.
    pub fn from_bytes(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self)
    }

    /// The bytes for `BackendKeyData` or `CancelRequest`.
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// Decides who has to cancel. `own` is `None` when peering is off: then every key is local.
    pub fn route(self, own: Option<PeerId>) -> CancelRoute {
        let Some(own) = own else {
            return CancelRoute::Local(self);
        };
        let [b0, low, high, b3, b4, b5, b6, b7] = self.0;
        let peer = u16::from_le_bytes([low, high]);
        let with_last = |last| Self([b0, low, high, b3, b4, b5, b6, last]);
        if peer == own.number() {
            return CancelRoute::Local(with_last(b7 | TTL_MASK));
        }
        match b7 & TTL_MASK {
            0 => CancelRoute::Expired { peer },
            _ => CancelRoute::Forward {
                peer,
                key: with_last(b7 - 1),
            },
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(..)")
    }
}

/// A key has a length that the protocol does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancel key has {0} bytes, expected {KEY_LEN_MIN} to {KEY_LEN_MAX}")]
pub struct KeyLengthError(pub usize);

/// Checks the length of a whole key (process id and secret).
pub fn check_key(key: &[u8]) -> Result<(), KeyLengthError> {
    if (KEY_LEN_MIN..=KEY_LEN_MAX).contains(&key.len()) {
        Ok(())
    } else {
        Err(KeyLengthError(key.len()))
    }
}

/// The bytes of a `CancelRequest`.
///
/// `key` is the body of the server's `BackendKeyData` as it came: process id and secret.
pub fn cancel_request(key: &[u8]) -> Result<Vec<u8>, KeyLengthError> {
    check_key(key)?;
    let total = 8 + key.len();
    let length = u32::try_from(total).map_err(|_| KeyLengthError(key.len()))?;
    let mut packet = Vec::with_capacity(total);
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&CANCEL_CODE.to_be_bytes());
    packet.extend_from_slice(key);
    Ok(packet)
}

/// The process id at the start of a server's key, for logs; `None` when it is too short.
pub fn process_id(key: &[u8]) -> Option<i32> {
    array_at(key, 0).map(i32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u16) -> PeerId {
        PeerId::new(id).unwrap()
    }

    #[test]
    fn peer_ids_have_the_range_of_the_peers_section() {
        assert_eq!(PeerId::new(0), None);
        assert_eq!(PeerId::new(16_384), None);
        assert_eq!(peer(16_383).number(), 16_383);
    }

    #[test]
    fn a_key_has_the_layout_of_pgbouncers_peering() {
        let key = ClientKey::generate([0xff; 8], Some(peer(0x0102)));
        assert_eq!(
            key.bytes(),
            [0x7f, 0x02, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff]
        );
        let key = ClientKey::generate([0; 8], Some(peer(1)));
        assert_eq!(key.bytes(), [0, 1, 0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn without_peering_only_the_sign_bit_is_taken() {
        let key = ClientKey::generate([0xff, 1, 2, 3, 4, 5, 6, 0], None);
        assert_eq!(key.bytes(), [0x7f, 1, 2, 3, 4, 5, 6, 0]);
        assert_eq!(key.route(None), CancelRoute::Local(key));
    }

    #[test]
    fn a_request_is_passed_on_three_times_and_then_dropped() {
        let original = ClientKey::generate([0xa8; 8], Some(peer(7)));
        let mut key = original;
        for hops_left in (0..3).rev() {
            let CancelRoute::Forward { peer: 7, key: next } = key.route(Some(peer(9))) else {
                panic!("not forwarded with {hops_left} hops left");
            };
            assert_eq!(next.bytes()[7] & 3, hops_left);
            assert_eq!(
                next.route(Some(peer(7))),
                CancelRoute::Local(original),
                "the owner finds its client whatever is left of the hops"
            );
            key = next;
        }
        assert_eq!(key.route(Some(peer(9))), CancelRoute::Expired { peer: 7 });
    }

    #[test]
    fn only_eight_bytes_can_be_a_key_of_ours() {
        for length in 0..20 {
            let found = ClientKey::from_bytes(&vec![1; length]);
            assert_eq!(found.is_some(), length == 8, "length {length}");
        }
    }

    #[test]
    fn a_cancel_request_has_its_documented_bytes() {
        assert_eq!(
            cancel_request(b"\x00\x00\x12\x34abcd").unwrap(),
            b"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x12\x34abcd"
        );
        assert_eq!(process_id(b"\x00\x00\x12\x34abcd"), Some(0x1234));
    }

    #[test]
    fn server_keys_outside_the_protocols_lengths_are_refused() {
        assert_eq!(cancel_request(&[0; 7]), Err(KeyLengthError(7)));
        assert_eq!(cancel_request(&[0; 261]), Err(KeyLengthError(261)));
        let longest = cancel_request(&[0; 260]).unwrap();
        assert_eq!(longest.len(), 268);
        assert_eq!(longest[..4], [0, 0, 1, 12]);
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = ClientKey::generate([0x2a; 8], None);
        assert_eq!(format!("{key:?}"), "ClientKey(..)");
    }
}
