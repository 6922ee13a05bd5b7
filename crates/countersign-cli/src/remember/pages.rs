//! Walking over the engine's pages of devices.

use crate::failure::Failure;
use crate::out::Out;
use crate::stop;
use countersign::{DeviceInfo, DeviceQuery, Engine};

/// Devices that are asked for at once.
const CHUNK: usize = 1024;

/// What is done with a page's devices.
type Each<'a> = dyn FnMut(&mut Out, Vec<DeviceInfo>) -> Result<(), Failure> + 'a;

/// Hands every device that a query asks for to `each`, oldest first.
pub(crate) fn walk(
    out: &mut Out,
    engine: &Engine,
    mut query: DeviceQuery,
    each: &mut Each<'_>,
) -> Result<(), Failure> {
    query.limit = CHUNK;
    let mut damaged = 0usize;
    loop {
        stop::check()?;
        let page = engine.remember().list(query.clone()).wait()?;
        damaged = damaged.saturating_add(page.damaged.len());
        each(out, page.devices)?;
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if damaged > 0 {
        out.note(format_args!(
            "{damaged} devices do not read back whole and are not let in; see `check --deep`"
        ))?;
    }
    Ok(())
}
