-- What a job that waits for resources needs to be woken in order: how many cores it wants at each party, and when it
-- was last told that some have become free.

-- +goose Up
alter table scheduled_job add column cores bigint not null default 0;
alter table scheduled_job add column woken bigint not null default 0;
