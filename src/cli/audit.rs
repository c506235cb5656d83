//! `relatch audit`: checking the audit trail and taking it elsewhere.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::output::Output;
use super::{Done, Refused};
use crate::app::App;
use crate::auth::audit::Kind;
use crate::auth::audit::export::{Export, Format, hex};
use crate::auth::audit::list::{EventQuery, parse_from, parse_to};
use crate::auth::audit::verify::verify;
use crate::domain::registered_client::ClientId;

/// How often progress is reported, in events.
const REPORT_EVERY: u64 = 100_000;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check that no event was changed, removed or put in between since it was sealed
    Verify {
        /// A head that was printed earlier and kept elsewhere: it must be in the chain
        #[arg(long, value_name = "HEX")]
        head: Option<String>,
    },
    /// Write events to standard output, the oldest first
    Export(Which),
}

#[derive(Args)]
pub(super) struct Which {
    /// The first day (UTC), such as 2026-11-24, or a time of RFC 3339
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day, which is included, or a time
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Only this kind, or several such as login.*
    #[arg(long)]
    kind: Option<String>,
    /// Only what this client did, or what concerns it
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// How to write them
    #[arg(long, default_value = "ndjson")]
    format: FormatArgument,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArgument {
    Ndjson,
    Csv,
}

pub(super) async fn run(app: &App, command: Command, output: &Output) -> Done {
    match command {
        Command::Verify { head } => check(app, head.as_deref(), output).await,
        Command::Export(which) => export(app, &which, output).await,
    }
}

async fn check(app: &App, head: Option<&str>, output: &Output) -> Done {
    let noted = match head {
        Some(text) => Some(digest(text).ok_or_else(|| Refused("a head is 64 hexadecimal digits".to_owned()))?),
        None => None,
    };
    let mut reported = 0;
    let progress = |checked: u64| {
        if checked / REPORT_EVERY > reported {
            reported = checked / REPORT_EVERY;
            output.note(format_args!("{checked} events checked"));
        }
    };
    let report = verify(app.auth(), noted, progress).await.map_err(Refused::because)?;
    let (number, digest) = (report.head.0, hex(&report.head.1));
    let fault = report.fault.as_ref().map(ToString::to_string);
    let json = json!({
        "checked": report.checked,
        "first": report.first,
        "headNumber": number,
        "head": digest,
        "unsealed": report.unsealed,
        "fault": fault,
    });
    if let Some(fault) = fault {
        // Programs get the whole report, people the one sentence.
        output.result(format_args!("{} events are as they were sealed, then:", report.checked), &json)?;
        return Err(Refused(fault));
    }
    let unsealed = match report.unsealed {
        0 => String::new(),
        number => format!("\n{number} events are not sealed yet; the server does that"),
    };
    let text = format!(
        "{} events are as they were sealed, from number {}\nhead: {digest}, number {number}{unsealed}",
        report.checked, report.first
    );
    output.result(text, &json)
}

async fn export(app: &App, which: &Which, output: &Output) -> Done {
    let wrong = |name: &str| Refused(format!("--{name} must be a day such as 2026-11-24, or a time of RFC 3339"));
    let from = which.from.as_deref().map(|text| parse_from(text, "Z").ok_or_else(|| wrong("from"))).transpose()?;
    let to = which.to.as_deref().map(|text| parse_to(text, "Z").ok_or_else(|| wrong("to"))).transpose()?;
    let no_kind = || Refused("there is no such kind of event; docs/audit.md lists them".to_owned());
    let kinds = which.kind.as_deref().map(|kind| Kind::matching(kind).ok_or_else(no_kind)).transpose()?;
    let no_client = || Refused("that is not a client's id".to_owned());
    let client = which.client.as_deref().map(|id| ClientId::parse(id).ok_or_else(no_client)).transpose()?;
    let format = match which.format {
        FormatArgument::Ndjson => Format::Ndjson,
        FormatArgument::Csv => Format::Csv,
    };
    let mut export = Export::begin(app.auth(), EventQuery { from, to, kinds, client, ..EventQuery::default() });
    output.stream(format.heading())?;
    loop {
        let events = export.next(app.auth()).await.map_err(Refused::because)?;
        if events.is_empty() {
            return Ok(());
        }
        let lines: String = events.iter().map(|event| format.line(event)).collect();
        output.stream(&lines)?;
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixty_four_digits_are_a_head() {
        assert_eq!(digest(&"0f".repeat(32)), Some([15; 32]));
        for wrong in [String::new(), "0f".repeat(31), "0f".repeat(33), format!("{}0", "0f".repeat(31)), "zz".repeat(32)]
        {
            assert_eq!(digest(&wrong), None, "{wrong}");
        }
    }
}
