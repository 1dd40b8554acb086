-- One language for SQLite and PostgreSQL: text, bigint, boolean; times are milliseconds, 0 is "not yet"; JSON is text.
-- Long texts come last in a row: SQLite then reads the columns before them without following overflow pages.

-- +goose Up
create table meta (
  name  text primary key,
  value text not null
);

-- How much of what the site's jobs share they hold.
create table capacity (
  name text primary key,
  used bigint not null
);
insert into capacity (name, used) values ('cores', 0), ('memory', 0), ('gpus', 0);

-- A job at one of its parties here. Both asked and woken are of its place in the queue: when it last asked for resources, and
-- when it was last told to come. The column peer says whose quota it counts to (empty: it is the site's own), and age is its
-- number in the order in which the site has seen jobs. At the time lease it ends, unless its scheduler still drives it.
create table job (
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
create index job_created on job (create_time, job_id, role, party, scheduler);
-- What is open is compared with its workflows every few seconds.
create index job_holding on job (scheduler, job_id, role, party) where resource_in_use;
-- What runs is looked after every few seconds, among however many jobs that have ended.
create index job_running on job (create_time, job_id, role, party, scheduler) where status = 'running';
-- The queue, of each peer in both of its orders, and who has been told; each answers by itself, without the rows and their DAGs.
create index job_queue on job (peer, priority desc, age, job_id, scheduler, role, party, cores, memory, gpus, waiting_since, asked, woken)
  where waiting_since > 0 and end_time = 0;
create index job_queue_age on job (peer, age, priority, job_id, scheduler, role, party, cores, memory, gpus, waiting_since, asked, woken)
  where waiting_since > 0 and end_time = 0;
create index job_told on job (woken) where woken > 0;
create index job_age on job (age);
-- What peers have here: jobs that have not ended, and what jobs hold.
create index job_open on job (peer, job_id, scheduler, role, party, create_time, apply_time, lease) where end_time = 0 and peer <> '';
create index job_holds on job (peer, cores, memory, gpus) where resource_in_use;
-- What never began is kept for a while only, however much comes.
create index job_refused on job (scheduler, create_time, job_id) where end_time > 0 and start_time = 0 and status <> 'success';

-- A job that this node schedules. The column tasks says how its tasks stood when it ended: what a rerun keeps and does again.
create table scheduled_job (
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
create unique index scheduled_job_idempotency on scheduled_job (initiator, idempotency_key) where idempotency_key <> '';
create index scheduled_job_created on scheduled_job (create_time, job_id);
create index scheduled_job_running on scheduled_job (create_time, job_id) where status = 'running';
create index scheduled_job_open on scheduled_job (job_id) where end_time = 0;
create index scheduled_job_refused on scheduled_job (initiator, create_time, job_id) where end_time > 0 and start_time = 0 and status = 'failed';
create index scheduled_job_of on scheduled_job (initiator) where end_time = 0;

-- Jobs that were deleted at one of their parties here, while the mandate of their initiator may still be good.
create table forgotten_job (
  job_id      text not null,
  role        text not null,
  party       text not null,
  scheduler   text not null,
  delete_time bigint not null,
  primary key (job_id, role, party, scheduler)
);
create index forgotten_job_deleted on forgotten_job (delete_time);

-- Which party schedules a job that was submitted here and is scheduled elsewhere: a site that runs no task of it has no
-- other row of the job.
create table submission (
  job_id      text not null,
  scheduler   text not null,
  create_time bigint not null,
  primary key (job_id, scheduler)
);
create index submission_created on submission (create_time);

-- A run. What other parties may know of how it failed is in the columns cause_*: reason and error_report stay at this party.
create table task (
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
create index task_of_job on task (job_id, role, party, task_name, version);
create index task_created on task (create_time, run_id);
create index task_log on task (log_digest) where log_digest <> '';
create index task_open on task (run_id) where resource_in_use;

create table data_table (
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
create index data_table_object on data_table (object) where object <> '';

create table output (
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
create index output_of_table on output (namespace, name);

-- Which objects a run has stored itself: only those may become its outputs.
create table upload (
  run_id      text not null,
  object      text not null,
  create_time bigint not null,
  primary key (run_id, object)
);

create table model (
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
create index model_object on model (object) where object <> '';

-- What a job reads from the warehouses, as it was when the job was created: the object behind a name, which stays as long as
-- the row of the job, whatever becomes of the name.
create table pin (
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
create index pin_object on pin (object) where object <> '';

create table metric (
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
create index metric_of_task on metric (run_id, seq);

-- How many score vectors partners were told about the content of a table, one row per run; and limits that the operator has
-- raised. Rows outlive their jobs and tables.
create table score (
  partner text not null,
  object  text not null,
  run_id  text not null,
  columns bigint not null,
  vectors bigint not null,
  time    bigint not null,
  primary key (partner, object, run_id)
);
create index score_time on score (time);
create table score_raise (
  partner text not null,
  object  text not null,
  vectors bigint not null,
  primary key (partner, object)
);

-- How many bytes, with what each entry costs beside them, were put into a store of this site: for a run, for a job, for the
-- party whose jobs they are, and for all.
create table taken (
  kind  text not null,
  level text not null,
  name  text not null,
  bytes bigint not null,
  primary key (kind, level, name)
);

-- A peer, with the dialect, its version and its profile that it speaks.
create table site (
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

-- What a peer may use of this site; 0 is the site's rule for all peers.
create table quota (
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

create table access_grant (
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
create index grant_initiator on access_grant (initiator, scheduler);
create index grant_scheduler on access_grant (scheduler);
-- On which grants a job was created here. Each is used once by a job, in whichever roles this site takes part.
create table grant_use (
  job_id    text not null,
  scheduler text not null,
  grant_id  text not null,
  primary key (job_id, scheduler, grant_id)
);

create table audit (
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
create index audit_time on audit (time, id);
create index audit_decisions on audit (outcome, party, time);

-- The workers of the site's pool, as they last told of themselves.
create table worker (
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

-- Who provides which components at this site.
create table provider (
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
create table component (
  name        text not null,
  provider    text not null,
  version     text not null,
  description text not null,
  primary key (name, provider, version)
);
create table component_default (
  component text not null primary key,
  provider  text not null,
  version   text not null
);
