//! `switch`: whole subsystems, on and off.

use crate::cli::Call;
use crate::failure::{Exit, Outcome};
use crate::out::Row;
use crate::token::told;
use crate::view::Time;
use clap::{Args, Subcommand, ValueEnum};
use countersign::{Reason, Subsystem, SystemRecord, Timestamp};
use serde::Serialize;

/// Show the switches of the subsystems, and turn them
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Off, a subsystem accepts and issues nothing, and what it had issued is dead for good: on again,
it accepts only what is issued from then on.")]
pub(crate) enum SwitchCommand {
    /// Show all switches
    List,
    /// Personal access tokens
    AccessTokens(Turn),
    /// Remember-me tokens
    RememberMe(Turn),
    /// Image tokens; they need the switch of access tokens too
    ImageTokens(Turn),
    /// Sessions
    Sessions(Turn),
}

/// Which way, and why.
#[derive(Debug, Args)]
pub(crate) struct Turn {
    /// Which way
    #[arg(value_enum)]
    to: Way,

    /// Why, for the audit log
    #[arg(long)]
    reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    On,
    Off,
}

#[derive(Serialize)]
struct SwitchView {
    subsystem: &'static str,
    on: bool,
    epoch: u32,
    epoch_since: Option<Time>,
}

impl SwitchView {
    fn new(system: &SystemRecord, subsystem: Subsystem) -> Self {
        let switch = system.switch(subsystem);
        let since = switch.epoch.since();
        Self {
            subsystem: subsystem.name(),
            on: switch.on,
            epoch: switch.epoch.number(),
            epoch_since: (since > Timestamp::ZERO).then_some(Time(since)),
        }
    }
}

impl Row for SwitchView {
    const HEADINGS: &'static [&'static str] = &["SUBSYSTEM", "SWITCH", "EPOCH SINCE"];

    fn cells(&self) -> Vec<String> {
        let since = self
            .epoch_since
            .map_or_else(|| "-".to_owned(), |since| since.to_string());
        vec![
            self.subsystem.to_owned(),
            if self.on { "on" } else { "off" }.to_owned(),
            since,
        ]
    }
}

impl SwitchCommand {
    pub(crate) const fn writes(&self) -> bool {
        !matches!(self, Self::List)
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::List => list(call),
            Self::AccessTokens(turn) => turn.run(call, Subsystem::AccessTokens),
            Self::RememberMe(turn) => turn.run(call, Subsystem::RememberMe),
            Self::ImageTokens(turn) => turn.run(call, Subsystem::ImageTokens),
            Self::Sessions(turn) => turn.run(call, Subsystem::Sessions),
        }
    }
}

fn list(call: &mut Call) -> Outcome {
    let opened = call.site.read()?;
    let system = opened.engine.switches().list().wait()?;
    opened.close()?;
    let views = Subsystem::ALL.map(|subsystem| SwitchView::new(&system, subsystem));
    call.out.rows(&views, false)?;
    Ok(Exit::Done)
}

impl Turn {
    fn run(self, call: &mut Call, subsystem: Subsystem) -> Outcome {
        let opened = call.site.write()?;
        let switches = opened.engine.switches();
        match self.to {
            Way::On => {
                let system = switches.on(subsystem, self.reason).wait()?;
                opened.close()?;
                let view = SwitchView::new(&system, subsystem);
                call.out
                    .say(&view, format_args!("switched on: {subsystem}"))?;
                Ok(Exit::Done)
            }
            Way::Off => {
                let done = switches.off(subsystem, self.reason).wait()?;
                opened.close()?;
                told(&mut call.out, "switched off", subsystem.name(), done)
            }
        }
    }
}
