//! What a server has on record, as the admin sees it.

use std::collections::HashSet;

use serde_json::Value;

use super::{ADMIN_TOKEN, Server};

/// The draw ids of all usage events, page by page. None may be listed twice.
pub(crate) fn all_events(server: &Server) -> HashSet<String> {
    let mut events = HashSet::new();
    let mut path = "/admin/usage?limit=1000".to_owned();
    loop {
        let page = server.request("GET", &path, Some(ADMIN_TOKEN), None).json();
        let page = page.as_array().unwrap().clone();
        for event in &page {
            assert!(events.insert(event["draw_id"].as_str().unwrap().to_owned()), "{event}");
        }
        let Some(last) = page.last() else { return events };
        path = format!("/admin/usage?limit=1000&before={}", last["draw_id"].as_str().unwrap());
    }
}

/// The keys as the admin sees them.
pub(crate) fn keys(server: &Server) -> Vec<Value> {
    server.request("GET", "/admin/keys", Some(ADMIN_TOKEN), None).json().as_array().unwrap().clone()
}
