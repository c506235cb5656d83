//! What tests share: a server with a clock to move and a database of its own, clients for it, and the built binary.

mod answer;
mod binary;
mod browser;
mod database;
mod described;
mod person;
mod raw;
pub mod statements;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use relatch::app::App;
use relatch::clock::{Clock as _, ManualClock, SystemClock};
use relatch::config::{self, Config};
use relatch::domain::timestamp::Timestamp;
use relatch::keyring::Keyring;
use reqwest::Method;
use serde_json::{Value, json};

pub use answer::Answer;
pub use binary::{Binary, Served};
pub use browser::{Browser, PageForm};
pub use database::{Database, count, count_in, dump, execute, postgres_ca, tls_connections};
pub use described::document;
pub use person::Person;
pub use raw::{Exchange, exchange, raw, read_to_end};

/// The answer to a request, which must be one that is described.
async fn send(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let answer = Answer::of(client.execute(request).await.expect("an answer")).await;
    described::check(&method, &path, &answer);
    answer
}

/// The password of everybody whom the harness makes.
pub const PASSWORD: &str = "P@ssword123";
/// The secret that every test's server has unless it is set otherwise: base64 of 32 bytes.
pub const SECRET_KEY: &str = "cmVsYXRjaC10ZXN0LXNlY3JldC1vZi0zMi1ieXRlcyE=";

/// A running server in this process, whose clock stands still until it is moved.
pub struct TestApp {
    pub app: App,
    pub clock: Arc<ManualClock>,
    pub config: Config,
    pub database: Arc<Database>,
    pub address: SocketAddr,
    client: reqwest::Client,
    server: Option<(actix_web::dev::ServerHandle, JoinHandle<()>)>,
}

impl TestApp {
    /// With the defaults, but for what makes tests fast: passwords are hashed at the lowest cost.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables besides.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(Arc::new(Database::create()), variables).await
    }

    /// On a database that is there already, as after a restart or beside another instance.
    pub async fn on(database: Arc<Database>, variables: &[(&str, &str)]) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        Self::on_at(database, variables, clock).await
    }

    /// The same, with a clock that is shared with somebody else.
    pub async fn on_at(database: Arc<Database>, variables: &[(&str, &str)], clock: Arc<ManualClock>) -> Self {
        let config = configuration(&database, variables);
        let app = App::start(&config, Arc::clone(&clock) as Arc<_>).await.expect("the app starts");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (handle_out, handle_in) = std::sync::mpsc::channel();
        let serving = app.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = serving.listen(listener, 2).unwrap();
                handle_out.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = handle_in.recv().expect("the server starts");
        let client = http_client();
        Self { app, clock, config, database, address, client, server: Some((handle, thread)) }
    }

    /// Ends this server and starts another on the same database with the same clock.
    pub async fn restart(mut self, variables: &[(&str, &str)]) -> Self {
        self.stop();
        Self::on_at(Arc::clone(&self.database), variables, Arc::clone(&self.clock)).await
    }

    fn stop(&mut self) {
        if let Some((handle, thread)) = self.server.take() {
            drop(handle.stop(false));
            thread.join().unwrap();
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request to be completed by hand.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        send(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// A body as it is, with the content type of JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json").body(body);
        self.send(request).await
    }

    pub async fn login(&self, username: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "username": username, "password": password })).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/auth/refresh-token", &json!(token)).await
    }

    pub async fn register(&self, username: &str) -> Answer {
        let body = json!({ "username": username, "email": format!("{username}@example.com"), "password": PASSWORD });
        self.post("/api/users/register", &body).await
    }

    /// Registers and signs in somebody with the role User.
    pub async fn user(&self, username: &str) -> Person {
        self.register(username).await.expect_status(201);
        self.sign_in(username).await
    }

    /// Makes an admin as an operator would, and signs them in.
    pub async fn admin(&self, username: &str) -> Person {
        use relatch::auth::Actor;
        use relatch::auth::register::{NewAccount, register};
        use relatch::domain::client::Client;
        use relatch::domain::role::Role;
        let email = format!("{username}@example.com");
        let account = NewAccount { username, email: &email, password: PASSWORD, role: Role::Admin };
        register(self.app.auth(), Actor::Operator, account, &Client::default()).await.expect("an admin");
        self.sign_in(username).await
    }

    /// Makes an admin as an operator would, and signs them in to the console.
    pub async fn console(&self, username: &str) -> Browser {
        self.admin(username).await;
        let browser = Browser::new(self);
        browser.sign_in(username).await.expect_redirect("/admin");
        browser
    }

    /// Another session of somebody whom the harness made.
    pub async fn sign_in(&self, username: &str) -> Person {
        Person::of_pair(self, &self.login(username, PASSWORD).await.expect_status(200))
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The configuration that a test's variables make.
pub fn configuration(database: &Database, variables: &[(&str, &str)]) -> Config {
    let url = database.url();
    let mut all: Vec<(String, String)> = [
        ("DATABASE_URL", url.as_str()),
        ("SECRET_KEY", SECRET_KEY),
        ("INSECURE_DEVELOPMENT", "on"),
        ("BCRYPT_COST", "4"),
        ("BALLAST_MB", "0"),
    ]
    .into_iter()
    .filter(|(name, _)| variables.iter().all(|(other, _)| name != other))
    .chain(variables.iter().copied())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    all.retain(|(_, value)| !value.is_empty());
    config::from_sources(all, []).expect("a configuration").config
}

/// The keys that every test's server derives from its secret.
pub fn keyring() -> Keyring {
    Keyring::new(&config::parse_secret_key(SECRET_KEY).unwrap(), &[]).unwrap()
}

fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}
