//! Sans-IO. What a query reads from: tables, functions, joins.

use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, Query, Table, TableAlias, TableAliasColumnDef,
    TableFactor, TableFunctionArgs, TableSample, TableSampleKind, TableSampleQuantity,
    TableWithJoins,
};

use super::{Node, Walk, foreign, names, read};
use crate::sql::verdict::Reason;

impl<'a> Walk<'a, '_> {
    pub(super) fn tables(&mut self, tables: &'a TableWithJoins) -> Result<(), Reason> {
        let TableWithJoins { relation, joins } = tables;
        self.ahead.push(Node::Source(relation));
        for join in joins {
            let Join {
                relation,
                global,
                join_operator,
            } = join;
            foreign(*global)?;
            self.ahead.push(Node::Source(relation));
            self.join(join_operator)?;
        }
        Ok(())
    }

    fn join(&mut self, operator: &'a JoinOperator) -> Result<(), Reason> {
        let constraint = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint) => constraint,
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_)
            | JoinOperator::RightAnti(_)
            | JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::AsOf { .. }
            | JoinOperator::StraightJoin(_)
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => return Err(Reason::Unparsed),
        };
        match constraint {
            JoinConstraint::On(expr) => self.all([expr]),
            JoinConstraint::Using(_) | JoinConstraint::Natural | JoinConstraint::None => {}
        }
        Ok(())
    }

    pub(super) fn source(&mut self, source: &'a TableFactor) -> Result<(), Reason> {
        match source {
            TableFactor::Table { .. } => self.named(source),
            TableFactor::Derived {
                lateral: _,
                subquery,
                alias,
                sample,
            } => {
                foreign(sample.is_some())?;
                self.derived(subquery, alias.as_ref())
            }
            TableFactor::Function {
                lateral: _,
                name,
                args,
                with_ordinality: _,
                alias,
            } => {
                self.call(name)?;
                self.arguments(args)?;
                self.alias(alias)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset,
                with_offset_alias,
                with_ordinality: _,
            } => {
                foreign(*with_offset || with_offset_alias.is_some())?;
                read(self.catalog.call("unnest"))?;
                self.all(array_exprs);
                self.alias(alias)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                self.alias(alias)?;
                self.tables(table_with_joins)
            }
            TableFactor::TableFunction { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. } => Err(Reason::Unparsed),
        }
    }

    fn derived(
        &mut self,
        subquery: &'a Query,
        alias: Option<&'a TableAlias>,
    ) -> Result<(), Reason> {
        self.ahead.push(Node::Query(subquery));
        self.alias(alias)
    }

    /// A table or view, or a function that is called as if it were one.
    fn named(&mut self, source: &'a TableFactor) -> Result<(), Reason> {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality: _,
            partitions,
            json_path,
            sample,
            index_hints,
        } = source
        else {
            return Err(Reason::Unparsed);
        };
        foreign(!with_hints.is_empty() || version.is_some() || !partitions.is_empty())?;
        foreign(json_path.is_some() || !index_hints.is_empty())?;
        self.alias(alias)?;
        if let Some(TableFunctionArgs { args, settings }) = args {
            foreign(settings.is_some() || sample.is_some())?;
            self.call(name)?;
            return self.arguments(args);
        }
        let (schema, name) = names::qualified(name)?;
        read(self.catalog.relation(schema.as_deref(), &name))?;
        match sample {
            None => Ok(()),
            Some(
                TableSampleKind::BeforeTableAlias(sample)
                | TableSampleKind::AfterTableAlias(sample),
            ) => self.sample(sample),
        }
    }

    fn sample(&mut self, sample: &'a TableSample) -> Result<(), Reason> {
        let TableSample {
            modifier: _,
            name: _,
            quantity,
            seed: _,
            bucket,
            offset,
        } = sample;
        foreign(bucket.is_some() || offset.is_some())?;
        if let Some(quantity) = quantity {
            let TableSampleQuantity {
                parenthesized: _,
                value,
                unit,
            } = quantity;
            foreign(unit.is_some())?;
            self.all([value]);
        }
        Ok(())
    }

    /// `TABLE name`. The parser keeps no quotes here, so both readings of the name have to be fine.
    pub(super) fn table(&mut self, table: &'a Table) -> Result<(), Reason> {
        let Table {
            table_name,
            schema_name,
        } = table;
        let name = table_name.as_deref().ok_or(Reason::Unparsed)?;
        let schema = schema_name.as_deref();
        read(self.catalog.relation(schema, name))?;
        let lower = schema.map(str::to_ascii_lowercase);
        let relation = self
            .catalog
            .relation(lower.as_deref(), &name.to_ascii_lowercase());
        read(relation)
    }

    /// Another name for a source, perhaps with columns, perhaps with their types.
    pub(super) fn alias(
        &mut self,
        alias: impl IntoIterator<Item = &'a TableAlias>,
    ) -> Result<(), Reason> {
        for alias in alias {
            let TableAlias {
                explicit: _,
                name: Ident { .. },
                columns,
                at,
            } = alias;
            foreign(at.is_some())?;
            for TableAliasColumnDef { name: _, data_type } in columns {
                if let Some(data_type) = data_type {
                    self.cast(data_type)?;
                }
            }
        }
        Ok(())
    }
}
