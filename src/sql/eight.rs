//! Sans-IO. Eight bytes at once, as one number: the first byte is the lowest.

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;
const LOW: u64 = !HIGH;

/// Marks, with its highest bit, each byte that is in the range. All bytes must be below 0x80.
fn between(bytes: u64, first: u8, last: u8) -> u64 {
    let reached = bytes + (0x80 - u64::from(first)) * EACH;
    let passed = bytes + (0x7f - u64::from(last)) * EACH;
    reached & !passed & HIGH
}

/// Makes the ASCII capitals small.
pub fn lower(bytes: u64) -> u64 {
    let capitals = between(bytes & LOW, b'A', b'Z') & !bytes;
    bytes | (capitals >> 2)
}

/// How many bytes at the start belong to a name: letters, digits, `_`, and what is not ASCII.
pub fn name_length(bytes: u64) -> usize {
    let ascii = bytes & LOW;
    let letters = between(ascii | (0x20 * EACH), b'a', b'z');
    let digits = between(ascii, b'0', b'9');
    let underscores = between(ascii, b'_', b'_');
    let others = !(bytes | letters | digits | underscores) & HIGH;
    (others.trailing_zeros() / 8) as usize
}

/// Up to eight bytes; what is missing is zero.
pub fn load(bytes: &[u8]) -> u64 {
    if let Some(eight) = bytes.first_chunk() {
        return u64::from_le_bytes(*eight);
    }
    let length = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Bytes that are in both halves come to lie on themselves.
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (length - 4));
    }
    match bytes {
        [] => 0,
        [a] => u64::from(*a),
        [a, b] => u64::from(*a) | u64::from(*b) << 8,
        [a, b, c, ..] => u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_what_it_is_alone_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                for around in [b'a', b'Z', 0, b' ', 0xff] {
                    let mut bytes = [around; 8];
                    bytes[place] = byte;
                    let small = bytes.to_ascii_lowercase();
                    let number = u64::from_le_bytes(bytes);
                    assert_eq!(lower(number).to_le_bytes(), small[..], "{bytes:?}");
                    let is_name = |byte: &u8| {
                        byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii()
                    };
                    let length = bytes.iter().take_while(|byte| is_name(byte)).count();
                    assert_eq!(name_length(number), length, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn fewer_bytes_are_filled_up_with_zeros() {
        for length in 0..=8 {
            let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
            let mut expected = bytes;
            expected[length..].fill(0);
            assert_eq!(load(&bytes[..length]).to_le_bytes(), expected);
        }
    }
}
