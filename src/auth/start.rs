//! Getting ready: the secret, the store and its identity, the signing keys.

use std::sync::Arc;

use serde_json::json;

use super::access_tokens::{AccessTokenPolicy, AccessTokens};
use super::audit::activity::Counters;
use super::audit::denial::Denials;
use super::failure::Failure;
use super::guessing::Guessing;
use super::integrity::Integrity;
use super::memory::Memory;
use super::passwords::Passwords;
use super::secret_key::{self, SecretKeyError};
use super::signing_keys::{self, KeySource};
use super::status_lists::StatusLists;
use super::{Auth, Policy, entropy};
use crate::clock::Clock;
use crate::config::{Config, DatabaseUrl, ProfileClaims};
use crate::domain::client::Client;
use crate::domain::rotation::RotationRules;
use crate::domain::timestamp::Timestamp;
use crate::keyring::{KeyMismatch, Keyring};
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::dialect::{self, Lock};
use crate::store::error::StoreError;
use crate::store::meta::{self, Fact};
use crate::store::{Limits, Store};

/// How often a session may be refreshed within a minute while rate limits are on.
const ROTATIONS_PER_MINUTE: u32 = 60;

/// What the store is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To serve: what is missing is made, and the store follows the configuration.
    Serve,
    /// To begin with: a store that is not there is made.
    Begin,
    /// To look or to change something: the store must be there, and stays as the server has it.
    Command,
}

/// Why the service cannot start. The texts are for the operator and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no secret.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    /// No keys could be derived from the secret.
    #[error("no keys can be derived from the secret")]
    Underivable(#[from] KeyMismatch),
    /// The database cannot be used.
    #[error("{0}")]
    Store(StoreError),
    /// There is nothing to work with.
    #[error(
        "there is no store at {path}. Run this where the server runs, in its folder and with its DATABASE_URL; \
         relatch serve makes a new store"
    )]
    NoStore {
        /// Where it would be.
        path: String,
    },
    /// The store belongs to another secret.
    #[error(
        "the store was made with another secret than {source_name} holds. Put the right one there; to exchange a \
         secret, name the old one in SECRET_KEYS_ACCEPTED"
    )]
    WrongSecret {
        /// Where the secret came from.
        source_name: String,
    },
    /// The store's tokens have another issuer.
    #[error(
        "the store's tokens are issued by {remembered}, but PUBLIC_URL or JWT_ISSUER now say {configured}. Set \
         JWT_ISSUER={remembered} to keep it. To change it, stop all instances and run: relatch config adopt-issuer. \
         Access tokens that are in use are then refused, and clients get new ones by refreshing"
    )]
    OtherIssuer {
        /// The one in the store.
        remembered: String,
        /// The configured one.
        configured: String,
    },
    /// A key is damaged, or could not be made.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The operating system gave no thread.
    #[error("no thread could be started: {0}")]
    Threads(std::io::Error),
}

/// Opens the store, or makes it, and gets everything ready that verbs need.
pub async fn start(config: &Config, clock: Arc<dyn Clock>, purpose: Purpose) -> Result<Auth, StartError> {
    let (keyring, store) = open(config, purpose).await?;
    let known = remember_identity(config, &keyring, &store).await?;
    if known.issuer != config.jwt.issuer {
        return Err(StartError::OtherIssuer { remembered: known.issuer, configured: config.jwt.issuer.clone() });
    }
    let key_source = KeySource::new(&config.jwt);
    if purpose == Purpose::Serve {
        key_source.ensure(&store, &keyring, clock.now()).await?;
        move_to_primary(&keyring, &store, clock.now()).await?;
    }
    let keys = key_source.load(&store, &keyring, None).await?;
    let access_token_policy = AccessTokenPolicy {
        issuer: config.jwt.issuer.clone(),
        audience: config.jwt.audience.clone(),
        life: config.jwt.access_token_life,
        with_profile: config.jwt.profile_claims == ProfileClaims::Included,
    };
    let passwords = Passwords::start(config.bcrypt_cost).map_err(StartError::Threads)?;
    Ok(Auth {
        access_tokens: AccessTokens::new(access_token_policy, keys),
        policy: Policy {
            rotation: RotationRules {
                idle_life: config.refresh_idle_life,
                grace: config.refresh_grace,
                max_rotations_per_window: config.rate_limits.then_some(ROTATIONS_PER_MINUTE),
            },
            session_max_life: config.session_max_life,
            max_sessions_per_user: config.max_sessions_per_user,
            password_min_length: config.password_min_length,
            registration: config.registration,
            history_life: config.history_life,
            audit_life: config.audit_life,
            key_rotation: config.key_rotation,
        },
        guessing: config.rate_limits.then(|| Guessing::new(&keyring, &clock, passwords.threads())),
        passwords,
        store,
        clock,
        keyring,
        key_source,
        memory: Memory::default(),
        status_lists: StatusLists::new(config),
        integrity: Integrity::default(),
        counters: Counters::default(),
        denials: Denials::default(),
        position: tokio::sync::Mutex::default(),
    })
}

/// Makes the store remember the configured issuer in place of the one it knows; gives the old one.
pub async fn adopt_issuer(config: &Config, now: Timestamp) -> Result<String, StartError> {
    let (keyring, store) = open(config, Purpose::Command).await?;
    let known = remember_identity(config, &keyring, &store).await?;
    let (old, new) = (known.issuer.clone(), config.jwt.issuer.clone());
    store
        .write(move |connection| {
            meta::set(connection, Fact::Issuer, &new)?;
            if old == new {
                return Ok(());
            }
            let nobody = Client::default();
            let event = Event::new(Kind::IssuerChanged, now, By::Operator, &nobody);
            audit_events::record(connection, &event.with(json!({ "from": old, "to": new })))
        })
        .await
        .map_err(StartError::Store)?;
    Ok(known.issuer)
}

async fn open(config: &Config, purpose: Purpose) -> Result<(Keyring, Store), StartError> {
    let url = config.database_url.clone();
    let limits = Limits {
        connections: config.database_connections,
        patience: config.database_wait,
        ballast: (purpose == Purpose::Serve).then_some(config.ballast),
    };
    let is_new = is_new(&url);
    if let (DatabaseUrl::Sqlite(path), true, Purpose::Command) = (&url, is_new, purpose) {
        return Err(StartError::NoStore { path: path.display().to_string() });
    }
    let secret = secret_key::load(&config.secret_key, is_new)?;
    let keyring = Keyring::new(&secret, &config.accepted_secret_keys)?;
    let store = tokio::task::spawn_blocking(move || Store::open(&url, limits))
        .await
        .map_err(|_| StartError::Store(StoreError::Panicked))?
        .map_err(StartError::Store)?;
    Ok((keyring, store))
}

/// Whether the store is one that does not exist yet, so that a secret may be made for it.
fn is_new(url: &DatabaseUrl) -> bool {
    match url {
        DatabaseUrl::Sqlite(path) => std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0),
        DatabaseUrl::Postgres(_) => false,
    }
}

/// What the store remembered, or remembers from now on.
struct Identity {
    fingerprint: String,
    issuer: String,
}

async fn remember_identity(config: &Config, keyring: &Keyring, store: &Store) -> Result<Identity, StartError> {
    let (fingerprint, issuer) = (keyring.primary().fingerprint().to_owned(), config.jwt.issuer.clone());
    let identity = store
        .write(move |connection| {
            dialect::lock(connection, Lock::Setup)?;
            Ok(Identity {
                fingerprint: meta::get_or_set(connection, Fact::SecretFingerprint, &fingerprint)?,
                issuer: meta::get_or_set(connection, Fact::Issuer, &issuer)?,
            })
        })
        .await
        .map_err(StartError::Store)?;
    if keyring.find(&identity.fingerprint).is_none() {
        return Err(StartError::WrongSecret { source_name: config.secret_key.to_string() });
    }
    Ok(identity)
}

/// While a secret is exchanged: signing keys are sealed with the new one, and the store belongs to it from now on. An
/// instance that still has the old one may have made keys since another did this, so that each looks for itself.
async fn move_to_primary(keyring: &Keyring, store: &Store, now: Timestamp) -> Result<(), StartError> {
    let stored = store.read(crate::store::signing_keys::all).await.map_err(StartError::Store)?;
    let mut resealed = Vec::new();
    for key in stored.iter().filter(|key| key.sealed_with != keyring.primary().fingerprint()) {
        let nonce = entropy::bytes().map_err(Failure::from)?;
        resealed.push((key.kid.clone(), signing_keys::reseal(key, keyring, nonce).map_err(Failure::from)?));
    }
    let fingerprint = keyring.primary().fingerprint().to_owned();
    let remembered = store.read(|connection| meta::get(connection, Fact::SecretFingerprint));
    let is_remembered = remembered.await.map_err(StartError::Store)?.as_ref() == Some(&fingerprint);
    if is_remembered && resealed.is_empty() {
        return Ok(());
    }
    store
        .write(move |connection| {
            dialect::lock(connection, Lock::Setup)?;
            for (kid, sealed) in &resealed {
                crate::store::signing_keys::reseal(connection, kid, sealed, &fingerprint)?;
            }
            if is_remembered {
                return Ok(());
            }
            meta::set(connection, Fact::SecretFingerprint, &fingerprint)?;
            let nobody = Client::default();
            audit_events::record(connection, &Event::new(Kind::SecretKeyExchanged, now, By::System, &nobody))
        })
        .await
        .map_err(StartError::Store)
}
