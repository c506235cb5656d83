//! Ending every session there is by one call of the API.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use crate::Failed;
use crate::client::{self, Connection};
use crate::load::{access_tokens, refresh_request};
use crate::outcome::print;
use crate::tokens::TokenFile;

/// The first user is the admin that asks for it. Afterwards no token of the file works any more.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server, such as 127.0.0.1:8080
    #[arg(long)]
    address: String,
    /// The file that `fill` wrote
    #[arg(long)]
    tokens: PathBuf,
    /// What to call this in the report
    #[arg(long, default_value = "revoke-all")]
    name: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(revoke(arguments))
}

async fn revoke(arguments: &Arguments) -> Result<(), Failed> {
    let file = TokenFile::open(&arguments.tokens)?;
    let tokens = access_tokens(&arguments.address, &file, 0..1, 1).await?;
    let token = tokens.first().ok_or("the file has no token")?;
    let mut connection = Connection::open(&arguments.address).await?;
    let began = Instant::now();
    let counted = call(&mut connection, token, true).await?;
    let (counting, began) = (began.elapsed(), Instant::now());
    let revoked = call(&mut connection, token, false).await?;
    let revoking = began.elapsed();
    if counted != (file.lines, 0) || revoked != (file.lines, file.lines) {
        return Err(format!("{} sessions, and the server says {counted:?} and {revoked:?}", file.lines).into());
    }
    let held = file.take(0..file.lines, 1)?;
    let session = held.first().ok_or("the file has no token")?;
    let answer = connection.call(&refresh_request(&session.token)).await?;
    if answer.status != 401 {
        return Err(format!("a session lives on: {}", answer.status).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of sessions")]
    let per_second = file.lines as f64 / revoking.as_secs_f64();
    print(&json!({
        "name": arguments.name,
        "sessions": file.lines,
        "counting_seconds": counting.as_secs_f64(),
        "revoking_seconds": revoking.as_secs_f64(),
        "per_second": per_second.round(),
    }));
    Ok(())
}

/// How many matched, and how many were revoked.
async fn call(connection: &mut Connection, token: &str, dry_run: bool) -> Result<(u64, u64), Failed> {
    let body = json!({"filter": {"all": true}, "dryRun": dry_run}).to_string();
    let answer = connection.call(&client::post_as(token, "/api/sessions/revoke", &body)).await?;
    let object: serde_json::Value = serde_json::from_slice(answer.body)?;
    let number = |name: &str| object.get(name).and_then(serde_json::Value::as_u64);
    number("matched").zip(number("revoked")).ok_or_else(|| object.to_string().into())
}
