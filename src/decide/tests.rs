//! Claims about what is decided, one line of state in, one decision out.
