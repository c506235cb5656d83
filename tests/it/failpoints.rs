//! What is shipped cannot be made to die from its environment.

#[test]
fn a_binary_knows_failpoints_only_when_it_was_built_with_them() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_relatch")).unwrap();
    let found = binary.split(|byte| *byte == b'F').any(|rest| rest.starts_with(b"AILPOINT"));
    assert_eq!(found, cfg!(feature = "failpoints"));
}
