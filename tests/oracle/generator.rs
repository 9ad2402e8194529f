//! Random statements: reads of many shapes, and in half of them something that is no read.

/// Makes statements; the same seed makes the same ones.
pub struct Generator {
    state: u64,
    /// How many more things that are no reads may be put in.
    poison: usize,
    depth: usize,
    words: Vec<String>,
}

/// Numbers that only read. `#` is another number, `?` a query of one column.
const NUMBERS: &[&str] = &[
    "1",
    "- 7",
    "$$ 1 $$ :: int",
    "'1' :: int",
    "cast ( '1' as integer )",
    "# + #",
    "# * #",
    "# - #",
    "( # )",
    "# :: bigint :: int",
    "coalesce ( # , # )",
    "nullif ( # , # )",
    "greatest ( # , # )",
    "case when # > # then # else # end",
    "case # when # then # end",
    "( ? )",
    "( ? limit 1 )",
    "sta ( # )",
    "imm ( # )",
    "abs ( # )",
    "length ( upper ( 'a' ) )",
    "( array [ # , # ] ) [ 1 ]",
    "( exists ( ? ) ) :: int",
    "( # in ( # , # ) ) :: int",
    "( # in ( ? ) ) :: int",
    "( # = any ( array [ # ] ) ) :: int",
    "( # between # and # ) :: int",
    "( # is distinct from # ) :: int",
    "( 'a' like 'b' escape '!' ) :: int",
    "( # ==== # ) :: int",
    "extract ( day from now ( ) ) :: int",
    "position ( 'a' in 'b' )",
    "cardinality ( array ( ? ) )",
    "( select count ( * ) filter ( where # > 0 ) from t ) :: int",
    "length ( reverse ( 'abc' ) )",
    "( select summed ( a ) over ( partition by b order by # ) from t limit 1 )",
    "( select max ( a ) from t group by b having count ( * ) > # limit 1 )",
    "( select ( e ->> 'k' ) :: int from t limit 1 )",
    "( '{\"a\": 1}' :: jsonb -> 'a' ) :: int",
    "( row ( # , # ) = row ( # , # ) ) :: int",
    "mod ( # , 7 )",
    "( not ( # > # ) ) :: int",
    "( # > # and # < # or # <> # ) :: int",
    "floor ( random ( ) ) :: int",
    "( interval '1 day' > '1 hour' ) :: int",
    "length ( substring ( 'abc' from # for # ) )",
    "length ( trim ( both 'x' from 'y' ) )",
    "( select a from t tablesample bernoulli ( 50 ) limit 1 )",
    "( date '2020-01-01' < current_date ) :: int",
    "( select t . a from t limit 1 )",
    "( select ( t ) . a from t limit 1 )",
    "( pg_typeof ( # ) = 'integer' :: regtype ) :: int",
];

/// Numbers that are no reads, or take one that is not.
const POISONED: &[&str] = &[
    "vol ( # )",
    "vol ( )",
    "public . vol ( # )",
    "s . vol2 ( 'x' )",
    "\"vol\" ( # )",
    "\"Vol \"\"3\" ( # )",
    "vol ( x => # )",
    "( # === # ) :: int",
    "( # operator ( public . === ) # ) :: int",
    "nextval ( 't_id_seq' ) :: int",
    "setval ( 't_id_seq' , 9 ) :: int",
    "( select touched ( t ) from t limit 1 )",
    "( select t . touched from t limit 1 )",
    "( select ( t ) . touched from t limit 1 )",
    "( select x . \"touched\" from t x limit 1 )",
    "( 1 ) . vol",
    "( 't_id_seq' :: regclass ) . nextval :: int",
    "( select folded ( a ) from t )",
    "( select folded ( # ) over ( ) from t limit 1 )",
    "reverse ( 'sad' :: mood )",
    "( select x from vols ( # ) x limit 1 )",
    "( select 1 from rows from ( vols ( # ) ) x limit 1 )",
    "( select a from t order by a using < , vol ( a ) limit 1 )",
    "lo_creat ( - 1 ) :: int",
    "( pg_advisory_lock ( # ) is null ) :: int",
    "( pg_try_advisory_xact_lock ( # ) ) :: int",
    "( select a from t for update limit 1 )",
    "( select a from t limit 1 for no key update )",
    "( select a from t limit 1 for share )",
    "( select a from t limit 1 for key share of t skip locked )",
    "( select 1 from t group by a having vol ( a ) > 0 limit 1 )",
    "( select 1 limit vol ( 1 ) )",
    "( select max ( a order by vol ( a ) ) from t )",
    "txid_current ( ) :: int",
    "( pg_notify ( 'a' , 'b' ) is null ) :: int",
    "( select count ( * ) filter ( where vol ( a ) > 0 ) from t ) :: int",
    "( array [ 1 , 2 ] ) [ vol ( 1 ) ]",
    "( select 1 from t window w as ( order by vol ( a ) ) limit 1 )",
    "( set_config ( 'oracle.called' , 'yes' , false ) = 'x' ) :: int",
    "length ( query_to_xml ( 'select vol(1)' , true , true , '' ) :: text )",
    "( select 1 from t join s . t u on t . a = u . a and vol ( t . a ) > 0 limit 1 )",
    "( select count ( * ) from xmltable ( '/a' passing vol ( 1 ) :: text \
     :: xml columns b int ) ) :: int",
    "( select 1 from json_to_record ( vol ( 1 ) :: text :: json ) as x ( a int ) )",
];

/// Queries of one column of numbers.
const QUERIES: &[&str] = &[
    "select #",
    "select # as a",
    "select a from t",
    "select a from t where # > 0",
    "values ( # ) , ( # )",
    "select x . a from ( ? ) as x ( a )",
    "select x from generate_series ( 1 , # % 3 ) x",
    "select u . a from t join s . t u on t . a = u . id where #  < #",
    "select a from t natural join s . t w",
    "select x from t , lateral ( select # ) y ( x )",
    "( ? ) union all ( ? )",
    "( ? ) except ( ? )",
    "select distinct a from t",
    "select distinct on ( a ) a from t order by a , #",
    "( ? )",
    "with w as ( ? ) select 1 from w",
    "with w ( a ) as materialized ( ? ) , z as ( select a from w ) table z",
    "select \"A\" from \"T u\" where \"select\" = 'into'",
    "select a from v offset # % 2",
    "select a from m order by 1 desc nulls last",
    "with recursive r ( n ) as ( values ( 1 ) union all select n + 1 from \
     r where n < 3 ) select n from r",
    "select x from unnest ( array [ # , # ] ) x",
    "select * from series ( # % 3 ) q",
    "select a from t fetch first 2 rows only",
    "select a from t group by grouping sets ( ( a ) , ( a , b ) )",
    "select summed ( a ) over w from t window w as ( order by # )",
    "select a from ( t cross join ( select 1 ) q ) where a = # limit 3",
    "select # from t order by # limit # % 5",
];

/// Whole statements with something that is no read at the top, where the grammar wants it.
const TOPS: &[&str] = &[
    "with w as ( insert into t ( a ) values ( # ) returning a ) select a from w",
    "select # into oracle_a",
    "with w as ( delete from t where a = # returning a ) ?",
    "select # as x into temp oracle_b from t",
    "with w as ( update t set a = # returning 1 ) , z as ( ? ) select 1",
    "insert into t ( a ) ?",
    "explain analyze insert into t ( a ) ?",
    "select a from t for update",
    "with w as ( ? ) select 1 from t for share",
    "with w as ( select 1 ) insert into t ( a ) select 1 from w",
    "copy ( delete from t returning a ) to stdout",
    "? ; delete from t where a = #",
    "begin ; insert into t ( a ) values ( 1 )",
    "create table oracle_c as ?",
    "prepare oracle_p as ? ; select nextval ( 't_id_seq' )",
    "update t set a = ( ? limit 1 )",
    "lock table t in share mode",
    "explain ( analyze ) select * into oracle_d from t",
    "truncate s . t",
    "select * from ( ? ) x for key share",
    "explain analyze create table oracle_e as ?",
    "do 'begin perform vol(1); end'",
    "select ( vol ( 1 ) ) . *",
];

/// What a comment may hold, and what may stand between two words.
const SPACES: &[&str] = &[
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\t",
    "/* for update */",
    " -- insert into t\n",
    "/* a /* nested */ b */",
    " /**/ ",
    "--\n",
];

/// Words for accidents.
const VOCABULARY: &[&str] = &[
    "select",
    "from",
    "(",
    ")",
    ",",
    "for",
    "update",
    "share",
    "into",
    "with",
    "as",
    "insert",
    "delete",
    "t",
    "a",
    "vol",
    "1",
    "'x'",
    ".",
    "::",
    "int",
    "===",
    "nextval",
    "\"vol\"",
    "*",
    "order",
    "by",
    "all",
    "union",
    "not",
    "[",
    "]",
    ";",
    "returning",
    "lateral",
    "only",
    "over",
    "window",
    "filter",
    "array",
    "E'\\''",
    "U&'\\0061'",
    "'\\'",
    "'\\''",
    "$a$ ' $a$",
    "touched",
    "table",
    "values",
    "=>",
];

impl Generator {
    /// Begins with this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            poison: 0,
            depth: 0,
            words: Vec::new(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % limit).unwrap()
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// The next statement.
    pub fn statement(&mut self) -> String {
        self.words.clear();
        self.depth = 0;
        self.poison = 0;
        match self.below(10) {
            0..5 => self.query(),
            5..8 => {
                self.poison = 1 + self.below(2);
                self.query();
            }
            8 => {
                let top = self.pick(TOPS);
                self.expand(top);
            }
            _ => {
                let before = self.pick(&[
                    "explain",
                    "explain analyze",
                    "copy (",
                    "prepare oracle_q as",
                ]);
                self.poison = self.below(2);
                self.expand(before);
                self.query();
                if before == "copy (" {
                    self.expand(") to stdout");
                }
            }
        }
        if self.below(4) == 0 {
            self.accident();
        }
        let mut text = self.written();
        if self.below(8) == 0 {
            self.slip(&mut text);
        }
        text
    }

    /// One character too many, of those that begin or end something.
    fn slip(&mut self, text: &mut String) {
        let at = self.below(text.len());
        let what = self.pick(&[
            "'", "\"", "$", "$$", "\\", "/*", "*/", "--", "E", "U&", ";", "\n", "\u{a0}", "1", "é",
        ]);
        text.insert_str(at, what);
    }

    fn query(&mut self) {
        let simple = &QUERIES[..4];
        let shape = if self.depth > 5 { simple } else { QUERIES };
        let shape = self.pick(shape);
        self.expand(shape);
    }

    fn number(&mut self) {
        if self.poison > 0 && (self.depth > 3 || self.below(3) == 0) {
            self.poison -= 1;
            let shape = self.pick(POISONED);
            return self.expand(shape);
        }
        let simple = &NUMBERS[..4];
        let list = if self.depth > 4 { simple } else { NUMBERS };
        let shape = self.pick(list);
        self.expand(shape);
    }

    fn expand(&mut self, shape: &str) {
        self.depth += 1;
        for word in split(shape) {
            match word.as_str() {
                "#" => self.number(),
                "?" => self.query(),
                _ => self.words.push(word),
            }
        }
        self.depth -= 1;
    }

    /// One word is lost, doubled, moved or replaced.
    fn accident(&mut self) {
        let at = self.below(self.words.len());
        match self.below(4) {
            0 => drop(self.words.remove(at)),
            1 => self.words.insert(at, self.words[at].clone()),
            2 if at > 0 => self.words.swap(at, at - 1),
            _ => self.words[at] = self.pick(VOCABULARY).to_owned(),
        }
    }

    /// The words as text, each in one of the ways in which it may be written.
    fn written(&mut self) -> String {
        let mut text = String::new();
        let plain = self.below(3) == 0;
        for word in std::mem::take(&mut self.words) {
            let is_name = word
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            match self.below(12) {
                0 if is_name => text.push_str(&word.to_ascii_uppercase()),
                1 if is_name
                    && matches!(&*word, "t" | "a" | "b" | "s" | "vol" | "touched" | "u") =>
                {
                    text.extend(["\"", &word, "\""]);
                }
                _ => text.push_str(&word),
            }
            text.push_str(if plain { " " } else { self.pick(SPACES) });
        }
        text
    }
}

/// Words between spaces, but texts and names in quotes whole.
fn split(shape: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for character in shape.chars() {
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            _ => {}
        }
        if character == ' ' && quote.is_none() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push(character);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}
