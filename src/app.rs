//! The composition root: from a configuration and a clock to a server. `main` and the tests share it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web;

use crate::auth::Auth;
use crate::auth::audit::seal::keep_sealing;
use crate::auth::follow::follow;
use crate::auth::maintenance::keep_pruning;
use crate::auth::start::{Purpose, StartError, start};
use crate::clock::Clock;
use crate::config::Config;
use crate::web::admin::exporting::Exports;
use crate::web::connections::{Limits, METRICS_CONNECTIONS, Seats, serve};
use crate::web::docs::DescriptionOnce;
use crate::web::metrics::Metrics;
use crate::web::security::Excesses;
use crate::web::state::State;
use crate::web::well_known::metadata::Discovery;
use crate::web::{answer, connections, faults, metrics_routes, openapi, routes};

/// The OpenAPI description of the service, as JSON.
pub fn description(config: &Config) -> serde_json::Result<String> {
    openapi::document(config.public_url.as_str()).to_pretty_json()
}

/// A service that is ready to listen. Cheap to clone.
#[derive(Clone)]
pub struct App(web::Data<State>);

impl App {
    /// Gets everything ready to serve.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::open(config, clock, Purpose::Serve).await
    }

    /// Opens the store for a purpose, and gets keys and threads ready.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>, purpose: Purpose) -> Result<Self, StartError> {
        let at_most = usize::try_from(config.max_connections).unwrap_or(usize::MAX);
        let at_most = match purpose {
            Purpose::Serve => {
                connections::room_for(at_most, usize::try_from(config.database_connections).unwrap_or_default())
            }
            _ => at_most,
        };
        let seats = Seats::new(Limits { at_most, trusted_proxies: config.trusted_proxies.clone() });
        let auth = start(config, clock, purpose).await?;
        let state = web::Data::new(State {
            auth,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            cors_origins: config.cors_origins.clone(),
            faults: config.faults,
            database_wait: config.database_wait,
            settings: config.settings.clone(),
            lifted_limits: config.lifted_limits(),
            discovery: Discovery::of(config),
            jwks_max_age: config.jwt.jwks_max_age,
            description: DescriptionOnce::default(),
            exports: Exports::default(),
            metrics: Metrics::default(),
            seats,
            excesses: Excesses::default(),
        });
        let weak = Arc::downgrade(&state.clone().into_inner());
        tokio::spawn(follow(move || weak.upgrade().map(|state| Self(web::Data::from(state)))));
        Ok(Self(state))
    }

    /// The verbs.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// Deletes old rows every now and then, for as long as this app lives.
    pub fn keep_house(&self) {
        let weak = Arc::downgrade(&self.0.clone().into_inner());
        tokio::spawn(keep_pruning(move || weak.upgrade().map(|state| Self(web::Data::from(state)))));
    }

    /// Seals the audit trail and adds up what is counted, for as long as this app lives.
    pub fn keep_audit(&self) {
        let weak = Arc::downgrade(&self.0.clone().into_inner());
        tokio::spawn(keep_sealing(move || weak.upgrade().map(|state| Self(web::Data::from(state)))));
    }

    /// Adds the routes and what they need to a server's application.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        config.app_data(self.0.clone());
        routes(config, &self.0);
    }

    /// Serves the API on a listener. SIGTERM lets requests under way finish.
    pub fn listen(&self, listener: TcpListener, workers: usize) -> io::Result<Server> {
        let serving = self.clone();
        let app =
            move || actix_web::App::new().wrap(from_fn(answer::finish)).configure(|config| serving.configure(config));
        let on_connect = self.0.faults.then_some(faults::remember_socket as _);
        Ok(serve(listener, workers, &self.0.seats, on_connect, app)?.run())
    }

    /// Serves `/metrics` on a listener of its own, until the process ends.
    pub fn listen_for_metrics(&self, listener: TcpListener) -> io::Result<Server> {
        let state = self.0.clone();
        let app = move || {
            actix_web::App::new().app_data(state.clone()).wrap(from_fn(answer::keep_turn)).configure(metrics_routes)
        };
        let trusted_proxies = self.0.trusted_proxies.clone();
        let seats = Seats::new(Limits { at_most: METRICS_CONNECTIONS, trusted_proxies });
        Ok(serve(listener, 1, &seats, None, app)?.disable_signals().run())
    }
}

impl AsRef<Auth> for App {
    fn as_ref(&self) -> &Auth {
        self.auth()
    }
}
