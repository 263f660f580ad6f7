-- Made by the service as it was at migration 0001: an operation that is paused, one whose next step is queued, one
-- that runs and one that is to pause while it runs, both in the hands of a worker that is no more, and one that has
-- completed. {store} stands for the folder of the documents.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE edges (
	operation_id INTEGER NOT NULL, 
	upstream INTEGER NOT NULL, 
	downstream INTEGER NOT NULL, 
	CONSTRAINT edges_pkey PRIMARY KEY (operation_id, upstream, downstream), 
	CONSTRAINT edges_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "edges" VALUES(1,0,1);
INSERT INTO "edges" VALUES(1,1,2);
INSERT INTO "edges" VALUES(1,2,3);
INSERT INTO "edges" VALUES(1,3,4);
INSERT INTO "edges" VALUES(2,0,1);
INSERT INTO "edges" VALUES(2,1,2);
INSERT INTO "edges" VALUES(2,2,3);
INSERT INTO "edges" VALUES(2,3,4);
INSERT INTO "edges" VALUES(3,0,1);
INSERT INTO "edges" VALUES(3,1,2);
INSERT INTO "edges" VALUES(3,2,3);
INSERT INTO "edges" VALUES(3,3,4);
INSERT INTO "edges" VALUES(4,0,1);
INSERT INTO "edges" VALUES(4,1,2);
INSERT INTO "edges" VALUES(4,2,3);
INSERT INTO "edges" VALUES(4,3,4);
INSERT INTO "edges" VALUES(5,0,1);
INSERT INTO "edges" VALUES(5,1,2);
INSERT INTO "edges" VALUES(5,2,3);
INSERT INTO "edges" VALUES(5,3,4);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	who TEXT NOT NULL, 
	step TEXT, 
	old TEXT, 
	new TEXT NOT NULL, 
	why TEXT, 
	CONSTRAINT events_pkey PRIMARY KEY (id), 
	CONSTRAINT events_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,1,1.79526979734042239182e+09,'ada',NULL,NULL,'SCHEDULED',NULL);
INSERT INTO "events" VALUES(2,2,1.79526979770922088617e+09,'ada',NULL,NULL,'SCHEDULED',NULL);
INSERT INTO "events" VALUES(3,3,1.79526979774603986745e+09,'ada',NULL,NULL,'SCHEDULED',NULL);
INSERT INTO "events" VALUES(4,4,1.79526979779093813893e+09,'ada',NULL,NULL,'SCHEDULED',NULL);
INSERT INTO "events" VALUES(5,5,1.79526979781380200381e+09,'ada',NULL,NULL,'SCHEDULED',NULL);
INSERT INTO "events" VALUES(6,1,1.79526979782600855828e+09,'worker',NULL,'SCHEDULED','IN PROGRESS',NULL);
INSERT INTO "events" VALUES(7,2,1.79526979787863135342e+09,'worker',NULL,'SCHEDULED','IN PROGRESS',NULL);
INSERT INTO "events" VALUES(8,3,1.79526979789461088176e+09,'worker',NULL,'SCHEDULED','IN PROGRESS',NULL);
INSERT INTO "events" VALUES(9,4,1.79526979791410279275e+09,'worker',NULL,'SCHEDULED','IN PROGRESS',NULL);
INSERT INTO "events" VALUES(10,5,1.79526979792805123324e+09,'worker',NULL,'SCHEDULED','IN PROGRESS',NULL);
INSERT INTO "events" VALUES(11,1,1.79526979795730733872e+09,'ada',NULL,'IN PROGRESS','REQUESTING PAUSE','before the upgrade');
INSERT INTO "events" VALUES(12,1,1.79526979798998808863e+09,'worker',NULL,'REQUESTING PAUSE','PAUSED','before the upgrade');
INSERT INTO "events" VALUES(13,5,1.79526979803778886793e+09,'worker',NULL,'IN PROGRESS','COMPLETED',NULL);
INSERT INTO "events" VALUES(14,4,1.79526979805257296558e+09,'ada',NULL,'IN PROGRESS','REQUESTING PAUSE',NULL);
CREATE TABLE operations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	requester_id INTEGER NOT NULL, 
	completion TEXT NOT NULL, 
	workflow_store TEXT, 
	result TEXT, 
	workflow TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	steps_total INTEGER NOT NULL, 
	steps_left INTEGER NOT NULL, 
	steps_done INTEGER NOT NULL, 
	outcome TEXT NOT NULL, 
	workflow_digest TEXT, 
	error TEXT, 
	reason TEXT, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	idempotency_key TEXT, 
	request_digest TEXT, 
	CONSTRAINT operations_completion_check CHECK (completion IN ('SCHEDULED', 'IN PROGRESS', 'REQUESTING PAUSE', 'PAUSED', 'REQUESTING CANCEL', 'CANCELLED', 'COMPLETED', 'FAILED')), 
	CONSTRAINT operations_requester_id_fkey FOREIGN KEY(requester_id) REFERENCES user (id)
);
INSERT INTO "operations" VALUES(1,1,'PAUSED','{store}/1/7/workflow.json','3','add-numbers','{"start":1,"delay":0.0}',7,5,3,2,'4','3f849d072dd259d073fe8c94d71d7a1c58f063fb170b1fd88a87663673b52ead',NULL,'before the upgrade',1.79526979734042239182e+09,1.79526979782600855828e+09,NULL,NULL,NULL);
INSERT INTO "operations" VALUES(2,1,'IN PROGRESS',NULL,NULL,'add-numbers','{"start":10,"delay":0.0}',3,5,4,1,'4',NULL,NULL,NULL,1.79526979770922088617e+09,1.79526979787863135342e+09,NULL,NULL,NULL);
INSERT INTO "operations" VALUES(3,1,'IN PROGRESS',NULL,NULL,'add-numbers','{"start":100,"delay":0.0}',4,5,4,1,'4',NULL,NULL,NULL,1.79526979774603986745e+09,1.79526979789461088176e+09,NULL,NULL,NULL);
INSERT INTO "operations" VALUES(4,1,'REQUESTING PAUSE',NULL,NULL,'add-numbers','{"start":1000,"delay":0.0}',5,5,4,1,'4',NULL,NULL,NULL,1.79526979779093813893e+09,1.79526979791410279275e+09,NULL,NULL,NULL);
INSERT INTO "operations" VALUES(5,1,'COMPLETED',NULL,'{"operation_id":5,"total":10009}','add-numbers','{"start":10000,"delay":0.0}',11,5,0,5,'4',NULL,NULL,NULL,1.79526979781380200381e+09,1.79526979792805123324e+09,1.79526979803778886793e+09,NULL,NULL);
CREATE TABLE steps (
	operation_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	slug TEXT NOT NULL, 
	state TEXT NOT NULL, 
	claim INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	runs INTEGER NOT NULL, 
	retries INTEGER NOT NULL, 
	waiting INTEGER NOT NULL, 
	signature TEXT NOT NULL, 
	inputs TEXT, 
	point INTEGER, 
	clause TEXT, 
	callback TEXT, 
	passed BOOLEAN NOT NULL, 
	result TEXT, 
	error TEXT, 
	worker_id INTEGER, 
	process INTEGER, 
	due_at FLOAT, 
	publishes INTEGER NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	CONSTRAINT steps_pkey PRIMARY KEY (operation_id, number), 
	CONSTRAINT steps_state_check CHECK (state IN ('Pending', 'Queued', 'Running', 'Retrying', 'Paused', 'Success', 'Failed', 'TriggerFailed', 'Cancelled')), 
	CONSTRAINT steps_operation_id_fkey FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE, 
	CONSTRAINT steps_worker_id_fkey FOREIGN KEY(worker_id) REFERENCES workers (id)
);
INSERT INTO "steps" VALUES(1,0,'start_with','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.start_with","args":[1,0.0]}',NULL,NULL,NULL,NULL,0,'1',NULL,NULL,NULL,NULL,0,1.79526979783875894553e+09,1.79526979786454582216e+09);
INSERT INTO "steps" VALUES(1,1,'add_two','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_two","args":[0.0]}','0',1,NULL,NULL,0,'3',NULL,NULL,NULL,NULL,0,1.79526979793815135953e+09,1.79526979794330358505e+09);
INSERT INTO "steps" VALUES(1,2,'add_three','Paused',0,0,0,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_three","args":[0.0]}','1',2,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(1,3,'add_four','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_four","args":[0.0]}','2',3,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(1,4,'save_result','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.save_result","args":[1]}','3',4,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(2,0,'start_with','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.start_with","args":[10,0.0]}',NULL,NULL,NULL,NULL,0,'10',NULL,NULL,NULL,NULL,0,1.79526979788181257247e+09,1.79526979788329029081e+09);
INSERT INTO "steps" VALUES(2,1,'add_two','Queued',0,0,0,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_two","args":[0.0]}','0',1,NULL,NULL,0,NULL,NULL,NULL,NULL,1.7952697998906552791e+09,0,NULL,NULL);
INSERT INTO "steps" VALUES(2,2,'add_three','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_three","args":[0.0]}','1',2,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(2,3,'add_four','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_four","args":[0.0]}','2',3,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(2,4,'save_result','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.save_result","args":[2]}','3',4,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(3,0,'start_with','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.start_with","args":[100,0.0]}',NULL,NULL,NULL,NULL,0,'100',NULL,NULL,NULL,NULL,0,1.79526979789896059041e+09,1.7952697979004933834e+09);
INSERT INTO "steps" VALUES(3,1,'add_two','Running',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_two","args":[0.0]}','0',1,NULL,NULL,0,NULL,NULL,1,4712,NULL,0,1.79526979805010080334e+09,NULL);
INSERT INTO "steps" VALUES(3,2,'add_three','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_three","args":[0.0]}','1',2,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(3,3,'add_four','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_four","args":[0.0]}','2',3,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(3,4,'save_result','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.save_result","args":[3]}','3',4,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(4,0,'start_with','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.start_with","args":[1000,0.0]}',NULL,NULL,NULL,NULL,0,'1000',NULL,NULL,NULL,NULL,0,1.79526979791455721857e+09,1.79526979791979551318e+09);
INSERT INTO "steps" VALUES(4,1,'add_two','Running',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_two","args":[0.0]}','0',1,NULL,NULL,0,NULL,NULL,1,4712,NULL,0,1.79526979805048584942e+09,NULL);
INSERT INTO "steps" VALUES(4,2,'add_three','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_three","args":[0.0]}','1',2,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(4,3,'add_four','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.add_four","args":[0.0]}','2',3,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(4,4,'save_result','Pending',0,0,0,0,1,'{"task":"pausable.workflows.shipped.add_numbers.save_result","args":[4]}','3',4,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "steps" VALUES(5,0,'start_with','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.start_with","args":[10000,0.0]}',NULL,NULL,NULL,NULL,0,'10000',NULL,NULL,NULL,NULL,0,1.7952697979284331798e+09,1795269797.93192);
INSERT INTO "steps" VALUES(5,1,'add_two','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_two","args":[0.0]}','0',1,NULL,NULL,0,'10002',NULL,NULL,NULL,NULL,0,1.795269798001411438e+09,1.79526979800338983535e+09);
INSERT INTO "steps" VALUES(5,2,'add_three','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_three","args":[0.0]}','1',2,NULL,NULL,0,'10005',NULL,NULL,NULL,NULL,0,1.7952697980216395855e+09,1.79526979802228140838e+09);
INSERT INTO "steps" VALUES(5,3,'add_four','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.add_four","args":[0.0]}','2',3,NULL,NULL,0,'10009',NULL,NULL,NULL,NULL,0,1.79526979803127503397e+09,1.79526979803391861919e+09);
INSERT INTO "steps" VALUES(5,4,'save_result','Success',1,0,1,0,0,'{"task":"pausable.workflows.shipped.add_numbers.save_result","args":[5]}','3',4,NULL,NULL,0,'{"operation_id":5,"total":10009}',NULL,NULL,NULL,NULL,0,1.79526979803742575648e+09,1.79526979803776502611e+09);
CREATE TABLE tokens (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id INTEGER NOT NULL, 
	prefix TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	revoked_at FLOAT, 
	CONSTRAINT tokens_user_id_fkey FOREIGN KEY(user_id) REFERENCES user (id), 
	CONSTRAINT tokens_digest_key UNIQUE (digest)
);
CREATE TABLE user (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT user_role_check CHECK (role IN ('user', 'admin')), 
	CONSTRAINT user_name_key UNIQUE (name)
);
INSERT INTO "user" VALUES(1,'ada','admin',1.79526979730147242544e+09);
CREATE TABLE workers (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	host TEXT NOT NULL, 
	boot_id TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	start_time BIGINT NOT NULL, 
	heartbeat INTEGER NOT NULL, 
	seen_at FLOAT NOT NULL, 
	stopped_at FLOAT, 
	CONSTRAINT workers_host_boot_id_pid_start_time_key UNIQUE (host, boot_id, pid, start_time)
);
INSERT INTO "workers" VALUES(1,'alpha','00000000-0000-4000-8000-000000000001',4711,603034,0,1.79526979804531860353e+09,NULL);
CREATE INDEX operations_by_completion ON operations (completion, id);
CREATE UNIQUE INDEX operations_by_idempotency_key ON operations (requester_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX operations_by_requester ON operations (requester_id, id);
CREATE INDEX operations_by_workflow ON operations (workflow, id);
CREATE INDEX operations_of_requester_by_completion ON operations (requester_id, completion, id);
CREATE INDEX operations_of_requester_by_workflow ON operations (requester_id, workflow, id);
CREATE INDEX events_by_operation ON events (operation_id, id);
CREATE INDEX steps_due ON steps (due_at) WHERE state IN ('Queued', 'Retrying');
CREATE INDEX steps_running ON steps (operation_id) WHERE state = 'Running';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('user',1);
INSERT INTO "sqlite_sequence" VALUES('operations',5);
INSERT INTO "sqlite_sequence" VALUES('workers',1);
COMMIT;
