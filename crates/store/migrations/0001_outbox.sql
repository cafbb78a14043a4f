-- Notices of webhooks that have not been delivered.
CREATE TABLE notice (
    -- The order in which they happened.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What receivers tell repetitions by.
    id TEXT NOT NULL UNIQUE,
    -- The webhook, by a hash of what makes it the same one.
    hook TEXT NOT NULL,
    -- Notices of one lane are delivered one after the other: the stream.
    lane TEXT NOT NULL,
    application INTEGER NOT NULL,
    body TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
