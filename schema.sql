-- The whole present schema, as SQLite keeps it; PostgreSQL has the same. `python -m migrations` writes this file from
-- the migrations, its comments by hand. Times are seconds since the epoch in UTC; JSON is text, written and read whole.
-- user             who may call the service; written by `flask users` and, once, by the first start
-- tokens           what they prove it with; written by the same
-- operations       one run of a workflow each; written by commands and workers, who take its row first: it is the lock
-- steps            its task calls; written when it starts, then moved on by workers and commands
-- edges            which step waits for which; written when it starts, never changed
-- growths          what steps put in their own places; written when one does, emptied by a retry
-- events           its history; appended in the transaction of the change it tells of, never changed
-- notifications    what people are to be told of it, and what came of that; written with the change, sent by workers
-- workers          who holds claims; each worker writes its own row, and whoever finds it dead
-- edits            changes that people made of paused operations; written with the change by `edit` and `undo`
-- bulks            the same asked of many operations; begun by the commands, worked off by sweeps
-- installation     its name, by which documents tell where an operation was started; never changed
-- alembic_version  how far the migrations have come; written by them alone

-- The same asked of many operations, worked off by the sweeps of all workers.
CREATE TABLE bulks (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice
    requester_id INTEGER NOT NULL,       -- who asked for it
    verb TEXT NOT NULL,                  -- what is asked of each operation
    workflow TEXT,                       -- only operations of this workflow; empty for all
    completions TEXT NOT NULL,           -- JSON: only operations that stood at one of these when it was asked for
    owner_id INTEGER,                    -- only operations of this user; empty for everybody's
    reason TEXT,                         -- why; the history of each operation keeps it
    resume_at FLOAT,                     -- of a pause, when the service resumes the operation; empty for never
    per_minute INTEGER,                  -- how many operations a minute at the most; empty for as many as go
    newest BIGINT NOT NULL,              -- the largest id of an operation when it was asked for: later ones are not meant
    newest_event BIGINT NOT NULL,        -- the largest id of an event then: the history up to it tells what stood where
    place BIGINT DEFAULT 0 NOT NULL,     -- the id up to which it has come; what is done goes on from there
    total INTEGER NOT NULL,              -- how many operations were meant
    done INTEGER DEFAULT 0 NOT NULL,     -- how many of them have done as asked
    refused INTEGER DEFAULT 0 NOT NULL,  -- how many have not
    refusals TEXT DEFAULT '{}' NOT NULL, -- JSON: for each reason how many, and the ids of some
    created_at FLOAT NOT NULL,           -- when it was asked for
    due_at FLOAT NOT NULL,               -- when the next operation may be asked
    finished_at FLOAT,                   -- when nothing was left to do, or it was stopped
    stopped_by TEXT,                     -- the name of the user who stopped it
    idempotency_key TEXT,                -- the Idempotency-Key it was asked for under, if any
    request_digest TEXT,                 -- SHA-256 of the request made under that key: another under it is refused
    CONSTRAINT bulks_verb_check CHECK (verb IN ('pause', 'resume', 'cancel')),
    CONSTRAINT bulks_requester_id_fkey FOREIGN KEY(requester_id) REFERENCES user (id)
);

-- One bulk for each key that a requester names.
CREATE UNIQUE INDEX bulks_by_idempotency_key ON bulks (requester_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- What is to be worked on, the earliest first.
CREATE INDEX bulks_due ON bulks (due_at)
    WHERE finished_at IS NULL;

-- The code that an operation was paused with: what a resume holds the code against that is there then.
CREATE TABLE paused_code (
    operation_id INTEGER NOT NULL,       -- the operation
    code TEXT NOT NULL,                  -- JSON: which Python made the fingerprints; those of its workflow and tasks
    CONSTRAINT paused_code_pkey PRIMARY KEY (operation_id),
    CONSTRAINT paused_code_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- What people changed of what remained of paused operations, and took back.
CREATE TABLE edits (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice
    operation_id INTEGER NOT NULL,       -- the operation, PAUSED then
    at FLOAT NOT NULL,                   -- when it was made
    who TEXT NOT NULL,                   -- the name of the user who made it
    why TEXT,                            -- the reason they gave, if any
    diff TEXT NOT NULL,                  -- JSON: each place that it changed, with what stood there and what stands there now; no known secret
    former TEXT NOT NULL,                -- JSON: the calls and results of steps that it replaced: what undo puts back
    runs INTEGER NOT NULL,               -- how often code of the operation had been started then: once more, and it is not taken back
    undone_at FLOAT,                     -- when it was taken back
    undone_by TEXT,                      -- the name of the user who took it back
    CONSTRAINT edits_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- The edits of one operation, in order.
CREATE INDEX edits_by_operation ON edits (operation_id, id);

-- Sessions of the console that somebody signed out of, for a day: their cookies, wherever they are kept, open nothing.
CREATE TABLE ended_sessions (
    name TEXT NOT NULL,                  -- the random name that the cookie holds
    ended_at FLOAT NOT NULL,             -- when it was ended
    CONSTRAINT ended_sessions_pkey PRIMARY KEY (name)
);

-- Those that are to be forgotten.
CREATE INDEX ended_sessions_by_end ON ended_sessions (ended_at);

-- Somebody who may call the service: a person or a program.
CREATE TABLE user (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice
    name TEXT NOT NULL,                  -- 1 to 64 printable characters; the history calls them by it
    role TEXT NOT NULL,                  -- user: sees and steers their own operations; admin: everybody's
    created_at FLOAT NOT NULL,           -- when they were added
    CONSTRAINT user_role_check CHECK (role IN ('user', 'admin')),
    CONSTRAINT user_name_key UNIQUE (name)
);

-- What a user proves themselves with at each request. The token itself is kept nowhere here.
CREATE TABLE tokens (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice
    user_id INTEGER NOT NULL,            -- whose it is
    prefix TEXT NOT NULL,                -- the token's first characters, by which people tell one from another
    digest TEXT NOT NULL,                -- SHA-256 of the token, in hexadecimal: each request looks here
    created_at FLOAT NOT NULL,           -- when it was added
    revoked_at FLOAT,                    -- since when it opens nothing; empty while it is valid
    CONSTRAINT tokens_user_id_fkey FOREIGN KEY(user_id) REFERENCES user (id),
    CONSTRAINT tokens_digest_key UNIQUE (digest)
);

-- The tokens of one user.
CREATE INDEX tokens_by_user ON tokens (user_id);

-- One requested run of a workflow.
CREATE TABLE operations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice: the newest has the largest
    requester_id INTEGER NOT NULL,       -- the user it belongs to
    completion TEXT NOT NULL,            -- where it stands
    workflow_store TEXT,                 -- where workflow.json lies, once it has been paused
    result TEXT,                         -- JSON: its value when COMPLETED, the carried value when PAUSED
    workflow TEXT NOT NULL,              -- the workflow's registered name
    arguments TEXT NOT NULL,             -- JSON: what it was started with
    version INTEGER NOT NULL,            -- raised by every change; the ETag
    steps_total INTEGER NOT NULL,        -- how many steps it has
    steps_left INTEGER NOT NULL,         -- how many of them have yet to end
    steps_done INTEGER NOT NULL,         -- how many of them have succeeded: what progress shows
    outcome TEXT NOT NULL,               -- JSON: which steps' results make the operation's, in which shape
    workflow_digest TEXT,                -- SHA-256 of workflow.json, in hexadecimal: an altered file is refused
    error TEXT,                          -- JSON: the first failure, with its step and traceback
    reason TEXT,                         -- why it was asked to pause, or why it cannot yet
    created_at FLOAT NOT NULL,           -- when it was asked for
    started_at FLOAT,                    -- when its first step was claimed
    finished_at FLOAT,                   -- when it was COMPLETED, FAILED or CANCELLED
    idempotency_key TEXT,                -- the Idempotency-Key it was asked for under, if any
    request_digest TEXT,                 -- SHA-256 of the request made under that key: another under it is refused
    slice INTEGER DEFAULT 0 NOT NULL,    -- how often it has gone on from a rest: a document of a smaller one is old
    origin TEXT,                         -- installation/id: where it was started, if elsewhere
    imported TEXT,                       -- installation/id#slice: the document that it was made from, if any
    moved_at FLOAT,                      -- since when it may go on elsewhere alone; empty while it is here
    moved_to TEXT,                       -- where it was moved to, in the words of who moved it
    start_at FLOAT,                      -- no step of it is started before; empty for at once
    due_at FLOAT,                        -- when the service itself starts it (SCHEDULED) or resumes it (asked to pause, or PAUSED)
    flow_options TEXT,                   -- JSON: which options the flow has that its workflow returned; null without any
    exported_at FLOAT,                   -- when its document was last exported: its results may be referred to elsewhere
    CONSTRAINT operations_completion_check CHECK (completion IN ('SCHEDULED', 'IN PROGRESS', 'REQUESTING PAUSE', 'PAUSED', 'REQUESTING CANCEL', 'CANCELLED', 'COMPLETED', 'FAILED')),
    CONSTRAINT operations_requester_id_fkey FOREIGN KEY(requester_id) REFERENCES user (id)
);

-- The list of operations, newest first, of those in one completion; also what `drain` looks for.
CREATE INDEX operations_by_completion ON operations (completion, id);

-- What has ended, the longest ago first: what `prune` takes away.
CREATE INDEX operations_by_finish ON operations (finished_at)
    WHERE finished_at IS NOT NULL;

-- One operation for each key that a requester names.
CREATE UNIQUE INDEX operations_by_idempotency_key ON operations (requester_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- One operation for each document that is imported.
CREATE UNIQUE INDEX operations_by_imported ON operations (imported)
    WHERE imported IS NOT NULL;

-- How far an operation that was started elsewhere has come here.
CREATE INDEX operations_by_origin ON operations (origin, slice)
    WHERE origin IS NOT NULL;

-- The list of operations, newest first, of one requester.
CREATE INDEX operations_by_requester ON operations (requester_id, id);

-- The list of operations, newest first, of one workflow.
CREATE INDEX operations_by_workflow ON operations (workflow, id);

-- What the service is to start or resume, the earliest first.
CREATE INDEX operations_due ON operations (due_at)
    WHERE due_at IS NOT NULL;

-- The first page of one requester's operations that stand somewhere.
CREATE INDEX operations_of_requester_by_completion ON operations (requester_id, completion, id);

-- The first page of one requester's operations of a workflow.
CREATE INDEX operations_of_requester_by_workflow ON operations (requester_id, workflow, id);

-- One task call inside an operation, with all that is needed to run it: a message carries ids alone.
CREATE TABLE steps (
    operation_id INTEGER NOT NULL,       -- the operation it belongs to
    number INTEGER NOT NULL,             -- its place in topological order, from 0: what it waits for has smaller ones
    slug TEXT NOT NULL,                  -- its name within the operation
    state TEXT NOT NULL,                 -- where it stands
    claim INTEGER NOT NULL,              -- raised by each claim and each loss: an older number writes nothing
    losses INTEGER NOT NULL,             -- how many workers were lost in it
    runs INTEGER NOT NULL,               -- how often its code was started
    retries INTEGER NOT NULL,            -- how often its code asked to be run again: Celery's request.retries
    waiting INTEGER NOT NULL,            -- how many of its upstreams have not ended; at 0 it is ready
    signature TEXT NOT NULL,             -- JSON: the Celery call
    inputs TEXT,                         -- JSON: which steps' results it is given, in which shape; empty for none
    point INTEGER,                       -- the number of the pause point it waits behind, if any
    clause TEXT,                         -- JSON: the author's own clause at that point; empty for should_pause
    callback TEXT,                       -- JSON: the author's own callback at that point; empty for save_state
    passed BOOLEAN NOT NULL,             -- whether that point was answered: it is not asked again
    result TEXT,                         -- JSON: what it returned, or what its state carries, once it has ended
    error TEXT,                          -- JSON: what it raised last
    worker_id INTEGER,                   -- the worker that holds the claim, while it is Running
    process INTEGER,                     -- the process id of that worker's child, while it is Running
    due_at FLOAT,                        -- Queued: published again then if still unclaimed; Retrying: may run then
    publishes INTEGER NOT NULL,          -- how often it was published again
    started_at FLOAT,                    -- when its code was last started
    finished_at FLOAT,                   -- when it came to a state it does not leave
    process_start BIGINT,                -- when that child began, in clock ticks since the boot, while it is Running
    message TEXT,                        -- what a signal, a handler or a trigger said of its state
    spoiled INTEGER DEFAULT 0 NOT NULL,  -- how many of its upstreams have ended without success
    plain BOOLEAN DEFAULT 1 NOT NULL,    -- no trigger, handler or notification of its own: may end unclaimed
    reference BOOLEAN DEFAULT 0 NOT NULL, -- whether its end decides how its operation ends
    cursor TEXT,                         -- JSON: the place that its code has kept; none once it has ended well
    done BIGINT,                         -- how much of it its code said to be done at that place
    total BIGINT,                        -- of how much
    parked BOOLEAN DEFAULT 0 NOT NULL,   -- it waits for a retry, and its operation is PAUSED: no sweep looks at it
    outline TEXT,                        -- JSON: what a long signature calls, without the values; empty for a short one
    CONSTRAINT steps_pkey PRIMARY KEY (operation_id, number),
    CONSTRAINT steps_holder_check CHECK (state <> 'Running' OR worker_id IS NOT NULL),
    CONSTRAINT steps_state_check CHECK (state IN ('Pending', 'Queued', 'Running', 'Retrying', 'Paused', 'Success', 'Cached', 'Skipped', 'Failed', 'TriggerFailed', 'Cancelled')),
    CONSTRAINT steps_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE,
    CONSTRAINT steps_worker_id_fkey FOREIGN KEY(worker_id) REFERENCES workers (id)
);

-- What a worker holds, for whoever deletes the worker.
CREATE INDEX steps_by_worker ON steps (worker_id)
    WHERE worker_id IS NOT NULL;

-- What is to be published, the earliest first.
CREATE INDEX steps_due ON steps (due_at)
    WHERE state IN ('Queued', 'Retrying') AND NOT parked;

-- What of an operation runs: while there is any, it is not PAUSED.
CREATE INDEX steps_running ON steps (operation_id)
    WHERE state = 'Running';

-- Which step waits for which, within one operation.
CREATE TABLE edges (
    operation_id INTEGER NOT NULL,       -- the operation of both
    upstream INTEGER NOT NULL,           -- the number of the step that must succeed first
    downstream INTEGER NOT NULL,         -- the number of the step that waits for it
    CONSTRAINT edges_pkey PRIMARY KEY (operation_id, upstream, downstream),
    CONSTRAINT edges_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
) WITHOUT ROWID;

-- What steps have put in their own places, and how it is tied to the others: a retry takes it back.
CREATE TABLE growths (
    operation_id INTEGER NOT NULL,       -- whose step
    number INTEGER NOT NULL,             -- the step that was replaced
    last INTEGER NOT NULL,               -- the largest number that it has given to a step: none is given twice
    growth TEXT,                         -- JSON; null once it was taken back
    CONSTRAINT growths_pkey PRIMARY KEY (operation_id, number),
    CONSTRAINT growths_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
) WITHOUT ROWID;

-- What happened, in order: who changed what, from where to where, and why.
CREATE TABLE events (
    id INTEGER NOT NULL,                 -- counts up
    operation_id INTEGER NOT NULL,       -- the operation it happened to
    at FLOAT NOT NULL,                   -- when it happened
    who TEXT NOT NULL,                   -- the name of the user, or of the part of the service, that did it
    step TEXT,                           -- the slug of the step it happened to; empty for the operation itself
    old TEXT,                            -- the completion or state before; empty where there was none
    new TEXT NOT NULL,                   -- the completion or state after
    why TEXT,                            -- the reason, where there is one to tell
    CONSTRAINT events_pkey PRIMARY KEY (id),
    CONSTRAINT events_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- The history of one operation, in order.
CREATE INDEX events_by_operation ON events (operation_id, id);

-- One incarnation of a worker each: a restarted one is another.
CREATE TABLE workers (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice
    host TEXT NOT NULL,                  -- the machine it runs on
    boot_id TEXT NOT NULL,               -- which boot of that machine: process ids begin anew with each
    pid INTEGER NOT NULL,                -- its process id
    start_time BIGINT NOT NULL,          -- when that process began, in clock ticks since the boot
    heartbeat INTEGER NOT NULL,          -- a counter it raises while it lives: others watch whether it moves
    seen_at FLOAT NOT NULL,              -- when it last raised it, by its own clock; for people to read
    stopped_at FLOAT,                    -- when it ended in good order, or was found dead; empty while it lives
    started_at FLOAT,                    -- when it was entered here
    lost_at FLOAT,                       -- when its heartbeat was found to stand still; empty while it moves
    queues TEXT,                         -- JSON: the queues it takes messages from; empty of one entered before they were told
    CONSTRAINT workers_host_boot_id_pid_start_time_key UNIQUE (host, boot_id, pid, start_time)
);

-- Claims taken from a worker that is not proven gone: while there is any, its operation is not PAUSED.
CREATE TABLE lost_claims (
    operation_id INTEGER NOT NULL,       -- the operation
    number INTEGER NOT NULL,             -- the step
    claim INTEGER NOT NULL,              -- the number the step was claimed under
    worker_id INTEGER,                   -- the worker that held the claim
    process INTEGER,                     -- the process id of that worker's child
    process_start BIGINT,                -- when that child began, in clock ticks since the boot
    lost_at FLOAT NOT NULL,              -- when the claim was taken away
    CONSTRAINT lost_claims_pkey PRIMARY KEY (operation_id, number, claim),
    CONSTRAINT lost_claims_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE,
    CONSTRAINT lost_claims_worker_id_fkey FOREIGN KEY(worker_id) REFERENCES workers (id)
) WITHOUT ROWID;

-- The same.
CREATE INDEX lost_claims_by_worker ON lost_claims (worker_id)
    WHERE worker_id IS NOT NULL;

-- What a step's code logged, kept in parts as it runs.
CREATE TABLE step_logs (
    operation_id INTEGER NOT NULL,       -- the operation
    number INTEGER NOT NULL,             -- the step
    run INTEGER NOT NULL,                -- which run of the step's code, from 1: steps.runs
    part INTEGER NOT NULL,               -- counts up within that run
    lines TEXT NOT NULL,                 -- the lines, oldest first
    CONSTRAINT step_logs_pkey PRIMARY KEY (operation_id, number, run, part),
    CONSTRAINT step_logs_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- What every process adds to: histograms and totals for /metrics, and what ended in each minute of the last two hours.
CREATE TABLE tallies (
    name TEXT NOT NULL,                  -- what is measured
    label TEXT NOT NULL,                 -- of which task or workflow; may be empty
    bucket INTEGER NOT NULL,             -- the number of the histogram's bucket; where a minute is counted, that minute since the epoch
    count BIGINT NOT NULL,               -- how many fell into it
    total FLOAT NOT NULL,                -- the sum of what fell into it, in seconds where it is a time
    CONSTRAINT tallies_pkey PRIMARY KEY (name, label, bucket)
) WITHOUT ROWID;

-- What this installation of the service is called in documents: one row, written with the table.
CREATE TABLE installation (
    name TEXT NOT NULL,                  -- 32 hexadecimal digits, like no other's
    CONSTRAINT installation_pkey PRIMARY KEY (name)
);

-- The outbox of what people are told: written in the transaction of the change, sent by workers, each at least once.
CREATE TABLE notifications (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- counts up, never used twice
    operation_id INTEGER NOT NULL,       -- the operation that changed
    step TEXT NOT NULL,                  -- the slug of the step that changed; empty for the operation itself
    kind TEXT NOT NULL,                  -- notification: people are told; telling: state handlers are told of what they cannot alter
    change TEXT NOT NULL,                -- which change: a text that no other change of that step, or operation, has
    source TEXT NOT NULL,                -- where in the code it stands: step:<task>, workflow:<name>, all
    number INTEGER NOT NULL,             -- which one of those that stand there, from 0; its address and text are looked up when it is sent
    facts TEXT NOT NULL,                 -- JSON: what its text may show; never an address, never a secret
    state TEXT NOT NULL,                 -- Waiting: to be sent, or sent again; Sent; Failed: given up
    attempts INTEGER NOT NULL,           -- how often it was tried
    due_at FLOAT,                        -- Waiting: when it is tried next; while somebody tries, when others may
    error TEXT,                          -- why the last try failed
    created_at FLOAT NOT NULL,           -- when the change was made
    finished_at FLOAT,                   -- when it was sent, or given up
    taken_by INTEGER,                    -- the worker that delivers it, until it is lost or has ended
    CONSTRAINT notifications_kind_check CHECK (kind IN ('notification', 'telling')),
    CONSTRAINT notifications_state_check CHECK (state IN ('Waiting', 'Sent', 'Failed')),
    CONSTRAINT notifications_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE,
    CONSTRAINT notifications_once UNIQUE (operation_id, step, change, source, number, kind)
);

-- Those that wait, and those that were given up, the newest first.
CREATE INDEX notifications_by_state ON notifications (state, id);

-- What is to be sent, the earliest first.
CREATE INDEX notifications_due ON notifications (due_at)
    WHERE state = 'Waiting';

-- The newest migration this database has seen.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,    -- its number
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
