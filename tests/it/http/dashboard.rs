//! The dashboard as it stands in the repository.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use serde_json::Value;

use super::alerts::repository;

/// Columns of Grafana's grid.
const WIDTH: u64 = 24;

fn read() -> Value {
    let text = fs::read(repository("docker/grafana/pgweir.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().into_iter().flatten()
}

/// Every expression, with the legend that is made of its result.
pub fn expressions() -> Vec<(String, String)> {
    let dashboard = read();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let asked = variables.filter_map(|variable| variable["query"]["query"].as_str());
    let drawn = panels(&dashboard).flat_map(targets);
    let drawn = drawn.map(|target| (text(&target["expr"]), text(&target["legendFormat"])));
    drawn
        .chain(asked.map(|query| (query.to_owned(), String::new())))
        .collect()
}

/// Labels in a legend.
pub fn shown(legend: &str) -> Vec<&str> {
    let behind = legend.split("{{").skip(1);
    behind.filter_map(|text| text.split("}}").next()).collect()
}

/// The panels' expressions as rules, which `promtool` can check.
pub fn as_rules() -> String {
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let dashboard = read();
    for (number, target) in panels(&dashboard).flat_map(targets).enumerate() {
        let expression = target["expr"].to_string().replace("$__rate_interval", "1m");
        writeln!(rules, "  - record: a{number}\n    expr: {expression}").unwrap();
    }
    rules
}

#[test]
fn panels_stand_beside_each_other_and_say_what_they_show() {
    let dashboard = read();
    let mut taken = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title), "twice: {title}");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= WIDTH, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} covers another panel");
            }
        }
        // What Grafana gives itself would only differ from one export to the next.
        assert!(panel.get("id").is_none(), "{title}");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(!panel["description"].as_str().unwrap().is_empty());
            let names: BTreeSet<_> = targets(panel)
                .map(|target| &target["refId"])
                .map(Value::to_string)
                .collect();
            assert!(
                !names.is_empty() && names.len() == targets(panel).count(),
                "{title}"
            );
        }
    }
}
