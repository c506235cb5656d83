//! The metadata documents.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::jwt::part;

const PATHS: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

const AUTH: &str = "https://auth.example.com";

fn on_the_web<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let base = [("PUBLIC_URL", AUTH), ("INSECURE_DEVELOPMENT", ""), ("BCRYPT_COST", "10")];
    base.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn g9_the_metadata_says_where_everything_is_and_whose_tokens_these_are() {
    let app = TestApp::with(&on_the_web(&[])).await;
    let both = [app.get(PATHS[0]).await.expect_status(200), app.get(PATHS[1]).await.expect_status(200)];
    assert_eq!(both[0].text, both[1].text);
    assert_eq!(both[0].header("content-type"), "application/json");
    assert_eq!(both[0].header("cache-control"), "public, max-age=600");
    assert_eq!(both[0].header("access-control-allow-origin"), "*");
    assert_eq!(both[0].header("set-cookie"), "");
    let any = json!(["none", "client_secret_basic", "client_secret_post"]);
    let secret = json!(["client_secret_basic", "client_secret_post"]);
    assert_eq!(
        both[0].json(),
        json!({
            "issuer": AUTH,
            "jwks_uri": format!("{AUTH}/.well-known/jwks.json"),
            "token_endpoint": format!("{AUTH}/oauth/token"),
            "token_endpoint_auth_methods_supported": any,
            "grant_types_supported": ["refresh_token", "client_credentials"],
            "scopes_supported": ["introspect", "users:read", "sessions:read", "sessions:revoke", "audit:read"],
            "revocation_endpoint": format!("{AUTH}/oauth/revoke"),
            "revocation_endpoint_auth_methods_supported": any,
            "introspection_endpoint": format!("{AUTH}/oauth/introspect"),
            "introspection_endpoint_auth_methods_supported": secret,
            "status_list_aggregation_endpoint": format!("{AUTH}/status-lists"),
        })
    );
    let request = app.request(Method::GET, PATHS[0]).header("if-none-match", both[0].header("etag"));
    app.send(request).await.expect_status(304);
    for issuer in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "https://elsewhere.example/x", "relatch"] {
        let app = TestApp::with(&[("JWT_ISSUER", issuer)]).await;
        let token = app.user("saif").await.access_token;
        let document = app.get(PATHS[0]).await.json();
        assert_eq!((&document["issuer"], &part(&token, 1)["iss"]), (&json!(issuer), &json!(issuer)));
        assert_eq!(document["jwks_uri"], "http://127.0.0.1:8080/.well-known/jwks.json", "that is where it is served");
    }
}

#[tokio::test]
async fn g10_no_member_is_an_empty_array() {
    for variables in [&[][..], &[("JWT_ALGORITHM", "HS256"), ("JWT_KEY", "a-key-of-thirty-two-bytes-or-more")]] {
        let app = TestApp::with(variables).await;
        let document = app.get(PATHS[1]).await.json();
        let members = document.as_object().unwrap();
        assert!(members.values().all(|value| *value != json!([]) && *value != Value::Null), "{document}");
        assert!(!members.contains_key("response_types_supported"), "there is no authorization endpoint");
        // Nobody could check a status list without a public key.
        assert_eq!(members.contains_key("status_list_aggregation_endpoint"), variables.is_empty());
    }
}

#[tokio::test]
async fn g11_an_issuer_with_a_path_has_its_metadata_where_libraries_look() {
    for issuer in ["https://auth.example.com/tenant/one", "https://auth.example.com/tenant/one/"] {
        let app = TestApp::with(&on_the_web(&[("JWT_ISSUER", issuer)])).await;
        for path in [
            "/.well-known/oauth-authorization-server/tenant/one",
            "/.well-known/openid-configuration/tenant/one",
            "/tenant/one/.well-known/openid-configuration",
            // Whoever is only told the public URL finds it, too.
            PATHS[0],
            PATHS[1],
        ] {
            assert_eq!(app.get(path).await.expect_status(200).json()["issuer"], issuer, "{path}");
        }
        for path in [
            "/.well-known/oauth-authorization-server/tenant",
            "/.well-known/oauth-authorization-server/tenant/one/two",
            "/.well-known/oauth-authorization-server/",
            "/tenant/.well-known/openid-configuration",
            "/tenant/one/.well-known/jwks.json",
        ] {
            app.get(path).await.expect_problem(404, "not_found");
        }
    }
    let app = TestApp::with(&[("JWT_ISSUER", "relatch")]).await;
    assert_eq!(app.get(PATHS[0]).await.expect_status(200).json()["issuer"], "relatch");
    app.get("/.well-known/oauth-authorization-server/relatch").await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn g12_no_header_of_a_request_is_in_what_is_published() {
    let app = TestApp::with(&on_the_web(&[("TRUSTED_PROXIES", "127.0.0.1")])).await;
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "666"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "for=192.0.2.1;host=evil.example;proto=http"),
        ("x-original-url", "/evil"),
    ];
    for path in [PATHS[0], PATHS[1], "/.well-known/jwks.json"] {
        let plain = app.get(path).await.expect_status(200);
        let mut request = app.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = app.send(request).await.expect_status(200);
        assert_eq!((answer.text.as_str(), answer.header("etag")), (plain.text.as_str(), plain.header("etag")));
        assert!(!format!("{answer:?}").contains("evil"), "{answer:?}");
    }
}
