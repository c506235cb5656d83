//! `relatch key`.

use serde_json::Value;

use crate::harness::Binary;

fn list(binary: &Binary) -> Vec<Value> {
    let output = binary.run(&["key", "list", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(keys: &[Value], member: &str) -> Vec<String> {
    keys.iter().map(|key| key[member].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn keys_are_listed_rotated_and_retired() {
    let binary = Binary::new();
    drop(binary.serve());
    let keys = list(&binary);
    assert_eq!(texts(&keys, "role"), ["current", "next"]);
    assert_eq!(texts(&keys, "algorithm"), ["ES256", "ES256"]);
    let kids = texts(&keys, "kid");
    let table = binary.run(&["key", "list"]).stdout;
    assert!(table.starts_with("ROLE") && table.contains(&kids[0]) && table.contains("next"), "{table}");

    let scheduled = binary.run(&["key", "rotate"]);
    assert!(scheduled.code == 0 && scheduled.stdout.contains(&kids[1]), "{scheduled:?}");
    let again = binary.run(&["key", "rotate"]);
    assert!(again.code == 0 && again.stdout.starts_with("Nothing was changed"), "{again:?}");
    assert_eq!(texts(&list(&binary), "role"), ["current", "next", "next"]);

    let replaced = binary.run(&["key", "rotate", "--emergency", "--json"]);
    assert_eq!(replaced.code, 0, "{replaced:?}");
    let value: Value = serde_json::from_str(&replaced.stdout).unwrap();
    assert_eq!(
        (&value["kid"], &value["retired"][0], &value["sessions"]),
        (&kids[1].as_str().into(), &kids[0].as_str().into(), &0.into())
    );
    assert_eq!(texts(&list(&binary), "role"), ["current", "next", "retired"]);

    for (arguments, words) in [
        (&["key", "retire", &kids[1]][..], "this key signs"),
        (&["key", "retire", &kids[0]], "retired already"),
        (&["key", "retire", "nothing"], "no such key"),
    ] {
        let refused = binary.run(arguments);
        assert!(refused.code == 1 && refused.stderr.contains(words), "{refused:?}");
    }
    let next = texts(&list(&binary), "kid")[1].clone();
    assert_eq!(binary.run(&["key", "retire", &next]).code, 0);
    let keys = list(&binary);
    assert_eq!(texts(&keys, "role"), ["current", "next", "retired", "retired"]);
    assert!(texts(&keys, "kid")[1] != next && texts(&keys, "kid")[0] == kids[1]);
    for wrong in [&["key"][..], &["key", "retire"], &["key", "rotate", "--now"]] {
        assert_eq!(binary.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_previous_key_is_retired_by_force_alone() {
    let binary = Binary::new().set("JWKS_MAX_AGE", "1");
    drop(binary.serve());
    let first = texts(&list(&binary), "kid")[0].clone();
    assert_eq!(binary.run(&["key", "rotate"]).code, 0);
    let began = std::time::Instant::now();
    while texts(&list(&binary), "role")[0] != "current" || texts(&list(&binary), "kid")[0] == first {
        assert!(began.elapsed().as_secs() < 10);
    }
    let refused = binary.run(&["key", "retire", &first]);
    assert!(refused.code == 1 && refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(binary.run(&["key", "retire", &first, "--force"]).code, 0);
    assert_eq!(texts(&list(&binary), "role"), ["current", "next", "retired"]);
}

#[test]
fn a_shared_key_is_listed_and_not_rotated() {
    let binary = Binary::new().set("JWT_KEY", "a-key-of-thirty-two-bytes-or-more");
    drop(binary.serve());
    assert_eq!(texts(&list(&binary), "kid"), ["hs256"]);
    for arguments in [&["key", "rotate"][..], &["key", "rotate", "--emergency"]] {
        let refused = binary.run(arguments);
        assert!(refused.code == 1 && refused.stderr.contains("JWT_KEY"), "{refused:?}");
    }
}
