//! libFuzzer's entry to `fuzz::server_login`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::server_login::run(data));
