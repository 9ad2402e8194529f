//! libFuzzer's entry to `fuzz::backend`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::backend::run(data));
