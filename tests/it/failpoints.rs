//! What is shipped cannot be made to die from its environment.

#[test]
fn a_binary_knows_failpoints_only_when_it_was_built_with_them() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_relatch")).unwrap();
    let has = |first: u8, rest: &[u8]| binary.split(|byte| *byte == first).any(|text| text.starts_with(rest));
    for found in [has(b'F', b"AILPOINT"), has(b'S', b"EEDED_BUG")] {
        assert_eq!(found, cfg!(feature = "failpoints"));
    }
}
