//! Sans-IO. Which client encodings the lexer can read.

/// Encodings with characters that have an ASCII byte inside, a backslash for one. The server
/// converts them before it reads; read as they come, strings would seem to end elsewhere.
const UNSAFE: [&str; 18] = [
    "sjis",
    "shiftjis",
    "mskanji",
    "win932",
    "windows932",
    "shiftjis2004",
    "sjis2004",
    "big5",
    "win950",
    "windows950",
    "gbk",
    "win936",
    "windows936",
    "uhc",
    "win949",
    "windows949",
    "gb18030",
    "johab",
];

/// Whether a text in this `client_encoding` is read right. Names are compared as `PostgreSQL` does:
/// without case and without what is neither letter nor digit.
pub fn can_read(client_encoding: &[u8]) -> bool {
    let known = |name: &&str| {
        let letters = client_encoding.iter().filter(|b| b.is_ascii_alphanumeric());
        letters.map(u8::to_ascii_lowercase).eq(name.bytes())
    };
    !UNSAFE.iter().any(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_with_ascii_inside_characters_cannot_be_read() {
        for name in [
            "SJIS",
            "Shift_JIS",
            "BIG5",
            "gbk",
            "UHC",
            "GB18030",
            "johab",
            "SHIFT_JIS_2004",
        ] {
            assert!(!can_read(name.as_bytes()), "{name}");
        }
        for name in [
            "UTF8",
            "utf-8",
            "LATIN1",
            "SQL_ASCII",
            "EUC_JP",
            "WIN1252",
            "KOI8R",
            "",
        ] {
            assert!(can_read(name.as_bytes()), "{name}");
        }
    }
}
