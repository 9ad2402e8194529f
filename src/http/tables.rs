//! Sans-IO. The console's tables as JSON, and their description (`OpenAPI`).
//!
//! Both come from the columns of the console, so that names, types and values agree with it.

use serde_json::{Map, Value as Json, json};

use crate::admin::host::ConsoleHost;
use crate::admin::rows::QueryView;
use crate::admin::rows::connection::CONNECTION_COLUMNS;
use crate::admin::rows::lists::CONFIG_COLUMNS;
use crate::admin::rows::pools::{DATABASE_COLUMNS, POOL_COLUMNS};
use crate::admin::rows::queries::QUERY_COLUMNS;
use crate::admin::rows::routing::REPLICA_COLUMNS;
use crate::admin::table::{Column, Heading, Value, headings};
use crate::protocol::reply::ColumnType;
use crate::version;

/// A table that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `SHOW POOLS`
    Pools,
    /// `SHOW CLIENTS`
    Clients,
    /// `SHOW SERVERS`
    Servers,
    /// `SHOW REPLICAS`
    Replicas,
    /// `SHOW DATABASES`
    Databases,
    /// `SHOW CONFIG`
    Config,
    /// `SHOW QUERIES`, in its order
    Queries,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pools,
        Self::Clients,
        Self::Servers,
        Self::Replicas,
        Self::Databases,
        Self::Config,
        Self::Queries,
    ];

    /// Its name in the path and in the answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pools => "pools",
            Self::Clients => "clients",
            Self::Servers => "servers",
            Self::Replicas => "replicas",
            Self::Databases => "databases",
            Self::Config => "config",
            Self::Queries => "queries",
        }
    }

    /// Its rows, as they are now.
    pub fn rows(self, host: &impl ConsoleHost) -> Json {
        let rows = match self {
            Self::Pools => objects(POOL_COLUMNS, &host.pools()),
            Self::Clients => objects(CONNECTION_COLUMNS, &host.clients()),
            Self::Servers => objects(CONNECTION_COLUMNS, &host.servers()),
            Self::Replicas => objects(REPLICA_COLUMNS, &host.replicas()),
            Self::Databases => objects(DATABASE_COLUMNS, &host.databases()),
            Self::Config => objects(CONFIG_COLUMNS, &host.config()),
            Self::Queries => {
                let view = QueryView::default();
                objects(QUERY_COLUMNS, &view.apply(host.queries()))
            }
        };
        Json::Object(Map::from_iter([(self.name().to_owned(), rows)]))
    }

    fn headings(self) -> Vec<Heading> {
        match self {
            Self::Pools => headings(POOL_COLUMNS),
            Self::Clients | Self::Servers => headings(CONNECTION_COLUMNS),
            Self::Replicas => headings(REPLICA_COLUMNS),
            Self::Databases => headings(DATABASE_COLUMNS),
            Self::Config => headings(CONFIG_COLUMNS),
            Self::Queries => headings(QUERY_COLUMNS),
        }
    }
}

fn objects<R>(columns: &[Column<R>], rows: &[R]) -> Json {
    let object = |row| {
        let cells = columns.iter();
        let cells = cells.map(|column| (column.name.to_owned(), cell((column.value)(row))));
        Json::Object(cells.collect())
    };
    rows.iter().map(object).collect()
}

fn cell(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::String(text.into_owned()),
        Value::Number(number) => number.into(),
    }
}

/// The description of everything that HTTP answers, as it stands in `config/openapi.json`.
pub fn openapi() -> String {
    let mut paths = Map::new();
    for (path, summary, kind) in [
        ("/healthz", "Whether the process lives.", "text/plain"),
        (
            "/metrics",
            "Metrics in the text format of Prometheus.",
            "text/plain",
        ),
    ] {
        paths.insert(
            path.to_owned(),
            get(summary, kind, &json!({ "type": "string" }), &[]),
        );
    }
    let summary = "Whether new clients should be sent here.";
    let word = json!({ "type": "string" });
    let unready = [("503", "They should not: the body says why.")];
    paths.insert(
        "/readyz".to_owned(),
        get(summary, "text/plain", &word, &unready),
    );
    for table in Table::ALL {
        let name = table.name();
        let summary = format!("What SHOW {} shows.", name.to_uppercase());
        let answer = get(&summary, "application/json", &schema(table), &[]);
        paths.insert(format!("/api/v1/{name}"), answer);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pgweir",
            "version": version::OWN,
            "description": "Metrics, health and the console's tables. Nothing here changes anything.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "password": { "type": "http", "scheme": "basic" },
            },
        },
        "security": [{}, { "token": [] }, { "password": [] }],
    });
    let text = serde_json::to_string_pretty(&document).expect("text and numbers can be written");
    text + "\n"
}

fn get(summary: &str, kind: &str, schema: &Json, more: &[(&str, &str)]) -> Json {
    let mut responses = Map::new();
    let content = Map::from_iter([(kind.to_owned(), json!({ "schema": schema }))]);
    responses.insert(
        "200".to_owned(),
        json!({ "description": "OK", "content": content }),
    );
    for (status, description) in more {
        responses.insert((*status).to_owned(), json!({ "description": description }));
    }
    json!({ "get": { "summary": summary, "responses": responses } })
}

fn schema(table: Table) -> Json {
    let columns = table.headings();
    let required: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let property = |(name, kind): &Heading| {
        let kind = match kind {
            ColumnType::Text | ColumnType::Bytea => "string",
            ColumnType::Int4 | ColumnType::Int8 | ColumnType::Numeric => "integer",
        };
        ((*name).to_owned(), json!({ "type": [kind, "null"] }))
    };
    let row = json!({
        "type": "object",
        "properties": columns.iter().map(property).collect::<Map<_, _>>(),
        "required": required,
        "additionalProperties": false,
    });
    let list = json!({ "type": "array", "items": row });
    json!({
        "type": "object",
        "properties": Map::from_iter([(table.name().to_owned(), list)]),
        "required": [table.name()],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_in_the_repository_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/openapi.json");
        if std::env::var_os("REGENERATE_DOCS").is_some() {
            std::fs::write(path, openapi()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            written,
            openapi(),
            "print it with: REGENERATE_DOCS=1 cargo test --lib http::"
        );
    }
}
