-- What the lists of users walk along. The other two, by username and by e-mail address, are the unique constraints'.
-- Few users are admins, disabled or deleted: their own indexes cost next to nothing, and find them among all others.

CREATE INDEX users_by_last_login ON users (last_login_at, id) WHERE last_login_at IS NOT NULL;
CREATE INDEX users_never_signed_in ON users (id) WHERE last_login_at IS NULL;

CREATE INDEX users_admins ON users (id) WHERE role = 'Admin';
CREATE INDEX users_admins_by_username ON users (username_key) WHERE role = 'Admin';
CREATE INDEX users_admins_by_email ON users (email_key) WHERE role = 'Admin';
CREATE INDEX users_admins_by_last_login ON users (last_login_at, id) WHERE role = 'Admin' AND last_login_at IS NOT NULL;

CREATE INDEX users_disabled ON users (id) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_disabled_by_username ON users (username_key) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_disabled_by_email ON users (email_key) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_disabled_by_last_login ON users (last_login_at, id)
    WHERE disabled_at IS NOT NULL AND last_login_at IS NOT NULL;

CREATE INDEX users_deleted ON users (id) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_deleted_by_username ON users (username_key) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_deleted_by_email ON users (email_key) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_deleted_by_last_login ON users (last_login_at, id)
    WHERE deleted_at IS NOT NULL AND last_login_at IS NOT NULL;
