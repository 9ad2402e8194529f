//! Sans-IO. The one question of a monitor, and what its answer means.
//!
//! An ordinary user may ask it, of any server from 13 on. Only `received_tli` is hidden from users
//! without `pg_monitor`; the control file tells the timeline as well, but later.

use std::time::Instant;

use crate::cluster::{Lsn, Observation, Role};

/// The question. Positions stand last: what the rest costs must not make them older.
pub const QUESTION: &str = "\
    SELECT pg_catalog.pg_is_in_recovery(), \
    (SELECT system_identifier FROM pg_catalog.pg_control_system()), \
    (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint, \
    pg_catalog.current_setting('wal_block_size'), \
    CASE WHEN pg_catalog.pg_is_in_recovery() \
      THEN greatest((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), \
        (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()), \
        (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))::text END, \
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() \
      THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) END, \
    CASE WHEN pg_catalog.pg_is_in_recovery() \
      THEN pg_catalog.pg_last_wal_replay_lsn() \
      ELSE pg_catalog.pg_current_wal_insert_lsn() END, \
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() END";

/// Columns of the answer.
pub const COLUMNS: usize = 8;

/// Bytes before the first record on a page of the log (`SizeOfXLogShortPHD`).
const PAGE_HEADER: u64 = 24;

/// A value of the answer is not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} in the answer to the monitor's question")]
pub struct Unreadable(&'static str);

/// Which connection answered, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Number of the connection.
    pub connection: u64,
    /// When it was asked.
    pub at: Instant,
    /// When the answer was there.
    pub answered_at: Instant,
}

/// Reads the answer: one row of texts.
pub fn read(row: &[Option<Vec<u8>>], asked: Asked) -> Result<Observation, Unreadable> {
    let text = |place: usize| {
        let value = row.get(place).and_then(Option::as_deref)?;
        std::str::from_utf8(value).ok()
    };
    let lsn = |place: usize| text(place).and_then(|text| text.parse::<Lsn>().ok());
    let role = match text(0) {
        Some("t") => Role::Replica,
        Some("f") => Role::Primary,
        Some(_) | None => return Err(Unreadable("a role")),
    };
    let timeline = match role {
        Role::Replica => text(4).and_then(|text| text.parse().ok()),
        // The first eight digits of the file's name.
        Role::Primary => text(5)
            .and_then(|name| name.get(..8))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok()),
    };
    let system_id = text(1).and_then(|text| text.parse::<i64>().ok());
    let block = text(3).and_then(|text| text.parse::<u64>().ok());
    let shown = lsn(6).ok_or(Unreadable("a position"))?;
    let (shown, bound) = match role {
        Role::Primary => {
            let end = end_of_records(shown, block.ok_or(Unreadable("a block size"))?);
            (end, Some(end))
        }
        // After its receiver was started anew it names the beginning of a file.
        Role::Replica => (shown, lsn(7).filter(|received| *received >= shown)),
    };
    Ok(Observation {
        role,
        timeline: timeline.ok_or(Unreadable("a timeline"))?,
        system_id: system_id
            .ok_or(Unreadable("a system identifier"))?
            .cast_unsigned(),
        shown,
        bound,
        started_at: text(2)
            .and_then(|text| text.parse().ok())
            .ok_or(Unreadable("a start time"))?,
        connection: asked.connection,
        asked_at: asked.at,
        answered_at: asked.answered_at,
    })
}

/// A primary whose last record fills a page names the place behind the header of the next one,
/// which a replica does not reach before there is another record.
fn end_of_records(insert: Lsn, block: u64) -> Lsn {
    match insert.0.checked_rem(block) {
        Some(PAGE_HEADER) => Lsn(insert.0 - PAGE_HEADER),
        Some(_) | None => insert,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: [&str; COLUMNS]) -> Vec<Option<Vec<u8>>> {
        let value = |value: &str| (!value.is_empty()).then(|| value.as_bytes().to_vec());
        values.into_iter().map(value).collect()
    }

    fn asked() -> Asked {
        let now = tokio::time::Instant::now().into_std();
        Asked {
            connection: 3,
            at: now,
            answered_at: now,
        }
    }

    const PRIMARY: [&str; COLUMNS] = [
        "f",
        "7565",
        "100",
        "8192",
        "",
        "0000000A0000000000000003",
        "0/3000148",
        "",
    ];
    const REPLICA: [&str; COLUMNS] = ["t", "7565", "100", "8192", "2", "", "0/30", "0/40"];

    #[test]
    fn the_answers_of_both_roles_are_read() {
        let primary = read(&row(PRIMARY), asked()).unwrap();
        assert_eq!(primary.role, Role::Primary);
        assert_eq!(primary.timeline, 10);
        assert_eq!((primary.system_id, primary.started_at), (7565, 100));
        assert_eq!(primary.shown, Lsn(0x0300_0148));
        assert_eq!(primary.bound, Some(primary.shown));
        let replica = read(&row(REPLICA), asked()).unwrap();
        assert_eq!(replica.role, Role::Replica);
        assert_eq!(replica.timeline, 2);
        assert_eq!((replica.shown, replica.bound), (Lsn(0x30), Some(Lsn(0x40))));
        assert_eq!(replica.connection, 3);
    }

    #[test]
    fn a_receiver_that_has_just_started_gives_no_bound() {
        for received in ["0/20", ""] {
            let mut values = REPLICA;
            values[7] = received;
            assert_eq!(read(&row(values), asked()).unwrap().bound, None);
        }
    }

    #[test]
    fn an_empty_page_of_the_log_is_not_waited_for() {
        for (insert, block, end) in [
            (0x0300_2018, 8192, 0x0300_2000),
            (0x0300_2020, 8192, 0x0300_2020),
            (0x0300_2018, 16384, 0x0300_2018),
            (0x0300_2018, 0, 0x0300_2018),
        ] {
            assert_eq!(end_of_records(Lsn(insert), block), Lsn(end));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (place, missing) in [
            (0, "a role"),
            (1, "a system identifier"),
            (2, "a start time"),
            (3, "a block size"),
            (5, "a timeline"),
            (6, "a position"),
        ] {
            for wrong in ["", "x"] {
                let mut values = PRIMARY;
                values[place] = wrong;
                let expected = Err(Unreadable(missing));
                assert_eq!(read(&row(values), asked()), expected, "{place}");
            }
        }
        assert_eq!(read(&[], asked()), Err(Unreadable("a role")));
    }
}
