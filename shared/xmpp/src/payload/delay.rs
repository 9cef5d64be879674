//! XEP-0203: Delayed Delivery, and the times of XEP-0082.

use crate::escape::escape_attr;
use crate::ns;
use std::fmt::Write;

const DAY_MS: i64 = 86_400_000;

/// A time as XEP-0082 §3.2 writes it, in UTC with milliseconds.
pub fn stamp(unix_ms: u64) -> String {
    let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let (days, ms) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(days);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Reads a time of XEP-0082 §3.2: milliseconds since 1970. None for one before that.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) || year > 9999 {
        return None;
    }
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let offset_min = match zone {
        "Z" => 0,
        _ => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let offset = number(hours)? * 60 + number(minutes)?;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // A leap second counts as the one after it.
    if hour > 23 || minute > 59 || second > 60 || offset_min.abs() > 14 * 60 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let seconds = (hour * 60 + minute - offset_min) * 60 + second;
    u64::try_from(days(year, month, day) * DAY_MS + seconds * 1000 + ms).ok()
}

/// A `<delay/>` by `from` (XEP-0203 §2).
pub fn element(from: &str, unix_ms: u64) -> String {
    let mut out = String::with_capacity(96 + from.len());
    // Writing into a String cannot fail.
    let _ = write!(out, "<delay xmlns='{}' from='", ns::DELAY);
    escape_attr(from, &mut out);
    let _ = write!(out, "' stamp='{}'/>", stamp(unix_ms));
    out
}

fn number(digits: &str) -> Option<i64> {
    (digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_031_699_305_000, "2002-09-10T23:08:25.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(stamp(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
    }

    #[test]
    fn every_day_of_some_centuries() {
        for day in 0..200_000 {
            let ms = day * DAY_MS as u64;
            assert_eq!(parse(&stamp(ms)), Some(ms));
        }
    }

    #[test]
    fn reads_other_forms_and_refuses_none() {
        assert_eq!(parse("1969-07-21T02:56:15Z"), None); // before 1970
        assert_eq!(parse("2002-09-10T18:08:25-05:00"), Some(1_031_699_305_000));
        assert_eq!(parse("2002-09-10T23:08:25.1234567Z"), Some(1_031_699_305_123));
        for bad in [
            "",
            "2002-09-10",
            "20020910T23:08:25",
            "2002-13-10T00:00:00Z",
            "2001-02-29T00:00:00Z",
            "2002-09-10T24:00:00Z",
            "2002-09-10T23:08:25",
            "2002-09-10T23:08:25.Z",
            "2002-09-10T23:08Z",
            "2002-09-10T+1:08:25Z",
            "2002-09-10T23:08:25é",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_element() {
        assert_eq!(
            element("a'b", 0),
            "<delay xmlns='urn:xmpp:delay' from='a&apos;b' stamp='1970-01-01T00:00:00.000Z'/>"
        );
    }
}
