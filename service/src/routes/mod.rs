//! The routes: each reads a request, asks the rest of the service, and writes a response.

pub mod lookup;
pub mod objects;
pub mod request;
pub mod response;
pub mod status;
pub mod submit;
