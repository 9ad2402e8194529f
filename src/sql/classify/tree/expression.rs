//! Sans-IO. Expressions: what they call and what they are made of.
//!
//! Operators are not looked at here: the first look has seen them all (`words`).

use sqlparser::ast::{
    AccessExpr, Array, CaseWhen, CastKind, Expr, Interval, Subscript, TypedString,
};

use super::{Node, Walk, foreign};
use crate::sql::verdict::Reason;

/// The one expression that another is made of, beside what calls nothing.
fn only_part(expr: &Expr) -> Option<&Expr> {
    match expr {
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
        }
        | Expr::Ceil { expr: of, field: _ }
        | Expr::Floor { expr: of, field: _ } => Some(of),
        Expr::Interval(Interval {
            value,
            leading_field: _,
            leading_precision: _,
            last_field: _,
            fractional_seconds_precision: _,
        }) => Some(value),
        _ => None,
    }
}

/// The two expressions that another is made of, beside what calls nothing.
fn two_parts(expr: &Expr) -> Option<[&Expr; 2]> {
    match expr {
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
        } => Some([left, right]),
        _ => None,
    }
}

impl<'a> Walk<'a, '_> {
    /// One expression. What is in none of the lists here and below is not known.
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Result<(), Reason> {
        if let Some(part) = only_part(expr) {
            self.all([part]);
            return Ok(());
        }
        if let Some(parts) = two_parts(expr) {
            self.all(parts);
            return Ok(());
        }
        match expr {
            Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Value(_)
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..) => Ok(()),
            Expr::Function(function) => self.function(function),
            Expr::Exists {
                subquery,
                negated: _,
            }
            | Expr::Subquery(subquery) => {
                self.ahead.push(Node::Query(subquery));
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
            Expr::Cast {
                kind,
                expr,
                data_type,
                format,
            } => {
                foreign(format.is_some())?;
                foreign(matches!(kind, CastKind::TryCast | CastKind::SafeCast))?;
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
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.all([root.as_ref()]);
                for access in access_chain {
                    self.access(access);
                }
                Ok(())
            }
            other => self.list_of_parts(other),
        }
    }

    /// Those with a list in them.
    fn list_of_parts(&mut self, expr: &'a Expr) -> Result<(), Reason> {
        match expr {
            Expr::Tuple(list)
            | Expr::Array(Array {
                elem: list,
                named: _,
            }) => self.all(list),
            Expr::InList {
                expr,
                list,
                negated: _,
            } => {
                self.all([expr.as_ref()]);
                self.all(list);
            }
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                self.all(sets.iter().flatten());
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
            }
            Expr::Trim {
                trim_where: _,
                trim_what,
                expr,
                trim_characters,
            } => {
                self.all([expr.as_ref()]);
                self.all(trim_what.as_deref());
                self.all(trim_characters.iter().flatten());
            }
            other => return self.optional_parts(other),
        }
        Ok(())
    }

    /// Those of three parts and more.
    fn optional_parts(&mut self, expr: &'a Expr) -> Result<(), Reason> {
        match expr {
            Expr::Between {
                expr,
                negated: _,
                low,
                high,
            } => {
                self.all([expr.as_ref(), low, high]);
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
            }
            Expr::SimilarTo {
                negated: _,
                expr,
                pattern,
                escape_char,
            } => {
                self.all([expr.as_ref(), pattern]);
                self.all(escape_char.as_deref());
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
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                self.all([expr.as_ref(), overlay_what, overlay_from]);
                self.all(overlay_for.as_deref());
            }
            _ => return Err(Reason::Unparsed),
        }
        Ok(())
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
}
