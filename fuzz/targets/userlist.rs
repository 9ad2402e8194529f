//! libFuzzer's entry to `fuzz::userlist`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::userlist::run(data));
