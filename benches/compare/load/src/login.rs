//! Sans-IO. The client's side of a login: none, plain, md5 or SCRAM-SHA-256.
//!
//! Keys are kept, so that a login costs the generator a few hashes and not four thousand. The
//! server's proof is not looked at: this is a generator of load, not a client to trust.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::error::LoadError;
use crate::wire::message;

type Key = [u8; 32];

/// Most rounds of hashing that a server may ask for.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Who logs in, and the keys made of the password so far.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The database.
    pub database: String,
    password: String,
    keys: HashMap<(Vec<u8>, u32), Key>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}@{})", self.user, self.database)
    }
}

impl Credentials {
    /// Without keys.
    pub fn new(user: String, database: String, password: String) -> Self {
        Self {
            user,
            database,
            password,
            keys: HashMap::new(),
        }
    }

    fn salted(&mut self, salt: Vec<u8>, iterations: u32) -> Key {
        let password = self.password.as_bytes();
        let entry = self.keys.entry((salt, iterations));
        let key = |(salt, iterations): &(Vec<u8>, u32)| pbkdf2(password, salt, *iterations);
        *entry.or_insert_with_key(key)
    }
}

/// One login.
#[derive(Debug)]
pub struct Login {
    nonce: u64,
    first_bare: String,
}

impl Login {
    /// A login whose nonce is `nonce`, which no other may have.
    pub fn new(nonce: u64) -> Self {
        Self {
            nonce,
            first_bare: String::new(),
        }
    }

    /// The answer to an `Authentication` message with this body; empty where none is due.
    pub fn answer(&mut self, body: &[u8], who: &mut Credentials) -> Result<Vec<u8>, LoadError> {
        let (code, rest) = body
            .split_first_chunk::<4>()
            .ok_or(LoadError::Protocol("a short authentication message"))?;
        let mut out = Vec::new();
        match u32::from_be_bytes(*code) {
            0 | 12 => {}
            3 => message(&mut out, b'p', format!("{}\0", who.password).as_bytes()),
            5 => message(&mut out, b'p', md5_answer(who, rest).as_bytes()),
            10 => self.scram_first(&mut out),
            11 => self.scram_final(&mut out, rest, who)?,
            other => return Err(LoadError::Login(other)),
        }
        Ok(out)
    }

    fn scram_first(&mut self, out: &mut Vec<u8>) {
        self.first_bare = format!("n=,r=load{:016x}", self.nonce);
        let first = format!("n,,{}", self.first_bare);
        let length = u32::try_from(first.len()).expect("it is some thirty bytes");
        let body = [
            b"SCRAM-SHA-256\0",
            &length.to_be_bytes()[..],
            first.as_bytes(),
        ];
        message(out, b'p', &body.concat());
    }

    fn scram_final(
        &mut self,
        out: &mut Vec<u8>,
        server_first: &[u8],
        who: &mut Credentials,
    ) -> Result<(), LoadError> {
        const BAD: LoadError = LoadError::Protocol("a SCRAM message that makes no sense");
        let server_first = str::from_utf8(server_first).map_err(|_| BAD)?;
        let field = |name| server_first.split(',').find_map(|f| f.strip_prefix(name));
        let nonce = field("r=").ok_or(BAD)?;
        let salt = STANDARD.decode(field("s=").ok_or(BAD)?).map_err(|_| BAD)?;
        let iterations = field("i=").and_then(|i| i.parse().ok()).ok_or(BAD)?;
        if iterations > ITERATIONS_MAX {
            return Err(BAD);
        }
        let client_key = mac(&who.salted(salt, iterations), &[b"Client Key"]);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let stored_key: Key = Sha256::digest(client_key).into();
        let signature = mac(&stored_key, &[signed.as_bytes()]);
        let proof = STANDARD.encode(xor(client_key, signature));
        let body = format!("{without_proof},p={proof}");
        message(out, b'p', body.as_bytes());
        Ok(())
    }
}

fn md5_answer(who: &Credentials, salt: &[u8]) -> String {
    let inner = hex(&Md5::digest([&who.password, &*who.user].concat()));
    format!(
        "md5{}\0",
        hex(&Md5::digest([inner.as_bytes(), salt].concat()))
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn xor(a: Key, b: Key) -> Key {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out ^= b;
    }
    out
}

/// The one block of PBKDF2 that SCRAM needs.
fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let mut block = mac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = block;
    for _ in 1..iterations {
        block = mac(password, &[&block]);
        sum = xor(sum, block);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user: &str, password: &str) -> Credentials {
        Credentials::new(user.to_owned(), "db".to_owned(), password.to_owned())
    }

    /// RFC 7677, section 3, gives the salted password's outcome only through the proof; this is the
    /// vector of RFC 7914, section 11, for the function below it.
    #[test]
    fn pbkdf2_agrees_with_the_known_vector() {
        let key = hex(&pbkdf2(b"passwd", b"salt", 1));
        assert_eq!(
            key,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
    }

    #[test]
    fn the_proof_is_that_of_the_rfc() {
        let mut login = Login::new(0);
        login.first_bare = "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned();
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let body = [&11_u32.to_be_bytes()[..], server_first.as_bytes()].concat();
        let out = login.answer(&body, &mut who("user", "pencil")).unwrap();
        let text = String::from_utf8_lossy(&out).into_owned();
        assert!(text.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    }

    #[test]
    fn an_unknown_method_is_an_error() {
        let outcome = Login::new(1).answer(&7_u32.to_be_bytes(), &mut who("u", "p"));
        assert!(matches!(outcome, Err(LoadError::Login(7))));
    }
}
