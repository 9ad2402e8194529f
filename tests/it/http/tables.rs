//! `/api/v1`: the console's tables, as `config/openapi.json` describes them.

use serde_json::Value;

use super::ask::{get, get_with};
use super::start;
use crate::support::wait::eventually;
use crate::support::{Fixture, Setup};

/// Whether a value is what a schema of ours allows. Knows what they use, and no more.
fn check(value: &Value, schema: &Value, at: &str) {
    for key in schema.as_object().unwrap().keys() {
        let known = [
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
        ];
        assert!(
            known.contains(&key.as_str()),
            "{at}: this test does not know {key}"
        );
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) => {
            if number.is_i64() {
                "integer"
            } else {
                "number"
            }
        }
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|allowed| allowed == kind),
        allowed => allowed == kind,
    };
    assert!(allowed, "{at}: {value} is no {}", schema["type"]);
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, &schema["items"], &format!("{at}[{place}]"));
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().unwrap() {
            assert!(
                object.contains_key(name.as_str().unwrap()),
                "{at} has no {name}"
            );
        }
        for (name, value) in object {
            check(value, &schema["properties"][name], &format!("{at}.{name}"));
        }
    }
}

#[test]
fn every_answer_is_what_the_description_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/openapi.json");
    let description: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let role = Fixture::get().role();
    let setup = Setup::new().forced(&role, "").set("http_auth_token", "t");
    let (weir, port) = start(&setup);
    let mut client = weir.app();
    client.run("select 1");
    client.run("begin");
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 10, "{paths:?}");
    for (path, operations) in paths {
        let answer = get_with(port, path, "Authorization: Bearer t\r\n");
        assert_eq!(answer.status, 200, "{path}");
        let content = operations["get"]["responses"]["200"]["content"]
            .as_object()
            .unwrap();
        let (kind, media) = content.iter().next().unwrap();
        assert!(
            answer.headers.contains(&format!("content-type: {kind}")),
            "{path}: {answer:?}"
        );
        if kind == "application/json" {
            let value = serde_json::from_str(&answer.body).unwrap();
            check(&value, &media["schema"], path);
        }
    }
}

#[test]
fn tables_have_the_rows_of_the_console() {
    let role = Fixture::get().role();
    let (weir, port) = start(&Setup::new().forced(&role, ""));
    let mut client = weir.app();
    client.run("begin");
    let table = |name: &str| -> Vec<Value> {
        let body = get(port, &format!("/api/v1/{name}")).body;
        let body: Value = serde_json::from_str(&body).unwrap();
        body[name].as_array().unwrap().clone()
    };
    let pools = table("pools");
    let pool = pools
        .iter()
        .find(|pool| pool["user"] == role.as_str())
        .unwrap();
    for column in ["cl_active", "sv_active", "sv_idle", "maxwait"] {
        let shown = weir.shown("pools", &[("user", &role)], column).unwrap();
        assert_eq!(pool[column].to_string(), shown, "{column}");
    }
    let (clients, servers) = (table("clients"), table("servers"));
    let client_row = clients.iter().find(|row| row["user"] == "app").unwrap();
    let server_row = servers
        .iter()
        .find(|row| row["user"] == role.as_str())
        .unwrap();
    assert_eq!(client_row["link"], server_row["ptr"]);
    let config = table("config");
    let mode = config.iter().find(|row| row["key"] == "pool_mode").unwrap();
    assert_eq!(mode["value"], "transaction");
    assert_eq!(table("databases").len(), 2);
    assert_eq!(table("replicas"), Vec::<Value>::new());
}

#[test]
fn statements_are_shown_without_values_and_only_with_credentials() {
    let (_weir, port) = start(&Setup::new());
    assert_eq!(get(port, "/api/v1/queries").status, 403);
    let (weir, port) = start(&Setup::new().set("http_auth_token", "t"));
    let mut client = weir.app();
    for number in 0..3 {
        client.run(&format!("select 'hidden {number}'"));
    }
    drop(client);
    let token = "Authorization: Bearer t\r\n";
    let body = eventually("three calls", || {
        let body = get_with(port, "/api/v1/queries", token).body;
        body.contains("\"calls\":3").then_some(body)
    });
    assert!(!body.contains("hidden"), "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let rows = body["queries"].as_array().unwrap();
    let row = rows.iter().find(|row| row["calls"] == 3).unwrap();
    let (database, user, query) = (&row["database"], &row["user"], &row["query"]);
    assert_eq!((database, user), (&Value::from("it"), &Value::from("app")));
    assert_eq!(query, "select $1");
}
