//! Reading a record must not bring the process down, whatever is in it. Nothing here is known
//! to panic; should something, that one record is poison and the others go on.
//!
//! A panic's text may quote what was being read (`str` indexing does), and the standard hook
//! prints it. So while a record is read on a thread, that thread's panics are told by their
//! place in the code alone.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use super::{PoisonReason, fault::Fault};

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `read`; a panic in it becomes a fault that names its place in the code.
pub(super) fn guard<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    HOOK.call_once(hush_panics_while_reading);
    READING.set(true);
    // What a panic leaves half done is dropped with it: `read` borrows nothing that it changes.
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    READING.set(false);
    result.unwrap_or_else(|_text| {
        let place = PANICKED_AT.take().unwrap_or_else(|| "an unknown place".to_owned());
        Err(Fault::new(PoisonReason::Panicked, format!("reading it crashed at {place}")))
    })
}

/// All other panics go to the hook that was there before.
fn hush_panics_while_reading() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !READING.get() {
            return before(info);
        }
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place, "reading a record crashed; it goes to the dead letters");
        PANICKED_AT.set(place);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_that_names_its_place_and_quotes_nothing() {
        let text = "päyload".to_owned();
        let fault = guard(|| Ok(text[..2].len())).unwrap_err();
        assert_eq!(fault.reason, PoisonReason::Panicked);
        assert!(fault.detail.contains("last_resort.rs:"), "{}", fault.detail);
        assert!(!fault.detail.contains("yload"), "{}", fault.detail);
    }

    #[test]
    fn reading_goes_on_after_a_panic() {
        assert!(guard::<()>(|| panic!("once")).is_err());
        assert_eq!(guard(|| Ok(7)).ok(), Some(7));
    }
}
