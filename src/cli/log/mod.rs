//! What the log looks like: one event a line on standard error, whatever is in it.
//!
//! Nothing that came from outside can end a line, begin another, steer a terminal or hide: in text, what is not printable
//! is escaped; in JSON, whatever is not ASCII. What is long is cut. Nobody waits for standard error (`queue`).

mod queue;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Refused;
use crate::auth::start::Purpose;
use crate::config::{Config, LogFormat};
use crate::domain::security_event;

/// How much of a text is written, in bytes.
const TEXT_MAX: usize = 2_000;

/// The log of this process, which ends when this is dropped.
#[must_use = "what waits to be written is lost with the process"]
pub(super) struct Log(#[expect(dead_code, reason = "for what happens when it is dropped")] queue::Open);

/// Logs go to standard error. Other crates' messages below warnings are left out: nobody has checked them for secrets.
/// Commands leave security events to the audit trail, since their standard error is for whoever runs them.
pub(super) fn start(config: &Config, purpose: Purpose) -> Result<Log, Refused> {
    let of_commands = if matches!(purpose, Purpose::Serve) { "" } else { ",relatch::security=error" };
    let filter = format!("warn,relatch={}{of_commands}", config.log_level.as_str());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = Lines(config.log_format);
    let (queue, open) = queue::open(std::io::stderr(), move |lost| lines.of_loss(lost)).map_err(Refused::because)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || queue::Line(Arc::clone(&queue)))
        // It would print to standard error, and panic when that cannot be written.
        .log_internal_errors(false)
        .with_ansi(is_terminal && matches!(config.log_format, LogFormat::Text))
        .event_format(lines);
    // A second start in one process keeps the first's logging.
    if subscriber.try_init().is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            // Without the message: a library's may repeat what it was given.
            let place = panic.location().map(ToString::to_string);
            tracing::error!(
                target: "relatch::security",
                event = security_event::CRASH,
                result = "failed",
                place,
                "a part of the server panicked"
            );
        }));
    }
    Ok(Log(open))
}

/// Events as lines of text, or of JSON.
#[derive(Clone, Copy)]
struct Lines(LogFormat);

impl Lines {
    fn of_loss(self, lost: u64) -> String {
        let message = "lines of the log were lost: nobody read them, or they could not be written".to_owned();
        self.line(&Fields { message, others: vec![("lost", lost.into())] }, Level::WARN, module_path!(), false)
    }

    fn line(self, fields: &Fields, level: Level, target: &str, is_coloured: bool) -> String {
        let mut time = String::new();
        let told = SystemTime.format_time(&mut Writer::new(&mut time));
        debug_assert!(told.is_ok(), "a String takes everything");
        let mut line = match self.0 {
            LogFormat::Text => {
                let level = if is_coloured { coloured(level) } else { format!("{level:>5}") };
                fields.as_text(&format!("{time} {level} {target}:"))
            }
            LogFormat::Json => fields.as_json(&time, level, target),
        };
        line.push('\n');
        line
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let is_coloured = writer.has_ansi_escapes();
        writer.write_str(&self.line(&fields, level, target, is_coloured))
    }
}

fn coloured(level: Level) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    format!("\u{1b}[{colour}m{level:>5}\u{1b}[0m")
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn as_text(&self, start: &str) -> String {
        let mut line = format!("{start} ");
        for character in self.message.chars() {
            match character {
                '\'' | '"' => line.push(character),
                other => line.extend(other.escape_debug()),
            }
        }
        for (name, value) in &self.others {
            // Of a text, Debug writes quotes and escapes.
            let written = match value {
                Value::String(text) => write!(line, " {name}={text:?}"),
                other => write!(line, " {name}={other}"),
            };
            debug_assert!(written.is_ok(), "a String takes everything");
        }
        line
    }

    fn as_json(&self, time: &str, level: Level, target: &str) -> String {
        let mut object = Map::new();
        object.insert("timestamp".to_owned(), time.into());
        object.insert("level".to_owned(), level.as_str().into());
        object.insert("target".to_owned(), target.into());
        object.insert("message".to_owned(), self.message.as_str().into());
        for (name, value) in &self.others {
            object.insert((*name).to_owned(), value.clone());
        }
        let mut line = String::new();
        for character in Value::Object(object).to_string().chars() {
            if matches!(character, ' '..='~') {
                line.push(character);
            } else {
                let mut units = [0; 2];
                line.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
        line
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.push((field.name(), value.into()));
    }

    fn add_text(&mut self, field: &Field, text: String) {
        if field.name() == "message" { self.message = text } else { self.add(field, text) }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, u64::try_from(value).unwrap_or(u64::MAX));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut cut = Cut::default();
        cut.take(value);
        self.add_text(field, cut.finish());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut cut = Cut::default();
        // Whoever writes may be broken; the event is logged with what there is of it.
        let _ = write!(cut, "{value:?}");
        self.add_text(field, cut.finish());
    }
}

/// The beginning of a text; an ellipsis stands for the rest.
#[derive(Default)]
struct Cut {
    text: String,
    is_cut: bool,
}

impl Cut {
    fn take(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        let fitting = text.get(..text.floor_char_boundary(TEXT_MAX - self.text.len())).unwrap_or_default();
        self.text.push_str(fitting);
        self.is_cut = fitting.len() < text.len();
    }

    fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push('…');
        }
        self.text
    }
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.take(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Lines(format))
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// What an attacker would like a log to hold.
    const HOSTILE: &str = "x\r\n2026-11-28T00:00:00.000000Z  INFO relatch::security: security event \
        event=\"authn_login_success\" user=1\n\u{1b}[2J\u{9b}2J\u{2028}\u{2029}\u{85}\u{202e}\u{feff}\u{0}\"\\";

    fn log_hostile() {
        tracing::warn!(text = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, "{HOSTILE}");
    }

    #[test]
    fn s2_hostile_text_stays_in_its_line_of_text_escaped() {
        let log = logged(LogFormat::Text, log_hostile);
        assert_eq!(log.matches('\n').count(), 1, "{log}");
        assert!(log.trim_end().chars().all(|c| !c.is_control()), "{log}");
        for hidden in ['\u{2028}', '\u{2029}', '\u{202e}', '\u{feff}'] {
            assert!(!log.contains(hidden), "{log}");
        }
        // The quotes of a text are escaped, so that no field is made up.
        assert!(log.contains(r#" text="x\r\n2026"#) && log.contains(r#" shown="x\r\n2026"#), "{log}");
        assert!(log.contains(r#"event=\"authn_login_success\""#), "{log}");
    }

    #[test]
    fn s2_hostile_text_stays_in_its_line_of_json_escaped() {
        let log = logged(LogFormat::Json, log_hostile);
        assert_eq!(log.matches('\n').count(), 1, "{log}");
        assert!(log.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{log}");
        let line: Value = serde_json::from_str(&log).unwrap();
        assert_eq!((line["text"].as_str(), line["shown"].as_str()), (Some(HOSTILE), Some(HOSTILE)));
        assert_eq!((line["message"].as_str(), line["level"].as_str()), (Some(HOSTILE), Some("WARN")));
        assert!(line.get("event").is_none(), "{log}");
    }

    #[test]
    fn s2_a_megabyte_of_text_is_cut() {
        let long = "ä😀".repeat(200_000);
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = logged(format, || tracing::info!(text = long.as_str(), shown = %long, "{long}"));
            assert!(log.len() < 3 * TEXT_MAX * 3 + 1_000, "{}", log.len());
            assert_eq!(log.matches('\n').count(), 1);
        }
        let short = "a".repeat(TEXT_MAX);
        let log = logged(LogFormat::Json, || tracing::info!(text = short.as_str(), "whole"));
        assert_eq!(serde_json::from_str::<Value>(&log).unwrap()["text"], short);
    }

    #[test]
    fn s3_a_line_has_its_time_in_utc_and_its_values_as_they_are() {
        let log = logged(LogFormat::Json, || {
            tracing::error!(target: "relatch::x", ms = 3_u128, yes = true, user = Some(-1_i64), none = None::<i64>, "hi");
        });
        let line: Value = serde_json::from_str(&log).unwrap();
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.len() == 27 && time.ends_with('Z') && time.contains('T'), "{time}");
        assert_eq!((&line["ms"], &line["yes"], &line["user"]), (&3.into(), &true.into(), &(-1).into()));
        assert_eq!((line["target"].as_str(), line["message"].as_str()), (Some("relatch::x"), Some("hi")));
        assert!(line.get("none").is_none());
        let log = logged(LogFormat::Text, || tracing::info!(target: "relatch::x", ms = 3, from = "a b", "it isn't"));
        assert!(log.ends_with("Z  INFO relatch::x: it isn't ms=3 from=\"a b\"\n"), "{log}");
    }
}
