//! Sans-IO. What happens to connections, counted by kind and reason.
//!
//! Once or twice for each connection, so one counter for all threads will do. Every reason is an enum's
//! word: the number of series is known.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a counter is about: a metric's name, what it means, and the labels of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
}

const SERVER_CLOSES: Subject = Subject {
    name: "pgweir_server_closes_total",
    help: "Server connections closed",
};
const SERVER_ERRANDS: Subject = Subject {
    name: "pgweir_server_errands_total",
    help: "Reset and check queries",
};
const CLIENT_LOGINS: Subject = Subject {
    name: "pgweir_client_logins_total",
    help: "Clients that were let in or refused",
};
const CLIENT_DISCONNECTS: Subject = Subject {
    name: "pgweir_client_disconnects_total",
    help: "Clients that had been let in and are gone",
};
const TLS_HANDSHAKES: Subject = Subject {
    name: "pgweir_tls_handshakes_total",
    help: "TLS handshakes",
};
const SOCKET_MOVES: Subject = Subject {
    name: "pgweir_socket_moves_total",
    help: "Server sockets moved from one worker to another",
};
const CANCEL_REQUESTS: Subject = Subject {
    name: "pgweir_cancel_requests_total",
    help: "Cancel requests that clients have sent",
};

/// The enum, all of it, and what each is counted as.
macro_rules! happenings {
    ($($name:ident: $subject:ident $([$label:literal = $value:literal])*;)+) => {
        /// Something that happens to a connection.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is a series of a metric under its own name")]
        pub enum Happening { $($name,)+ }

        impl Happening {
            /// All of them; those of one subject stand together.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// What it is counted as.
            pub fn subject(self) -> Subject {
                match self { $(Self::$name => $subject,)+ }
            }

            /// The labels of its series.
            pub fn labels(self) -> &'static [(&'static str, &'static str)] {
                match self { $(Self::$name => &[$(($label, $value)),*],)+ }
            }
        }
    };
}

happenings! {
    ClosedIdle: SERVER_CLOSES ["reason" = "idle_timeout"];
    ClosedOld: SERVER_CLOSES ["reason" = "lifetime"];
    ClosedForDatabase: SERVER_CLOSES ["reason" = "max_db_connections"];
    ClosedForUser: SERVER_CLOSES ["reason" = "max_user_connections"];
    ClosedForPool: SERVER_CLOSES ["reason" = "pool_size"];
    ClosedTooMany: SERVER_CLOSES ["reason" = "too_many"];
    ClosedAsNeeded: SERVER_CLOSES ["reason" = "close_needed"];
    ClosedByChange: SERVER_CLOSES ["reason" = "configuration"];
    ClosedByPause: SERVER_CLOSES ["reason" = "pause"];
    ClosedRemoved: SERVER_CLOSES ["reason" = "database_removed"];
    ClosedDropped: SERVER_CLOSES ["reason" = "lease_dropped"];
    ClosedCheckFailed: SERVER_CLOSES ["reason" = "check_failed"];
    ClosedResetFailed: SERVER_CLOSES ["reason" = "reset_failed"];
    ClosedCrashed: SERVER_CLOSES ["reason" = "crashed"];
    ClosedUnfinished: SERVER_CLOSES ["reason" = "unfinished"];
    Reset: SERVER_ERRANDS ["errand" = "reset"] ["outcome" = "done"];
    ResetFailed: SERVER_ERRANDS ["errand" = "reset"] ["outcome" = "failed"];
    Checked: SERVER_ERRANDS ["errand" = "check"] ["outcome" = "done"];
    CheckFailed: SERVER_ERRANDS ["errand" = "check"] ["outcome" = "failed"];
    LetIn: CLIENT_LOGINS ["outcome" = "ok"];
    RefusedStartup: CLIENT_LOGINS ["outcome" = "startup"];
    RefusedProof: CLIENT_LOGINS ["outcome" = "wrong_proof"];
    RefusedFull: CLIENT_LOGINS ["outcome" = "too_many_clients"];
    RefusedRight: CLIENT_LOGINS ["outcome" = "not_allowed"];
    RefusedDatabase: CLIENT_LOGINS ["outcome" = "no_such_database"];
    RefusedStopping: CLIENT_LOGINS ["outcome" = "shutting_down"];
    RefusedTimeout: CLIENT_LOGINS ["outcome" = "timeout"];
    RefusedServer: CLIENT_LOGINS ["outcome" = "server"];
    RefusedLost: CLIENT_LOGINS ["outcome" = "lost"];
    RefusedOther: CLIENT_LOGINS ["outcome" = "other"];
    Left: CLIENT_DISCONNECTS ["reason" = "goodbye"];
    LeftLost: CLIENT_DISCONNECTS ["reason" = "lost"];
    LeftWait: CLIENT_DISCONNECTS ["reason" = "query_wait_timeout"];
    LeftNoServer: CLIENT_DISCONNECTS ["reason" = "no_server"];
    LeftServerCrashed: CLIENT_DISCONNECTS ["reason" = "server_crashed"];
    LeftTimeout: CLIENT_DISCONNECTS ["reason" = "timeout"];
    LeftKilled: CLIENT_DISCONNECTS ["reason" = "ordered"];
    LeftProtocol: CLIENT_DISCONNECTS ["reason" = "protocol"];
    LeftOther: CLIENT_DISCONNECTS ["reason" = "other"];
    ClientTls: TLS_HANDSHAKES ["side" = "client"] ["outcome" = "ok"];
    ClientTlsFailed: TLS_HANDSHAKES ["side" = "client"] ["outcome" = "failed"];
    ServerTls: TLS_HANDSHAKES ["side" = "server"] ["outcome" = "ok"];
    ServerTlsFailed: TLS_HANDSHAKES ["side" = "server"] ["outcome" = "failed"];
    SocketMoved: SOCKET_MOVES;
    CancelRequested: CANCEL_REQUESTS;
}

/// How often each has happened.
#[derive(Debug)]
pub struct Happenings {
    counts: Box<[AtomicU64]>,
}

impl Default for Happenings {
    fn default() -> Self {
        Self {
            counts: Happening::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Happenings {
    /// It has happened once more.
    pub fn note(&self, happening: Happening) {
        if let Some(count) = self.counts.get(happening as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each has happened, in the order of [`Happening::ALL`].
    pub fn read(&self) -> Vec<(Happening, u64)> {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Happening::ALL.iter().copied().zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_a_series_of_its_own_and_those_of_a_subject_stand_together() {
        let series: BTreeSet<_> = Happening::ALL
            .iter()
            .map(|happening| (happening.subject().name, happening.labels()))
            .collect();
        assert_eq!(series.len(), Happening::ALL.len());
        let mut names: Vec<_> = Happening::ALL
            .iter()
            .map(|happening| happening.subject().name)
            .collect();
        names.dedup();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn each_is_counted_at_its_own_place() {
        let happenings = Happenings::default();
        for (place, happening) in Happening::ALL.iter().enumerate() {
            assert_eq!(*happening as usize, place);
        }
        happenings.note(Happening::SocketMoved);
        let counted = happenings
            .read()
            .into_iter()
            .filter(|(_, count)| *count > 0);
        assert_eq!(counted.collect::<Vec<_>>(), [(Happening::SocketMoved, 1)]);
    }
}
