//! `relatch serve`.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use serde_json::json;

use super::output::Output;
use super::{Done, Refused, setup_url};
use crate::app::App;
use crate::auth::audit::activity::add_up;
use crate::config::Loaded;
use crate::domain::security_event;

pub(super) async fn run(loaded: Loaded, app: App, output: &Output) -> Done {
    let config = &loaded.config;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let listener = bind("LISTEN_ADDR", config.listen_addr)?;
    let address = listener.local_addr().map_err(Refused::because)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let server = tokio::spawn(app.listen(listener, cores).map_err(Refused::because)?);
    if let Some(metrics) = config.metrics_addr {
        tokio::spawn(app.listen_for_metrics(bind("METRICS_ADDR", metrics)?).map_err(Refused::because)?);
    }
    app.keep_audit();
    if config.maintenance {
        app.keep_house();
    }
    // Whoever reads that it serves may also end it: the handling of signals begins with the server's first turn.
    tokio::task::yield_now().await;
    tracing::info!(
        target: "relatch::security",
        event = security_event::STARTUP,
        result = "succeeded",
        version = env!("CARGO_PKG_VERSION"),
        address = %address,
        "relatch serves"
    );
    let ready = json!({ "listening": address.to_string(), "publicUrl": config.public_url.as_str() });
    output.result(format_args!("Relatch {} serves on http://{address}", env!("CARGO_PKG_VERSION")), &ready)?;
    if let Some(url) = setup_url::make(config, &app).await? {
        output.result(setup_url::text(&url), &json!({ "setupUrl": url.expose() }))?;
    }
    server.await.map_err(Refused::because)?.map_err(Refused::because)?;
    if let Err(failure) = add_up(app.auth()).await {
        tracing::warn!(%failure, "the last refreshes were not counted");
    }
    tracing::info!(
        target: "relatch::security",
        event = security_event::SHUTDOWN,
        result = "succeeded",
        "relatch has stopped"
    );
    Ok(())
}

fn bind(variable: &str, address: SocketAddr) -> Result<TcpListener, Refused> {
    TcpListener::bind(address).map_err(|error| {
        Refused(format!("cannot listen on {address}: {error}. Stop what uses it, or set {variable} to another address"))
    })
}
