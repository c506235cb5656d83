//! The OpenAPI description: nothing that programs call is missing from it. That what is in it is true, the harness
//! checks with every answer.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use relatch::web::problem::Code;
use reqwest::Method;

use crate::authorization::registered;
use crate::harness::{Answer, Binary, TestApp, document};

/// What people open in a browser, and the description itself.
fn is_for_people(path: &str) -> bool {
    ["/admin", "/reset", "/assets", "/favicon.ico", "/docs", "/openapi.json", "/metrics"]
        .iter()
        .any(|start| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[test]
fn every_route_that_programs_call_is_described_and_no_other() {
    // The metadata's other addresses are for issuers with a path, and say the same.
    let is_named = |path: &str| !is_for_people(path) && !path.contains("{issuer:");
    let routes: BTreeSet<_> = registered().into_iter().filter(|(_, path)| is_named(path)).collect();
    let paths = document()["paths"].as_object().unwrap();
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    assert_eq!(described, routes);
}

#[test]
fn every_code_of_a_problem_is_described() {
    let text = document()["paths"].to_string();
    // Forms are the console's, and what the framework refuses may happen anywhere.
    let elsewhere = [Code::FormRefused, Code::MethodNotAllowed, Code::UriTooLong];
    for code in Code::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        assert!(text.contains(&format!("\"{}\"", code.as_str())), "{} is missing", code.as_str());
    }
}

#[test]
fn each_operation_has_an_id_a_summary_and_an_answer() {
    let mut ids = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')));
        }
    }
}

#[test]
fn every_link_leads_to_an_operation_and_names_a_part_of_its_path() {
    let operations = || {
        let items = document()["paths"].as_object().unwrap().iter();
        items.flat_map(|(path, item)| item.as_object().unwrap().values().map(move |operation| (path, operation)))
    };
    let links = operations().flat_map(|(_, operation)| operation["responses"].as_object().unwrap().values());
    let links: Vec<_> =
        links.filter_map(|answer| answer["links"].as_object()).flat_map(|links| links.values()).collect();
    assert!(links.len() > 20);
    for link in links {
        let id = &link["operationId"];
        let (path, _) = operations().find(|(_, operation)| operation["operationId"] == *id).expect("an operation");
        let parameters = link.get("parameters").and_then(|parameters| parameters.as_object());
        for name in parameters.into_iter().flat_map(|parameters| parameters.keys()) {
            assert!(path.contains(&format!("{{{name}}}")), "{name} is no part of {path}");
        }
    }
}

#[tokio::test]
async fn the_description_is_served_and_printed_the_same() {
    let app = TestApp::start().await;
    let served = app.get("/openapi.json").await.expect_status(200).json();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served["paths"], document()["paths"]);
    let binary = Binary::new();
    let output = binary.run(&["openapi"]);
    assert_eq!(output.code, 0, "{output:?}");
    let printed: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(printed["components"], served["components"]);
    assert_eq!(printed["paths"], served["paths"]);
}

/// An answer, and its body as a browser sees it.
async fn inflated(app: &TestApp, path: &str) -> (Answer, String) {
    let body = app.request(Method::GET, path).send().await.unwrap().bytes().await.unwrap();
    let answer = app.get(path).await.expect_status(200);
    let mut text = String::new();
    match answer.header("content-encoding") {
        "gzip" => GzDecoder::new(&*body).read_to_string(&mut text).unwrap(),
        _ => (&*body).read_to_string(&mut text).unwrap(),
    };
    (answer, text)
}

#[tokio::test]
async fn p1_the_page_for_people_is_all_from_here() {
    let app = TestApp::start().await;
    let moved = app.get("/docs").await.expect_status(303);
    let (answer, page) = inflated(&app, moved.header("location")).await;
    assert!(answer.header("content-type").starts_with("text/html"));
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let sources: Vec<Option<String>> = {
        let (page, script) = (scraper::Html::parse_document(&page), scraper::Selector::parse("script").unwrap());
        page.select(&script).map(|script| script.attr("src").map(str::to_owned)).collect()
    };
    assert!(!sources.is_empty());
    for source in sources {
        let path = format!("/docs/{}", source.expect("a script in a file").trim_start_matches("./"));
        app.get(&path).await.expect_status(200);
    }
    let (_, start) = inflated(&app, "/docs/swagger-initializer.js").await;
    assert!(start.contains("/openapi.json"), "{start}");
    app.get("/docs/../Cargo.toml").await.expect_problem(404, "not_found");
    app.get("/docs/nothing.css").await.expect_problem(404, "not_found");
}
