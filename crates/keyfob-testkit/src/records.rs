//! The record of a login as it is stored on the disk, for tests that inspect or change it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use keyfob::internals::core::Record;
use serde_json::{Value, json};

/// The change that makes a record's access token an expired one.
pub fn expired(record: &mut Value) {
    record["issued_at"] = json!(now() - 7200);
    record["expires_at"] = json!(now() - 3600);
}

/// A record as it stands on the disk. It must be whole.
pub fn read_record(path: &Path) -> Value {
    let bytes = fs::read(path).expect("a record");
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

/// Writes a record in place, so that links and mounts keep showing it, and never leaves it empty. Uses the exact form
/// the command writes, if the command knows it: a renewal then has nothing to tidy up first.
pub fn write_in_place(path: &Path, record: &Value) {
    let bytes = serde_json::to_vec_pretty(record).expect("JSON");
    let bytes = Record::decode(&bytes).map_or(bytes, |record| record.encode().to_vec());
    let file = File::options().write(true).open(path).expect("the record is ours");
    file.write_all_at(&bytes, 0).and_then(|()| file.set_len(bytes.len() as u64)).expect("the record is ours");
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end of time")
}
