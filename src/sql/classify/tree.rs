//! Sans-IO. The second look at a statement: the parser's tree, every node of it.
//!
//! Structs are taken apart field by field and enums variant by variant, so that whatever a new
//! version of the parser adds has to be decided here. What `PostgreSQL` does not have is refused: if
//! the parser sees it, it has read the statement in another way than the server will.
//! Invariant: a node is let pass only after all its parts have been put on the list of things to do.
//! The list is not the stack, so that no statement is too deep to be looked at.

mod call;
mod expression;
mod names;
mod source;
mod types;

use sqlparser::ast::{
    Cte, Distinct, Expr, Fetch, GroupByExpr, LimitClause, NamedWindowDefinition, NamedWindowExpr,
    Offset, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectFlavor,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableFactor,
    Values, WildcardAdditionalOptions, WindowFrame, WindowFrameBound, WindowSpec, With,
};

use crate::sql::catalog::Catalog;
use crate::sql::verdict::{Class, Reason, Verdict};

/// Whether all of the query is a read, or what is against it.
pub fn judge(query: &Query, catalog: &Catalog) -> Result<(), Reason> {
    judge_node(Node::Query(query), catalog)
}

/// The same for an expression.
pub fn judge_expr(expr: &Expr, catalog: &Catalog) -> Result<(), Reason> {
    judge_node(Node::Expr(expr), catalog)
}

fn judge_node(node: Node<'_>, catalog: &Catalog) -> Result<(), Reason> {
    let mut walk = Walk {
        catalog,
        ahead: vec![node],
    };
    while let Some(node) = walk.ahead.pop() {
        match node {
            Node::Query(query) => walk.query(query)?,
            Node::Body(body) => walk.body(body)?,
            Node::Expr(expr) => walk.expr(expr)?,
            Node::Source(source) => walk.source(source)?,
        }
    }
    Ok(())
}

/// What is still to be looked at.
#[derive(Debug)]
enum Node<'a> {
    Query(&'a Query),
    Body(&'a SetExpr),
    Expr(&'a Expr),
    Source(&'a TableFactor),
}

struct Walk<'a, 'c> {
    catalog: &'c Catalog,
    ahead: Vec<Node<'a>>,
}

/// The reason in a verdict that is no read.
fn read(verdict: Verdict) -> Result<(), Reason> {
    match verdict.class {
        Class::Read => Ok(()),
        Class::Primary(reason) => Err(reason),
    }
}

/// What only other databases have.
fn foreign(is_there: bool) -> Result<(), Reason> {
    if is_there {
        Err(Reason::Unparsed)
    } else {
        Ok(())
    }
}

impl<'a> Walk<'a, '_> {
    fn all(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        self.ahead.extend(exprs.into_iter().map(Node::Expr));
    }

    fn query(&mut self, query: &'a Query) -> Result<(), Reason> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty() {
            return Err(Reason::Locking);
        }
        foreign(for_clause.is_some() || settings.is_some() || format_clause.is_some())?;
        foreign(!pipe_operators.is_empty())?;
        self.ahead.push(Node::Body(body));
        if let Some(with) = with {
            self.with(with)?;
        }
        if let Some(order_by) = order_by {
            let OrderBy { kind, interpolate } = order_by;
            foreign(interpolate.is_some())?;
            match kind {
                OrderByKind::Expressions(exprs) => self.ordered(exprs)?,
                OrderByKind::All(_) => return Err(Reason::Unparsed),
            }
        }
        if let Some(limit) = limit_clause {
            self.limit(limit)?;
        }
        if let Some(fetch) = fetch {
            let Fetch {
                with_ties: _,
                percent,
                quantity,
            } = fetch;
            foreign(*percent)?;
            self.all(quantity);
        }
        Ok(())
    }

    fn with(&mut self, with: &'a With) -> Result<(), Reason> {
        let With {
            with_token: _,
            recursive: _,
            cte_tables,
        } = with;
        for cte in cte_tables {
            let Cte {
                alias,
                query,
                from,
                materialized: _,
                closing_paren_token: _,
            } = cte;
            foreign(from.is_some())?;
            self.alias([alias])?;
            self.ahead.push(Node::Query(query));
        }
        Ok(())
    }

    fn limit(&mut self, limit: &'a LimitClause) -> Result<(), Reason> {
        match limit {
            LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            } => {
                foreign(!limit_by.is_empty())?;
                self.all(limit);
                if let Some(Offset { value, rows: _ }) = offset {
                    self.all([value]);
                }
                Ok(())
            }
            LimitClause::OffsetCommaLimit { .. } => Err(Reason::Unparsed),
        }
    }

    fn body(&mut self, body: &'a SetExpr) -> Result<(), Reason> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => {
                self.ahead.push(Node::Query(query));
                Ok(())
            }
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                match op {
                    SetOperator::Union | SetOperator::Except | SetOperator::Intersect => {}
                    SetOperator::Minus => return Err(Reason::Unparsed),
                }
                match set_quantifier {
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                    SetQuantifier::ByName
                    | SetQuantifier::AllByName
                    | SetQuantifier::DistinctByName => return Err(Reason::Unparsed),
                }
                self.ahead.extend([Node::Body(left), Node::Body(right)]);
                Ok(())
            }
            SetExpr::Values(values) => {
                let Values {
                    explicit_row,
                    value_keyword,
                    rows,
                } = values;
                foreign(*explicit_row || *value_keyword)?;
                self.all(rows.iter().flat_map(|row| &row.content));
                Ok(())
            }
            SetExpr::Table(table) => self.table(table),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(Reason::Write)
            }
        }
    }

    fn select(&mut self, select: &'a Select) -> Result<(), Reason> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if into.is_some() {
            return Err(Reason::Into);
        }
        foreign(!optimizer_hints.is_empty() || select_modifiers.is_some() || top.is_some())?;
        foreign(*top_before_distinct || exclude.is_some() || !lateral_views.is_empty())?;
        foreign(prewhere.is_some() || !connect_by.is_empty() || !cluster_by.is_empty())?;
        foreign(!distribute_by.is_empty() || !sort_by.is_empty() || qualify.is_some())?;
        foreign(value_table_mode.is_some())?;
        match flavor {
            SelectFlavor::Standard => {}
            SelectFlavor::FromFirst | SelectFlavor::FromFirstNoSelect => {
                return Err(Reason::Unparsed);
            }
        }
        match distinct {
            Some(Distinct::On(exprs)) => self.all(exprs),
            Some(Distinct::All | Distinct::Distinct) | None => {}
        }
        for item in projection {
            self.item(item)?;
        }
        for tables in from {
            self.tables(tables)?;
        }
        self.all(selection);
        self.all(having);
        match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => self.all(exprs),
            GroupByExpr::Expressions(..) | GroupByExpr::All(_) => return Err(Reason::Unparsed),
        }
        for NamedWindowDefinition(_, window) in named_window {
            match window {
                NamedWindowExpr::NamedWindow(_) => {}
                NamedWindowExpr::WindowSpec(spec) => self.window(spec)?,
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &'a SelectItem) -> Result<(), Reason> {
        let options = match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, alias: _ } => {
                self.all([expr]);
                return Ok(());
            }
            SelectItem::ExprWithAliases { .. } => return Err(Reason::Unparsed),
            SelectItem::QualifiedWildcard(kind, options) => {
                match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(_) => {}
                    SelectItemQualifiedWildcardKind::Expr(expr) => self.all([expr]),
                }
                options
            }
            SelectItem::Wildcard(options) => options,
        };
        plain_wildcard(options)
    }

    fn ordered(&mut self, exprs: &'a [OrderByExpr]) -> Result<(), Reason> {
        for ordered in exprs {
            let OrderByExpr {
                expr,
                options,
                with_fill,
            } = ordered;
            // The operator after USING is looked at with all others (`words`).
            let OrderByOptions {
                sort: _,
                nulls_first: _,
            } = options;
            foreign(with_fill.is_some())?;
            self.all([expr]);
        }
        Ok(())
    }

    fn window(&mut self, spec: &'a WindowSpec) -> Result<(), Reason> {
        let WindowSpec {
            window_name: _,
            partition_by,
            order_by,
            window_frame,
        } = spec;
        self.all(partition_by);
        self.ordered(order_by)?;
        if let Some(frame) = window_frame {
            let WindowFrame {
                units: _,
                start_bound,
                end_bound,
            } = frame;
            for bound in std::iter::once(start_bound).chain(end_bound) {
                match bound {
                    WindowFrameBound::CurrentRow => {}
                    WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => {
                        self.all(offset.as_deref());
                    }
                }
            }
        }
        Ok(())
    }
}

/// `*` and nothing that other databases add to it.
fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<(), Reason> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    foreign(opt_ilike.is_some() || opt_exclude.is_some() || opt_except.is_some())?;
    foreign(opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some())
}
