//! Everything that says actix. Handlers are thin: they take a request apart, call one verb and write its answer.
//!
//! Who may do what stands in a handler's signature: [`bearer::AuthenticatedUser`], [`bearer::AdminUser`] or neither.

pub mod admin;
pub mod answer;
pub mod api;
pub mod bearer;
pub mod client;
pub mod connections;
mod cors;
mod deadline;
pub mod docs;
pub mod faults;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod health;
pub mod json;
pub mod metrics;
pub mod oauth;
pub mod openapi;
pub mod problem;
pub mod public_document;
pub mod query;
pub mod security;
pub mod state;
pub mod status_lists;
mod unwaited;
mod urlencoded;
pub mod well_known;

use actix_web::guard::{self, Guard};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig, delete, patch, post, resource, scope};
use actix_web::{Route, web};

use admin::guard::admins_only;
use admin::{
    account as me, assets, audit as trail, blocks, clients as programs, dashboard, keys, maintenance, reset,
    sessions as seen,
};
use admin::{settings, setup, sign_in, sign_out, users as people};
use api::{account, audit, clients, sessions, tokens, users};
use oauth::{introspect, revoke, token};
use state::State;
use well_known::{jwks, metadata};

/// The whole route table.
pub fn routes(config: &mut ServiceConfig, state: &Data<State>) {
    config
        .service(
            scope("/api")
                .service(resource("/auth/login").route(post().to(tokens::create_session)))
                .service(resource("/auth/refresh-token").route(post().to(tokens::refresh_session)))
                .service(resource("/auth/revoke-token").route(post().to(tokens::revoke_token)))
                .service(resource("/auth/logout").route(post().to(tokens::end_current_session)))
                .service(resource("/auth/logout-all").route(post().to(tokens::end_own_sessions)))
                .service(resource("/users/register").route(post().to(users::create_user)))
                .service(
                    resource("/users/profile")
                        .route(get().to(account::show_profile))
                        .route(post().to(account::show_profile)),
                )
                .service(resource("/users/password").route(post().to(account::change_password)))
                .service(resource("/users/me/sessions").route(get().to(account::list_own_sessions)))
                .service(resource("/users/me/sessions/{sid}").route(delete().to(account::end_own_session)))
                .service(resource("/users").route(get().to(users::list_users)))
                .service(
                    resource("/users/{id}")
                        .route(get().to(users::show_user))
                        .route(patch().to(users::update_user))
                        .route(delete().to(users::delete_user)),
                )
                .service(
                    resource("/users/{id}/sessions")
                        .route(get().to(sessions::list_sessions_of_user))
                        .route(delete().to(sessions::end_sessions_of_user)),
                )
                .service(resource("/sessions").route(get().to(sessions::list_sessions)))
                .service(resource("/sessions/revoke").route(post().to(sessions::revoke_sessions)))
                .service(
                    resource("/sessions/{sid}")
                        .route(get().to(sessions::show_session))
                        .route(delete().to(sessions::end_session)),
                )
                .service(resource("/audit-events").route(get().to(audit::list_audit_events)))
                .service(
                    resource("/clients")
                        .route(get().to(clients::list_clients))
                        .route(post().to(clients::create_client)),
                )
                .service(
                    resource("/clients/{id}")
                        .route(get().to(clients::show_client))
                        .route(patch().to(clients::update_client))
                        .route(delete().to(clients::delete_client)),
                )
                .service(resource("/clients/{id}/secrets").route(post().to(clients::create_secret)))
                .service(resource("/clients/{id}/secrets/{sid}").route(delete().to(clients::delete_secret))),
        )
        .service(
            scope("/oauth")
                .service(resource("/token").route(post().to(token::create_token)))
                .service(resource("/revoke").route(post().to(revoke::revoke_token)))
                .service(resource("/introspect").route(post().to(introspect::introspect_token))),
        )
        .service(
            scope("/admin")
                .wrap(admin::sessions(state))
                .service(
                    resource("/sign-in")
                        .route(get().to(sign_in::show_sign_in))
                        .route(post().to(sign_in::create_session)),
                )
                .service(resource("/sign-out").route(post().to(sign_out::end_session)))
                .service(resource("/setup").route(get().to(setup::show_setup)).route(post().to(setup::create_admin)))
                // Whatever else there is below /admin, or is not, is for admins alone.
                .service(
                    scope("")
                        .wrap(from_fn(admins_only))
                        .service(resource("").route(get().to(dashboard::show_dashboard)))
                        .service(resource("/audit").route(get().to(trail::list_events)))
                        .service(resource("/audit/export").route(get().to(trail::export_events)))
                        .service(resource("/blocks").route(get().to(blocks::show_blocks)))
                        .service(resource("/blocks/clear").route(post().to(blocks::clear_block)))
                        .service(
                            resource("/clients")
                                .route(get().to(programs::list::show_clients))
                                .route(post().to(programs::create::create_client)),
                        )
                        .service(resource("/clients/new").route(get().to(programs::create::show_new_client)))
                        .service(resource("/clients/{id}").route(get().to(programs::show::show_client)))
                        .service(
                            resource("/clients/{id}/settings").route(post().to(programs::actions::change_settings)),
                        )
                        .service(resource("/clients/{id}/secrets").route(post().to(programs::secrets::create_secret)))
                        .service(
                            resource("/clients/{id}/secrets/{sid}/revoke")
                                .route(post().to(programs::secrets::revoke_secret)),
                        )
                        .service(resource("/clients/{id}/disable").route(post().to(programs::actions::disable_client)))
                        .service(resource("/clients/{id}/enable").route(post().to(programs::actions::enable_client)))
                        .service(resource("/clients/{id}/delete").route(post().to(programs::actions::delete_client)))
                        .service(resource("/keys").route(get().to(keys::list_signing_keys)))
                        .service(resource("/keys/rotate").route(post().to(keys::rotate_signing_keys)))
                        .service(resource("/keys/replace").route(post().to(keys::replace_signing_keys)))
                        .service(resource("/keys/{kid}/retire").route(post().to(keys::retire_signing_key)))
                        .service(resource("/settings").route(get().to(settings::show_settings)))
                        .service(resource("/maintenance").route(get().to(maintenance::show_maintenance)))
                        .service(resource("/maintenance/prune").route(post().to(maintenance::prune_rows)))
                        .service(resource("/maintenance/check").route(post().to(maintenance::check_integrity)))
                        .service(resource("/maintenance/diagnostics").route(get().to(maintenance::show_diagnostics)))
                        .service(resource("/me").route(get().to(me::show_account)))
                        .service(resource("/me/preferences").route(post().to(me::set_preferences)))
                        .service(resource("/me/password").route(post().to(me::change_password)))
                        .service(resource("/me/sessions/end-others").route(post().to(me::end_other_sessions)))
                        .service(resource("/me/sessions/{sid}/end").route(post().to(me::end_session)))
                        .service(
                            resource("/users")
                                .route(get().to(people::list::list_users))
                                .route(post().to(people::create::create_user)),
                        )
                        .service(resource("/users/new").route(get().to(people::create::show_new_user)))
                        .service(resource("/users/export").route(get().to(people::export::export_users)))
                        .service(resource("/users/bulk").route(post().to(people::bulk::change_ticked_users)))
                        .service(resource("/users/{id}").route(get().to(people::show::show_user)))
                        .service(resource("/users/{id}/disable").route(post().to(people::actions::disable_user)))
                        .service(resource("/users/{id}/enable").route(post().to(people::actions::enable_user)))
                        .service(resource("/users/{id}/clear-blocks").route(post().to(blocks::clear_blocks_of_user)))
                        .service(resource("/users/{id}/role").route(post().to(people::actions::change_role)))
                        .service(
                            resource("/users/{id}/revoke-sessions").route(post().to(people::actions::revoke_sessions)),
                        )
                        .service(resource("/users/{id}/reset-link").route(post().to(people::actions::make_reset_link)))
                        .service(resource("/users/{id}/delete").route(post().to(people::actions::delete_user)))
                        .service(resource("/users/{id}/restore").route(post().to(people::actions::restore_user)))
                        .service(resource("/users/{id}/email").route(post().to(people::actions::change_email)))
                        .service(resource("/sessions").route(get().to(seen::list::list_sessions)))
                        .service(resource("/sessions/revoke").route(post().to(seen::revoke::revoke_sessions)))
                        .service(
                            resource("/sessions/revoke-matching")
                                .route(post().to(seen::revoke::revoke_matching_sessions)),
                        )
                        .service(
                            resource("/sessions/revoke-all").route(post().to(seen::revoke_all::revoke_all_sessions)),
                        )
                        .service(resource("/sessions/{sid}").route(get().to(seen::show::show_session)))
                        .service(resource("/sessions/{sid}/revoke").route(post().to(seen::revoke::revoke_session)))
                        .service(
                            resource("/users/{id}/sessions/{sid}").route(get().to(seen::show::show_session_of_user)),
                        ),
                ),
        )
        .service(
            scope("/.well-known")
                .service(resource("/jwks.json").route(get().to(jwks::show_jwks)))
                .service(resource("/oauth-authorization-server").route(get().to(metadata::show_metadata)))
                .service(
                    resource("/oauth-authorization-server/{issuer:.+}")
                        .route(get().to(metadata::show_metadata_of_issuer)),
                )
                .service(resource("/openid-configuration").route(get().to(metadata::show_metadata)))
                .service(
                    resource("/openid-configuration/{issuer:.+}").route(get().to(metadata::show_metadata_of_issuer)),
                ),
        )
        .service(
            resource("/{issuer:.+}/.well-known/openid-configuration")
                .route(get().to(metadata::show_metadata_of_issuer)),
        )
        // For whoever verifies tokens: the same for everybody, and without a name.
        .service(resource("/status-lists").route(get().to(status_lists::list_status_lists)))
        .service(resource("/status-lists/{name}").route(get().to(status_lists::show_status_list)))
        .service(resource("/reset").route(get().to(reset::show_reset)).route(post().to(reset::reset_password)))
        .service(resource("/assets/{file}").route(get().to(assets::show_asset)))
        .service(resource("/favicon.ico").route(get().to(assets::show_icon)))
        .service(resource("/openapi.json").route(get().to(docs::show_description)))
        .service(resource("/docs").route(get().to(docs::show_docs)))
        .service(resource("/docs/{file:.*}").route(get().to(docs::show_file)))
        .service(resource("/problems/{code}").route(get().to(problem::show_problem)))
        .service(resource("/health/live").route(get().to(health::show_liveness)))
        .service(resource("/health/ready").route(get().to(health::show_readiness)));
}

/// The routes of the metrics listener.
pub fn metrics_routes(config: &mut ServiceConfig) {
    config.service(resource("/metrics").route(get().to(metrics::show_metrics)));
}

/// GET, and HEAD with the same answer less its body (RFC 9110 §9.3.2).
fn get() -> Route {
    web::route().guard(guard::fn_guard(|context| guard::Get().check(context) || guard::Head().check(context)))
}
