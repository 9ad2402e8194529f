//! Random clients: what they send, in flights. A client sends a flight when it has got everything that
//! the flight before was answered with, so that within one flight everything is pipelined.

use super::backend::frame;

/// A small generator with a seed that can be printed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next()).unwrap() % n.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Whether a client's parameters at its start are those of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Startup {
    /// They are, so that `DISCARD ALL` means the same with and without a pooler.
    Plain,
    /// They are its own.
    Own,
}

#[derive(Debug)]
pub struct Script<'a> {
    dice: &'a mut Dice,
    startup: Startup,
    flights: Vec<Vec<u8>>,
    /// The open batch has a `Parse` of the unnamed statement.
    unnamed: bool,
}

const NAMES: [&str; 5] = ["a", "b", "c", "PGWEIR_1", "PGWEIR_3"];
const TEXTS: [&str; 9] = [
    "rows 1 x", "rows 3 y", "rows 2 z", "bad", "fail", "begin", "commit", "rollback", "",
];
const QUERIES: [&str; 19] = [
    "rows 2 q",
    "rows 1;rows 2",
    "rows 1;fail;rows 1",
    "rows 1;bad",
    "",
    ";",
    "fail",
    "bad",
    "begin",
    "begin",
    "commit",
    "rollback",
    "begin;rows 1",
    "begin;fail",
    "notice",
    "copyout",
    "defer",
    "rows 1;commit;rows 1",
    "nonsense",
];

impl<'a> Script<'a> {
    /// A random session.
    pub fn random(dice: &'a mut Dice, startup: Startup) -> Vec<Vec<u8>> {
        let mut script = Self {
            dice,
            startup,
            flights: vec![Vec::new()],
            unnamed: false,
        };
        for _ in 0..=script.dice.below(14) {
            script.part();
            if script.dice.one_in(2) {
                script.end_flight();
            }
        }
        script.send(b'S', b"");
        script.flights
    }

    fn send(&mut self, tag: u8, body: &[u8]) {
        if let Some(flight) = self.flights.last_mut() {
            flight.extend(frame(tag, body));
        }
    }

    fn end_flight(&mut self) {
        self.flights.push(Vec::new());
    }

    fn sync(&mut self) {
        self.send(b'S', b"");
        self.unnamed = false;
    }

    fn query(&mut self, sql: &str) {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        self.unnamed = false;
    }

    fn parse(&mut self, name: &str, sql: &str) {
        self.unnamed |= name.is_empty();
        self.send(b'P', format!("{name}\0{sql}\0\0\0").as_bytes());
    }

    fn bind(&mut self, portal: &str, name: &str) {
        let given: &[u8] = if self.dice.one_in(15) {
            b"\0\0\0\x01\0\0\0\x02hi\0\0"
        } else {
            b"\0\0\0\0\0\0"
        };
        let head = format!("{portal}\0{name}\0");
        self.send(b'B', &[head.as_bytes(), given].concat());
    }

    fn execute(&mut self, portal: &str, limit: u32) {
        let body = [portal.as_bytes(), b"\0", &limit.to_be_bytes()].concat();
        self.send(b'E', &body);
    }

    fn part(&mut self) {
        match self.dice.below(12) {
            0..=2 => {
                let sql = self.dice.pick(&QUERIES);
                self.query(sql);
            }
            3 => self.set(),
            4..=7 => self.batch(),
            8 => self.copy(),
            9 => self.prepared_alone(),
            10 => self.forget_all(),
            _ => {
                let (tag, body): (u8, &[u8]) =
                    self.dice
                        .pick(&[(b'F', b"\0\0\0\x01"), (b'H', b""), (b'S', b""), (b'c', b"")]);
                self.send(tag, body);
            }
        }
    }

    fn set(&mut self) {
        let name = self.dice.pick(&["application_name", "TimeZone"]);
        let value = self.dice.pick(&["A", "B", "UTC"]);
        self.query(&format!("SET {name}='{value}'"));
    }

    /// Messages of the extended protocol in any order, with any errors.
    fn batch(&mut self) {
        for _ in 0..=self.dice.below(7) {
            let name = self.dice.pick(&NAMES);
            let portal = self.dice.pick(&["", "", "p"]);
            match self.dice.below(14) {
                0..=2 => {
                    let sql = self.dice.pick(&TEXTS);
                    self.parse(name, sql);
                }
                3 => {
                    let sql = self.dice.pick(&TEXTS);
                    self.parse("", sql);
                }
                4..=6 => self.bind(portal, name),
                7 if self.unnamed => self.bind(portal, ""),
                8 => self.send(b'D', format!("S{name}\0").as_bytes()),
                9 => self.send(b'D', format!("P{portal}\0").as_bytes()),
                10 => {
                    let what = self.dice.pick(&["S", "S", "P", "X"]);
                    self.send(b'C', format!("{what}{name}\0").as_bytes());
                }
                11 => self.send(b'H', b""),
                12 if self.dice.one_in(3) => self.query("rows 1 inside"),
                13 => self.sync(),
                _ => {
                    let limit = self.dice.pick(&[0, 0, 1, 2]);
                    self.execute(portal, limit);
                }
            }
        }
        if !self.dice.one_in(8) {
            self.sync();
        }
    }

    /// The unnamed statement prepared in one transaction and used in the next.
    fn prepared_alone(&mut self) {
        self.sync();
        let sql = self.dice.pick(&TEXTS);
        self.parse("", sql);
        if self.dice.one_in(2) {
            self.send(b'D', b"S\0");
        }
        self.sync();
        if self.dice.one_in(2) {
            self.end_flight();
        }
        if self.dice.one_in(2) {
            self.send(b'D', b"S\0");
        }
        self.bind("", "");
        self.execute("", 0);
        self.sync();
    }

    /// Everything that is prepared goes; what is sent behind it waits for the reply.
    fn forget_all(&mut self) {
        let sql = match self.startup {
            Startup::Plain => self
                .dice
                .pick(&["discard all", "deallocate all", "RESET TimeZone"]),
            Startup::Own => "deallocate all",
        };
        if self.dice.one_in(2) {
            self.query(sql);
        } else {
            self.sync();
            self.parse("", sql);
            self.bind("", "");
            self.execute("", 0);
            self.sync();
        }
        self.end_flight();
    }

    fn copy(&mut self) {
        self.sync();
        let how = self.dice.pick(&["never", "never", "end", "0", "1", "2"]);
        let extended = self.dice.one_in(2);
        if extended {
            self.parse("", &format!("copyin {how}"));
            self.bind("", "");
            self.execute("", 0);
        } else if self.dice.one_in(3) {
            self.query(&format!("copyin {how};copyin never;rows 1"));
        } else {
            self.query(&format!("copyin {how}"));
        }
        for _ in 0..self.dice.below(3) {
            self.sync();
        }
        if self.dice.one_in(2) {
            self.end_flight();
        }
        for _ in 0..self.dice.below(5) {
            let tag = self.dice.pick(b"ddddHS");
            self.send(tag, if tag == b'd' { b"row\n" } else { b"" });
            if self.dice.one_in(5) {
                self.end_flight();
            }
        }
        for _ in 0..2 {
            if self.dice.one_in(6) {
                self.send(b'f', b"no\0");
            } else {
                self.send(b'c', b"");
            }
            if self.dice.one_in(4) {
                self.send(b'H', b"");
            }
            if self.dice.one_in(3) {
                self.end_flight();
            }
            if extended || self.dice.one_in(3) {
                self.sync();
            }
        }
        self.end_flight();
    }
}
