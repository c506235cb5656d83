//! The tables, one description for both backends. Only `store` may name them.
//!
//! `BigInt` times are microseconds since 1970-01-01T00:00:00Z.
#![expect(missing_docs, reason = "the migrations describe the columns")]

diesel::table! {
    meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    counters (name) {
        name -> Text,
        value -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> BigInt,
        username -> Text,
        username_key -> Text,
        email -> Text,
        email_key -> Text,
        role -> Text,
        password_hash -> Text,
        security_version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        password_changed_at -> BigInt,
        last_login_at -> Nullable<BigInt>,
        disabled_at -> Nullable<BigInt>,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Binary,
        user_id -> BigInt,
        nonce_digest -> Binary,
        generation -> BigInt,
        created_at -> BigInt,
        created_ip -> Nullable<Binary>,
        rotated_at -> BigInt,
        rotated_ip -> Nullable<Binary>,
        user_agent -> Nullable<Text>,
        idle_expires_at -> BigInt,
        expires_at -> BigInt,
        window_started_at -> BigInt,
        window_generation -> BigInt,
        ended_at -> Nullable<BigInt>,
        ended_ip -> Nullable<Binary>,
        ended_by -> Nullable<BigInt>,
        end_reason -> Nullable<Text>,
        kind -> Text,
        status_index -> Nullable<Integer>,
    }
}

diesel::table! {
    refresh_tokens (session_id, generation) {
        session_id -> Binary,
        generation -> BigInt,
        created_at -> BigInt,
        created_ip -> Nullable<Binary>,
        user_agent -> Nullable<Text>,
        expires_at -> BigInt,
        repeats -> Nullable<BigInt>,
        last_repeat_at -> Nullable<BigInt>,
        last_repeat_ip -> Nullable<Binary>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        public_jwk -> Text,
        sealed_private_key -> Binary,
        sealed_with -> Text,
        created_at -> BigInt,
        superseded_at -> Nullable<BigInt>,
        signs_from -> Nullable<BigInt>,
        retired_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    status_lists (number) {
        number -> BigInt,
        name -> Text,
        permutation_key -> Binary,
        next_serial -> BigInt,
        created_at -> BigInt,
        in_use_until -> BigInt,
    }
}

diesel::table! {
    revoked_status_indexes (status_index, at) {
        status_index -> Integer,
        at -> BigInt,
        user_id -> BigInt,
    }
}

diesel::table! {
    setup_links (token_digest) {
        token_digest -> Binary,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    reset_links (user_id) {
        user_id -> BigInt,
        token_digest -> Binary,
        security_version -> BigInt,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    audit_events (id) {
        id -> BigInt,
        occurred_at -> BigInt,
        kind -> Text,
        severity -> Text,
        actor_user_id -> Nullable<BigInt>,
        subject_user_id -> Nullable<BigInt>,
        session_id -> Nullable<Binary>,
        ip -> Nullable<Binary>,
        user_agent -> Nullable<Text>,
        request_id -> Nullable<Text>,
        detail -> Text,
        actor_kind -> Text,
        result -> Text,
        seal_number -> Nullable<BigInt>,
        seal_digest -> Nullable<Binary>,
        client_id -> Nullable<Text>,
    }
}

diesel::table! {
    audit_heads (name) {
        name -> Text,
        number -> BigInt,
        digest -> Binary,
        day -> BigInt,
    }
}

diesel::table! {
    audit_days (day) {
        day -> BigInt,
        first_number -> BigInt,
        head_before -> Binary,
    }
}

diesel::table! {
    rollups (hour, name) {
        hour -> BigInt,
        name -> Text,
        total -> BigInt,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        at -> BigInt,
        user_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    console_sessions (key_digest) {
        key_digest -> Binary,
        session_id -> Binary,
        security_version -> BigInt,
        state -> Text,
        confirmed_at -> BigInt,
        wrong_passwords -> Integer,
    }
}

diesel::table! {
    console_preferences (user_id) {
        user_id -> BigInt,
        theme -> Text,
        time_zone -> Text,
        shortcuts -> Bool,
    }
}

diesel::table! {
    clients (id) {
        id -> Text,
        name -> Text,
        audience -> Nullable<Text>,
        scopes -> Text,
        security_version -> BigInt,
        created_at -> BigInt,
        created_by -> Nullable<BigInt>,
        disabled_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        last_used_ip -> Nullable<Binary>,
    }
}

diesel::table! {
    client_secrets (id) {
        id -> Text,
        client_id -> Text,
        digest -> Binary,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    guess_counters (subject, network) {
        subject -> Binary,
        network -> Text,
        user_id -> Nullable<BigInt>,
        client_id -> Nullable<Text>,
        failures -> Integer,
        streak -> Integer,
        last_failed_at -> BigInt,
        free_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    known_networks (user_id, network) {
        user_id -> BigInt,
        network -> Text,
        last_success_at -> BigInt,
    }
}

diesel::joinable!(guess_counters -> users (user_id));
diesel::joinable!(guess_counters -> clients (client_id));
diesel::joinable!(client_secrets -> clients (client_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(console_sessions -> sessions (session_id));
diesel::joinable!(console_preferences -> users (user_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(reset_links -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(
    sessions,
    users,
    refresh_tokens,
    console_sessions,
    console_preferences,
    reset_links,
);
diesel::allow_tables_to_appear_in_same_query!(audit_events, users);
diesel::allow_tables_to_appear_in_same_query!(clients, client_secrets);
diesel::allow_tables_to_appear_in_same_query!(guess_counters, users, clients);
