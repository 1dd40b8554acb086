-- A catalogue with schema version 1. Never regenerate it once that is released: later versions must migrate it.
CREATE TABLE access_grant (
  id          text primary key,
  kind        text not null,
  initiator   text not null,
  scheduler   text not null,
  uses        bigint not null,
  used        bigint not null,
  until       bigint not null,
  create_time bigint not null,
  made_by     text not null,
  purpose     text not null,
  terms       text not null
);
INSERT INTO "access_grant" VALUES('g-1','use','10000','',0,0,0,1735787059000,'user ann','','{"components":[{"name":"*"}]}');
CREATE TABLE audit (
  id        text primary key,
  time      bigint not null,
  actor     text not null,
  action    text not null,
  subject   text not null,
  detail    text not null,
  party     text not null,
  outcome   text not null,
  authority text not null,
  grants    text not null,
  repeats   bigint not null
);
INSERT INTO "audit" VALUES('e1',1735787059000,'ann','grant.add','10000','','','','','',0);
CREATE TABLE capacity (
  name text primary key,
  used bigint not null
);
INSERT INTO "capacity" VALUES('cores',4);
INSERT INTO "capacity" VALUES('memory',0);
INSERT INTO "capacity" VALUES('gpus',0);
CREATE TABLE component (
  name        text not null,
  provider    text not null,
  version     text not null,
  description text not null,
  primary key (name, provider, version)
);
CREATE TABLE component_default (
  component text not null primary key,
  provider  text not null,
  version   text not null
);
CREATE TABLE data_table (
  namespace    text not null,
  name         text not null,
  object       text not null,
  bytes        bigint not null,
  row_count    bigint not null,
  data_type    text not null,
  intermediate boolean not null,
  create_time  bigint not null,
  update_time  bigint not null,
  uri          text not null,
  source       text not null,
  header       text not null,
  meta         text not null,
  samples      text not null,
  primary key (namespace, name)
);
INSERT INTO "data_table" VALUES('ns','t','d',0,3,'',0,1735787054000,1735787054000,'','{}','null','{"a":1}','');
CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-24 21:47:16');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-24 21:47:16');
CREATE TABLE forgotten_job (
  job_id      text not null,
  role        text not null,
  party       text not null,
  scheduler   text not null,
  delete_time bigint not null,
  primary key (job_id, role, party, scheduler)
);
CREATE TABLE grant_use (
  job_id    text not null,
  scheduler text not null,
  grant_id  text not null,
  primary key (job_id, scheduler, grant_id)
);
CREATE TABLE job (
  scheduler        text not null,
  job_id           text not null,
  role             text not null,
  party            text not null,
  initiator        text not null,
  status           text not null,
  progress         bigint not null,
  priority         bigint not null,
  cores            bigint not null,
  remaining_cores  bigint not null,
  memory           bigint not null,
  remaining_memory bigint not null,
  gpus             bigint not null,
  remaining_gpus   bigint not null,
  resource_in_use  boolean not null,
  waiting_since    bigint not null,
  asked            bigint not null default 0,
  woken            bigint not null default 0,
  peer             text not null,
  age              bigint not null,
  lease            bigint not null,
  closed           boolean not null,
  reruns           bigint not null default 0,
  model_id         text not null,
  model_version    text not null,
  user_name        text not null,
  idempotency_key  text not null,
  signed           boolean not null,
  create_time      bigint not null,
  update_time      bigint not null,
  start_time       bigint not null,
  end_time         bigint not null,
  apply_time       bigint not null,
  return_time      bigint not null,
  reason           text not null,
  notes            text not null,
  warnings         text not null, -- for the users of this site: a JSON list, empty for none
  dag              text not null,
  primary key (job_id, role, party, scheduler)
);
INSERT INTO "job" VALUES('9999','j1','guest','9999','9999','running',0,0,4,0,0,0,0,0,1,0,0,0,'',1,0,0,0,'','','ann','',1,1735787047000,1735787050000,1735787050000,0,1735787049000,0,'','','','{"schema_version":"2.2.0","parties":[{"role":"guest","party_id":"9999"},{"role":"host","party_id":"10000"}],"tasks":[{"name":"reader_0","component":"reader","parameters":{"name":"t"}}]}');
CREATE TABLE meta (
  name  text primary key,
  value text not null
);
INSERT INTO "meta" VALUES('node','u');
CREATE TABLE metric (
  run_id      text not null,
  digest      text not null,
  seq         bigint not null,
  name        text not null,
  type        text not null,
  step_axis   text not null,
  create_time bigint not null,
  groups_json text not null,
  data        text not null,
  primary key (run_id, digest)
);
INSERT INTO "metric" VALUES('j1_reader_0_0@9999@guest_9999','383e885123b85d532076741bd4a8d48e',1,'loss','','',1735787057000,'','[1]');
CREATE TABLE model (
  model_id    text not null,
  version     text not null,
  role        text not null,
  party       text not null,
  task_name   text not null,
  output_key  text not null,
  scheduler   text not null,
  initiator   text not null,
  job_id      text not null,
  type_name   text not null,
  object      text not null,
  bytes       bigint not null,
  create_time bigint not null,
  update_time bigint not null,
  meta        text not null,
  primary key (model_id, version, role, party, task_name, output_key, scheduler)
);
INSERT INTO "model" VALUES('m','0','guest','9999','lr_0','model','','','','','e',0,1735787056000,1735787056000,'');
CREATE TABLE output (
  run_id      text not null,
  output_key  text not null,
  position    bigint not null,
  namespace   text not null,
  name        text not null,
  data_type   text not null,
  create_time bigint not null,
  uri         text not null,
  primary key (run_id, output_key, position)
);
INSERT INTO "output" VALUES('j1_reader_0_0@9999@guest_9999','output_data',0,'ns','t','dataframe',1735787055000,'');
CREATE TABLE pin (
  scheduler     text not null,
  job_id        text not null,
  role          text not null,
  party         text not null,
  task_name     text not null,
  kind          text not null,
  input_key     text not null,
  position      bigint not null,
  namespace     text not null,
  name          text not null,
  source_job    text not null,
  model_id      text not null,
  model_version text not null,
  producer      text not null,
  output_key    text not null,
  object        text not null,
  cut_of        text not null,
  columns       text not null,
  bytes         bigint not null,
  row_count     bigint not null,
  data_type     text not null,
  meta          text not null,
  origins       text not null,
  primary key (job_id, role, party, scheduler, task_name, kind, input_key, position)
);
CREATE TABLE provider (
  name     text not null,
  version  text not null,
  kind     text not null,
  place    text not null,
  digest   text not null,
  dialect  text not null,
  enabled  boolean not null,
  added_by text not null,
  added_at bigint not null,
  primary key (name, version)
);
CREATE TABLE quota (
  party    text primary key,
  jobs     bigint not null,
  waiting  bigint not null,
  cores    bigint not null,
  memory   bigint not null,
  gpus     bigint not null,
  calls    bigint not null,
  bytes    bigint not null,
  priority bigint not null
);
CREATE TABLE scheduled_job (
  job_id          text primary key,
  initiator       text not null,
  status          text not null,
  progress        bigint not null,
  priority        bigint not null,
  idempotency_key text not null,
  submit_hash     text not null,
  user_name       text not null,
  create_time     bigint not null,
  update_time     bigint not null,
  start_time      bigint not null,
  end_time        bigint not null,
  reason          text not null,
  reruns          bigint not null default 0,
  tasks           text not null,
  mandate         text not null, -- of the initiator: JSON, empty for none
  dag             text not null
);
INSERT INTO "scheduled_job" VALUES('j1','9999','ready',0,0,'k','h','',1735787053000,1735787053000,0,0,'',0,'','','{"schema_version":"2.2.0","parties":[{"role":"guest","party_id":"9999"},{"role":"host","party_id":"10000"}],"tasks":[{"name":"reader_0","component":"reader","parameters":{"name":"t"}}]}');
CREATE TABLE score (
  partner text not null,
  object  text not null,
  run_id  text not null,
  columns bigint not null,
  vectors bigint not null,
  time    bigint not null,
  primary key (partner, object, run_id)
);
CREATE TABLE score_raise (
  partner text not null,
  object  text not null,
  vectors bigint not null,
  primary key (partner, object)
);
CREATE TABLE site (
  party           text primary key,
  url             text not null,
  dialect         text not null,
  dialect_version text not null,
  profile         text not null,
  added_at        bigint not null,
  unsigned        boolean not null, -- its jobs are taken without the mandate of their initiator
  keys            text not null,
  plain           boolean not null, -- it may be called without TLS, wherever it is
  sources         text not null     -- of requests that nobody has signed: a JSON list, empty for none
);
INSERT INTO "site" VALUES('10000','http://host','native','1','signed',1735787058000,0,'["ed25519:x"]',0,'');
CREATE TABLE submission (
  job_id      text not null,
  scheduler   text not null,
  create_time bigint not null,
  primary key (job_id, scheduler)
);
CREATE TABLE taken (
  kind  text not null,
  level text not null,
  name  text not null,
  bytes bigint not null,
  primary key (kind, level, name)
);
CREATE TABLE task (
  run_id            text primary key,
  job_id            text not null,
  task_name         text not null,
  version           bigint not null,
  role              text not null,
  party             text not null,
  scheduler         text not null,
  sync_type         text not null,
  component         text not null,
  provider          text not null,
  status            text not null,
  party_status      text not null,
  reported          text not null,
  stop_status       text not null,
  cores             bigint not null,
  memory            bigint not null,
  gpus              bigint not null,
  gpu_ids           text not null,
  memory_bytes      bigint not null,
  resource_in_use   boolean not null,
  killed            boolean not null,
  runtime           text not null,
  container_name    text not null,
  program_digest    text not null,
  exit_code         bigint,
  log_digest        text not null,
  create_time       bigint not null,
  update_time       bigint not null,
  start_time        bigint not null,
  end_time          bigint not null,
  cause_code        text not null,
  cause_text        text not null,
  cause_consequence boolean not null,
  reason            text not null,
  error_report      text not null,
  warnings          text not null, -- as of a job
  spec              text not null
);
INSERT INTO "task" VALUES('j1_reader_0_0@9999@guest_9999','j1','reader_0',0,'guest','9999','9999','','reader','openflow:1.0@docker','waiting','running','','',4,0,0,'',0,1,0,'docker','guest-9999-j1_reader_0-0','',NULL,'',1735787046000,1735787052000,1735787052000,0,'','',0,'','','','{"name":"reader_0","component":"reader","stage":"default","parameters":{"name":"t"},"parties":[{"role":"guest","party_id":"9999"},{"role":"host","party_id":"10000"}]}');
CREATE TABLE upload (
  run_id      text not null,
  object      text not null,
  create_time bigint not null,
  primary key (run_id, object)
);
CREATE TABLE worker (
  machine text primary key,
  name    text not null,
  runtime text not null,
  cores   bigint not null,
  version text not null,
  started bigint not null,
  seen    bigint not null,
  labels  text not null,
  running text not null
);
CREATE INDEX job_created on job (create_time, job_id, role, party, scheduler);
CREATE INDEX job_holding on job (scheduler, job_id, role, party) where resource_in_use;
CREATE INDEX job_running on job (create_time, job_id, role, party, scheduler) where status = 'running';
CREATE INDEX job_queue on job (peer, priority desc, age, job_id, scheduler, role, party, cores, memory, gpus, waiting_since, asked, woken)
  where waiting_since > 0 and end_time = 0;
CREATE INDEX job_queue_age on job (peer, age, priority, job_id, scheduler, role, party, cores, memory, gpus, waiting_since, asked, woken)
  where waiting_since > 0 and end_time = 0;
CREATE INDEX job_told on job (woken) where woken > 0;
CREATE INDEX job_age on job (age);
CREATE INDEX job_open on job (peer, job_id, scheduler, role, party, create_time, apply_time, lease) where end_time = 0 and peer <> '';
CREATE INDEX job_holds on job (peer, cores, memory, gpus) where resource_in_use;
CREATE INDEX job_refused on job (scheduler, create_time, job_id) where end_time > 0 and start_time = 0 and status <> 'success';
CREATE UNIQUE INDEX scheduled_job_idempotency on scheduled_job (initiator, idempotency_key) where idempotency_key <> '';
CREATE INDEX forgotten_job_deleted on forgotten_job (delete_time);
CREATE INDEX scheduled_job_created on scheduled_job (create_time, job_id);
CREATE INDEX scheduled_job_running on scheduled_job (create_time, job_id) where status = 'running';
CREATE INDEX scheduled_job_open on scheduled_job (job_id) where end_time = 0;
CREATE INDEX scheduled_job_refused on scheduled_job (initiator, create_time, job_id) where end_time > 0 and start_time = 0 and status = 'failed';
CREATE INDEX scheduled_job_of on scheduled_job (initiator) where end_time = 0;
CREATE INDEX submission_created on submission (create_time);
CREATE INDEX task_of_job on task (job_id, role, party, task_name, version);
CREATE INDEX task_created on task (create_time, run_id);
CREATE INDEX task_log on task (log_digest) where log_digest <> '';
CREATE INDEX task_open on task (run_id) where resource_in_use;
CREATE INDEX data_table_object on data_table (object) where object <> '';
CREATE INDEX output_of_table on output (namespace, name);
CREATE INDEX model_object on model (object) where object <> '';
CREATE INDEX pin_object on pin (object) where object <> '';
CREATE INDEX metric_of_task on metric (run_id, seq);
CREATE INDEX score_time on score (time);
CREATE INDEX audit_time on audit (time, id);
CREATE INDEX audit_decisions on audit (outcome, party, time);
CREATE INDEX grant_initiator on access_grant (initiator, scheduler);
CREATE INDEX grant_scheduler on access_grant (scheduler);
