//! Holds every answer that a test gets against the OpenAPI description.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use super::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(relatch::web::openapi::document("http://127.0.0.1:8080")).unwrap());

/// The description of the whole API.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// Fails when nothing is said of such an answer to such a request.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let Some((template, item)) = find(path) else {
        let is_described = path.starts_with("/api/") || path.starts_with("/oauth/");
        assert!(!is_described || [401, 403, 404, 405, 414].contains(&answer.status), "{method} {path}: {answer:?}");
        return;
    };
    let method = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let Some(operation) = item.get(&method) else {
        assert!(answer.status == 405 || method == "options", "{method} {template}: {answer:?}");
        return;
    };
    let response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{method} {template} is not said to answer {}: {answer:?}", answer.status);
    let media_type = answer.header("content-type");
    if media_type.is_empty() || answer.text.is_empty() {
        return;
    }
    let schema = &response["content"][media_type]["schema"];
    assert!(!schema.is_null(), "{method} {template} {}: no {media_type} in {response}", answer.status);
    if media_type.ends_with("json")
        && let Err(wrong) = conforms(&answer.json(), schema)
    {
        panic!("{method} {template} {}: {wrong} in {answer:?}", answer.status);
    }
}

/// The path of the description that this one is an example of; one without parameters comes first.
fn find(path: &str) -> Option<(&'static str, &'static Value)> {
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let template: Vec<_> = template.split('/').collect();
        template.len() == parts.len()
            && template.iter().zip(&parts).all(|(one, part)| one == part || one.starts_with('{') && !part.is_empty())
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(template, _)| fits(template));
    found.min_by_key(|(template, _)| template.matches('{').count()).map(|(template, item)| (template.as_str(), item))
}

/// Whether a value is as its schema says, and has no member that the schema does not name.
fn conforms(value: &Value, schema: &Value) -> Result<(), String> {
    let schema = resolved(schema);
    for any in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[any].as_array() {
            let wrongs: Vec<_> = choices.iter().filter_map(|choice| conforms(value, choice).err()).collect();
            return if wrongs.len() < choices.len() { Ok(()) } else { Err(wrongs.join(" and ")) };
        }
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return if allowed.contains(value) { Ok(()) } else { Err(format!("{value} is not one of {allowed:?}")) };
    }
    if let Some(object) = value.as_object() {
        return members_conform(object, schema);
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&actual) {
        return Err(format!("{value} is not {types:?}"));
    }
    value.as_array().into_iter().flatten().try_for_each(|item| conforms(item, &schema["items"]))
}

fn members_conform(object: &serde_json::Map<String, Value>, schema: &Value) -> Result<(), String> {
    let parts = parts_of(schema);
    if parts.iter().all(|part| part["properties"].is_null()) {
        return Ok(());
    }
    for part in &parts {
        for required in part["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(required) {
                return Err(format!("{required} is missing"));
            }
        }
    }
    for (name, value) in object {
        let mut schemas =
            parts.iter().map(|part| &part["properties"][name]).filter(|schema| !schema.is_null()).peekable();
        if schemas.peek().is_none() {
            return Err(format!("{name} is not described"));
        }
        schemas.try_for_each(|schema| conforms(value, schema)).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    Ok(())
}

/// A schema and all that it is made of.
fn parts_of(schema: &Value) -> Vec<&Value> {
    let schema = resolved(schema);
    match schema["allOf"].as_array() {
        Some(parts) => parts.iter().flat_map(parts_of).chain([schema]).collect(),
        None => vec![schema],
    }
}

fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => resolved(DOCUMENT.pointer(pointer).unwrap()),
        None => schema,
    }
}
