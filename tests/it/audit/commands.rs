//! `relatch audit`: verify and export.

use std::sync::Arc;

use serde_json::{Value, json};

use super::of;
use crate::harness::{Binary, Database, PASSWORD, TestApp, execute};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn a_serving_instance_seals_within_a_second_and_verify_says_what_is_wrong() {
    let database = Arc::new(Database::create());
    let binary = Binary::on(Arc::clone(&database));
    let server = binary.serve();
    let body = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &body).await.expect_status(201);
    let login = json!({ "username": "saif", "password": "wrong password" });
    server.post("/api/auth/login", &login).await.expect_status(401);
    let began = std::time::Instant::now();
    while of(&database).await.iter().any(|event| event.seal_number.is_none()) {
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "the events are not sealed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let verified = binary.run(&["audit", "verify", "--json"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let report = &lines(&verified.stdout)[0];
    let events = of(&database).await;
    assert_eq!(report["checked"], events.len(), "{report}");
    assert_eq!((&report["fault"], &report["unsealed"]), (&Value::Null, &json!(0)));
    let head = report["head"].as_str().unwrap();
    assert_eq!(binary.run(&["audit", "verify", "--head", head]).code, 0);
    let other = binary.run(&["audit", "verify", "--head", &"00".repeat(31)]);
    assert!(other.code == 1 && other.stderr.contains("64 hexadecimal digits"), "{other:?}");
    let other = binary.run(&["audit", "verify", "--head", &"07".repeat(32)]);
    assert!(other.code == 1 && other.stderr.contains("noted earlier"), "{other:?}");
    // Commands leave their events to the server, which has ended here.
    server.terminate();
    let disabled = binary.run(&["user", "disable", "saif"]);
    assert_eq!(disabled.code, 0, "{disabled:?}");
    let verified = binary.run(&["audit", "verify"]);
    assert!(verified.code == 0 && verified.stdout.contains("1 events are not sealed yet"), "{verified:?}");
    execute(&database, "UPDATE audit_events SET subject_user_id = 9 WHERE seal_number = 2").await;
    let verified = binary.run(&["audit", "verify"]);
    assert!(verified.code == 1 && verified.stderr.contains("number 2 of the chain"), "{verified:?}");
}

#[tokio::test]
async fn an_export_holds_every_event_once_and_no_formula() {
    let database = Arc::new(Database::create());
    let app = TestApp::on(Arc::clone(&database), &[]).await;
    let user = app.user("saif").await;
    let agents = ["=HYPERLINK(\"http://evil.example\")", "+1", "-2+3", "@SUM(A1)", "plain, with \"quotes\""];
    for agent in agents {
        let body = json!({ "username": "saif", "password": "wrong password" });
        let login = app.request(reqwest::Method::POST, "/api/auth/login").header("user-agent", agent);
        app.send(login.json(&body)).await.expect_status(401);
    }
    // More than one batch.
    let copy = "occurred_at, kind, severity, detail, actor_kind, result, subject_user_id";
    for _ in 0..7 {
        let sql = format!("INSERT INTO audit_events ({copy}) SELECT {copy} FROM audit_events");
        execute(&database, &sql).await;
    }
    let binary = Binary::on(Arc::clone(&database));
    let exported = binary.run(&["audit", "export"]);
    assert_eq!((exported.code, exported.stderr.as_str()), (0, ""));
    let rows = lines(&exported.stdout);
    let events = of(&database).await;
    let mut ids: Vec<_> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert!(rows.windows(2).all(|pair| pair[0]["occurredAt"].as_str() <= pair[1]["occurredAt"].as_str()));
    ids.sort_unstable();
    assert!(events.len() > 1_000 && ids.into_iter().eq(events.iter().map(|event| event.id)));
    let failed = binary.run(&["audit", "export", "--kind", "login.failed"]);
    assert_eq!(lines(&failed.stdout).len(), super::count(&events, "login.failed"));
    let csv = binary.run(&["audit", "export", "--format", "csv", "--kind", "login.*"]).stdout;
    assert!(csv.starts_with("id,occurredAt,kind,"));
    for cell in ["\"'=HYPERLINK(\"\"http://evil.example\"\")\"", "'+1", "'-2+3", "'@SUM(A1)"] {
        assert!(csv.contains(&format!(",{cell},")), "{cell}");
    }
    assert!(csv.contains(&format!(",{},saif,", user.id)));
    let today = &app.now().to_string()[..10];
    assert_eq!(binary.run(&["audit", "export", "--from", today, "--to", today]).stdout, exported.stdout);
    assert_eq!(binary.run(&["audit", "export", "--to", "2001-01-01"]).stdout, "");
    for wrong in [["--from", "yesterday"], ["--kind", "login"]] {
        assert_eq!(binary.run(&["audit", "export", wrong[0], wrong[1]]).code, 1, "{wrong:?}");
    }
}
