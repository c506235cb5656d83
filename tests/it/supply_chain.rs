//! What the dependencies are: held against `deny.toml`, which is also what cargo-deny reads, and listed by `scripts/sbom`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::licences::Expression;

static RULES: LazyLock<toml::Table> = LazyLock::new(|| read_toml("deny.toml"));

/// What cargo knows of the workspace, for this machine.
static METADATA: LazyLock<Value> = LazyLock::new(|| metadata("Cargo.toml"));
/// The same of the workspace that fuzzes.
static FUZZING: LazyLock<Value> = LazyLock::new(|| metadata("fuzz/Cargo.toml"));

fn metadata(manifest: &str) -> Value {
    let host = output("cargo", &["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments =
        ["metadata", "--manifest-path", manifest, "--locked", "--format-version", "1", "--filter-platform", host];
    serde_json::from_str(&output("cargo", &arguments)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read_toml(path: &str) -> toml::Table {
    toml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let run = Command::new(program).args(arguments).current_dir(root()).output();
    let run = run.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(run.status.success(), "{program}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn packages(metadata: &Value) -> HashMap<&str, &Value> {
    metadata["packages"].as_array().unwrap().iter().map(|package| (package["id"].as_str().unwrap(), package)).collect()
}

/// The ids of the packages that a program is made of, by dependencies of these kinds; a normal one is `null`.
fn graph<'a>(metadata: &'a Value, program: &str, kinds: &[Value]) -> BTreeSet<&'a str> {
    let nodes: HashMap<_, _> = metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|n| (&n["id"], n)).collect();
    let program = packages(metadata).into_values().find(|package| package["name"] == program).unwrap();
    let (mut seen, mut ahead) = (BTreeSet::new(), vec![&program["id"]]);
    while let Some(id) = ahead.pop() {
        if seen.insert(id.as_str().unwrap()) {
            let dependencies = nodes[id]["deps"].as_array().unwrap().iter();
            let wanted =
                |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kinds.contains(&kind["kind"]));
            ahead.extend(dependencies.filter(wanted).map(|dependency| &dependency["pkg"]));
        }
    }
    seen
}

fn list<'a>(table: &'a toml::Table, section: &str, key: &str) -> &'a Vec<toml::Value> {
    table[section][key].as_array().unwrap_or_else(|| panic!("{section}.{key} is no list"))
}

fn texts(values: &[toml::Value]) -> Vec<&str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

/// Name, version, source and checksum of every package of a lock file.
fn locked(path: &str) -> Vec<(String, String, Option<String>, Option<String>)> {
    let lock = read_toml(path);
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let of = |package| {
        let text = |key| text(package, key);
        (text("name").unwrap(), text("version").unwrap(), text("source"), text("checksum"))
    };
    lock["package"].as_array().unwrap().iter().map(of).collect()
}

const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

#[test]
fn t3_every_licence_is_one_that_is_allowed() {
    let allowed = texts(list(&RULES, "licenses", "allow"));
    let mut exceptions: HashMap<&str, Vec<&str>> = HashMap::new();
    for exception in list(&RULES, "licenses", "exceptions") {
        let more = texts(exception["allow"].as_array().unwrap());
        exceptions.entry(exception["crate"].as_str().unwrap()).or_default().extend(more);
    }
    let programs = [(&*METADATA, "relatch"), (&*FUZZING, "relatch-fuzz")];
    let made_of = programs.iter().flat_map(|(metadata, program)| {
        let packages = packages(metadata);
        graph(metadata, program, &[Value::Null, "build".into()]).into_iter().map(move |id| packages[id])
    });
    let mut used = BTreeSet::new();
    for package in made_of {
        let (name, licence) = (package["name"].as_str().unwrap(), package["license"].as_str());
        let expression = Expression::parse(licence.unwrap_or_else(|| panic!("{name} names no licence")));
        if expression.holds(&|one| allowed.contains(&one)) {
            continue;
        }
        let besides = exceptions.get(name).cloned().unwrap_or_default();
        assert!(
            expression.holds(&|one| allowed.contains(&one) || besides.contains(&one)),
            "{name} is under {licence:?}"
        );
        used.insert(name);
    }
    let excepted: BTreeSet<&str> = exceptions.keys().copied().collect();
    assert_eq!(used, excepted, "an exception that nothing needs");
}

#[test]
fn t3_everything_comes_from_the_allowed_registry_with_its_checksum() {
    let registries: Vec<_> =
        texts(list(&RULES, "sources", "allow-registry")).into_iter().map(|url| format!("registry+{url}")).collect();
    assert!(list(&RULES, "sources", "allow-git").is_empty());
    let packages = packages(&METADATA);
    let members = METADATA["workspace_members"].as_array().unwrap().iter().map(|id| packages[id.as_str().unwrap()]);
    let ours: BTreeSet<_> = members.filter_map(|package| package["name"].as_str()).chain(["relatch-fuzz"]).collect();
    for lock in LOCKS {
        let packages = locked(lock);
        assert!(packages.len() > 200, "{lock} was not read");
        for (name, version, source, checksum) in packages {
            let known = match source {
                Some(source) => registries.contains(&source) && checksum.is_some(),
                None => ours.contains(name.as_str()),
            };
            assert!(known, "{lock}: {name} {version} comes from elsewhere");
        }
    }
}

/// Otherwise fuzzing would say nothing about what is released.
#[test]
fn t3_what_is_fuzzed_is_made_of_the_same_versions() {
    let what_to_do = "CONTRIBUTING.md says how fuzz/Cargo.lock follows Cargo.lock";
    let released: BTreeSet<_> = locked("Cargo.lock").into_iter().map(|(name, version, ..)| (name, version)).collect();
    let fuzzing_alone = ["arbitrary", "libfuzzer-sys", "relatch-fuzz"];
    for (name, version, ..) in locked("fuzz/Cargo.lock") {
        let is_known = fuzzing_alone.contains(&name.as_str()) || released.contains(&(name.clone(), version.clone()));
        assert!(is_known, "{name} {version} is fuzzed and not released; {what_to_do}");
    }
    let lock = read_toml("fuzz/Cargo.lock");
    let entry = lock["package"].as_array().unwrap().iter().find(|one| one["name"].as_str() == Some("relatch")).unwrap();
    // Where there are several versions, the version stands behind the name.
    let fuzzed: BTreeSet<_> = texts(entry["dependencies"].as_array().unwrap())
        .into_iter()
        .map(|dependency| dependency.split(' ').next().unwrap())
        .collect();
    let relatch = packages(&METADATA).into_values().find(|package| package["name"] == "relatch").unwrap();
    let normal = relatch["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"] != "dev");
    let normal: BTreeSet<_> = normal.map(|dependency| dependency["name"].as_str().unwrap()).collect();
    assert_eq!(fuzzed, normal, "{what_to_do}");
}

#[test]
fn t3_nothing_is_there_that_is_banned_or_older_than_it_may_be() {
    let banned: Vec<Spec> =
        list(&RULES, "bans", "deny").iter().map(|rule| Spec::parse(rule["crate"].as_str().unwrap())).collect();
    let is_banned = |name: &str, version: &str| banned.iter().any(|spec| spec.is(name, version));
    for lock in LOCKS {
        for (name, version, ..) in locked(lock) {
            assert!(!is_banned(&name, &version), "{lock}: {name} {version}");
        }
    }
    // The rules say what they should: of each, the newest that may not be.
    for (name, version, least) in [
        ("bcrypt", "0.19.1", "0.19.2"),
        ("diesel", "2.3.9", "2.3.10"),
        ("h2", "0.4.15", "0.4.16"),
        ("jsonwebtoken", "10.2.9", "10.3.0"),
        ("time", "0.3.46", "0.3.47"),
    ] {
        assert!(is_banned(name, version) && !is_banned(name, least), "{name}");
    }
    assert!(is_banned("rsa", "0.9.10") && is_banned("actix-governor", "0.10.0"));
}

#[test]
fn t3_no_dependency_is_of_any_version() {
    assert_eq!(RULES["bans"]["wildcards"].as_str(), Some("deny"));
    let members = METADATA["workspace_members"].as_array().unwrap();
    for package in packages(&METADATA).into_values().filter(|package| members.contains(&package["id"])) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let (name, version) = (&dependency["name"], &dependency["req"]);
            assert!(version != "*" || dependency["path"].is_string(), "{} takes any {name}", package["name"]);
        }
    }
}

#[test]
fn t3_every_script_builds_what_the_lock_file_says() {
    let builds = ["bench", "build", "check", "clippy", "doc", "install", "metadata", "run", "test"];
    let (mut paths, mut found) = (vec![root().join(".ci/run")], Vec::new());
    paths.extend(fs::read_dir(root().join("scripts")).unwrap().map(|entry| entry.unwrap().path()));
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = joined(&fs::read_to_string(&path).unwrap());
        // What scripts say, not what they tell people.
        let code = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.contains("  cargo "));
        for line in code {
            for (at, _) in line.match_indices("cargo ") {
                let command = line[at..].split_whitespace().nth(1).unwrap_or_default();
                if builds.contains(&command) {
                    assert!(line.contains("--locked"), "{}: {line}", path.display());
                    found.push(format!("{name} {command}"));
                }
            }
        }
    }
    assert!(found.len() > 10, "the scripts were not read");
    // It stands in a line that goes on from another.
    assert!(found.iter().any(|build| build == "fuzz build"), "{found:?}");
}

/// A script with each command in one line, as the shell reads it.
fn joined(script: &str) -> String {
    let mut parts = script.split("\\\n");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.truncate(text.trim_end_matches(' ').len());
        text.push(' ');
        text.push_str(part.trim_start_matches(' '));
    }
    text
}

/// A name with an upper limit, or of any version, as cargo-deny writes it.
struct Spec {
    name: String,
    below: Option<Vec<u64>>,
}

impl Spec {
    fn parse(text: &str) -> Self {
        let (name, below) =
            text.split_once("@<").map_or((text, None), |(name, version)| (name, Some(numbers(version))));
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "{text} is another rule"
        );
        Self { name: name.to_owned(), below }
    }

    fn is(&self, name: &str, version: &str) -> bool {
        self.name == name && self.below.as_ref().is_none_or(|below| numbers(version) < *below)
    }
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap();
    release.split('.').map(|number| number.parse().unwrap_or_else(|_| panic!("{version} is no version"))).collect()
}

#[test]
fn t9_the_list_of_components_is_cyclonedx_and_always_the_same() {
    let (text, again) = (sbom(), sbom());
    assert_eq!(text, again);
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((list["bomFormat"].as_str(), list["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(list["version"], 1);
    let serial = list["serialNumber"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
    assert_eq!(uuid::Uuid::parse_str(serial).unwrap().to_string(), serial);
    let about = &list["metadata"]["component"];
    assert_eq!((about["type"].as_str(), about["name"].as_str()), (Some("application"), Some("relatch")));
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    let members: BTreeSet<&str> = list.as_object().unwrap().keys().map(String::as_str).collect();
    let known =
        ["$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"];
    assert_eq!(members, BTreeSet::from(known));

    // What the schema asks of each component, and that each can be referred to by one name.
    let mut references = BTreeSet::from([about["bom-ref"].as_str().unwrap()]);
    for component in all_components(&list) {
        let text = |member: &str| component[member].as_str().filter(|text| !text.is_empty());
        assert_eq!(text("type"), Some("library"), "{component}");
        assert!(text("name").is_some() && text("version").is_some(), "{component}");
        assert!(text("purl").is_some_and(|purl| purl.starts_with("pkg:")), "{component}");
        Expression::parse(component["licenses"][0]["expression"].as_str().unwrap());
        assert!(references.insert(text("bom-ref").unwrap()), "{component} is there twice");
    }
    let dependencies = list["dependencies"].as_array().unwrap();
    for dependency in dependencies {
        let named = [&dependency["ref"]].into_iter().chain(dependency["dependsOn"].as_array().unwrap());
        for reference in named {
            assert!(references.contains(reference.as_str().unwrap()), "{reference} is not in the list");
        }
    }
    assert_eq!(dependencies.len(), list["components"].as_array().unwrap().len() + 1);
}

#[test]
fn t9_the_list_of_components_has_every_package_of_the_binary_with_its_checksum() {
    let list: Value = serde_json::from_str(&sbom()).unwrap();
    let listed: BTreeMap<_, _> = list["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            ((text(&one["name"]), text(&one["version"])), text(&one["hashes"][0]["content"]))
        })
        .collect();
    let checksums: HashMap<_, _> =
        locked("Cargo.lock").into_iter().map(|(name, version, _, checksum)| ((name, version), checksum)).collect();
    let packages = packages(&METADATA);
    let mut expected = BTreeMap::new();
    for id in graph(&METADATA, "relatch", &[Value::Null]) {
        let text = |member: &str| packages[id][member].as_str().unwrap().to_owned();
        let key = (text("name"), text("version"));
        if key.0 != "relatch" {
            let checksum = checksums[&key].clone().unwrap_or_else(|| panic!("{key:?} has no checksum"));
            expected.insert(key, checksum);
        }
    }
    assert!(expected.len() > 200);
    for (key, checksum) in &expected {
        assert_eq!(listed.get(key), Some(checksum), "{key:?}");
    }
    // What is compiled or copied into the binary although a build dependency brings it.
    let more: Vec<_> =
        listed.keys().filter(|key| !expected.contains_key(*key)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(more, ["openssl-src", "utoipa-swagger-ui-vendored"]);
    let bundled: BTreeSet<_> = all_components(&list).into_iter().filter_map(|one| one["name"].as_str()).collect();
    for name in ["AWS-LC", "OpenSSL", "SQLite", "Swagger UI", "libpq"] {
        assert!(bundled.contains(name), "{name} is in the binary");
    }
}

fn sbom() -> String {
    output("python3", &["scripts/sbom"])
}

/// The components and those within them.
fn all_components(list: &Value) -> Vec<&Value> {
    let outer = list["components"].as_array().unwrap();
    outer.iter().chain(outer.iter().filter_map(|one| one["components"].as_array()).flatten()).collect()
}
