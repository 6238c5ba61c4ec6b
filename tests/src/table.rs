//! Plain tables for people, readable without colour.

use std::fmt;
use std::time::Duration;

/// Rows under a header; the first column is flush left, the others flush right.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With the names of its columns.
    pub fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(|&name| name.to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::from("  ");
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                line += &if column == 0 {
                    format!("{cell:<width$}")
                } else {
                    format!("   {cell:>width$}")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 {
                writeln!(f, "  {}", "-".repeat(widths.iter().sum::<usize>() + 3 * (columns - 1)))?;
            }
        }
        Ok(())
    }
}

/// `12.34 s`, or milliseconds below a second.
pub fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        0..1000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

/// `12.3 MB`, in powers of ten.
pub fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people, to one decimal")]
    let millions = bytes as f64 / 1e6;
    format!("{millions:.1} MB")
}

/// A part of a whole, as `41 %`.
pub fn percent(part: Duration, whole: Duration) -> String {
    format!("{:.0} %", 100.0 * part.as_secs_f64() / whole.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "time"]);
        table.row(["plain".into(), "18.70 s".into()]);
        assert_eq!(
            table.to_string(),
            "  what       time\n  ---------------\n  plain   18.70 s\n"
        );
    }
}
