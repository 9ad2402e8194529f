//! The columns below were read from `PgBouncer` 1.26.1 itself.

use bytes::BytesMut;

use crate::admin::answer::{self, Answer};
use crate::admin::command::{Command, Show};
use crate::admin::fixture::{FakeHost, read_replies, type_name};
use crate::admin::run::run;
use crate::admin::table::{Format, Formats, write_description};

const CONNECTION: &str = "
    type:text user:text database:text replication:text state:text addr:text port:int4
    local_addr:text local_port:int4 connect_time:text request_time:text wait:int4 wait_us:int4
    close_needed:int4 ptr:text link:text remote_pid:int4 tls:text application_name:text
    prepared_statements:int4 id:int4";

const BUFFERS: &str = "
    recv_pos:int4 pkt_pos:int4 pkt_remain:int4 send_pos:int4 send_remain:int4 pkt_avail:int4
    send_avail:int4";

/// Tables other than those of connections.
const COLUMNS: &[(Show, &str)] = &[
    (
        Show::Pools,
        "
    database:text user:text cl_active:int4 cl_waiting:int4 cl_active_cancel_req:int4
    cl_waiting_cancel_req:int4 sv_active:int4 sv_active_cancel:int4 sv_being_canceled:int4
    sv_idle:int4 sv_used:int4 sv_tested:int4 sv_login:int4 maxwait:int4 maxwait_us:int4
    pool_mode:text load_balance_hosts:text",
    ),
    (
        Show::PeerPools,
        "
    peer_id:int4 cl_active_cancel_req:int4 cl_waiting_cancel_req:int4 sv_active_cancel:int4
    sv_login:int4",
    ),
    (
        Show::Databases,
        "
    name:text host:text port:int4 database:text force_user:text pool_size:int4
    min_pool_size:int4 reserve_pool_size:int4 server_lifetime:int4 pool_mode:text
    load_balance_hosts:text max_connections:int4 current_connections:int4
    max_client_connections:int4 current_client_connections:int4 paused:int4 disabled:int4",
    ),
    (
        Show::Users,
        "
    name:text pool_size:text reserve_pool_size:text pool_mode:text max_user_connections:int4
    current_connections:int4 max_user_client_connections:int4 current_client_connections:int4",
    ),
    (
        Show::Peers,
        "
    peer_id:int4 host:text port:int4 pool_size:int4",
    ),
    (
        Show::Stats,
        "
    database:text total_server_assignment_count:numeric total_xact_count:numeric
    total_query_count:numeric total_received:numeric total_sent:numeric total_xact_time:numeric
    total_query_time:numeric total_wait_time:numeric total_client_parse_count:numeric
    total_server_parse_count:numeric total_bind_count:numeric total_client_login_count:numeric
    avg_server_assignment_count:numeric avg_xact_count:numeric avg_query_count:numeric
    avg_recv:numeric avg_sent:numeric avg_xact_time:numeric avg_query_time:numeric
    avg_wait_time:numeric avg_client_parse_count:numeric avg_server_parse_count:numeric
    avg_bind_count:numeric avg_client_login_count:numeric",
    ),
    (
        Show::StatsTotals,
        "
    database:text server_assignment_count:numeric xact_count:numeric query_count:numeric
    bytes_received:numeric bytes_sent:numeric xact_time:numeric query_time:numeric
    wait_time:numeric client_parse_count:numeric server_parse_count:numeric bind_count:numeric
    client_login_count:numeric",
    ),
    (
        Show::StatsAverages,
        "
    database:text server_assignment_count:numeric xact_count:numeric query_count:numeric
    bytes_received:numeric bytes_sent:numeric xact_time:numeric query_time:numeric
    wait_time:numeric avg_client_parse_count:numeric avg_server_parse_count:numeric
    avg_bind_count:numeric avg_client_login_count:numeric",
    ),
    (
        Show::Totals,
        "
    name:text value:numeric",
    ),
    (
        Show::Lists,
        "
    list:text items:int4",
    ),
    (
        Show::Config,
        "
    key:text value:text default:text changeable:text",
    ),
    (
        Show::Mem,
        "
    name:text size:int4 used:int4 free:int4 memtotal:int4",
    ),
    (
        Show::DnsHosts,
        "
    hostname:text ttl:int8 addrs:text",
    ),
    (
        Show::DnsZones,
        "
    zonename:text serial:int8 count:int4",
    ),
    (
        Show::State,
        "
    key:text value:text",
    ),
    // These two PgBouncer has not.
    (
        Show::Replicas,
        "
    database:text name:text state:text timeline:int8 position:text lag_bytes:int8 lag_us:int8
    weight:int8 in_flight:int8 latency_us:int8",
    ),
    (
        Show::Routes,
        "
    database:text fingerprint:text class:text reason:text primary:int8 replica:int8 again:int8
    replica_percent:int8 query:text",
    ),
    (
        Show::Version,
        "
    version:text",
    ),
];

/// The columns of `show` in one line, as probed; `None` for the one without columns.
fn probed(show: Show) -> Option<String> {
    let columns = match show {
        Show::Help => return None,
        Show::Clients | Show::Servers => CONNECTION.to_owned(),
        Show::Sockets | Show::ActiveSockets => format!("{CONNECTION} {BUFFERS}"),
        other => {
            let found = COLUMNS.iter().find(|(show, _)| *show == other);
            found.expect("every table was probed").1.to_owned()
        }
    };
    Some(columns.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn every_show_has_the_columns_of_pgbouncer() {
    for (word, show) in Show::ALL {
        let columns = answer::columns(&Command::Show(show)).map(|columns| {
            let columns = columns
                .iter()
                .map(|(name, kind)| format!("{name}:{}", type_name(*kind)));
            columns.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(columns, probed(show), "{word}");
    }
}

/// The replies to `show`, description first.
async fn replies(show: Show) -> Vec<String> {
    let answer = run(&Command::Show(show), &FakeHost::default())
        .await
        .expect("shows do not fail");
    let Answer::Rows(table) = answer else {
        panic!("{show:?} has rows")
    };
    let mut out = BytesMut::new();
    let formats = Formats::All(Format::Text);
    write_description(&table.headings(), &formats, &mut out);
    table.write_rows(0, usize::MAX, &formats, &mut out);
    read_replies(&out)
}

#[tokio::test]
async fn tables_are_described_as_they_were_announced() {
    for (word, show) in Show::ALL {
        if let Some(columns) = probed(show) {
            assert_eq!(replies(show).await[0], format!("T {columns}"), "{word}");
        }
    }
}

#[tokio::test]
async fn every_show_prints_its_values_in_order() {
    const SHARED: &str = "127.0.0.1|43896|127.0.0.1|6432|\
        2026-11-22 04:20:32 UTC|2026-11-22 04:20:33 UTC|2|491|0";
    const NONE: &str = "0|0|0|0|0|0|0";
    let client = |state, ptr, link| {
        format!("D C|trusty|bench|none|{state}|{SHARED}|{ptr}|{link}|15389||probe|2|3")
    };
    let server =
        |state| format!("D S|trusty|bench|none|{state}|{SHARED}|0x51|0xc1|15389||probe|2|3");
    let totals = "100|101|102|103|104|105|106|107|108|109|110|111";
    let averages = "200|201|202|203|204|205|206|207|208|209|210|211";
    for (show, expected) in [
        (
            Show::Clients,
            vec![client("active", "0xc1", "0x51"), client("idle", "0xc2", "")],
        ),
        (Show::Servers, vec![server("active")]),
        (
            Show::Sockets,
            vec![
                format!("{}|{NONE}", client("cl_active", "0xc1", "0x51")),
                format!("{}|{NONE}", client("cl_active", "0xc2", "")),
                format!("{}|25|0|0|0|0|25|0", server("sv_active")),
            ],
        ),
        (
            Show::ActiveSockets,
            vec![format!("{}|25|0|0|0|0|25|0", server("sv_active"))],
        ),
        (
            Show::Pools,
            vec!["D bench|trusty|1|2|3|4|5|6|7|8|9|10|11|12|13|session|NULL".into()],
        ),
        (Show::PeerPools, vec!["D 9|1|2|3|4".into()]),
        (
            Show::Databases,
            vec![
                "D bench2|NULL|5432|bench|trusty|7|1|3|100|transaction|disable|9|4|5|6|1|0".into(),
            ],
        ),
        (
            Show::Users,
            vec!["D trusty|        3||NULL|44|2|5|1".into()],
        ),
        (Show::Peers, vec!["D 1|127.0.0.1|6432|2".into()]),
        (Show::Stats, vec![format!("D bench|{totals}|{averages}")]),
        (Show::StatsTotals, vec![format!("D bench|{totals}")]),
        (Show::StatsAverages, vec![format!("D bench|{averages}")]),
        (
            Show::Config,
            vec![
                "D auth_file|NULL|6432|yes".into(),
                "D listen_port|6432|6432|no".into(),
            ],
        ),
        (Show::Mem, vec!["D client_cache|1|2|3|4".into()]),
        (Show::DnsHosts, vec!["D db|12|10.0.0.1,10.0.0.2".into()]),
        (Show::DnsZones, vec!["D example.com|7|2".into()]),
        (
            Show::State,
            vec!["D active|no".into(), "D paused|yes".into()],
        ),
    ] {
        assert_eq!(replies(show).await[1..], expected, "{show:?}");
    }
    let version = replies(Show::Version).await;
    assert!(
        version[1].starts_with("D PgBouncer 1.26.1 (pgweir "),
        "{version:?}"
    );
}

#[tokio::test]
async fn lists_and_totals_have_the_rows_of_pgbouncer() {
    let names = |rows: Vec<String>| -> Vec<String> {
        let names = rows[1..]
            .iter()
            .map(|row| row[2..].split('|').next().unwrap().to_owned());
        names.collect()
    };
    let lists = "databases users peers pools peer_pools free_clients used_clients login_clients \
        free_servers used_servers dns_names dns_zones dns_queries dns_pending";
    assert_eq!(names(replies(Show::Lists).await).join(" "), lists);
    let totals = "server_assignment_count xact_count query_count client_bytes server_bytes \
        xact_time query_time wait_time ps_client_parse_count ps_server_parse_count ps_bind_count \
        client_login_count";
    let expected: Vec<String> = ["total", "avg"]
        .iter()
        .flat_map(|prefix| {
            totals
                .split(' ')
                .map(move |name| format!("{prefix}_{name}"))
        })
        .collect();
    assert_eq!(names(replies(Show::Totals).await), expected);
    let rows = replies(Show::Totals).await;
    for (index, row) in rows[1..].iter().enumerate() {
        let number = if index < 12 {
            300 + index
        } else {
            400 + index - 12
        };
        assert!(row.ends_with(&format!("|{number}")), "{row}");
    }
}
