//! The README's tour, run as it stands against the started binary.

use std::process::Command;

use crate::harness::Binary;

const README: &str = include_str!("../../README.md");

#[test]
fn the_tour_of_the_readme_works_as_it_stands() {
    let (_, behind) = README.split_once("<!-- tour -->").expect("the tour is marked");
    let (_, block) = behind.split_once("```sh\n").expect("the tour is a block");
    let (script, _) = block.split_once("```").expect("the block ends");
    assert!(script.matches("curl ").count() >= 6, "the tour is whole");

    let binary = Binary::new();
    let server = binary.serve();
    let script = script.replace("http://127.0.0.1:8080", &server.base);
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_relatch")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(binary.folder())
        .env_clear()
        .envs(binary.variables())
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", path.display()))
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    // What each step answers, the admin's list of users last.
    for expected in ["\"username\":\"saif\"", "\"jwtToken\":", "\"role\":\"Admin\"", "saif@example.com"] {
        assert!(stdout.contains(expected), "{expected} is missing in:\n{stdout}\n{stderr}");
    }
}

#[test]
fn the_readme_names_every_variable() {
    for variable in relatch::config::VARIABLES {
        assert!(README.contains(&format!("`{}`", variable.name)), "{}", variable.name);
    }
}
