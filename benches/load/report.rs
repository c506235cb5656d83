//! The table: each measurement next to its limit from the same run, and what is aimed at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::Failed;

/// Reads the objects that the other tools printed. Of runs with the same name, the median counts.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The objects, one a line
    results: PathBuf,
    /// Where to write the whole as JSON
    #[arg(long)]
    json: PathBuf,
    /// When it was measured
    #[arg(long)]
    date: String,
    /// The machine
    #[arg(long)]
    machine: String,
    /// How much was measured: quick, normal or full
    #[arg(long)]
    extent: String,
}

/// What a measurement is compared with.
struct Comparison {
    databases: &'static [&'static str],
    /// The measurement's name behind the database's.
    name: &'static str,
    title: &'static str,
    field: &'static str,
    /// Another measurement's name behind the database's.
    limit: Option<&'static str>,
    aim: Option<Aim>,
}

#[derive(Clone, Copy)]
enum Aim {
    /// At least this share of the limit.
    Share(f64),
    /// At most this.
    AtMost(f64),
}

const BOTH: &[&str] = &["sqlite", "postgres"];
const SQLITE: &[&str] = &["sqlite"];
const POSTGRES: &[&str] = &["postgres"];

const fn rate(name: &'static str, title: &'static str, limit: Option<&'static str>, aim: Option<Aim>) -> Comparison {
    Comparison { databases: BOTH, name, title, field: "per_second", limit, aim }
}

const fn at_most(
    databases: &'static [&'static str],
    name: &'static str,
    title: &'static str,
    field: &'static str,
    aim: f64,
) -> Comparison {
    Comparison { databases, name, title, field, limit: None, aim: Some(Aim::AtMost(aim)) }
}

const COMPARISONS: [Comparison; 34] = [
    rate("rotation-store", "rotations through the store, 64 at once", Some("rotation-bare"), None),
    rate("refresh/1", "refresh, 1 connection", None, None),
    rate("refresh/16", "refresh, 16 connections", Some("rotation-bare"), None),
    rate("refresh/64", "refresh, 64 connections", Some("rotation-bare"), Some(Aim::Share(0.6))),
    rate("refresh/spread", "refresh, 64 connections, all sessions in turn", Some("rotation-bare-spread"), None),
    at_most(BOTH, "refresh/half", "refresh at half of that rate, p99 ms", "p99_ms", 25.0),
    rate("profile/1", "profile, 1 connection", Some("route/1"), None),
    rate("profile/16", "profile, 16 connections", Some("route/16"), None),
    Comparison {
        databases: SQLITE,
        ..rate("profile/64", "profile, 64 connections", Some("route/64"), Some(Aim::Share(0.5)))
    },
    Comparison { databases: POSTGRES, ..rate("profile/64", "profile, 64 connections", Some("route/64"), None) },
    rate("profile/64", "profile, 64 connections, and a route that verifies", Some("verify/64"), None),
    rate("jwks/64", "published keys, 64 connections", Some("route/64"), Some(Aim::Share(0.8))),
    rate("status-list/64", "status list, 64 connections", Some("route/64"), Some(Aim::Share(0.8))),
    rate("list/1", "list of 50 users, 1 connection", None, None),
    rate("list/16", "list of 50 users, 16 connections", None, None),
    rate("list/64", "list of 50 users, 64 connections", Some("route/64"), None),
    rate("login/1", "login, 1 connection", Some("bcrypt"), None),
    rate("login/16", "login, 16 connections", Some("bcrypt"), Some(Aim::Share(0.95))),
    rate("login/64", "login, 64 connections", Some("bcrypt"), Some(Aim::Share(0.95))),
    rate("mixed/login", "login, 32 connections, beside the next two", Some("bcrypt"), None),
    at_most(BOTH, "mixed/profile", "profile beside 32 logins, 4 connections, p99 ms", "p99_ms", 9.0),
    at_most(BOTH, "mixed/refresh", "refresh beside 32 logins, 4 connections, p99 ms", "p99_ms", 25.0),
    rate("flood", "login at five times the limit", Some("bcrypt"), Some(Aim::Share(0.9))),
    at_most(BOTH, "flood", "refusals beside, p99 ms", "refusal_p99_ms", 20.0),
    at_most(BOTH, "flood", "refresh beside, p99 ms", "refresh_p99_ms", 50.0),
    at_most(BOTH, "flood", "last refusal at half of the limit, s after", "normal_after_seconds", 5.0),
    at_most(BOTH, "drip", "`/health/live` beside 4,000 that drip, p99 ms", "p99_ms", 100.0),
    at_most(BOTH, "drip", "refresh beside them, p99 ms", "refresh_p99_ms", 100.0),
    at_most(BOTH, "drip", "memory for them, MB", "growth_mb", 50.0),
    at_most(BOTH, "timing", "how far a time tells more than chance who has an account", "off", 0.05),
    at_most(SQLITE, "start", "from start to ready, ms", "ready_ms", 200.0),
    at_most(SQLITE, "start", "memory when idle, MB", "rss_mb", 25.0),
    at_most(BOTH, "memory", "memory at most, MB", "peak_mb", 100.0),
    Comparison {
        databases: POSTGRES,
        ..Comparison { field: "rss_mb", ..rate("start", "memory when idle, MB", None, None) }
    },
];

type Results = BTreeMap<String, Vec<Map<String, Value>>>;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let results = read(arguments)?;
    let mut text = format!("{}, {}, {} run\n", arguments.date, arguments.machine, arguments.extent);
    let mut compared = Vec::new();
    for database in BOTH {
        write!(
            text,
            "\n### {}\n\n| measured | value | p50 ms | p99 ms | p99.9 ms | server CPU µs | limit | share | aim | |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
            if *database == "sqlite" { "SQLite" } else { "Postgres" }
        )?;
        for comparison in COMPARISONS.iter().filter(|comparison| comparison.databases.contains(database)) {
            compared.extend(row(&results, database, comparison, &mut text)?);
        }
    }
    text.push_str("\n### Limits\n\n| loop | a second | p50 ms | p99 ms | its CPU µs |\n|---|--:|--:|--:|--:|\n");
    for (name, title) in [
        ("sqlite/bcrypt", "bcrypt, cost 12, on all cores"),
        ("sqlite/rotation-bare", "rotations, SQLite, 64 a commit"),
        ("sqlite/rotation-bare-spread", "rotations, SQLite, 64 a commit, all sessions in turn"),
        ("postgres/rotation-bare", "rotations, Postgres, 16 connections"),
        ("postgres/rotation-bare-spread", "rotations, Postgres, 16 connections, all sessions in turn"),
        ("sqlite/route/1", "bare JSON route, 1 connection"),
        ("sqlite/route/16", "bare JSON route, 16 connections"),
        ("sqlite/route/64", "bare JSON route, 64 connections"),
        ("sqlite/verify/64", "bare JSON route that verifies ES256, 64 connections"),
    ] {
        let Some(rate) = median(&results, name, "per_second") else { continue };
        let cell = |field| number(median(&results, name, field));
        writeln!(
            text,
            "| {title} | {} | {} | {} | {} |",
            number(Some(rate)),
            cell("p50_ms"),
            cell("p99_ms"),
            cell("server_cpu_us")
        )?;
    }
    growth(&results, &mut text)?;
    let errors = results.values().flatten().filter_map(|run| run.get("errors")?.as_u64()).sum::<u64>();
    writeln!(text, "\nFailed requests: {errors}")?;
    let all = json!({
        "date": arguments.date,
        "machine": arguments.machine,
        "extent": arguments.extent,
        "compared": compared,
        "results": results,
    });
    std::fs::write(&arguments.json, serde_json::to_string_pretty(&all)?)?;
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(())
}

fn read(arguments: &Arguments) -> Result<Results, Failed> {
    let mut results = Results::new();
    for line in std::fs::read_to_string(&arguments.results)?.lines() {
        let object: Map<String, Value> = serde_json::from_str(line)?;
        let name = object.get("name").and_then(Value::as_str).ok_or("a result has no name")?.to_owned();
        results.entry(name).or_default().push(object);
    }
    Ok(results)
}

fn row(results: &Results, database: &str, comparison: &Comparison, text: &mut String) -> Result<Option<Value>, Failed> {
    let name = format!("{database}/{}", comparison.name);
    let Some(value) = median(results, &name, comparison.field) else { return Ok(None) };
    let limit_name = comparison.limit.map(|limit| format!("{database}/{limit}"));
    let limit = limit_name.as_ref().and_then(|limit| median(results, limit, "per_second"));
    let share = limit_name.as_ref().and_then(|limit| share(results, &name, limit));
    let (aim, reached) = match comparison.aim {
        Some(Aim::Share(aim)) => (format!("≥ {:.0} %", aim * 100.0), share.map(|share| share >= aim)),
        Some(Aim::AtMost(aim)) => (format!("≤ {aim}"), Some(value <= aim)),
        None => (String::new(), None),
    };
    let verdict = reached.map_or("", |reached| if reached { "reached" } else { "**missed**" });
    let percent = share.map_or(String::new(), |share| format!("{:.0} %", share * 100.0));
    let cell = |field| number(median(results, &name, field));
    writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} | {percent} | {aim} | {verdict} |",
        comparison.title,
        number(Some(value)),
        cell("p50_ms"),
        cell("p99_ms"),
        cell("p999_ms"),
        cell("server_cpu_us"),
        number(limit),
    )?;
    Ok(Some(json!({
        "name": name,
        "measured": comparison.title,
        "value": value,
        "limit": limit,
        "share": share,
        "aim": aim,
        "reached": reached,
    })))
}

fn growth(results: &Results, text: &mut String) -> Result<(), Failed> {
    for database in BOTH {
        let mut sizes: Vec<u64> = results
            .keys()
            .filter_map(|name| {
                name.strip_prefix(database)?.strip_prefix("/grown/")?.strip_suffix("/refresh")?.parse().ok()
            })
            .collect();
        sizes.sort_unstable();
        if sizes.is_empty() {
            continue;
        }
        write!(
            text,
            "\n### Growth on {}\n\nRefresh of all sessions in turn, 16 connections.\n\n\
             | sessions | refreshes a second | p50 ms | p99 ms | bytes a session | profiles a second | all revoked, s |\n\
             |--:|--:|--:|--:|--:|--:|--:|\n",
            if *database == "sqlite" { "SQLite" } else { "Postgres" }
        )?;
        for size in sizes {
            let cell = |part: &str, field| number(median(results, &format!("{database}/grown/{size}/{part}"), field));
            writeln!(
                text,
                "| {size} | {} | {} | {} | {} | {} | {} |",
                cell("refresh", "per_second"),
                cell("refresh", "p50_ms"),
                cell("refresh", "p99_ms"),
                cell("fill", "bytes_per_session"),
                cell("profile", "per_second"),
                cell("revoke-all", "revoking_seconds"),
            )?;
        }
    }
    Ok(())
}

fn values(results: &Results, name: &str, field: &str) -> Vec<f64> {
    results.get(name).into_iter().flatten().filter_map(|run| run.get(field)?.as_f64()).collect()
}

fn median(results: &Results, name: &str, field: &str) -> Option<f64> {
    middle(values(results, name, field))
}

/// The median of the shares, round by round: what else the machine did then slowed both.
fn share(results: &Results, name: &str, limit: &str) -> Option<f64> {
    let (ours, limits) = (values(results, name, "per_second"), values(results, limit, "per_second"));
    if ours.len() == limits.len() {
        return middle(ours.iter().zip(&limits).map(|(ours, limit)| ours / limit).collect());
    }
    Some(middle(ours)? / middle(limits)?)
}

fn middle(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

fn number(number: Option<f64>) -> String {
    match number {
        None => String::new(),
        Some(number) if number >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{}", (number * 100.0).round() / 100.0),
    }
}
