//! The end-to-end tests of supercargo, run by `tests/run`.
