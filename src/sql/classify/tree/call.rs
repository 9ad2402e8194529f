//! Sans-IO. Calls of functions, and what is between their parentheses and after them.

use sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, JsonReturningClause, ObjectName, WindowType,
};

use super::{Node, Walk, foreign, names, plain_wildcard, read};
use crate::sql::catalog::Knowledge;
use crate::sql::verdict::Reason;

/// What looks like a call and is part of the grammar, where it is written without quotes. Sorted.
const CONSTRUCTS: &[&str] = &[
    "array",
    "coalesce",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "greatest",
    "grouping",
    "json_object",
    "least",
    "localtime",
    "localtimestamp",
    "normalize",
    "nullif",
    "row",
    "session_user",
    "system_user",
    "treat",
    "user",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
];

/// The same since `PostgreSQL` 16 and 17. On an older server they may be functions of a user, which
/// only a complete catalog knows. Sorted.
const NEW_CONSTRUCTS: &[&str] = &[
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_value",
];

impl<'a> Walk<'a, '_> {
    pub(super) fn function(&mut self, function: &'a Function) -> Result<(), Reason> {
        let Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment: _,
            over,
        } = function;
        foreign(*uses_odbc_syntax || *parameters != FunctionArguments::None)?;
        let is_construct = names::keyword(name).is_some_and(|word| {
            let is_complete = self.catalog.knowledge() == Knowledge::Complete;
            CONSTRUCTS.binary_search(&word.as_str()).is_ok()
                || (is_complete && NEW_CONSTRUCTS.binary_search(&word.as_str()).is_ok())
        });
        if !is_construct {
            self.call(name)?;
        }
        match args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(query) => self.ahead.push(Node::Query(query)),
            FunctionArguments::List(list) => self.list(list)?,
        }
        self.ordered(within_group)?;
        self.all(filter.as_deref());
        match over {
            None | Some(WindowType::NamedWindow(_)) => Ok(()),
            Some(WindowType::WindowSpec(spec)) => self.window(spec),
        }
    }

    fn list(&mut self, list: &'a FunctionArgumentList) -> Result<(), Reason> {
        let FunctionArgumentList {
            duplicate_treatment: _,
            args,
            clauses,
        } = list;
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(exprs) => self.ordered(exprs)?,
                FunctionArgumentClause::JsonReturningClause(JsonReturningClause { data_type }) => {
                    self.cast(data_type)?;
                }
                FunctionArgumentClause::JsonNullClause(_)
                | FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
                FunctionArgumentClause::Where(_)
                | FunctionArgumentClause::Limit(_)
                | FunctionArgumentClause::OnOverflow(_)
                | FunctionArgumentClause::Having(_)
                | FunctionArgumentClause::Separator(_) => return Err(Reason::Unparsed),
            }
        }
        self.arguments(args)
    }

    pub(super) fn arguments(&mut self, args: &'a [FunctionArg]) -> Result<(), Reason> {
        for arg in args {
            let value = match arg {
                FunctionArg::Unnamed(value)
                | FunctionArg::Named {
                    name: _,
                    arg: value,
                    operator: _,
                } => value,
                FunctionArg::ExprNamed {
                    name,
                    arg: value,
                    operator: _,
                } => {
                    self.all([name]);
                    value
                }
            };
            match value {
                FunctionArgExpr::Expr(expr) => self.all([expr]),
                FunctionArgExpr::Wildcard | FunctionArgExpr::QualifiedWildcard(_) => {}
                FunctionArgExpr::WildcardWithOptions(options) => plain_wildcard(options)?,
            }
        }
        Ok(())
    }

    /// A function that is called by name.
    pub(super) fn call(&mut self, name: &ObjectName) -> Result<(), Reason> {
        let (_, name) = names::qualified(name)?;
        read(self.catalog.call(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_as_they_are_searched() {
        assert!(CONSTRUCTS.is_sorted() && NEW_CONSTRUCTS.is_sorted());
    }
}
