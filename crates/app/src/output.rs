//! Where a command prints: data to standard output, all else to standard error.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The two streams of a process. The binary makes it; commands write to it.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    terminal: bool,
    color: bool,
}

impl Output {
    /// The streams of this process. Colours only if standard error is a terminal and `color` permits.
    pub fn of_process(color: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self {
            // Documents are megabytes in small pieces; a terminal still sees whole lines because commands flush.
            out: Box::new(BufWriter::with_capacity(1 << 16, io::stdout())),
            err: Box::new(io::stderr()),
            terminal,
            color: terminal && color,
        }
    }

    /// Streams that are kept, for tests.
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let output = Self {
            out: Box::new(captured.out.clone()),
            err: Box::new(captured.err.clone()),
            terminal: false,
            color: false,
        };
        (output, captured)
    }

    /// Standard output: the data that was asked for, and nothing else.
    pub fn out(&mut self) -> &mut dyn Write {
        &mut *self.out
    }

    /// Says something to the person in front of the terminal. A closed standard error is no reason to fail.
    pub fn say(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.err, "{line}");
    }

    /// Whether a person is likely to watch: standard error is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// `text` in `style`, where colours are wanted.
    pub(crate) fn paint(&self, style: Style, text: impl fmt::Display) -> String {
        if self.color { format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()) } else { text.to_string() }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    ///
    /// Those of standard output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("terminal", &self.terminal).field("color", &self.color).finish_non_exhaustive()
    }
}

/// How a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    #[cfg(feature = "demo")]
    Strong,
    #[cfg(feature = "demo")]
    Faint,
    #[cfg(feature = "demo")]
    Good,
    Bad,
    Name,
}

impl Style {
    /// Select Graphic Rendition, ECMA-48: the eight basic colours, which every theme makes readable.
    const fn code(self) -> &'static str {
        match self {
            #[cfg(feature = "demo")]
            Self::Strong => "1",
            #[cfg(feature = "demo")]
            Self::Faint => "2",
            #[cfg(feature = "demo")]
            Self::Good => "32",
            Self::Bad => "31",
            Self::Name => "36",
        }
    }
}

/// What was printed to [`Output::captured`].
#[derive(Clone, Debug, Default)]
pub struct Captured {
    out: Shared,
    err: Shared,
}

impl Captured {
    /// What went to standard output.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// What went to standard error.
    pub fn err(&self) -> String {
        self.err.text()
    }
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
