//! A walk past everything that has a secret, with the built binary; and what those secrets were.

use std::io::BufRead as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Binary, Browser, Database, SECRET_KEY, execute};

/// What makes HS256 the algorithm.
const JWT_KEY: &str = "cAnArY-jwt-kEy-q2V7hX0c9T4nZbR1mK8sLw5yUe3gJd6f";
/// The password "U*U", from crypt_blowfish's own test vectors.
const HASH: &str = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const ADMINS: &str = "Canary: the admin's first sentence";
const USERS: &str = "Canary& the user's own söntence";
const CHANGED: &str = "Canary+ what the user chose then";
const RESET: &str = "Canary% what came by the link";
const WRONG: &str = "Canary? never anybody's password";
/// A password that somebody typed where the name belongs.
pub const TYPED_AS_NAME: &str = "canary.typed.as.a.name.1234567";
/// Something in a query.
pub const QUERY: &str = "canary-in-a-query-of-the-address";

/// A walk that was taken.
pub struct Walked {
    pub stdout: String,
    /// The server's log.
    pub log: String,
    /// What commands wrote to standard error.
    pub complaints: String,
    /// What it is, and the secret.
    pub secrets: Vec<(&'static str, Vec<u8>)>,
    /// The secret of the link for making the first admin, which is printed once.
    pub setup: String,
    pub sessions: Vec<String>,
    pub user: i64,
    pub admin: i64,
    /// The ids of requests, by what was asked.
    pub requests: Vec<(&'static str, String)>,
}

struct Walk {
    server: Browser,
    walked: Walked,
}

impl Walk {
    fn secret(&mut self, what: &'static str, secret: impl Into<Vec<u8>>) {
        self.walked.secrets.push((what, secret.into()));
    }

    /// Keeps the tokens of a pair.
    fn pair(&mut self, answer: &Answer) -> (String, String) {
        let (access, refresh) = (answer.text_at("jwtToken"), answer.text_at("refreshToken"));
        self.walked.sessions.push(answer.text_at("sessionId"));
        self.secret("an access token", access.clone());
        self.secret("an access token's signature", access.rsplit('.').next().unwrap());
        self.secret("a refresh token", refresh.strip_prefix("rlr_").unwrap());
        // What cannot be guessed of it stands at its end.
        self.secret("a refresh token's tag", &refresh[refresh.len() - 20..]);
        (access, refresh)
    }

    async fn post(&mut self, what: &'static str, path: &str, body: &Value, token: Option<&str>) -> Answer {
        let request = self.server.request(Method::POST, path).json(body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = self.server.send(request).await;
        self.walked.requests.push((what, answer.header("x-request-id").to_owned()));
        answer
    }

    async fn get(&mut self, what: &'static str, path: &str, token: &str) -> Answer {
        let answer = self.server.send(self.server.request(Method::GET, path).bearer_auth(token)).await;
        self.walked.requests.push((what, answer.header("x-request-id").to_owned()));
        answer
    }

    async fn form(&mut self, path: &str, fields: &[(&str, &str)], client: (&str, &str)) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.server.request(Method::POST, path).basic_auth(client.0, Some(client.1));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.server.send(request).await
    }
}

/// Takes the walk with a log of everything, in this format.
pub async fn take(format: &str) -> Walked {
    let database = Arc::new(Database::create());
    let binary = Binary::on(Arc::clone(&database)).set("LOG_LEVEL", "trace").set("LOG_FORMAT", format);
    let shared_key = format == "text";
    let binary = binary.set("REFRESH_GRACE_SECONDS", "0").set("JWT_KEY", if shared_key { JWT_KEY } else { "" });
    let account = json!({ "username": "imported", "email": "imported@example.com", "passwordHash": HASH });
    let imported = binary.run_with_input(&["user", "import", "-"], &account.to_string());
    assert_eq!(imported.code, 0, "{imported:?}");

    let mut server = binary.serve();
    let mut stdout = String::new();
    let link = loop {
        let from = stdout.len();
        server.stdout.read_line(&mut stdout).unwrap();
        let line = stdout[from..].trim();
        assert!(!line.is_empty(), "no link for making the first admin: {stdout}");
        if let Some((_, token)) = line.split_once("/admin/setup?t=") {
            break token.to_owned();
        }
    };
    let walked = Walked {
        stdout: String::new(),
        log: String::new(),
        complaints: String::new(),
        secrets: Vec::new(),
        setup: link.clone(),
        sessions: Vec::new(),
        user: 0,
        admin: 0,
        requests: Vec::new(),
    };
    let mut walk = Walk { server: Browser::at(&server.base), walked };
    for (what, secret) in [
        ("the secret key", SECRET_KEY),
        ("the shared key", JWT_KEY),
        ("a bcrypt hash", &HASH[7..]),
        ("the admin's password", ADMINS),
        ("the user's password", USERS),
        ("the changed password", CHANGED),
        ("the password of the reset link", RESET),
        ("a wrong password", WRONG),
        ("what was typed for a name", TYPED_AS_NAME),
        ("a query", QUERY),
    ] {
        walk.secret(what, secret);
    }
    walk.secret("the secret key's bytes", STANDARD.decode(SECRET_KEY).unwrap());

    console(&mut walk, &link).await;
    let admin = api(&mut walk).await;
    clients(&mut walk, &admin).await;
    errors(&mut walk, &database).await;

    let keys = binary.run(&["key", "rotate"]);
    assert_eq!(keys.code, i32::from(shared_key), "{keys:?}");
    let listed = binary.run(&["session", "list", "--json"]);
    let (served, log) = server.end();
    let mut walked = walk.walked;
    let commands = [imported, keys, listed];
    walked.stdout = stdout + &served;
    walked.log = log;
    for command in commands {
        walked.stdout += &command.stdout;
        walked.complaints += &command.stderr;
    }
    walked
}

/// Set-up, sign-in and forms.
async fn console(walk: &mut Walk, link: &str) {
    let page = walk.server.get(&format!("/admin/setup?t={link}")).await.expect_status(200);
    let form = page.form("/admin/setup").with("username", "root").with("email", "root@example.com");
    walk.server.submit(&form.with("password", ADMINS)).await.expect_redirect("/admin");
    walk.secret("the link for making the first admin", link);
    sign_out(walk).await;

    let sign_in = walk.server.get("/admin/sign-in").await.form("/admin/sign-in");
    walk.secret("the token of the sign-in form", sign_in.value("token"));
    walk.secret("the cookie of the sign-in form", walk.server.cookie("relatch-pre").unwrap());
    let form = sign_in.with("identifier", "root");
    let wrong = walk.server.submit(&form.clone().with("password", WRONG)).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let form = walk.server.get("/admin/sign-in").await.form("/admin/sign-in").with("identifier", "root");
    walk.server.submit(&form.with("password", ADMINS)).await.expect_redirect("/admin");
    let cookie = walk.server.cookie("relatch").unwrap();
    walk.secret("the console's cookie", cookie.clone());
    walk.secret("the end of the console's cookie", &cookie[cookie.len() - 20..]);

    // A reset link for the account that was imported.
    let found = walk.server.get("/admin/users?q=imported").await.expect_status(200);
    let path = found.attributes("td a", "href").into_iter().find(|path| path.starts_with("/admin/users/")).unwrap();
    let page = walk.server.get(&path).await;
    let form = page.form(&format!("{path}/reset-link"));
    walk.secret("the token of the console's forms", form.value("token"));
    let forged = form.clone().with("token", "a-token-of-another-session");
    let refused = walk.server.submit(&forged).await.expect_status(403);
    walk.walked.requests.push(("a forged form", refused.header("x-request-id").to_owned()));
    let shown = walk.server.submit(&form).await.expect_status(200);
    let link = shown.attributes(".secret code", "data-copy").remove(0);
    let token = link.split_once("?t=").unwrap().1.to_owned();
    walk.secret("a reset link", token.clone());
    let page = walk.server.get(&format!("/reset?t={token}")).await.expect_status(200);
    let form = page.form("/reset").with("password", RESET);
    walk.server.submit(&form).await.expect_redirect("/reset?done=1");

    // A thief goes on with the cookie of a session that was signed out.
    let thief = walk.server.copy();
    sign_out(walk).await;
    let answer = thief.get("/admin").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    walk.walked.requests.push(("an old cookie", answer.header("x-request-id").to_owned()));
}

async fn sign_out(walk: &Walk) {
    let page = walk.server.get("/admin").await.expect_status(200);
    let answer = walk.server.submit(&page.form("/admin/sign-out")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
}

/// What users and admins do over the API; gives the admin's access token.
async fn api(walk: &mut Walk) -> String {
    let account = json!({ "username": "saif", "email": "saif@example.com", "password": USERS });
    let made = walk.post("register", "/api/users/register", &account, None).await.expect_status(201);
    walk.walked.user = made.json()["id"].as_i64().unwrap();
    let login = |name: &str, password: &str| json!({ "username": name, "password": password });
    walk.post("wrong", "/api/auth/login", &login("saif", WRONG), None).await.expect_status(401);
    walk.post("unknown", "/api/auth/login", &login(TYPED_AS_NAME, WRONG), None).await.expect_status(401);

    // Theft.
    let first = walk.post("login", "/api/auth/login", &login("saif", USERS), None).await.expect_status(200);
    let (_, spent) = walk.pair(&first);
    let renewed = walk.post("refresh", "/api/auth/refresh-token", &json!(spent), None).await.expect_status(200);
    walk.pair(&renewed);
    walk.post("reuse", "/api/auth/refresh-token", &json!(spent), None).await.expect_status(401);

    let second = walk.post("again", "/api/auth/login", &login("saif", USERS), None).await.expect_status(200);
    let (access, refresh) = walk.pair(&second);
    walk.post("revoke", "/api/auth/revoke-token", &json!(refresh), None).await.expect_status(204);
    walk.post("after the end", "/api/auth/refresh-token", &json!(refresh), None).await.expect_status(401);
    walk.get("an access token after the end", "/api/users/profile", &access).await.expect_status(401);

    let third = walk.post("once more", "/api/auth/login", &login("saif", USERS), None).await.expect_status(200);
    let (access, _) = walk.pair(&third);
    let wrong = json!({ "currentPassword": WRONG, "newPassword": CHANGED });
    walk.post("wrong change", "/api/users/password", &wrong, Some(&access)).await.expect_status(403);
    walk.get("denied", "/api/users", &access).await.expect_status(403);
    let change = json!({ "currentPassword": USERS, "newPassword": CHANGED });
    let changed = walk.post("change", "/api/users/password", &change, Some(&access)).await.expect_status(200);
    let (access, _) = walk.pair(&changed);
    let path = format!("/api/users/me/sessions/{}", changed.text_at("sessionId"));
    let ended = walk.server.send(walk.server.request(Method::DELETE, &path).bearer_auth(&access)).await;
    assert_eq!(ended.status, 204, "{ended:?}");

    let admin = walk.post("admin", "/api/auth/login", &login("root", ADMINS), None).await.expect_status(200);
    let (access, _) = walk.pair(&admin);
    walk.walked.admin = admin.json()["id"].as_i64().unwrap();
    let path = format!("/api/users/{}", walk.walked.user);
    for (what, patch) in [
        ("promote", json!({ "role": "Admin" })),
        ("update", json!({ "email": "other@example.com" })),
        ("disable", json!({ "disabled": true })),
    ] {
        let request = walk.server.request(Method::PATCH, &path).bearer_auth(&access).json(&patch);
        let answer = walk.server.send(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        walk.walked.requests.push((what, answer.header("x-request-id").to_owned()));
    }
    walk.post("disabled", "/api/auth/login", &login("saif", CHANGED), None).await.expect_status(401);
    let deleted = walk.server.send(walk.server.request(Method::DELETE, &path).bearer_auth(&access)).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    walk.walked.requests.push(("delete", deleted.header("x-request-id").to_owned()));
    access
}

/// Clients with secrets.
async fn clients(walk: &mut Walk, admin: &str) {
    let new = json!({ "name": "Billing", "scopes": ["introspect"] });
    let made = walk.post("client", "/api/clients", &new, Some(admin)).await.expect_status(201);
    let (id, secret) = (made.text_at("id"), made.text_at("clientSecret"));
    walk.secret("a client's secret", &secret[secret.len() - 40..]);
    let grant = [("grant_type", "client_credentials")];
    let token = walk.form("/oauth/token", &grant, (&id, &secret)).await.expect_status(200).text_at("access_token");
    walk.secret("a client's access token", token.clone());
    walk.secret("a client's access token's signature", token.rsplit('.').next().unwrap());
    for asked in [token.as_str(), admin, "rlr_nonsense"] {
        walk.form("/oauth/introspect", &[("token", asked)], (&id, &secret)).await.expect_status(200);
    }
    walk.form("/oauth/token", &grant, (&id, WRONG)).await.expect_status(401);
    walk.form("/oauth/revoke", &[("token", &token)], (&id, &secret)).await;
}

/// Whatever is refused, and what fails.
async fn errors(walk: &mut Walk, database: &Database) {
    let pair = walk
        .post("imported", "/api/auth/login", &json!({ "username": "imported", "password": RESET }), None)
        .await
        .expect_status(200);
    let (access, refresh) = walk.pair(&pair);
    let (head, signature) = access.rsplit_once('.').unwrap();
    let changed: String = signature.chars().rev().collect();
    let tampered = format!("{head}.{changed}");
    walk.secret("a forged signature", changed);
    walk.get("tampered", "/api/users/profile", &tampered).await.expect_status(401);
    let forged = format!("{}{}", &refresh[..refresh.len() - 8], "AAAAAAAA");
    walk.post("forged", "/api/auth/refresh-token", &json!(forged), None).await.expect_status(401);
    let text = |body: String, kind: &str, walk: &Walk| {
        walk.server.request(Method::POST, "/api/auth/login").header("content-type", kind.to_owned()).body(body)
    };
    for (body, kind, status) in [
        (format!("{{\"password\":\"{WRONG}\""), "application/json", 400),
        (format!("{{\"username\":5,\"password\":\"{WRONG}\"}}"), "application/json", 400),
        (WRONG.to_owned(), "text/plain", 415),
        (WRONG.repeat(1_000), "application/json", 413),
    ] {
        let answer = walk.server.send(text(body, kind, walk)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        walk.walked.requests.push(("refused", answer.header("x-request-id").to_owned()));
    }
    walk.get("a query", &format!("/api/users/profile?token={QUERY}"), &access).await.expect_status(200);
    walk.get("a lost query", &format!("/nowhere?token={QUERY}"), &access).await.expect_status(404);
    execute(database, "ALTER TABLE sessions RENAME TO elsewhere").await;
    let failed = walk.post("failed", "/api/auth/refresh-token", &json!(refresh), None).await;
    assert!(matches!(failed.status, 500 | 503), "{failed:?}");
    let failed =
        walk.post("failed", "/api/auth/login", &json!({ "username": "imported", "password": RESET }), None).await;
    assert!(matches!(failed.status, 500 | 503), "{failed:?}");
    execute(database, "ALTER TABLE elsewhere RENAME TO sessions").await;
}

impl Walked {
    /// The id of the only request of this name.
    pub fn request(&self, what: &str) -> &str {
        let mut ids = self.requests.iter().filter(|(known, _)| *known == what);
        let (_, id) = ids.next().unwrap_or_else(|| panic!("no request {what}"));
        assert!(ids.next().is_none(), "{what} was asked more than once");
        id
    }
}
