//! Sans-IO. Expressions: what they call and what they are made of.
//!
//! Operators are not looked at here: the first look has seen them all (`words`).

use sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Interval,
    JsonReturningClause, ObjectName, Subscript, TypedString, WindowType,
};

use super::{Node, Walk, foreign, names, plain_wildcard, read};
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
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_value",
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

impl<'a> Walk<'a, '_> {
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Result<(), Reason> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => Ok(()),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => Ok(()),
            Expr::IsFalse(of)
            | Expr::IsNotFalse(of)
            | Expr::IsTrue(of)
            | Expr::IsNotTrue(of)
            | Expr::IsNull(of)
            | Expr::IsNotNull(of)
            | Expr::IsUnknown(of)
            | Expr::IsNotUnknown(of)
            | Expr::Nested(of)
            | Expr::IsJson {
                expr: of,
                kind: _,
                unique_keys: _,
                negated: _,
            }
            | Expr::IsNormalized {
                expr: of,
                form: _,
                negated: _,
            }
            | Expr::UnaryOp { op: _, expr: of }
            | Expr::Collate {
                expr: of,
                collation: _,
            }
            | Expr::Extract {
                field: _,
                syntax: _,
                expr: of,
            } => {
                self.all([of.as_ref()]);
                Ok(())
            }
            Expr::IsDistinctFrom(left, right)
            | Expr::IsNotDistinctFrom(left, right)
            | Expr::BinaryOp { left, op: _, right }
            | Expr::AnyOp {
                left,
                compare_op: _,
                right,
                is_some: _,
            }
            | Expr::AllOp {
                left,
                compare_op: _,
                right,
            }
            | Expr::AtTimeZone {
                timestamp: left,
                time_zone: right,
            }
            | Expr::Position {
                expr: left,
                r#in: right,
            } => {
                self.all([left.as_ref(), right.as_ref()]);
                Ok(())
            }
            Expr::Tuple(list) => {
                self.all(list);
                Ok(())
            }
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter().for_each(|set| self.all(set));
                Ok(())
            }
            Expr::Exists {
                subquery,
                negated: _,
            }
            | Expr::Subquery(subquery) => {
                self.ahead.push(Node::Query(subquery));
                Ok(())
            }
            other => self.larger(other),
        }
    }

    /// Those of more than two parts, or with parts that are no expressions.
    fn larger(&mut self, expr: &'a Expr) -> Result<(), Reason> {
        match expr {
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.all([root.as_ref()]);
                access_chain.iter().for_each(|access| self.access(access));
                Ok(())
            }
            Expr::InList {
                expr,
                list,
                negated: _,
            } => {
                self.all([expr.as_ref()]);
                self.all(list);
                Ok(())
            }
            Expr::InSubquery {
                expr,
                subquery,
                negated: _,
            } => {
                self.ahead.push(Node::Query(subquery));
                self.all([expr.as_ref()]);
                Ok(())
            }
            Expr::Between {
                expr,
                negated: _,
                low,
                high,
            } => {
                self.all([expr.as_ref(), low, high]);
                Ok(())
            }
            Expr::Like {
                negated: _,
                any,
                expr,
                pattern,
                escape_char,
            }
            | Expr::ILike {
                negated: _,
                any,
                expr,
                pattern,
                escape_char,
            } => {
                foreign(*any)?;
                self.all([expr.as_ref(), pattern]);
                self.all(escape_char.as_deref());
                Ok(())
            }
            Expr::SimilarTo {
                negated: _,
                expr,
                pattern,
                escape_char,
            } => {
                self.all([expr.as_ref(), pattern]);
                self.all(escape_char.as_deref());
                Ok(())
            }
            Expr::Case {
                case_token: _,
                end_token: _,
                operand,
                conditions,
                else_result,
            } => {
                self.all(operand.as_deref());
                for CaseWhen { condition, result } in conditions {
                    self.all([condition, result]);
                }
                self.all(else_result.as_deref());
                Ok(())
            }
            Expr::Array(Array { elem, named: _ }) => {
                self.all(elem);
                Ok(())
            }
            Expr::Interval(Interval {
                value,
                leading_field: _,
                leading_precision: _,
                last_field: _,
                fractional_seconds_precision: _,
            }) => {
                self.all([value.as_ref()]);
                Ok(())
            }
            Expr::Cast {
                kind,
                expr,
                data_type,
                format,
            } => {
                foreign(format.is_some())?;
                match kind {
                    CastKind::Cast | CastKind::DoubleColon => {}
                    CastKind::TryCast | CastKind::SafeCast => return Err(Reason::Unparsed),
                }
                self.all([expr.as_ref()]);
                self.cast(data_type)
            }
            Expr::TypedString(TypedString {
                data_type,
                value: _,
                uses_odbc_syntax,
            }) => {
                foreign(*uses_odbc_syntax)?;
                self.cast(data_type)
            }
            Expr::Function(function) => self.function(function),
            text => self.text_function(text),
        }
    }

    /// Functions on texts and numbers with a grammar of their own, and what we do not know.
    fn text_function(&mut self, expr: &'a Expr) -> Result<(), Reason> {
        match expr {
            Expr::Ceil { expr, field: _ } | Expr::Floor { expr, field: _ } => {
                self.all([expr.as_ref()]);
                Ok(())
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special: _,
                shorthand: _,
            } => {
                self.all([expr.as_ref()]);
                self.all(substring_from.as_deref());
                self.all(substring_for.as_deref());
                Ok(())
            }
            Expr::Trim {
                trim_where: _,
                trim_what,
                expr,
                trim_characters,
            } => {
                self.all([expr.as_ref()]);
                self.all(trim_what.as_deref());
                trim_characters.iter().for_each(|list| self.all(list));
                Ok(())
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                self.all([expr.as_ref(), overlay_what, overlay_from]);
                self.all(overlay_for.as_deref());
                Ok(())
            }
            _ => Err(Reason::Unparsed),
        }
    }

    fn access(&mut self, access: &'a AccessExpr) {
        match access {
            // A name after a dot: what it may call has been looked up by the first look.
            AccessExpr::Dot(expr) | AccessExpr::Subscript(Subscript::Index { index: expr }) => {
                self.all([expr]);
            }
            AccessExpr::Subscript(Subscript::Slice {
                lower_bound,
                upper_bound,
                stride,
            }) => {
                self.all(lower_bound.iter().chain(upper_bound).chain(stride));
            }
        }
    }

    fn function(&mut self, function: &'a Function) -> Result<(), Reason> {
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
        let is_construct = names::keyword(name)
            .is_some_and(|word| CONSTRUCTS.binary_search(&word.as_str()).is_ok());
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

    pub(super) fn cast(&mut self, target: &'a DataType) -> Result<(), Reason> {
        let mut target = target;
        loop {
            match target {
                DataType::Array(
                    ArrayElemTypeDef::SquareBracket(of, _) | ArrayElemTypeDef::Qualified(of, _),
                ) => target = of,
                DataType::Custom(name, _) => {
                    let (_, name) = names::qualified(name)?;
                    return read(self.catalog.cast(&name));
                }
                builtin if is_of_the_grammar(builtin) => return read(self.catalog.cast("text")),
                _ => return Err(Reason::UnknownFunction),
            }
        }
    }
}

/// Whether the parser's own type is one of `PostgreSQL`'s, and not another database's, whose name
/// would be a user's type here.
fn is_of_the_grammar(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Character(_)
            | DataType::Char(_)
            | DataType::CharacterVarying(_)
            | DataType::CharVarying(_)
            | DataType::Varchar(_)
            | DataType::Uuid
            | DataType::Numeric(_)
            | DataType::Decimal(_)
            | DataType::Dec(_)
            | DataType::Float(_)
            | DataType::SmallInt(None)
            | DataType::Int(None)
            | DataType::Int2(None)
            | DataType::Int4(None)
            | DataType::Int8(None)
            | DataType::Integer(None)
            | DataType::BigInt(None)
            | DataType::Float4
            | DataType::Float8
            | DataType::Real
            | DataType::DoublePrecision
            | DataType::Bool
            | DataType::Boolean
            | DataType::Date
            | DataType::Time(..)
            | DataType::Timestamp(..)
            | DataType::Interval { .. }
            | DataType::JSON
            | DataType::JSONB
            | DataType::Regclass
            | DataType::Text
            | DataType::Bytea
            | DataType::Bit(_)
            | DataType::BitVarying(_)
            | DataType::VarBit(_)
            | DataType::GeometricType(_)
            | DataType::TsVector
            | DataType::TsQuery
    )
}
