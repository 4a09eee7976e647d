//! Everything keyfob decides without touching the world.
#![no_std]
extern crate alloc;
