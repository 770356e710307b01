//! Scenarios as text, as a person would write them: what is as by default is left out, a member or a
//! step is one line.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ClockEntry, DiskEntry, NetworkEntry, Scenario, SettingsEntry};
use crate::workload::WorkloadSpec;

/// Keys in the order in which they are written; others come behind them, by name.
const ORDER: [&str; 23] = [
    "name",
    "description",
    "seed",
    "do",
    "at",
    "when",
    "event",
    "id",
    "member",
    "verdict",
    "violates",
    "members",
    "state",
    "settings",
    "switches",
    "network",
    "disk",
    "clock",
    "workload",
    "timeline",
    "actions",
    "healAt",
    "endAt",
];

impl Scenario {
    /// JSON that parses back to this scenario, with a newline at its end.
    pub fn to_text(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            keep_changes(fields, "settings", &SettingsEntry::default());
            keep_changes(fields, "network", &NetworkEntry::default());
            keep_changes(fields, "disk", &DiskEntry::default());
            keep_changes(fields, "clock", &ClockEntry::default());
            keep_changes(fields, "workload", &WorkloadSpec::default());
            for key in ["members", "timeline", "expect", "description", "switches", "waive"] {
                if let Some(part) = fields.get_mut(key) {
                    strip(part);
                }
            }
            fields.retain(|key, value| key == "members" || key == "expect" || !is_nothing(value));
        }
        let mut text = String::from("{\n");
        let lines: Vec<String> = ordered(value.as_object().unwrap_or(&Map::new()))
            .into_iter()
            .map(|(key, value)| format!("  {}: {}", quoted(key), top_level(key, value)))
            .collect();
        text.push_str(&lines.join(",\n"));
        text.push_str("\n}\n");
        text
    }
}

/// Drops the fields of an object that are as in `default`.
fn keep_changes(fields: &mut Map<String, Value>, key: &str, default: &impl Serialize) {
    let default = serde_json::to_value(default).unwrap_or_default();
    if let Some(Value::Object(own)) = fields.get_mut(key) {
        own.retain(|name, value| default.get(name) != Some(value));
    }
}

/// Drops what says nothing: null, false, empty lists and objects, and the defaults of a trigger. All
/// such fields of members, steps and expectations are so by default; a member's own settings are kept.
fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                if key != "settings" && key != "fields" && key != "heal" {
                    strip(value);
                }
            }
            fields.retain(|key, value| !is_nothing(value) && !is_default_number(key, value));
        }
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn is_default_number(key: &str, value: &Value) -> bool {
    match key {
        "nth" => *value == 1,
        "afterMs" | "commitsAtLeast" | "epochsAtLeast" => *value == 0,
        _ => false,
    }
}

fn ordered(fields: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut all: Vec<(&str, &Value)> = fields.iter().map(|(key, value)| (key.as_str(), value)).collect();
    all.sort_by_key(|(key, _)| (ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()), *key));
    all
}

fn quoted(text: &str) -> String {
    Value::String(text.into()).to_string()
}

fn top_level(key: &str, value: &Value) -> String {
    match value {
        Value::Array(items) if ["members", "timeline", "description"].contains(&key) && !items.is_empty() => {
            let lines: Vec<String> = items.iter().map(|item| format!("    {}", on_one_line(item))).collect();
            format!("[\n{}\n  ]", lines.join(",\n"))
        }
        value => on_one_line(value),
    }
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(on_one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".into(),
        Value::Object(fields) => {
            let fields: Vec<String> = ordered(fields)
                .into_iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), on_one_line(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        value => value.to_string(),
    }
}
