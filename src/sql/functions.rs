//! Sans-IO. What is known of `PostgreSQL`'s own functions, by name alone.
//!
//! Names, not signatures: which overload is meant depends on the types of the arguments, and those
//! cannot be seen in a statement. So a name is harmless only if all its overloads are.
//! Invariant: a name that is in none of the lists here is `None`, never harmless.
//! Not here: functions that users made (`catalog`).

use std::cmp::Ordering;

use super::verdict::{Effect, Reason, Verdict};

/// The functions of `PostgreSQL` itself; its first three lines say how it was made.
const BUILTIN: &str = include_str!("builtin.txt");
/// What ends the lines of those of which some overload is volatile. Sorts before every letter.
const VOLATILE: &[u8] = b"!";

/// The longest name that `PostgreSQL` tells apart, in bytes.
pub const NAME_BYTES: usize = 63;

/// Volatile, but the same on every server: chance, the clock, and waiting.
const HARMLESS: &[&str] = &[
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "gen_random_uuid",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "random",
    "random_normal",
    "timeofday",
    "uuidv4",
    "uuidv7",
];

/// The same, of extensions that come with `PostgreSQL`. They are written in C; a function of that
/// name in another language is somebody else's.
const HARMLESS_IN_C: &[&str] = &[
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "normal_rand",
    "pgp_pub_encrypt",
    "pgp_pub_encrypt_bytea",
    "pgp_sym_encrypt",
    "pgp_sym_encrypt_bytea",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
];

/// Of those that begin with `pg_`, the ones whose answer is the same on every server. All others
/// tell of the server, its log or its processes, or change something there.
const SAME_EVERYWHERE: &[&str] = &[
    "pg_basetype",
    "pg_char_to_encoding",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_collation_is_visible",
    "pg_column_compression",
    "pg_column_is_updatable",
    "pg_column_size",
    "pg_conversion_is_visible",
    "pg_describe_object",
    "pg_encoding_max_length",
    "pg_encoding_to_char",
    "pg_function_is_visible",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arg_default",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_function_sqlbody",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_keywords",
    "pg_get_object_address",
    "pg_get_partition_constraintdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef",
    "pg_get_triggerdef",
    "pg_get_userbyid",
    "pg_get_viewdef",
    "pg_has_role",
    "pg_identify_object",
    "pg_identify_object_as_address",
    "pg_index_column_has_property",
    "pg_index_has_property",
    "pg_indexam_has_property",
    "pg_input_error_info",
    "pg_input_is_valid",
    "pg_lsn_cmp",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_options_to_table",
    "pg_partition_root",
    "pg_relation_is_updatable",
    "pg_size_bytes",
    "pg_size_pretty",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_snapshot_xip",
    "pg_snapshot_xmax",
    "pg_snapshot_xmin",
    "pg_statistics_obj_is_visible",
    "pg_table_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_type_is_visible",
    "pg_typeof",
    "pg_visible_in_snapshot",
    "pg_wal_lsn_diff",
];

/// Names that say by themselves that the statement is for the primary, and why, whatever the
/// catalog says of their volatility and whoever made them.
pub fn never_harmless(name: &str) -> Option<Verdict> {
    if name.len() > NAME_BYTES {
        return Some(Verdict::primary(Reason::UnknownFunction)); // the server cuts it to another name
    }
    let reason = match name {
        "currval" | "lastval" => {
            return Some(Verdict::primary(Reason::SessionState).with(Effect::Pins));
        }
        "nextval" | "setval" => Reason::VolatileFunction,
        "setseed" | "pg_export_snapshot" => Reason::SessionState,
        "set_config" | "current_setting" => Reason::Setting,
        "loread" | "lowrite" | "pg_notify" => Reason::Write,
        "inet_server_addr" | "inet_server_port" | "inet_client_addr" | "inet_client_port"
        | "version" => Reason::NodeDependent,
        _ => return by_beginning(name),
    };
    Some(Verdict::primary(reason))
}

fn by_beginning(name: &str) -> Option<Verdict> {
    if name.starts_with("pg_advisory_") || name.starts_with("pg_try_advisory_") {
        return Some(advisory(name));
    }
    let runs_a_query = [
        "table_to_",
        "schema_to_",
        "database_to_",
        "query_to_",
        "cursor_to_",
    ];
    let reason = if name.starts_with("lo_") {
        Reason::Write
    } else if name.starts_with("txid_")
        || (name.starts_with("pg_") && SAME_EVERYWHERE.binary_search(&name).is_err())
    {
        Reason::NodeDependent
    } else if name.starts_with("dblink")
        || name.starts_with("binary_upgrade_")
        || runs_a_query
            .iter()
            .any(|beginning| name.starts_with(beginning))
    {
        Reason::VolatileFunction
    } else {
        return None;
    };
    Some(Verdict::primary(reason))
}

/// Any of the functions for advisory locks. Those of a transaction end with it.
fn advisory(name: &str) -> Verdict {
    let verdict = Verdict::primary(Reason::AdvisoryLock);
    if name.contains("_unlock") {
        verdict.with(Effect::Unpins)
    } else if name.contains("_xact_") {
        verdict
    } else {
        verdict.with(Effect::Pins)
    }
}

/// Whether a function of `PostgreSQL` itself, with all its overloads, may run on any server;
/// `None` if it has none of that name.
pub fn builtin_is_harmless(name: &str) -> Option<bool> {
    let name = name.as_bytes();
    if !name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        return None; // also what would hit a comment or a mark of the table
    }
    if has_line(BUILTIN.as_bytes(), name, b"") {
        Some(true)
    } else if has_line(BUILTIN.as_bytes(), name, VOLATILE) {
        Some(HARMLESS.iter().any(|harmless| harmless.as_bytes() == name))
    } else {
        None
    }
}

/// Whether an extension that comes with `PostgreSQL` has a volatile one of this name in C that
/// changes nothing.
pub fn harmless_in_c(name: &str) -> bool {
    HARMLESS_IN_C.binary_search(&name).is_ok()
}

/// Whether one of the sorted lines is `name` with this ending.
fn has_line(mut lines: &[u8], name: &[u8], ending: &[u8]) -> bool {
    while !lines.is_empty() {
        let (before, after) = lines.split_at(lines.len() / 2);
        let begin = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let end = memchr::memchr(b'\n', after).map_or(lines.len(), |at| before.len() + at);
        let line = lines.get(begin..end).unwrap_or_default();
        match name.iter().chain(ending).cmp(line) {
            Ordering::Equal => return true,
            Ordering::Less => lines = lines.get(..begin).unwrap_or_default(),
            Ordering::Greater => lines = lines.get(end + 1..).unwrap_or_default(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_found_and_nothing_between_them() {
        let lines: Vec<&str> = BUILTIN.lines().skip(3).collect();
        assert!(lines.len() > 2000, "{}", lines.len());
        for pair in lines.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for line in lines {
            let name = line.trim_end_matches('!');
            assert!(builtin_is_harmless(name).is_some(), "{name}");
            assert_eq!(builtin_is_harmless(&format!("{name}\u{1}")), None, "{name}");
        }
        for odd in ["", "\n", "upper\n", "upp", "~", "random!", "!"] {
            assert_eq!(builtin_is_harmless(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn lists_are_sorted_as_they_are_searched() {
        for list in [HARMLESS, HARMLESS_IN_C, SAME_EVERYWHERE] {
            assert!(list.is_sorted());
        }
    }

    #[test]
    fn volatile_functions_are_harmless_only_if_they_are_listed() {
        for name in [
            "nextval",
            "setval",
            "lo_get",
            "pg_notify",
            "query_to_xml",
            "ts_stat",
        ] {
            assert_eq!(builtin_is_harmless(name), Some(false), "{name}");
        }
        for name in HARMLESS {
            assert_eq!(builtin_is_harmless(name), Some(true), "{name}");
        }
    }

    #[test]
    fn locks_of_a_session_pin_and_those_of_a_transaction_do_not() {
        let effects = |name| never_harmless(name).expect("known").effects;
        for lock in [
            "pg_advisory_lock",
            "pg_try_advisory_lock",
            "pg_advisory_lock_shared",
        ] {
            assert!(effects(lock).has(Effect::Pins), "{lock}");
        }
        for lock in ["pg_advisory_xact_lock", "pg_try_advisory_xact_lock_shared"] {
            assert!(!effects(lock).has(Effect::Pins), "{lock}");
        }
        for lock in [
            "pg_advisory_unlock",
            "pg_advisory_unlock_all",
            "pg_advisory_unlock_shared",
        ] {
            assert!(effects(lock).has(Effect::Unpins), "{lock}");
            assert!(!effects(lock).has(Effect::Pins), "{lock}");
        }
    }
}
