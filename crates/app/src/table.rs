//! Tables of text.

use std::io::{self, Write};

use crate::text::printable;

/// A table that is printed at once: every column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(head: impl IntoIterator<Item = &'static str>) -> Self {
        Self { head: head.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. What a terminal would act on is [escaped](printable) here, so that no cell can be forgotten.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        debug_assert_eq!(N, self.head.len(), "a row has a cell per column");
        self.rows.push(cells.iter().map(|cell| printable(cell).into_owned()).collect());
    }

    /// Prints it.
    pub(crate) fn print(&self, writer: &mut dyn Write) -> io::Result<()> {
        let mut widths: Vec<usize> = self.head.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head: Vec<String> = self.head.iter().map(ToString::to_string).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
            }
            writeln!(writer, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_tamed() {
        let mut table = Table::new(["NAME", "VERSION"]);
        table.row(["zlib", "1"]);
        table.row(["a\nb", "\u{1b}[2J"]);
        let mut printed = Vec::new();
        table.print(&mut printed).unwrap();
        let expected = "NAME     VERSION\nzlib     1\na\\u{a}b  \\u{1b}[2J\n";
        assert_eq!(String::from_utf8(printed).unwrap(), expected);
    }
}
