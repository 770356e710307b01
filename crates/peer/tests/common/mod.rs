#![allow(dead_code)]

pub mod alone;
