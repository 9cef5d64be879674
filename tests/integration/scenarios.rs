//! The scripts of `tests/scenarios`, one test each.

macro_rules! scenarios {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                crate::script::run(include_str!(concat!("../scenarios/", stringify!($name), ".txt")));
            }
        )+

        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

scenarios! {
    account_removal
    iq_rules
    last_activity
    message_to_other_domain
    messages_both_ways
    messages_by_type
    messages_to_nobody
    offline_limit
    offline_messages
    password_change
    presence_directed
    presence_of_own_resources
    presence_privacy
    queries
    resource_binding
    resource_conflict
    resource_limit
    resumption
    resumption_over_live_connection
    resumption_too_late
    roster
    roster_errors
    roster_remove_cancels
    roster_versions
    stanza_ids
    stream_management
    stream_management_errors
    stream_management_high_count
    subscription_both_ways
    subscription_denied
    subscription_preapproved
    subscription_while_offline
    unacknowledged_rerouted
}

#[test]
fn every_script_is_run() {
    let mut found: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, NAMES, "tests/scenarios and the list in scenarios.rs");
}
