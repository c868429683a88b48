//! Reading a record or deciding about it must not bring the process down, whatever is in it. Nothing
//! there is known to panic; should something, that one record is poison and the others go on.
//!
//! A panic's text may quote what was being read (`str` indexing does), and the standard hook
//! prints it. So while such work is done on a thread, that thread's panics are told by their place
//! in the code alone.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static WORK: Cell<Option<&'static str>> = const { Cell::new(None) };
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// What crashed, and where in the code: no word of the record.
#[derive(Debug, thiserror::Error)]
#[error("{work} it crashed at {place}")]
pub(crate) struct Crash {
    work: &'static str,
    place: String,
}

/// Runs `run`; a panic in it becomes a [`Crash`]. `work` says what is done to the record, and is
/// read before "it".
pub(crate) fn guard<T>(work: &'static str, run: impl FnOnce() -> T) -> Result<T, Crash> {
    HOOK.call_once(hush_panics_at_work);
    WORK.set(Some(work));
    // What a panic leaves half done is dropped with it: `run` borrows nothing that it changes.
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    WORK.set(None);
    result.map_err(|_text| Crash {
        work,
        place: PANICKED_AT.take().unwrap_or_else(|| "an unknown place".to_owned()),
    })
}

/// All other panics go to the hook that was there before.
fn hush_panics_at_work() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let Some(work) = WORK.get() else { return before(info) };
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(work, place, "a record crashed what was done to it; it goes to the dead letters");
        PANICKED_AT.set(place);
    }));
}

/// Where a test may let the code crash, on its own thread.
#[cfg(test)]
pub(crate) mod trap {
    use std::cell::RefCell;

    thread_local! {
        static SET: RefCell<Vec<(&'static str, String)>> = const { RefCell::new(Vec::new()) };
    }

    /// From now on the event of this id crashes the stage, on this thread.
    pub(crate) fn set(stage: &'static str, id: &str) {
        SET.with_borrow_mut(|set| set.push((stage, id.to_owned())));
    }

    /// Stands in the stage.
    pub(crate) fn spring(stage: &'static str, id: &str) {
        let is_set = SET.with_borrow(|set| set.iter().any(|(at, of)| *at == stage && of == id));
        assert!(!is_set, "a trap that quotes {id}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_its_place_and_quotes_nothing() {
        let text = "päyload".to_owned();
        let crash = guard("reading", || text[..2].len()).unwrap_err().to_string();
        assert!(crash.contains("reading it crashed at") && crash.contains("last_resort.rs:"), "{crash}");
        assert!(!crash.contains("yload"), "{crash}");
    }

    #[test]
    fn work_goes_on_after_a_panic() {
        assert!(guard::<()>("reading", || panic!("once")).is_err());
        assert_eq!(guard("reading", || 7).ok(), Some(7));
    }
}
