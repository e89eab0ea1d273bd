//! Interruption: the first SIGINT or SIGTERM asks a recording to stop between two steps, the second ends the process.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a recording is told to watch.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether a signal ends the process at once.
static AT_ONCE: AtomicBool = AtomicBool::new(false);
/// The signal that came last, 0 if none has.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);

/// From now on, the first signal only sets the flag that is returned.
pub fn listen() -> io::Result<&'static AtomicBool> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds `AT_ONCE` unset and sets it for the second.
        flag::register_conditional_shutdown(signal, 128 + signal, &AT_ONCE)?;
        flag::register(signal, &AT_ONCE)?;
        flag::register_usize(signal, &RECEIVED, signal as usize)?;
        flag::register(signal, &STOP)?;
    }
    Ok(&STOP)
}

/// From now on, every signal ends the process at once.
pub fn end_at_once() {
    AT_ONCE.store(true, Ordering::SeqCst);
}

/// The exit code of a process that a signal stopped, if one has.
pub fn exit_code() -> Option<u8> {
    match RECEIVED.load(Ordering::SeqCst) {
        0 => None,
        signal => u8::try_from(128 + signal).ok(),
    }
}
