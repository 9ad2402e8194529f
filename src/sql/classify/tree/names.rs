//! Sans-IO. Names in the parser's tree, as the server stores them.

use std::borrow::Cow;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::sql::verdict::Reason;

/// A name: in quotes as it is, without them in lower case.
pub fn folded(name: &Ident) -> Cow<'_, str> {
    let Ident {
        value,
        quote_style,
        span: _,
    } = name;
    if quote_style.is_none() && value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        value.to_ascii_lowercase().into()
    } else {
        value.as_str().into()
    }
}

/// The last parts of a name that may have a schema and a database before it.
pub fn qualified<'a>(name: &'a ObjectName) -> Result<(Option<Cow<'a, str>>, Cow<'a, str>), Reason> {
    let ObjectName(parts) = name;
    let part = |part: &'a ObjectNamePart| match part {
        ObjectNamePart::Identifier(name) => Ok(folded(name)),
        ObjectNamePart::Function(_) => Err(Reason::Unparsed),
    };
    match parts.as_slice() {
        [name] => Ok((None, part(name)?)),
        [schema, name] | [_, schema, name] => Ok((Some(part(schema)?), part(name)?)),
        _ => Err(Reason::Unparsed),
    }
}

/// The word where a name is one, without quotes or schema: constructs of the grammar look like that.
pub fn keyword(name: &ObjectName) -> Option<String> {
    let ObjectName(parts) = name;
    match parts.as_slice() {
        [
            ObjectNamePart::Identifier(Ident {
                value,
                quote_style: None,
                span: _,
            }),
        ] => Some(value.to_ascii_lowercase()),
        _ => None,
    }
}
