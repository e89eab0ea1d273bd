//! Panics: a library may catch one (a decoder's, on corrupt bytes) and makes an error of it; any other is a bug.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Mutex;

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Does `work`; a panic in it becomes an error that says where, and one that is caught on the way prints nothing.
pub fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    set_hook(Box::new(|panic| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = panic.to_string();
        }
    }));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let what = LAST_PANIC.lock().map(|last| last.clone()).unwrap_or_default();
        Err(anyhow::anyhow!("this is a bug in cograd; please report it with the command you ran: {what}"))
    })
}
