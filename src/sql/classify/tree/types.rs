//! Sans-IO. Types that a query names, which it casts to: a type of a user may run code then.

use sqlparser::ast::{ArrayElemTypeDef, DataType};

use super::{Walk, names, read};
use crate::sql::verdict::Reason;

impl Walk<'_, '_> {
    pub(super) fn cast(&mut self, target: &DataType) -> Result<(), Reason> {
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
