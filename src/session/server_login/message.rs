//! Sans-IO. The messages that pgweir sends while it logs in to a server.

use bytes::{BufMut, BytesMut};

use super::{ServerLoginError, ServerLoginRequest};
use crate::auth::scram::MECHANISM;

/// Longest startup packet that `PostgreSQL` reads, in bytes.
pub const STARTUP_BYTES_MAX: usize = 10_000;

/// Protocol 3.0 in the startup packet.
const PROTOCOL_3_0: u32 = 3 << 16;

/// `StartupMessage` for protocol 3.0.
pub(super) fn startup_packet(request: &ServerLoginRequest) -> Result<BytesMut, ServerLoginError> {
    let mut pairs: Vec<(&[u8], &[u8])> = vec![(b"user", &request.user)];
    pairs.push((b"database", &request.database));
    let further = request.parameters.iter();
    pairs.extend(further.map(|parameter| (&*parameter.name, &*parameter.value)));
    let mut body = Vec::new();
    for (name, value) in pairs {
        let zero = memchr::memchr(0, name).or(memchr::memchr(0, value));
        if name.is_empty() || zero.is_some() {
            return Err(ServerLoginError::BadParameter);
        }
        body.extend_from_slice(&[name, b"\0", value, b"\0"].concat());
    }
    body.push(0);
    let length = body.len() + 8;
    if length > STARTUP_BYTES_MAX {
        return Err(ServerLoginError::StartupTooLong { length });
    }
    let mut packet = BytesMut::with_capacity(length);
    packet.put_u32(u32::try_from(length).expect("a startup packet is short"));
    packet.put_u32(PROTOCOL_3_0);
    packet.put_slice(&body);
    Ok(packet)
}

/// `SASLInitialResponse`.
pub(super) fn sasl_initial(message: &[u8]) -> BytesMut {
    let length = u32::try_from(message.len()).expect("a SCRAM message is short");
    password_message(&[MECHANISM.as_bytes(), b"\0", &length.to_be_bytes(), message].concat())
}

/// A `p` message: password, SASL response.
pub(super) fn password_message(body: &[u8]) -> BytesMut {
    let mut message = BytesMut::with_capacity(body.len() + 5);
    message.put_u8(b'p');
    message.put_u32(u32::try_from(body.len() + 4).expect("a proof is short"));
    message.put_slice(body);
    message
}
