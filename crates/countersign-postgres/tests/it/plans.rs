//! Hazard: a statement that reads all of a table, since its plan was made when that was empty.

use crate::support::{is_there, key, make, options_and_schema, until};
use countersign_store::Store as _;
use countersign_testkit::postgres::shared;
use countersign_testkit::samples;

const RECORDS: u64 = 300;

#[test]
fn what_is_done_for_one_record_does_not_grow_with_the_others() {
    let Some((options, schema)) = options_and_schema() else {
        return;
    };
    let Some(server) = shared() else { return };
    let store = options.open(samples::keyring()).unwrap();
    for number in 1..=RECORDS {
        make(&store, number).unwrap();
        assert!(is_there(&store, number));
        let pair = [key(number), key(number / 2 + 1)];
        let pair = store.load(&pair).wait().unwrap();
        assert!(pair.iter().all(Option::is_some));
    }
    store.close().wait().unwrap();
    drop(store);
    let counted = |table: &str, column: &str| -> u64 {
        let from = format!("pg_stat_user_tables WHERE schemaname = '{schema}'");
        let text = format!("SELECT {column} FROM {from} AND relname = '{table}'");
        server.sql(&text).parse().unwrap()
    };
    // A connection tells of what it has done when it ends.
    until("what was counted", || {
        let found = counted("record", "idx_tup_fetch + seq_tup_read");
        found >= 3 * RECORDS && counted("change_log", "idx_scan + seq_scan") > RECORDS
    });
    for table in ["record", "change_log"] {
        assert_eq!(counted(table, "seq_tup_read"), 0, "{table}");
        let fetched = counted(table, "idx_tup_fetch");
        assert!(fetched <= 20 * RECORDS, "{table}: {fetched}");
    }
}
