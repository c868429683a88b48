//! Claims about outcomes.
