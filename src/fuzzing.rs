//! What fuzzing goes in by: a function for each door that takes bytes from outside. Not part of a release.
//!
//! Each says whether its input was accepted, and panics when what was promised of the door does not hold. libFuzzer calls
//! them from `fuzz/`; the tests below feed them what is kept there.

pub use crate::auth::fuzzing::{access_token, cursor, imported_hash, refresh_token};
pub use crate::domain::fuzzing::{password, username};
pub use crate::web::fuzzing::{forms, forwarded, json_bodies};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    type Target = fn(&[u8]) -> bool;

    const TARGETS: [(&str, Target); 9] = [
        ("access_token", super::access_token),
        ("cursor", super::cursor),
        ("forms", super::forms),
        ("forwarded", super::forwarded),
        ("imported_hash", super::imported_hash),
        ("json_bodies", super::json_bodies),
        ("password", super::password),
        ("refresh_token", super::refresh_token),
        ("username", super::username),
    ];

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    fn inputs(of: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(folder) = fs::read_dir(fuzz().join(of).join(target)) else { return Vec::new() };
        folder.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    fn names(folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// A seed that opens no door leads nowhere: the search would go on at the threshold alone.
    #[test]
    fn every_door_lets_some_of_its_seeds_in_and_others_not() {
        for (name, target) in TARGETS {
            let seeds = inputs("seeds", name);
            let accepted = seeds.iter().filter(|(_, seed)| target(seed)).count();
            assert!(accepted > 0 && accepted < seeds.len(), "{name}: {accepted} of {} seeds are accepted", seeds.len());
        }
    }

    #[test]
    fn nothing_that_fuzzing_found_breaks_anything_again() {
        for (name, target) in TARGETS {
            for (path, input) in inputs("regressions", name) {
                let outcome = std::panic::catch_unwind(|| target(&input));
                assert!(outcome.is_ok(), "{}", path.display());
            }
        }
    }

    #[test]
    fn every_door_has_a_target_and_seeds_and_no_folder_is_of_none() {
        let expected: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names("fuzz_targets"), expected);
        assert_eq!(names("seeds"), expected);
        assert!(names("regressions").is_subset(&expected));
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for name in &expected {
            let target = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(target.contains(&format!("relatch::fuzzing::{name}(data)")), "{name} fuzzes another door");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not built");
        }
    }
}
