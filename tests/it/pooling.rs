//! Many clients over few server connections.

use crate::support::Setup;

#[test]
fn a_query_is_answered() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    assert_eq!(client.value("select 6 * 7"), "42");
}
