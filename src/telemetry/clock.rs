//! Sans-IO. Time of day in UTC, written as `PgBouncer` writes it.
//!
//! Only Unix time goes in, so no time zone data base is needed. Years 1970 to 9999.

use std::fmt;

const MS_PER_DAY: u64 = 86_400_000;

/// A moment, split into the fields of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcTime {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millisecond: u64,
}

impl UtcTime {
    /// 1970-01-01 00:00:00 UTC.
    pub const EPOCH: Self = Self {
        year: 1970,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        millisecond: 0,
    };

    /// From milliseconds since 1970-01-01 00:00:00 UTC.
    pub fn from_unix_ms(unix_ms: u64) -> Self {
        let (year, month, day) = civil_date(unix_ms / MS_PER_DAY);
        let of_day = unix_ms % MS_PER_DAY;
        Self {
            year,
            month,
            day,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1000 % 60,
            millisecond: of_day % 1000,
        }
    }

    /// As in log lines: `2026-11-22 02:03:34.596 UTC`.
    pub fn log(self) -> Written {
        Written {
            time: self,
            style: Style::Log,
        }
    }

    /// As in the console's time columns: `2026-11-22 02:03:34 UTC`.
    pub fn console(self) -> Written {
        Written {
            time: self,
            style: Style::Console,
        }
    }

    /// RFC 3339: `2026-11-22T02:03:34.596Z`.
    pub fn rfc3339(self) -> Written {
        Written {
            time: self,
            style: Style::Rfc3339,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Log,
    Console,
    Rfc3339,
}

/// A moment together with the form in which it is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    time: UtcTime,
    style: Style,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UtcTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millisecond,
        } = self.time;
        let separator = match self.style {
            Style::Log | Style::Console => ' ',
            Style::Rfc3339 => 'T',
        };
        write!(
            f,
            "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.style {
            Style::Log => write!(f, ".{millisecond:03} UTC"),
            Style::Console => f.write_str(" UTC"),
            Style::Rfc3339 => write!(f, ".{millisecond:03}Z"),
        }
    }
}

/// Year, month, day of a count of days since 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is the last day of a year and months
/// have the regular lengths of `(153 * month + 2) / 5`. 400 years (an era) have 146 097 days.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era + year_of_era / 100 - year_of_era * 365 - year_of_era / 4;
    let shifted_month = (5 * day_of_year + 2) / 153; // 0 = March
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let (month, next_year) = if shifted_month < 10 {
        (shifted_month + 3, 0)
    } else {
        (shifted_month - 9, 1)
    };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_in_all_three_forms() {
        let table = [
            (0, "1970-01-01 00:00:00.000 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00.000 UTC"),
            (951_868_799_999, "2000-02-29 23:59:59.999 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000 UTC"),
            (1_795_312_994_596, "2026-11-22 02:03:14.596 UTC"),
            (253_402_300_799_999, "9999-12-31 23:59:59.999 UTC"),
        ];
        for (unix_ms, expected) in table {
            assert_eq!(UtcTime::from_unix_ms(unix_ms).log().to_string(), expected);
        }
        let moment = UtcTime::from_unix_ms(1_795_312_994_596);
        assert_eq!(moment.rfc3339().to_string(), "2026-11-22T02:03:14.596Z");
        assert_eq!(moment.console().to_string(), "2026-11-22 02:03:14 UTC");
    }

    #[test]
    fn each_day_of_nine_centuries_follows_the_one_before() {
        let length = |year: u64, month: u64| match month {
            4 | 6 | 9 | 11 => 30,
            2 if year.is_multiple_of(4)
                && (!year.is_multiple_of(100) || year.is_multiple_of(400)) =>
            {
                29
            }
            2 => 28,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..330_000 {
            assert_eq!(civil_date(days), (year, month, day), "day {days}");
            day += 1;
            if day > length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
