#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    relatch::fuzzing::password(data);
});
