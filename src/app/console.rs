//! Lets console clients in.

use std::sync::Arc;

use crate::client::enter::{Guest, Rights};
use crate::client::fault::Fault;
use crate::pooler::Pooler;

/// The door to the console.
#[derive(Debug, Clone, Default)]
pub struct Consoles {}

impl Consoles {
    /// Serves one console client.
    pub async fn serve(&self, pooler: &Arc<Pooler>, guest: Box<Guest>, _rights: Rights) {
        let Guest {
            visitor,
            mut stream,
            proof,
            ..
        } = *guest;
        let config = pooler.config();
        let fault = Fault::Unsupported("console");
        visitor
            .send_away(&config, &mut stream, &proof, &fault)
            .await;
    }
}
