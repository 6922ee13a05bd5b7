//! The one place that writes to standard output: text for people, or an object a line for scripts.

use crate::failure::{Exit, Failure};
use anstream::AutoStream;
use comfy_table::{LineStyle, Table, TableStyle, presets};
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

/// On a terminal: one rule under the headings.
const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('\u{2500}').junction('\u{2500}'));

/// What a command says, as it goes.
pub(crate) struct Out {
    json: bool,
    terminal: bool,
    to: BufWriter<AutoStream<StdoutLock<'static>>>,
}

/// One line of a list.
pub(crate) trait Row: Serialize {
    /// Over its columns.
    const HEADINGS: &'static [&'static str];

    /// One text for each heading.
    fn cells(&self) -> Vec<String>;
}

/// One thing told at length.
pub(crate) trait Sheet: Serialize {
    /// Names and values, in order.
    fn lines(&self) -> Vec<(&'static str, String)>;
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let to = BufWriter::new(AutoStream::auto(io::stdout().lock()));
        Self { json, terminal, to }
    }

    /// Whether a script listens.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks on.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says what was done.
    pub(crate) fn say(
        &mut self,
        object: &impl Serialize,
        text: impl Display,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.object(object),
            false => self.line(text),
        }
    }

    /// Shows one thing at length.
    pub(crate) fn sheet(&mut self, sheet: &impl Sheet) -> Result<(), Failure> {
        if self.json {
            return self.object(sheet);
        }
        let lines = sheet.lines();
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        lines
            .iter()
            .try_for_each(|(name, value)| self.line(format_args!("{name:width$}  {value}")))
    }

    /// Shows some lines of a list; `more` when lines of the same list were shown before.
    pub(crate) fn rows<R: Row>(&mut self, rows: &[R], more: bool) -> Result<(), Failure> {
        if self.json {
            return rows.iter().try_for_each(|row| self.object(row));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        if !more {
            table.set_header(R::HEADINGS.to_vec());
        }
        table.add_rows(rows.iter().map(Row::cells));
        // Nothing is wrapped: a selector that is broken over two lines cannot be copied.
        if self.terminal {
            table.load_style(RULED);
            return self.line(table);
        }
        table.load_style(presets::NOTHING).force_no_tty();
        for line in table.lines() {
            let line = line.trim_end();
            self.line(line.strip_prefix(' ').unwrap_or(line))?;
        }
        Ok(())
    }

    /// One object on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, object).map_err(|error| {
            let error = io::Error::from(error);
            Failure::output(&error)
        })?;
        self.bytes(b"\n")
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|error| Failure::output(&error))
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to
            .write_all(bytes)
            .map_err(|error| Failure::output(&error))
    }

    /// Hands on what was said so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| Failure::output(&error))
    }

    /// A remark beside the output, for whoever watches.
    pub(crate) fn note(&mut self, text: impl Display) -> Result<(), Failure> {
        self.flush()?;
        // Whether anybody reads remarks is no matter.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
        Ok(())
    }

    /// A remark that scripts may read too.
    pub(crate) fn remark(
        &mut self,
        object: &impl Serialize,
        text: impl Display,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.note(serde_json::to_string(object).unwrap_or_default()),
            false => self.note(text),
        }
    }

    /// Tells why the call failed.
    pub(crate) fn fail(&mut self, failure: &Failure) -> Exit {
        // What was said before it comes first, if it still can.
        let _ = self.to.flush();
        failure.tell(self.json)
    }
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}
