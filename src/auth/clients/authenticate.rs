//! Who a client is: by its secret, or by an access token that it got with one.

use crate::auth::Auth;
use crate::auth::access_tokens::ClientToken;
use crate::auth::audit::denial::note_failed_authentication;
use crate::auth::failure::Failure;
use crate::domain::client::Client;
use crate::domain::registered_client::{ClientId, ClientSecret, RegisteredClient, SecretId, is_secret};
use crate::domain::scope::Scopes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::SecurityVersion;
use crate::keyring;
use crate::store::QueryResult;
use crate::store::clients::{self, WithSecrets};
use crate::store::connection::AnyConnection;

/// Uses are noted this often at most, so that not every question costs a write.
const NOTED_EVERY: std::time::Duration = std::time::Duration::from_mins(1);

/// Why somebody is not the client that they say they are.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthError {
    /// There is no such client, it is disabled, or the secret is none of its own. Nobody is told which.
    #[error("not a client of this server, or not its secret")]
    Invalid,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A client that has proved who it is with a secret.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    /// The client as the store has it now.
    pub client: RegisteredClient,
    /// Which secret that was.
    pub(super) secret: ClientSecret,
}

/// A client that holds a valid access token of its own.
#[derive(Clone, Debug)]
pub struct ClientPrincipal {
    /// The client as the store has it now.
    pub client: RegisteredClient,
    /// What the token allows, of what the client may do now.
    pub scopes: Scopes,
    /// With which secret the client got the token.
    pub(super) secret: SecretId,
}

/// Recognises a client by its id and its secret (RFC 6749 §2.3.1). This is the one door for secrets: whatever counts how
/// often somebody tries one, asks here.
pub async fn authenticate_client(
    auth: &Auth,
    id: &str,
    secret: &str,
    client: &Client,
) -> Result<AuthenticatedClient, ClientAuthError> {
    let (now, watch, name, id) = (auth.now(), auth.watch(client), id.to_owned(), ClientId::parse(id));
    let read = auth.read(move |connection| {
        let found = id.map_or(Ok(None), |id| clients::find_with_secrets(connection, id))?;
        let exists = found.as_ref().and(id);
        let standing = watch.as_ref().map(|watch| watch.client(connection, &name, exists)).transpose()?;
        Ok((found, standing))
    });
    let (found, standing) = read.await?;
    // The secret is never compared itself: what is stored is a digest, of 256 bits that nobody can guess.
    let digest = is_secret(secret).then(|| keyring::sha256(secret.as_bytes()));
    let Some(WithSecrets { client: registered, secrets }) = found else {
        auth.note_wrong_secret(standing, client).await?;
        return Err(ClientAuthError::Invalid);
    };
    let is_right =
        |one: &ClientSecret| digest.is_some_and(|digest| keyring::equal(&one.digest, &digest)) && one.is_valid(now);
    let Some(secret) = secrets.into_iter().find(is_right).filter(|_| registered.is_active()) else {
        auth.note_wrong_secret(standing, client).await?;
        note_failed_authentication(auth, registered.id, client).await;
        return Err(ClientAuthError::Invalid);
    };
    note_use(auth, &registered, &secret, client, now).await;
    Ok(AuthenticatedClient { client: registered, secret })
}

/// A use that cannot be noted is no reason to refuse it.
async fn note_use(auth: &Auth, registered: &RegisteredClient, secret: &ClientSecret, client: &Client, now: Timestamp) {
    let since = now.before(NOTED_EVERY);
    let is_noted = |at: Option<Timestamp>| at.is_some_and(|at| since < at);
    if is_noted(registered.last_used_at) && is_noted(secret.last_used_at) {
        return;
    }
    let (id, secret, client) = (registered.id, secret.id, client.clone());
    let noted = auth.write(move |connection| clients::note_use(connection, id, secret, &client, now, since)).await;
    if let Err(failure) = noted {
        tracing::warn!(%failure, client = %id, "the use of a client's secret was not noted");
    }
}

/// The client of a verified token, as long as everything stands that the token rests on. It is read for every request,
/// so that what is taken away from a client is gone on every instance at once.
pub(in crate::auth) async fn recognise(auth: &Auth, token: &ClientToken) -> Result<Option<ClientPrincipal>, Failure> {
    let (authority, now) = (ClientAuthority::of(token), auth.now());
    let found = auth.read(move |connection| authority.find(connection)).await?;
    Ok(found.filter(|(_, secret)| secret.is_valid(now)).map(|(client, _)| ClientPrincipal {
        scopes: token.scopes.and(client.scopes),
        secret: token.secret_id,
        client,
    }))
}

/// What a client's authority rests on: its secret and its security version.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct ClientAuthority {
    id: ClientId,
    secret: SecretId,
    security_version: SecurityVersion,
}

impl ClientAuthority {
    fn of(token: &ClientToken) -> Self {
        Self { id: token.client_id, secret: token.secret_id, security_version: token.security_version }
    }

    /// Of who has just proved to be it.
    pub(super) fn of_authenticated(client: &AuthenticatedClient) -> Self {
        Self { id: client.client.id, secret: client.secret.id, security_version: client.client.security_version }
    }

    /// Whether that is still so, and stays so until the transaction ends: whoever takes it away waits, or is seen.
    pub(in crate::auth) fn still_holds(self, connection: &mut AnyConnection) -> QueryResult<bool> {
        Ok(clients::hold(connection, self.id)?.is_some() && self.find(connection)?.is_some())
    }

    /// The client and the secret, if that is still so. The secret may have expired.
    pub(in crate::auth) fn find(
        self,
        connection: &mut AnyConnection,
    ) -> QueryResult<Option<(RegisteredClient, ClientSecret)>> {
        let Some(WithSecrets { client, secrets }) = clients::find_with_secrets(connection, self.id)? else {
            return Ok(None);
        };
        let secret = secrets.into_iter().find(|secret| secret.id == self.secret);
        let holds = client.is_active() && client.security_version == self.security_version;
        Ok(secret.filter(|_| holds).map(|secret| (client, secret)))
    }
}

impl ClientPrincipal {
    /// What this client's authority rests on.
    pub(in crate::auth) fn authority(&self) -> ClientAuthority {
        ClientAuthority { id: self.client.id, secret: self.secret, security_version: self.client.security_version }
    }
}
