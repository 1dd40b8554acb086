-- What other parties may know of how a run failed: the rest of reason and error_report stays at this party.

-- +goose Up
alter table task add column cause_code text not null default '';
alter table task add column cause_text text not null default '';
alter table task add column cause_consequence boolean not null default false;
