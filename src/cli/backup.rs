//! `relatch backup` and `relatch restore`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::output::Output;
use super::{Done, Refused};
use crate::auth::backup::{back_up, restore};
use crate::clock::SystemClock;
use crate::config::Config;

#[derive(Args)]
pub(super) struct BackupFile {
    /// The file to write or read
    file: PathBuf,
}

pub(super) fn write(config: &Config, target: &BackupFile, output: &Output) -> Done {
    let bytes = back_up(config, &target.file, &SystemClock).map_err(Refused::because)?;
    output.note("The backup does not hold the server's secret: keep secret.key, or SECRET_KEY, in another safe place");
    output.result(
        format_args!("{} holds a copy of the store, {bytes} bytes", target.file.display()),
        &json!({ "file": target.file, "bytes": bytes }),
    )
}

pub(super) async fn read(config: &Config, source: &BackupFile, output: &Output) -> Done {
    let restored = restore(config, &source.file, Arc::new(SystemClock)).await.map_err(Refused::because)?;
    if config.jwt.shared_key.is_some() {
        output.note(
            "JWT_KEY is what it was: APIs that check tokens by themselves accept those from before until they expire",
        );
    }
    if let Some(kept) = &restored.replaced {
        output.note(format_args!("The store that was there is now {}", kept.display()));
    }
    output.result(
        format_args!(
            "The store is that of {} again. All {} sessions in it are ended, and its signing keys are retired: everybody \
             signs in again",
            source.file.display(),
            restored.sessions_ended
        ),
        &json!({ "sessionsEnded": restored.sessions_ended, "replaced": restored.replaced }),
    )
}
